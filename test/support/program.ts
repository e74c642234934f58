/** Starts the built program as a user would. */
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface ProgramResult {
  readonly code: number | undefined;
  readonly out: string;
  readonly err: string;
}

/** `cwd` is where results go: give each test its own. */
export async function trivisor(
  cwd: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<ProgramResult> {
  const clean = { NO_COLOR: '1', CI: undefined, GITHUB_ACTIONS: undefined, GITHUB_STEP_SUMMARY: undefined };
  const result = await execa(process.execPath, [MAIN, ...args], {
    cwd,
    env: { ...clean, ...env },
    reject: false,
    stdin: 'ignore',
  });
  return { code: result.exitCode, out: result.stdout, err: result.stderr };
}

/** What every refusal must be: one sentence, no stack trace, nothing on stdout. */
export function isOneSentence(result: ProgramResult): boolean {
  const lines = result.err.trim().split('\n');
  return (
    result.out === '' &&
    lines.length === 1 &&
    /^trivisor: .+[.?]$/.test(lines[0] as string) &&
    !/\bat .+:\d+/.test(result.err)
  );
}
