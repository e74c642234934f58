/** The wall track of two runs: how much slower or faster, how sure. */
import type { WallComparison } from '../suite/wall-compare.ts';
import { formatPercent } from './number.ts';
import { renderTable } from './text-table.ts';

export function wallComparisonText(cells: readonly WallComparison[], plain: boolean): string {
  const rows = cells.map((cell) => [
    cell.id,
    formatPercent(cell.ratio),
    `${formatPercent(cell.low)} .. ${formatPercent(cell.high)}`,
    cell.p.toPrecision(2),
    String(cell.rounds),
    cell.verdict,
  ]);
  const head = ['wall clock', 'change', '95 % interval', 'p (Holm)', 'rounds', 'verdict'];
  return renderTable({ head, align: ['left', 'right', 'right', 'right', 'right', 'left'], rows }, plain);
}
