/**
 * The exact track: groups of cells, one fresh process each, over the host's cores. A crash or a timeout costs one cell;
 * the rest of its group goes on in a new process. Order of completion never shows in the result.
 */
import type { CellOutcome } from './cell.ts';
import type { CellMessage, CellTask, PriceOverride, TaskCell } from './cell-protocol.ts';
import { runChild } from './child.ts';
import { mailboxText, type PlannedCell } from './plan.ts';

export interface RunnerOptions {
  readonly jobs: number;
  /** Virtual cycles per cell. */
  readonly limit: number;
  /** Milliseconds of wall clock per cell. */
  readonly backstop: number;
  readonly twice: boolean;
  readonly ramBytes: number;
  readonly cancel: AbortSignal;
  /** Called as each cell finishes, in any order. */
  readonly onCell: (index: number, outcome: CellOutcome) => void;
}

/** A cell, at the profile's prices unless told otherwise. */
export type RunnableCell = PlannedCell & { readonly override?: PriceOverride | null };

/** Outcomes by cell index; a cell that was cancelled has none. */
export async function runExact(
  cells: readonly RunnableCell[],
  options: RunnerOptions,
): Promise<Map<number, CellOutcome>> {
  const outcomes = new Map<number, CellOutcome>();
  const settle = (index: number, outcome: CellOutcome): void => {
    outcomes.set(index, outcome);
    options.onCell(index, outcome);
  };
  const queue: number[][] = [];
  for (const group of groupCells(cells, options.jobs)) queue.push(group);
  for (const [index, cell] of cells.entries()) {
    if (cell.skip !== null) settle(index, { status: 'skipped', why: cell.skip });
  }
  const worker = async (): Promise<void> => {
    for (let group = queue.shift(); group !== undefined; group = queue.shift()) {
      if (options.cancel.aborted) return;
      const rest = await runGroup(cells, group, options, settle);
      if (rest.length > 0) queue.unshift(rest);
    }
  };
  await Promise.all(Array.from({ length: options.jobs }, worker));
  return outcomes;
}

/**
 * Cells that share an engine and a profile share a process, whose engine is booted once and whose code is warm: six nano cells
 * of 1000 operations take 0.6 s of processor time there and 2.4 s in a fresh process. Groups are split only where there would
 * be too few for the cores.
 */
export function groupCells(cells: readonly RunnableCell[], jobs: number): number[][] {
  const byBoot = new Map<string, number[]>();
  for (const [index, cell] of cells.entries()) {
    if (cell.skip !== null) continue;
    const key = `${cell.engine}:${cell.profile}:${cell.imagePath}`;
    const group = byBoot.get(key);
    if (group === undefined) byBoot.set(key, [index]);
    else group.push(index);
  }
  // The unvirtualized engine does the least work: it fills the gap that unequal groups leave at the end.
  const isNative = (group: readonly number[]): number => Number(cells[group[0] as number]?.engine === 'native');
  const groups = [...byBoot.values()].sort((a, b) => isNative(a) - isNative(b));
  const parts = Math.max(1, Math.ceil((2 * jobs) / Math.max(1, groups.length)));
  return groups.flatMap((group) => {
    const size = Math.max(SMALLEST_PIECE, Math.ceil(group.length / parts));
    const split: number[][] = [];
    for (let at = 0; at < group.length; at += size) split.push(group.slice(at, at + size));
    return split;
  });
}

/** A boot and a cold engine for fewer cells than this cost more than they win. */
const SMALLEST_PIECE = 8;

/** Runs a group until its process ends; returns the cells that are still to be run. */
async function runGroup(
  cells: readonly RunnableCell[],
  group: readonly number[],
  options: RunnerOptions,
  settle: (index: number, outcome: CellOutcome) => void,
): Promise<number[]> {
  const remaining = new Set(group);
  let running: number | null = null;
  const finish = (index: number, outcome: CellOutcome): void => {
    if (remaining.delete(index)) settle(index, outcome);
  };
  const onMessage = (message: CellMessage): void => {
    if (message.kind === 'start') running = message.index;
    else if (message.kind === 'cell') {
      running = null;
      finish(message.index, message.outcome);
    } else if (message.kind === 'unbootable') {
      for (const index of group) finish(index, message.outcome);
    }
  };
  const end = await runChild(taskOf(cells, group, options), options.backstop, options.cancel, onMessage);
  if (end.kind === 'finished' || end.kind === 'cancelled') return end.kind === 'cancelled' ? [] : [...remaining];
  const outcome: CellOutcome =
    end.kind === 'silent'
      ? {
          status: 'timeout',
          why: `The cell was stopped after ${Math.round(options.backstop / 1000)} s of wall-clock time.`,
        }
      : { status: 'failed', why: `The cell's process died ${end.how}.` };
  // Dead before the first cell began: the boot is at fault, so no cell of the group can run.
  if (running === null) for (const index of group) finish(index, outcome);
  else finish(running, outcome);
  return [...remaining];
}

function taskOf(cells: readonly RunnableCell[], group: readonly number[], options: RunnerOptions): CellTask {
  const first = cells[group[0] as number] as RunnableCell;
  return {
    engine: first.engine,
    profile: first.profile,
    imagePath: first.imagePath,
    ramBytes: options.ramBytes,
    limit: options.limit,
    twice: options.twice,
    samples: 0,
    cells: group.map((index) => taskCell(index, cells[index] as RunnableCell)),
  };
}

function taskCell(index: number, cell: RunnableCell): TaskCell {
  return { index, mailbox: mailboxText(cell), override: cell.override ?? null };
}
