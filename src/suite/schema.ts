/** The result file, version 1. This is its one definition; the JSON schema is generated from it. */
import { z } from 'zod';

export const SCHEMA_VERSION = 1;

const count = z.number().int().nonnegative();
const perClass = z.object({ cpl0: count, cpl1: count, cpl2: count, cpl3: count, translationCache: count });

const region = z.object({
  operations: count,
  cycles: count,
  retired: perClass,
  instructionCycles: perClass,
  events: z.record(z.string(), z.object({ count, cycles: count })),
  counters: z.record(z.string(), z.number()),
});

const exact = z.object({
  measured: region,
  calibration: region.nullable(),
  cold: region.nullable(),
  values: z.record(z.string(), z.number()),
});

/** One fresh process's samples of a cell, in milliseconds, in the order they were taken. */
const wallRound = z.object({ round: count, position: count, samples: z.array(z.number().nonnegative()) });

const wall = z.object({
  rounds: z.array(wallRound),
  /** Median of the rounds' medians, milliseconds per operation. */
  milliseconds: z.number().nonnegative(),
});

const status = z.enum(['ok', 'skipped', 'failed', 'timeout', 'mismatch']);

const cell = z.object({
  id: z.string(),
  workload: z.string(),
  params: z.record(z.string(), z.string()),
  engine: z.string(),
  profile: z.string(),
  /** Operations asked for. */
  ops: count,
  tags: z.array(z.string()),
  /** SHA-256 of the guest image. */
  image: z.string(),
  status,
  why: z.string().optional(),
  checksum: z.string().optional(),
  console: z.string().optional(),
  exact: exact.optional(),
  wall: wall.optional(),
  /** The engine's plain form, where this variation changes nothing on this profile. */
  aliasOf: z.string().optional(),
  warnings: z.array(z.string()).optional(),
});

/** The prices that the run was charged with, so that two runs can be compared constant by constant. */
const prices = z.object({
  instructions: z.record(z.string(), z.number()),
  events: z.record(z.string(), z.number()),
});

const environment = z.object({
  key: z.string(),
  cpu: z.string(),
  cores: count,
  kernel: z.string(),
  node: z.string(),
  v8: z.string(),
  load: z.number(),
});

const metric = z.object({
  unit: z.string(),
  better: z.enum(['lower', 'higher']),
  assume: z.enum(['exact', 'noise']),
  gate: z.boolean(),
});

export const runSchema = z.object({
  schemaVersion: z.literal(SCHEMA_VERSION),
  kind: z.enum(['run', 'merged', 'baseline']),
  id: z.string(),
  status: z.enum(['complete', 'interrupted', 'failed']),
  tool: z.object({ name: z.string(), version: z.string(), git: z.string().nullable() }),
  command: z.array(z.string()),
  seed: z.number(),
  design: z.object({
    track: z.enum(['exact', 'wall', 'both']),
    rounds: count,
    quick: z.boolean(),
    order: z.string(),
    isolation: z.string(),
  }),
  environments: z.array(environment),
  metrics: z.record(z.string(), metric),
  profiles: z.record(z.string(), prices),
  cells: z.array(cell),
});

export type Run = z.infer<typeof runSchema>;
export type Cell = z.infer<typeof cell>;
export type CellStatus = z.infer<typeof status>;
export type Wall = z.infer<typeof wall>;
export type Prices = z.infer<typeof prices>;
export type Environment = z.infer<typeof environment>;

export const METRICS: Run['metrics'] = {
  cyclesPerOperation: { unit: 'virtual cycles', better: 'lower', assume: 'exact', gate: true },
  wall: { unit: 'ms/operation', better: 'lower', assume: 'noise', gate: false },
};

/** The JSON schema of a result file. */
export function jsonSchema(): unknown {
  return z.toJSONSchema(runSchema, { io: 'input' });
}
