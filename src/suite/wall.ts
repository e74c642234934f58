/**
 * The wall track: how fast Trivisor runs a cell on this host. Cells run one at a time, each sample set in a fresh process;
 * a *block* runs every engine of one workload once, in an order from a balanced square.
 */
import { workloadName } from './cell-name.ts';
import type { CellMessage } from './cell-protocol.ts';
import { runChild } from './child.ts';
import { mailboxText, type PlannedCell } from './plan.ts';
import type { Wall } from './schema.ts';
import { median } from './statistics.ts';
import { seededRandom, shuffled, williamsSquare } from './williams.ts';

export interface WallOptions {
  readonly rounds: number;
  /** Milliseconds; no new block starts after it, but every cell gets one round. */
  readonly timeBudget: number;
  readonly seed: number;
  readonly limit: number;
  readonly backstop: number;
  readonly ramBytes: number;
  readonly cancel: AbortSignal;
  readonly onSample: (cell: PlannedCell, round: number, milliseconds: readonly number[]) => void;
}

/** Samples inside one process; they collapse to one median. */
const SAMPLES = 5;

/** Wall figures by cell id. A cell whose process failed has none. */
export async function runWall(cells: readonly PlannedCell[], options: WallOptions): Promise<Map<string, Wall>> {
  const rounds = new Map<string, Wall['rounds']>();
  const random = seededRandom(options.seed);
  const started = performance.now();
  const blocks = blocksOf(cells);
  for (let round = 0; round < options.rounds; round++) {
    for (const block of shuffled(blocks, random)) {
      if (options.cancel.aborted) break;
      if (round > 0 && performance.now() - started > options.timeBudget) break;
      const square = williamsSquare(block.length);
      const order = square[round % square.length] as number[];
      for (const [position, which] of order.entries()) {
        const cell = block[which] as PlannedCell;
        const samples = await sample(cell, options);
        if (samples === null) continue;
        options.onSample(cell, round, samples);
        const list = rounds.get(cell.id) ?? [];
        list.push({ round, position, samples });
        rounds.set(cell.id, list);
      }
    }
  }
  const result = new Map<string, Wall>();
  for (const cell of cells) {
    const list = rounds.get(cell.id);
    if (list === undefined) continue;
    result.set(cell.id, { rounds: list, milliseconds: median(list.map((r) => median(r.samples))) / cell.ops });
  }
  return result;
}

function blocksOf(cells: readonly PlannedCell[]): PlannedCell[][] {
  const blocks = new Map<string, PlannedCell[]>();
  for (const cell of cells) {
    const key = `${workloadName(cell)}:${cell.profile}`;
    const block = blocks.get(key);
    if (block === undefined) blocks.set(key, [cell]);
    else block.push(cell);
  }
  return [...blocks.values()];
}

async function sample(cell: PlannedCell, options: WallOptions): Promise<number[] | null> {
  let samples: number[] | null = null;
  const task = {
    engine: cell.engine,
    profile: cell.profile,
    imagePath: cell.imagePath,
    ramBytes: options.ramBytes,
    limit: options.limit,
    twice: false,
    samples: SAMPLES,
    cells: [{ index: 0, mailbox: mailboxText(cell), override: null }],
  };
  await runChild(task, options.backstop, options.cancel, (message: CellMessage) => {
    if (message.kind === 'wall') samples = [...message.milliseconds];
  });
  return samples;
}
