export const NOTHING: string;
export interface Case {
  readonly outcome: string;
  readonly demand: string;
}
export interface KnownDifferences {
  readonly why: string;
  readonly sdm: string;
  readonly cases: Readonly<Record<string, string>>;
}
export interface Comparison {
  readonly cases: number;
  readonly same: number;
  readonly known: number;
  readonly unknown: readonly string[];
  readonly stale: readonly string[];
}
export function parseLog(text: string): Map<string, Case>;
export function parseExpected(text: string): Map<string, string>;
export function compare(
  expected: ReadonlyMap<string, string>,
  log: ReadonlyMap<string, Case>,
  known: readonly KnownDifferences[],
): Comparison;
