/** Decides what a comparison means for CI. The exact track has tolerance 0: any drift asks for a decision. */
import type { ComparedCell, Comparison } from './compare.ts';
import { EXIT } from './failure.ts';
import type { Run } from './schema.ts';

export interface GateResult {
  readonly exitCode: number;
  /** Cells that moved either way, in the plan's order. */
  readonly drifted: readonly ComparedCell[];
  readonly verdict: string;
}

export function gate(comparison: Comparison, head: Run): GateResult {
  const failures = head.cells.filter((cell) => cell.status !== 'ok' && cell.status !== 'skipped');
  const drifted = comparison.cells.filter((cell) => cell.verdict !== 'SAME' && cell.verdict !== 'NEW');
  if (failures.length > 0) {
    const first = failures[0] as (typeof failures)[number];
    const verdict = `${count(failures.length, 'cell')} could not be measured, first ${first.id}: ${first.why ?? first.status}`;
    return { exitCode: EXIT.cellFailed, drifted, verdict };
  }
  if (drifted.length > 0) return { exitCode: EXIT.regression, drifted, verdict: driftSentence(drifted) };
  return {
    exitCode: EXIT.done,
    drifted,
    verdict: `Every figure of ${count(comparison.cells.length, 'cell')} equals the baseline exactly.`,
  };
}

function driftSentence(drifted: readonly ComparedCell[]): string {
  const of = (verdict: string): number => drifted.filter((cell) => cell.verdict === verdict).length;
  const parts = ['BROKEN', 'SLOWER', 'FASTER', 'CHANGED', 'MISSING', 'UNLIKE']
    .filter((verdict) => of(verdict) > 0)
    .map((verdict) => `${of(verdict)} ${verdict}`);
  const onlyBetter = drifted.every((cell) => cell.verdict === 'FASTER');
  const advice = onlyBetter
    ? "An improvement needs a new baseline: 'npx trivisor baseline save'."
    : "If it is meant, save a new baseline: 'npx trivisor baseline save'.";
  return `${count(drifted.length, 'cell')} ${drifted.length === 1 ? 'differs' : 'differ'} from the baseline (${parts.join(', ')}). ${advice}`;
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}
