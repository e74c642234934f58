/** Files that are never seen half-written. */
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { EXIT, SuiteError } from './failure.ts';

function unwritable(path: string, error: unknown): SuiteError {
  const code = (error as NodeJS.ErrnoException).code ?? String(error);
  return new SuiteError(
    `'${path}' cannot be written (${code}); make its folder writable, or work in another one.`,
    EXIT.cellFailed,
  );
}

/** Throws a sentence if `writeWhole` could not write here: better now than when everything is measured. */
export function checkWritable(path: string): void {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    closeSync(openSync(temporary, 'w'));
  } catch (error) {
    throw unwritable(path, error);
  }
  rmSync(temporary);
}

/** Writes beside the target, flushes, then renames over it: a reader sees the old file or the new one. */
export function writeWhole(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    const file = openSync(temporary, 'w');
    try {
      writeSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw unwritable(path, error);
  }
}

/** Lines appended to a file, each on disk before the next step goes on. */
export class Journal {
  readonly path: string;
  readonly #file: number;

  constructor(path: string) {
    this.path = path;
    try {
      mkdirSync(dirname(path), { recursive: true });
      this.#file = openSync(path, 'a');
    } catch (error) {
      throw unwritable(path, error);
    }
  }

  append(record: unknown): void {
    writeSync(this.#file, `${JSON.stringify(record)}\n`);
    fsyncSync(this.#file);
  }

  close(): void {
    closeSync(this.#file);
  }
}
