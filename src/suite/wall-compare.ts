/** Two runs on the wall track. Inner samples collapse to one median per process; what is compared is processes. */

import type { Cell, Run } from './schema.ts';
import { holm, mean, median, studentCdf, studentQuantile, trimmedMean } from './statistics.ts';

export interface WallComparison {
  readonly id: string;
  readonly verdict: 'SAME' | 'FASTER' | 'SLOWER' | 'UNSURE';
  /** Head / base, and the limits of its 95 % interval. */
  readonly ratio: number;
  readonly low: number;
  readonly high: number;
  /** Holm-adjusted over the compared cells. */
  readonly p: number;
  readonly rounds: number;
}

/** Differences below this are not worth a verdict, whatever their p value. */
const MINIMUM_EFFECT = 0.02;
const ALPHA = 0.05;
const TRIM = 0.2;

/** Only cells that both runs sampled on the same host count; times of different hosts have nothing to do with each other. */
export function compareWall(base: Run, head: Run): WallComparison[] {
  const keys = new Set(base.environments.map((environment) => environment.key));
  if (!head.environments.some((environment) => keys.has(environment.key))) return [];
  const baseCells = new Map(base.cells.map((cell) => [cell.id, cell]));
  const pairs: { id: string; effect: Effect }[] = [];
  for (const cell of head.cells) {
    const before = baseCells.get(cell.id);
    if (before?.wall === undefined || cell.wall === undefined || before.ops !== cell.ops) continue;
    pairs.push({ id: cell.id, effect: yuenTwoSample(logs(before), logs(cell)) });
  }
  const adjusted = holm(pairs.map(({ effect }) => effect.p));
  return pairs.map(({ id, effect }, index) => {
    const p = adjusted[index] as number;
    return {
      id,
      verdict: verdictOf(effect, p),
      ratio: Math.exp(effect.estimate),
      low: Math.exp(effect.low),
      high: Math.exp(effect.high),
      p,
      rounds: effect.rounds,
    };
  });
}

function logs(cell: Cell): number[] {
  return (cell.wall?.rounds ?? []).map((round) => Math.log(median(round.samples)));
}

interface Effect {
  readonly estimate: number;
  readonly low: number;
  readonly high: number;
  readonly p: number;
  readonly rounds: number;
}

/** Yuen's two-sample test on trimmed means with Welch's degrees of freedom. */
export function yuenTwoSample(base: readonly number[], head: readonly number[]): Effect {
  const estimate = trimmedMean(head, TRIM) - trimmedMean(base, TRIM);
  const rounds = Math.min(base.length, head.length);
  const [a, b] = [squaredError(base), squaredError(head)];
  if (a === null || b === null)
    return { estimate, low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY, p: 1, rounds };
  const error = Math.sqrt(a.error + b.error);
  if (error === 0) return { estimate, low: estimate, high: estimate, p: estimate === 0 ? 1 : 0, rounds };
  const freedom = (a.error + b.error) ** 2 / (a.error ** 2 / (a.kept - 1) + b.error ** 2 / (b.kept - 1));
  const half = studentQuantile(1 - ALPHA / 2, freedom) * error;
  const p = 2 * (1 - studentCdf(Math.abs(estimate) / error, freedom));
  return { estimate, low: estimate - half, high: estimate + half, p, rounds };
}

/** Squared standard error of a trimmed mean, from the winsorized values. */
function squaredError(values: readonly number[]): { error: number; kept: number } | null {
  const cut = Math.floor(TRIM * values.length);
  const kept = values.length - 2 * cut;
  if (kept < 2) return null;
  const sorted = [...values].sort((x, y) => x - y);
  const low = sorted[cut] as number;
  const high = sorted[values.length - 1 - cut] as number;
  const winsorized = sorted.map((value) => Math.min(Math.max(value, low), high));
  const middle = mean(winsorized);
  let squares = 0;
  for (const value of winsorized) squares += (value - middle) ** 2;
  return { error: squares / (kept * (kept - 1)), kept };
}

function verdictOf(effect: Effect, p: number): WallComparison['verdict'] {
  const large = Math.abs(effect.estimate) > MINIMUM_EFFECT;
  if (large && p < ALPHA && effect.low > 0) return 'SLOWER';
  if (large && p < ALPHA && effect.high < 0) return 'FASTER';
  return effect.low > -MINIMUM_EFFECT && effect.high < MINIMUM_EFFECT ? 'SAME' : 'UNSURE';
}
