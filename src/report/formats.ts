/** The formats that a run can be printed in. */
import type { Run } from '../suite/schema.ts';
import { runCsv } from './csv.ts';
import { runMarkdown } from './markdown.ts';
import { runTable } from './table.ts';

export const FORMATS = ['table', 'md', 'csv', 'json', 'jsonl'] as const;
export type Format = (typeof FORMATS)[number];

/** The run in one format, without a trailing newline. */
export function formatRun(run: Run, format: Format, plain: boolean): string {
  switch (format) {
    case 'table':
      return runTable(run, plain);
    case 'md':
      return runMarkdown(run);
    case 'csv':
      return runCsv(run);
    case 'json':
      return JSON.stringify(run, null, 2);
    case 'jsonl':
      return run.cells.map((cell) => JSON.stringify(cell)).join('\n');
  }
}
