/** Workflow commands that GitHub shows beside a job. */

import type { ComparedCell, Comparison } from '../suite/compare.ts';
import type { GateResult } from '../suite/gate.ts';
import { causeText, summaryLines } from './comparison.ts';
import { formatPercent } from './number.ts';

/** At most this many cells; GitHub drops what is beyond ten annotations per step. */
const ANNOTATIONS = 8;

/** The verdict with what moved comes first, then the cells that moved most. */
export function githubAnnotations(result: GateResult, comparison: Comparison): string {
  const summary = [result.verdict, ...summaryLines(comparison)].join('\n');
  const lines = result.exitCode === 0 ? [] : [`::error title=trivisor check::${escaped(summary)}`];
  const cells = [...result.drifted].sort((a, b) => severity(b) - severity(a)).slice(0, ANNOTATIONS);
  for (const cell of cells) {
    const level = cell.verdict === 'FASTER' ? 'warning' : 'error';
    const cause = cell.causes[0];
    const why = cause === undefined ? cell.note : causeText(cause);
    lines.push(
      `::${level} title=${escaped(cell.id)}::${escaped(`${cell.verdict} ${formatPercent(cell.head / cell.base)}. ${why}`)}`,
    );
  }
  return lines.join('\n');
}

/** A cell without both figures is worse than any that has moved. */
function severity(cell: ComparedCell): number {
  const moved = Math.abs(Math.log(cell.head / cell.base));
  return Number.isFinite(moved) && cell.verdict !== 'BROKEN' ? moved : Infinity;
}

function escaped(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A').replaceAll('::', ': :');
}
