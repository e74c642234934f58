/** What differs between two runs, and why. */
import type { Cause } from '../suite/attribute.ts';
import { type ComparedCell, type Comparison, type MovedTotal, type Range, totalCauses } from '../suite/compare.ts';
import { formatApart, formatChange, formatPercent, formatRatio } from './number.ts';
import { renderTable, type TextTable } from './text-table.ts';

/** Causes shown per cell. */
const CAUSES = 3;
/** Causes shown for the whole comparison. */
const TOTALS = 8;

/** Cells named where there are many of a kind. */
const NAMED = 3;

/** The cells that are in both and not SAME. */
export function comparisonTable(comparison: Comparison): TextTable {
  const rows = comparison.cells
    .filter((cell) => cell.verdict !== 'SAME' && cell.absentFrom === null)
    .map((cell) => [
      cell.id,
      ...formatApart(cell.base, cell.head),
      formatPercent(cell.head / cell.base),
      cell.verdict,
      why(cell),
    ]);
  return {
    head: ['cell', 'base', 'head', 'change', 'verdict', 'why (cycles per operation)'],
    align: ['left', 'right', 'right', 'right', 'left', 'left'],
    rows,
  };
}

export function comparisonText(comparison: Comparison, plain: boolean): string {
  const table = comparisonTable(comparison);
  const lines: string[] = [];
  if (table.rows.length > 0) lines.push(renderTable(table, plain));
  return [...lines, ...summaryLines(comparison)].join('\n');
}

/** What is said below the table. */
export function summaryLines(comparison: Comparison): string[] {
  const both = comparison.cells.filter((cell) => cell.absentFrom === null);
  const same = both.filter((cell) => cell.verdict === 'SAME').length;
  const lines = [`${same} of ${both.length} cells are SAME.`];
  if (both.length === 0) lines[0] = 'The two results have no cell in common.';
  lines.push(...absentLine(comparison, 'head', 'base'), ...absentLine(comparison, 'base', 'head'));
  if (comparison.common > 0) {
    lines.push(
      `Geometric mean of head / base over ${comparison.common} common cells: ${formatRatio(comparison.ratio)}`,
    );
  }
  const totals = totalCauses(comparison);
  if (totals.length > 0) lines.push('What moved, weightiest first:');
  lines.push(...totals.slice(0, TOTALS).map((total) => `  ${totalText(total)}`));
  if (totals.length > TOTALS) lines.push(`  and ${totals.length - TOTALS} lighter causes`);
  return lines;
}

function absentLine(comparison: Comparison, from: 'base' | 'head', only: string): string[] {
  const ids = comparison.cells.filter((cell) => cell.absentFrom === from).map((cell) => cell.id);
  if (ids.length === 0) return [];
  const named = ids.slice(0, NAMED).join(', ');
  const rest = ids.length > NAMED ? ` and ${ids.length - NAMED} more` : '';
  return [`Only in the ${only}: ${named}${rest}.`];
}

function why(cell: ComparedCell): string {
  if (cell.note !== '' && cell.causes.length === 0) return cell.note;
  const shown = cell.causes.slice(0, CAUSES).map(causeText);
  const rest = cell.causes.length - shown.length;
  if (rest > 0) shown.push(`${rest} more`);
  return [cell.note, shown.join('; ')].filter((part) => part !== '').join(' ');
}

/** `vmExit 1 -> 2 times: +507`, or `constant vmExit 507 -> 600: +93`. */
export function causeText(cause: Cause): string {
  const [before, after] = formatApart(cause.before, cause.after);
  const effect = formatChange(cause.cycles);
  if (cause.kind === 'count') return `${cause.name} ${before} -> ${after} times: ${effect}`;
  const prices = Number.isFinite(cause.before) ? ` ${cause.before} -> ${cause.after}` : '';
  return `constant ${cause.name}${prices}: ${effect}`;
}

/** `vmExit: more often (+1): +507 cycles per operation in 3 cells`, or the same of a constant. */
export function totalText(total: MovedTotal): string {
  const effect = `${rangeText(total.effect)} cycles per operation in ${total.cells} cell${total.cells === 1 ? '' : 's'}`;
  if (total.kind === 'constant') {
    const prices = Number.isFinite(total.before) ? ` ${total.before} -> ${total.after} cycles` : '';
    return `constant ${total.name} of ${total.profile}${prices}: ${effect}`;
  }
  const [least, most] = total.times;
  if (least === 0 && most === 0) return `other ${total.name}: ${effect}`;
  const way = least >= 0 ? 'more often' : most <= 0 ? 'less often' : 'more often here and less often there';
  return `${total.name}: ${way} (${rangeText(total.times)}): ${effect}`;
}

function rangeText(range: Range): string {
  const [least, most] = range.map(formatChange);
  return least === most ? `${least}` : `${least} to ${most}`;
}
