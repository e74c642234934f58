/** Reading and writing result files. */
import { readFileSync } from 'node:fs';
import { EXIT, SuiteError } from './failure.ts';
import { type Run, runSchema, SCHEMA_VERSION } from './schema.ts';
import { sortedJson } from './sorted-json.ts';
import { writeWhole } from './write-file.ts';

/** Reads a result file of this version or older; anything else is refused with a sentence. Unknown fields are ignored. */
export function readRun(path: string): Run {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new SuiteError(
      code === 'ENOENT'
        ? `There is no result file '${path}'.`
        : `The result file '${path}' cannot be read (${code ?? 'unknown error'}).`,
    );
  }
  return parseRun(text, path);
}

export function parseRun(text: string, path: string): Run {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw new SuiteError(
      `The result file '${path}' is corrupt: it is not a JSON document; measure again, or restore it.`,
    );
  }
  const version = (document as { schemaVersion?: unknown } | null)?.schemaVersion;
  if (typeof version === 'number' && version > SCHEMA_VERSION) {
    throw new SuiteError(
      `The result file '${path}' has format version ${version}; this trivisor reads versions up to ${SCHEMA_VERSION}, so use a newer one.`,
    );
  }
  const parsed = runSchema.safeParse(document);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const where = issue === undefined || issue.path.length === 0 ? 'the document' : `'${issue.path.join('.')}'`;
  throw new SuiteError(
    `The result file '${path}' is corrupt: ${where} is not as expected (${issue?.message ?? 'unknown'}); measure again, or restore it.`,
  );
}

/** Writes a run's own file. */
export function writeRun(path: string, run: Run): void {
  writeWhole(path, `${JSON.stringify(run)}\n`);
}

/** Writes a file meant for version control: sorted keys, a figure a line, nothing of the host or the hour. */
export function writeBaseline(path: string, run: Run): void {
  writeWhole(path, sortedJson(run));
}

/** The document of a baseline made from a run: only what another machine would reproduce bit for bit. */
export function asBaseline(run: Run): Run {
  const unfit = run.cells.find((cell) => cell.status !== 'ok' && cell.status !== 'skipped');
  if (unfit !== undefined) {
    throw new SuiteError(
      `A baseline needs every cell to succeed, but ${unfit.id} is '${unfit.status}': ${unfit.why ?? ''}`,
      EXIT.cellFailed,
    );
  }
  const cells = run.cells.map(({ wall: _, ...cell }) => cell).sort((a, b) => (a.id < b.id ? -1 : 1));
  return {
    ...run,
    kind: 'baseline',
    id: 'baseline',
    tool: { ...run.tool, git: null },
    command: [],
    design: { ...run.design, track: 'exact', rounds: 1 },
    environments: [],
    cells,
  };
}
