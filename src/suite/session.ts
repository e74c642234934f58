/** One run from plan to result document: the exact track, the oracle, then the wall track if asked for. */
import { join } from 'node:path';
import type { CellOutcome } from './cell.ts';
import { chooseProfile } from './choices.ts';
import { describeEnvironment, describeTool } from './environment.ts';
import type { Guest } from './guest.ts';
import { judge } from './oracle.ts';
import type { PlannedCell } from './plan.ts';
import { pricesOf } from './prices.ts';
import { runExact } from './runner.ts';
import { type Cell, METRICS, type Run, SCHEMA_VERSION, type Wall } from './schema.ts';
import { runWall } from './wall.ts';
import { Journal } from './write-file.ts';

export interface SessionOptions {
  readonly guest: Guest;
  readonly cells: readonly PlannedCell[];
  readonly command: readonly string[];
  readonly track: 'exact' | 'wall' | 'both';
  readonly quick: boolean;
  readonly jobs: number;
  readonly limit: number;
  readonly backstop: number;
  readonly twice: boolean;
  readonly rounds: number;
  /** Milliseconds for the wall track; rounds stop early beyond it. */
  readonly timeBudget: number;
  readonly seed: number;
  readonly cancel: AbortSignal;
  /** The folder for a journal of finished cells, or null for none. */
  readonly journal: string | null;
  /** Outcomes of an interrupted run of the same cells, by cell index. */
  readonly done?: ReadonlyMap<number, CellOutcome>;
  readonly progress: Progress;
}

/** Told of what happens; for the terminal. */
export interface Progress {
  phase(name: string, total: number): void;
  cell(cell: PlannedCell, outcome: string): void;
  end(): void;
}

/** Runs everything; on cancellation the document holds what had finished and says `interrupted`. */
export async function runSession(options: SessionOptions): Promise<Run> {
  const id = runId();
  const journal = options.journal === null ? null : new Journal(join(options.journal, `${id}.jsonl`));
  try {
    journal?.append({ command: options.command });
    const exact = await exactTrack(options, journal);
    const judged = judge(options.cells, exact);
    const eligible = options.cells.filter((_, index) => judged.get(index)?.status === 'ok');
    const wall =
      options.track === 'exact' || options.cancel.aborted
        ? new Map<string, Wall>()
        : await wallTrack(options, eligible, journal);
    const cells: Cell[] = [];
    for (const [index, planned] of options.cells.entries()) {
      const verdict = judged.get(index);
      if (verdict === undefined) continue;
      cells.push(cellDocument(planned, verdict, exact.get(index) as CellOutcome, wall.get(planned.id)));
    }
    return document(options, id, cells);
  } finally {
    journal?.close();
    options.progress.end();
  }
}

async function exactTrack(options: SessionOptions, journal: Journal | null): Promise<Map<number, CellOutcome>> {
  const done = options.done ?? new Map<number, CellOutcome>();
  const pending = options.cells.map((_, index) => index).filter((index) => !done.has(index));
  options.progress.phase('exact', pending.length);
  const outcomes = await runExact(
    pending.map((index) => options.cells[index] as PlannedCell),
    {
      ...options,
      ramBytes: options.guest.ramBytes,
      onCell: (position, outcome) => {
        const cell = options.cells[pending[position] as number] as PlannedCell;
        journal?.append({ id: cell.id, ops: cell.ops, image: cell.image, outcome });
        options.progress.cell(cell, outcome.status);
      },
    },
  );
  const all = new Map(done);
  for (const [position, outcome] of outcomes) all.set(pending[position] as number, outcome);
  return all;
}

async function wallTrack(
  options: SessionOptions,
  cells: readonly PlannedCell[],
  journal: Journal | null,
): Promise<Map<string, Wall>> {
  options.progress.phase('wall', cells.length * options.rounds);
  return runWall(cells, {
    ...options,
    ramBytes: options.guest.ramBytes,
    onSample: (cell, round, samples) => {
      journal?.append({ id: cell.id, round, samples });
      options.progress.cell(cell, `round ${round + 1}`);
    },
  });
}

function cellDocument(
  planned: PlannedCell,
  verdict: { status: Cell['status']; why: string | null },
  outcome: CellOutcome,
  wall: Wall | undefined,
): Cell {
  const cell: Cell = {
    id: planned.id,
    workload: planned.workload,
    params: { ...planned.params },
    engine: planned.engine,
    profile: planned.profile,
    ops: planned.ops,
    tags: [...planned.tags],
    image: planned.image,
    status: verdict.status,
  };
  if (verdict.why !== null) cell.why = verdict.why;
  if (planned.aliasOf !== null) cell.aliasOf = planned.aliasOf;
  // A mismatch keeps what it saw, for whoever looks for the cause; reports show no number of it.
  if (outcome.status === 'ok') {
    cell.checksum = outcome.checksum;
    cell.console = outcome.console;
    cell.exact = structuredClone(outcome.exact) as NonNullable<Cell['exact']>;
  }
  if (wall !== undefined) cell.wall = wall;
  return cell;
}

function document(options: SessionOptions, id: string, cells: Cell[]): Run {
  const complete = cells.length === options.cells.length;
  const failed = cells.some((cell) => cell.status !== 'ok' && cell.status !== 'skipped');
  const profiles = [...new Set(options.cells.map((cell) => cell.profile))];
  return {
    schemaVersion: SCHEMA_VERSION,
    kind: 'run',
    id,
    status: !complete ? 'interrupted' : failed ? 'failed' : 'complete',
    tool: describeTool(),
    command: [...options.command],
    seed: options.seed,
    design: {
      track: options.track,
      rounds: options.track === 'exact' ? 1 : options.rounds,
      quick: options.quick,
      order: 'profile, workload, parameters, engine',
      isolation: 'a fresh process per engine and profile (exact) or per cell (wall); a restored snapshot per cell',
    },
    environments: [describeEnvironment()],
    metrics: METRICS,
    profiles: Object.fromEntries(profiles.map((name) => [name, pricesOf(chooseProfile(name))])),
    cells,
  };
}

/** Sortable by time, unlikely to meet another of the same second. */
function runId(): string {
  const stamp = new Date().toISOString().replace(/[-:]/g, '').replace(/\..*/, '').replace('T', '-');
  return `${stamp}-${process.pid.toString(36)}`;
}
