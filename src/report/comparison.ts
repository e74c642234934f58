/** What differs between two runs, and why. */
import type { Cause } from '../suite/attribute.ts';
import { type ComparedCell, type Comparison, type MovedTotal, totalCauses } from '../suite/compare.ts';
import { formatNumber, formatPercent, formatRatio } from './number.ts';
import { renderTable, type TextTable } from './text-table.ts';

/** Causes shown per cell. */
const CAUSES = 3;
/** Causes shown for the whole comparison. */
const TOTALS = 8;

/** The cells that are not SAME. */
export function comparisonTable(comparison: Comparison): TextTable {
  const rows = comparison.cells
    .filter((cell) => cell.verdict !== 'SAME')
    .map((cell) => [
      cell.id,
      formatNumber(cell.base),
      formatNumber(cell.head),
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
  const same = comparison.cells.filter((cell) => cell.verdict === 'SAME').length;
  lines.push(`${same} of ${comparison.cells.length} cells are SAME.`);
  if (comparison.common > 0) {
    lines.push(
      `Geometric mean of head / base over ${comparison.common} common cells: ${formatRatio(comparison.ratio)}`,
    );
  }
  const totals = totalCauses(comparison);
  if (totals.length > 0)
    lines.push('What moved, weightiest first:', ...totals.slice(0, TOTALS).map((total) => `  ${totalLine(total)}`));
  return lines.join('\n');
}

function why(cell: ComparedCell): string {
  if (cell.note !== '' && cell.causes.length === 0) return cell.note;
  const shown = cell.causes.slice(0, CAUSES).map(causeText);
  const rest = cell.causes.length - shown.length;
  if (rest > 0) shown.push(`${rest} more`);
  return [cell.note, shown.join('; ')].filter((part) => part !== '').join(' ');
}

/** `vmExit 1.00 -> 2.00 times: +507`, or `constant vmExit 507 -> 600: +93`. */
export function causeText(cause: Cause): string {
  const effect = `${cause.cycles >= 0 ? '+' : ''}${formatNumber(cause.cycles)}`;
  if (cause.kind === 'count')
    return `${cause.name} ${formatNumber(cause.before)} -> ${formatNumber(cause.after)} times: ${effect}`;
  const prices = Number.isFinite(cause.before) ? ` ${cause.before} -> ${cause.after}` : '';
  return `constant ${cause.name}${prices}: ${effect}`;
}

function totalLine(total: MovedTotal): string {
  const cells = `in ${total.cells} cell${total.cells === 1 ? '' : 's'}`;
  if (total.kind === 'count') return `count of ${total.name}, ${cells}`;
  const prices = Number.isFinite(total.before) ? ` from ${total.before} to ${total.after} cycles` : '';
  return `constant ${total.name}${prices}, ${cells}`;
}
