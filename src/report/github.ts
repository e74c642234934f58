/** Workflow commands that GitHub shows beside a job. */
import type { GateResult } from '../suite/gate.ts';
import { causeText } from './comparison.ts';
import { formatPercent } from './number.ts';

/** At most this many; GitHub drops what is beyond ten per step. */
const ANNOTATIONS = 9;

export function githubAnnotations(result: GateResult): string {
  const lines = result.drifted.slice(0, ANNOTATIONS).map((cell) => {
    const level = cell.verdict === 'FASTER' ? 'warning' : 'error';
    const cause = cell.causes[0];
    const why = cause === undefined ? cell.note : causeText(cause);
    return `::${level} title=${escaped(cell.id)}::${escaped(`${cell.verdict} ${formatPercent(cell.head / cell.base)}. ${why}`)}`;
  });
  if (result.exitCode !== 0) lines.push(`::error title=trivisor check::${escaped(result.verdict)}`);
  return lines.join('\n');
}

function escaped(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A').replaceAll('::', ': :');
}
