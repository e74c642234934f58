/** Runs one task in a fresh process and reports its messages; never rejects, whatever becomes of the process. */
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import type { CellMessage, CellTask } from './cell-protocol.ts';

export type ChildEnd =
  | { readonly kind: 'finished' }
  /** No message for longer than the wall-clock backstop. */
  | { readonly kind: 'silent' }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'died'; readonly how: string };

const ENTRY = fileURLToPath(
  new URL(`./cell-process${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url),
);

/** `backstop` is in milliseconds of wall-clock time between messages. */
export async function runChild(
  task: CellTask,
  backstop: number,
  cancel: AbortSignal,
  onMessage: (message: CellMessage) => void,
): Promise<ChildEnd> {
  const child = execa(process.execPath, ['--stack-size=2000', ENTRY], {
    input: JSON.stringify(task),
    reject: false,
    buffer: { stdout: false, stderr: true },
    maxBuffer: 1 << 20,
    // SIGINT at the terminal reaches the whole group; the parent decides what becomes of its children.
    detached: false,
    cleanup: true,
  });
  let end: ChildEnd | null = null;
  const stop = (reason: ChildEnd): void => {
    end ??= reason;
    child.kill('SIGKILL');
  };
  const onAbort = (): void => stop({ kind: 'cancelled' });
  if (cancel.aborted) onAbort();
  cancel.addEventListener('abort', onAbort);
  let timer = setTimeout(() => stop({ kind: 'silent' }), backstop);
  try {
    for await (const line of child.iterable({ from: 'stdout' })) {
      clearTimeout(timer);
      timer = setTimeout(() => stop({ kind: 'silent' }), backstop);
      if (end === null) onMessage(JSON.parse(line) as CellMessage);
    }
  } catch {
    // A line cut short by the process's death; its end says what happened.
  } finally {
    clearTimeout(timer);
    cancel.removeEventListener('abort', onAbort);
  }
  const result = await child;
  if (end !== null) return end;
  if (result.exitCode === 0) return { kind: 'finished' };
  const lines = String(result.stderr ?? '').split('\n');
  const last = lines.find((line) => /^\w*Error\b/.test(line)) ?? lines.findLast((line) => line.trim() !== '') ?? '';
  const how = result.signal === undefined ? `with exit code ${result.exitCode}` : `by ${result.signal}`;
  return { kind: 'died', how: last === '' ? how : `${how}: ${last}` };
}
