/** Tables for issues, summaries and documents. */

import { answer } from '../suite/answer.ts';
import type { Comparison } from '../suite/compare.ts';
import type { Run } from '../suite/schema.ts';
import { comparisonTable, summaryLines } from './comparison.ts';
import { reportSections } from './rows.ts';
import { sectionTable } from './table.ts';
import type { TextTable } from './text-table.ts';

export function runMarkdown(run: Run): string {
  const sections = reportSections(run).map((section) => {
    return `### ${section.profile}\n\nVirtual cycles per operation, ratio to native, entries into the VMM per operation.\n\n${markdownTable(sectionTable(section))}`;
  });
  return [...sections, answer(run)].join('\n\n');
}

/** The cells that moved, for the summary of a CI job. */
export function comparisonMarkdown(comparison: Comparison): string {
  const table = comparisonTable(comparison);
  const summary = summaryLines(comparison).join('\n');
  return table.rows.length === 0 ? summary : `${markdownTable(table)}\n\n${summary}`;
}

export function markdownTable(table: TextTable): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const rule = table.align.map((align) => (align === 'right' ? '---:' : '---'));
  return [table.head, rule, ...table.rows].map(line).join('\n');
}
