/** Reads an engine's counters at two moments and gives what lies between. */
import { CYCLES, INSTRUCTION_CYCLES, RETIRED } from '../core/state.ts';
import { EVENT_ROWS } from '../cost/event.ts';
import type { Engine } from '../engines/engine.ts';
import { type Charge, RETIRED_NAMES, type RegionFigures, type RetiredName } from './figures.ts';

/** Copies of everything that is counted, at one moment. */
export interface Reading {
  readonly time: Float64Array;
  readonly counts: Float64Array;
  readonly counters: Readonly<Record<string, number>>;
}

/** Call only while the engine rests at a marker. */
export function read(engine: Engine): Reading {
  engine.ledger.fold();
  return {
    time: engine.machine.memory.time.slice(),
    counts: engine.ledger.counts.slice(),
    counters: { ...engine.counters() },
  };
}

/** Throws if the ledger does not account for every cycle: such figures must not be reported. */
export function between(engine: Engine, from: Reading, to: Reading, operations: number): RegionFigures {
  const slot = (base: number): Record<RetiredName, number> => {
    const values = {} as Record<RetiredName, number>;
    for (const [index, name] of RETIRED_NAMES.entries()) values[name] = delta(from.time, to.time, base + index);
    return values;
  };
  const events: Record<string, Charge> = {};
  for (const [number, row] of EVENT_ROWS.entries()) {
    const count = delta(from.counts, to.counts, number);
    if (count !== 0) events[row.name] = { count, cycles: count * (engine.ledger.price[number] as number) };
  }
  const counters: Record<string, number> = {};
  for (const name of Object.keys(to.counters).sort()) {
    const count = (to.counters[name] as number) - (from.counters[name] ?? 0);
    if (count !== 0) counters[name] = count;
  }
  const region = {
    operations,
    cycles: delta(from.time, to.time, CYCLES),
    retired: slot(RETIRED),
    instructionCycles: slot(INSTRUCTION_CYCLES),
    events,
    counters,
  };
  requireAccounted(region);
  return region;
}

/** Every cycle has a cause: instruction cycles and charges must sum to the total. */
function requireAccounted(region: RegionFigures): void {
  let sum = 0;
  for (const name of RETIRED_NAMES) sum += region.instructionCycles[name];
  for (const charge of Object.values(region.events)) sum += charge.cycles;
  if (sum !== region.cycles) {
    throw new Error(
      `The ledger accounts for ${sum} of ${region.cycles} cycles, so this cell's figures cannot be trusted.`,
    );
  }
}

/** Two passes through the same region, added up. */
export function addRegions(a: RegionFigures | null, b: RegionFigures): RegionFigures {
  if (a === null) return b;
  const retired = {} as Record<RetiredName, number>;
  const instructionCycles = {} as Record<RetiredName, number>;
  for (const name of RETIRED_NAMES) {
    retired[name] = a.retired[name] + b.retired[name];
    instructionCycles[name] = a.instructionCycles[name] + b.instructionCycles[name];
  }
  const events: Record<string, Charge> = { ...a.events };
  for (const [name, charge] of Object.entries(b.events)) {
    const before = events[name];
    events[name] = {
      count: charge.count + (before?.count ?? 0),
      cycles: charge.cycles + (before?.cycles ?? 0),
    };
  }
  const counters: Record<string, number> = { ...a.counters };
  for (const [name, count] of Object.entries(b.counters)) counters[name] = count + (counters[name] ?? 0);
  return {
    operations: a.operations + b.operations,
    cycles: a.cycles + b.cycles,
    retired,
    instructionCycles,
    events,
    counters,
  };
}

function delta(from: Float64Array, to: Float64Array, index: number): number {
  return (to[index] as number) - (from[index] as number);
}
