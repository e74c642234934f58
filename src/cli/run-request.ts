/** From a command's arguments to a plan and a session; shared by every command that measures. */
import { availableParallelism } from 'node:os';
import type { CellOutcome } from '../suite/cell.ts';
import {
  type ChosenEngine,
  COMPANION_PROFILE,
  chooseEngine,
  chooseEngines,
  chooseProfiles,
  DEFAULT_PROFILE,
} from '../suite/choices.ts';
import { SuiteError } from '../suite/failure.ts';
import { type Guest, loadGuest, loadUserImage } from '../suite/guest.ts';
import { type PlannedCell, planCells } from '../suite/plan.ts';
import type { Run } from '../suite/schema.ts';
import { runSession } from '../suite/session.ts';
import type { Arguments } from './arguments.ts';
import { tell } from './command.ts';
import { watchInterrupts } from './interrupt.ts';
import type { OptionName } from './options.ts';
import { SILENT, StderrProgress } from './progress.ts';

/** What to measure. */
export const PLAN_OPTIONS: readonly OptionName[] = ['filter', 'engine', 'profile', 'param', 'image', 'quick', 'shard'];
/** How to measure it. */
export const SESSION_OPTIONS: readonly OptionName[] = ['timeout', 'wall-limit', 'jobs', 'twice', 'no-progress'];

export function guestOf(args: Arguments): Guest {
  const image = args.text('image');
  return image === null ? loadGuest() : loadUserImage(image);
}

export function planOf(args: Arguments, guest: Guest): PlannedCell[] {
  const engines = args.list('engine');
  const profiles = args.list('profile');
  return planCells({
    guest,
    filters: [...args.positionals, ...args.list('filter')],
    engines: withNative(chooseEngines(engines.length === 0 ? ['all'] : engines)),
    profiles: chooseProfiles(profiles.length === 0 ? [DEFAULT_PROFILE, COMPANION_PROFILE] : profiles),
    sweeps: sweepsOf(args),
    quick: args.has('quick'),
    shard: shardOf(args.text('shard')),
  });
}

/** Native is the denominator and the oracle: without it no figure counts. */
function withNative(engines: ChosenEngine[]): ChosenEngine[] {
  const native = chooseEngine('native');
  return [native, ...engines.filter((engine) => engine.name !== native.name)];
}

function sweepsOf(args: Arguments): Record<string, string[]> {
  const sweeps: Record<string, string[]> = {};
  for (const text of args.all('param')) {
    const match = /^([a-z0-9_-]+)=(.+)$/.exec(text);
    if (match === null) throw new SuiteError(`Expected -P to be NAME=VALUE or NAME=VALUE,VALUE, got '${text}'.`);
    const values = (match[2] as string).split(',').filter((value) => value !== '');
    sweeps[match[1] as string] = [...new Set([...(sweeps[match[1] as string] ?? []), ...values])];
  }
  return sweeps;
}

/** `i/n`, 1-based; `auto` reads what array jobs are given (0- or 1-based as their minimum says). */
export function shardOf(
  text: string | null,
  environment: NodeJS.ProcessEnv = process.env,
): { index: number; of: number } | null {
  if (text === null) return null;
  const match = /^(\d+|auto)(?:\/(\d+))?$/.exec(text);
  const bad = new SuiteError(
    `Expected --shard to be I/N with 1 <= I <= N, or 'auto' inside an array job, got '${text}'.`,
  );
  if (match === null) throw bad;
  let [index, of] = [Number(match[1]), Number(match[2])];
  if (match[1] === 'auto') {
    const { SLURM_ARRAY_TASK_ID: id, SLURM_ARRAY_TASK_MIN: min, SLURM_ARRAY_TASK_COUNT: count } = environment;
    if (id !== undefined) [index, of] = [Number(id) - Number(min ?? 0) + 1, Number(match[2] ?? count)];
    else if (environment.JOB_COMPLETION_INDEX !== undefined) index = Number(environment.JOB_COMPLETION_INDEX) + 1;
    else throw bad;
  }
  if (!(Number.isInteger(index) && Number.isInteger(of) && index >= 1 && index <= of)) throw bad;
  return { index, of };
}

export interface SessionResult {
  readonly run: Run;
  /** Exit code of the signal that interrupted it, or null. */
  readonly interrupted: number | null;
}

/** Measures a plan as the arguments say. */
export async function measurePlan(
  args: Arguments,
  guest: Guest,
  cells: readonly PlannedCell[],
  extra: {
    readonly command: readonly string[];
    readonly track?: 'exact' | 'wall' | 'both';
    readonly twice?: boolean;
    readonly journal?: string;
    readonly done?: ReadonlyMap<number, CellOutcome>;
    readonly rounds?: number;
    readonly timeBudget?: number;
    readonly seed?: number;
  },
): Promise<SessionResult> {
  const interrupt = watchInterrupts();
  try {
    const run = await runSession({
      guest,
      cells,
      command: extra.command,
      track: extra.track ?? 'exact',
      quick: args.has('quick'),
      jobs: args.whole('jobs', availableParallelism()),
      limit: args.cycles('timeout', 20e9),
      backstop: args.whole('wall-limit', 120) * 1000,
      twice: extra.twice ?? args.has('twice'),
      rounds: extra.rounds ?? 5,
      timeBudget: extra.timeBudget ?? 120_000,
      seed: extra.seed ?? 1,
      cancel: interrupt.signal,
      journal: extra.journal ?? null,
      ...(extra.done === undefined ? {} : { done: extra.done }),
      progress: args.has('no-progress') ? SILENT : new StderrProgress(),
    });
    return { run, interrupted: interrupt.code() };
  } finally {
    interrupt.release();
  }
}

/** Warnings about cells that failed, for commands whose result shows only the others. */
export function tellFailures(run: Run): void {
  for (const cell of run.cells) {
    if (cell.status !== 'ok' && cell.status !== 'skipped') tell(`${cell.status}: ${cell.id}. ${cell.why ?? ''}`);
  }
}
