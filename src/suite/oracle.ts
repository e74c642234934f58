/**
 * A number only after the oracle: a cell's checksum and console must equal native's, and so must its user-mode retired
 * instructions where the workload's own path does not depend on time.
 */

import type { CellOutcome } from './cell.ts';
import { type CellKey, cellName } from './cell-name.ts';
import type { CellStatus } from './schema.ts';

export interface Judged {
  readonly status: CellStatus;
  readonly why: string | null;
}

/** Workloads with both tags are driven by a device's interrupts: how many operations fit into their time is up to the engine. */
export const TIMED_TAGS: readonly string[] = ['interrupts', 'device'];

interface Judgeable extends CellKey {
  readonly id: string;
  readonly ops: number;
  readonly tags: readonly string[];
}

/**
 * Judges cell by cell. A cell whose native twin was skipped (an operation that bare hardware does not have) is held
 * against the first engine that did run it.
 */
export function judge(cells: readonly Judgeable[], outcomes: ReadonlyMap<number, CellOutcome>): Map<number, Judged> {
  const references = new Map<string, CellOutcome & { status: 'ok' }>();
  const nativeFailures = new Map<string, string>();
  for (const [index, cell] of cells.entries()) {
    const outcome = outcomes.get(index);
    if (cell.engine !== 'native' || outcome === undefined) continue;
    const key = twinKey(cell);
    if (outcome.status === 'ok') references.set(key, outcome);
    else if (outcome.status !== 'skipped') nativeFailures.set(key, outcome.status);
  }
  const judged = new Map<number, Judged>();
  for (const [index, cell] of cells.entries()) {
    const outcome = outcomes.get(index);
    if (outcome === undefined) continue;
    if (outcome.status !== 'ok') {
      judged.set(index, { status: outcome.status, why: outcome.why });
      continue;
    }
    const key = twinKey(cell);
    if (nativeFailures.has(key)) {
      judged.set(index, { status: 'mismatch', why: `Its oracle, the native cell, is '${nativeFailures.get(key)}'.` });
      continue;
    }
    const reference = references.get(key);
    if (reference === undefined) {
      references.set(key, outcome);
      judged.set(index, { status: 'ok', why: null });
      continue;
    }
    const why = difference(cell, outcome, reference);
    judged.set(index, why === null ? { status: 'ok', why: null } : { status: 'mismatch', why });
  }
  return judged;
}

function twinKey(cell: Judgeable): string {
  return `${cellName({ ...cell, engine: 'native' })} ${cell.ops}`;
}

function difference(
  cell: Judgeable,
  own: CellOutcome & { status: 'ok' },
  native: CellOutcome & { status: 'ok' },
): string | null {
  if (own.checksum !== native.checksum) return `Its checksum is ${own.checksum}, native's is ${native.checksum}.`;
  if (own.console !== native.console) return `Its console between begin and end differs from native's.`;
  if (TIMED_TAGS.every((tag) => cell.tags.includes(tag))) return null;
  const operations = own.exact.measured.operations;
  if (operations !== native.exact.measured.operations) {
    return `It did ${operations} operations, native did ${native.exact.measured.operations}.`;
  }
  const user = own.exact.measured.retired.cpl3;
  const nativeUser = native.exact.measured.retired.cpl3;
  if (user !== nativeUser) return `It retired ${user} instructions in user mode, native ${nativeUser}.`;
  return null;
}
