/** What the exact track records of one region of one cell, and what follows from it. */
import { EVENT_ROWS } from '../cost/event.ts';

/** Retirement classes in the order of the core's counters. */
export const RETIRED_NAMES = ['cpl0', 'cpl1', 'cpl2', 'cpl3', 'translationCache'] as const;
export type RetiredName = (typeof RETIRED_NAMES)[number];

/** One event in the ledger: how often, and the cycles of all of them together. */
export interface Charge {
  readonly count: number;
  readonly cycles: number;
}

/** Everything between one region's begin and end markers. All counts and cycles are exact whole numbers. */
export interface RegionFigures {
  /** Operations, as the guest counted them. */
  readonly operations: number;
  /** Virtual cycles: the sum of `instructionCycles` and of all charges. */
  readonly cycles: number;
  /** Instructions retired, by class. */
  readonly retired: Readonly<Record<RetiredName, number>>;
  /** Static cycles of those instructions, by class. */
  readonly instructionCycles: Readonly<Record<RetiredName, number>>;
  /** Charged events by name; an event that never happened is left out. */
  readonly events: Readonly<Record<string, Charge>>;
  /** The engine's own counts by name; zeros are left out. */
  readonly counters: Readonly<Record<string, number>>;
}

export interface ExactFigures {
  readonly measured: RegionFigures;
  /** The empty loop with the same count; null if the workload has none. */
  readonly calibration: RegionFigures | null;
  /** The first operations, before anything has settled; null if the workload does not report them. */
  readonly cold: RegionFigures | null;
  /** Values reported by the guest, by their number. */
  readonly values: Readonly<Record<string, number>>;
}

/** Halted waiting: the timer's own time, which is nobody's work and no part of an operation's cost. */
export const IDLE_EVENT = 'idle';

/** Cycles of one operation; the empty loop's share and halted waiting are subtracted. */
export function cyclesPerOperation(figures: ExactFigures): number {
  return perOperation(figures, (region) => region.cycles - (region.events[IDLE_EVENT]?.cycles ?? 0));
}

/** Any figure of the measured region per operation, the calibration's share subtracted. */
export function perOperation(figures: ExactFigures, of: (region: RegionFigures) => number): number {
  const { measured, calibration } = figures;
  const loop = calibration === null || calibration.operations === 0 ? 0 : of(calibration) / calibration.operations;
  return of(measured) / measured.operations - loop;
}

/** How often an event happened in one operation. */
export function eventsPerOperation(figures: ExactFigures, event: string): number {
  return perOperation(figures, (region) => region.events[event]?.count ?? 0);
}

const CATEGORY_OF: ReadonlyMap<string, string> = new Map(EVENT_ROWS.map((row) => [row.name, row.category]));
const WHAT_OF: ReadonlyMap<string, string> = new Map(EVENT_ROWS.map((row) => [row.name, row.what]));

export const INSTRUCTION_CATEGORY: Readonly<Record<RetiredName, string>> = {
  cpl0: 'instructions at CPL 0',
  cpl1: 'instructions at CPL 1',
  cpl2: 'instructions at CPL 2',
  cpl3: 'instructions at CPL 3',
  translationCache: 'instructions in the translation cache',
};

/** The ledger as a stack: cycles by category, zero categories left out. Its sum is the region's cycles exactly. */
export function ledgerStack(region: RegionFigures): Map<string, number> {
  const stack = new Map<string, number>();
  for (const name of RETIRED_NAMES) {
    if (region.instructionCycles[name] !== 0) stack.set(INSTRUCTION_CATEGORY[name], region.instructionCycles[name]);
  }
  for (const [event, charge] of Object.entries(region.events)) {
    const category = CATEGORY_OF.get(event) ?? 'unknown';
    stack.set(category, (stack.get(category) ?? 0) + charge.cycles);
  }
  for (const [category, cycles] of stack) if (cycles === 0) stack.delete(category);
  return stack;
}

/** One line on what an event is. */
export function describeEvent(event: string): string {
  return WHAT_OF.get(event) ?? event;
}

/** Entries into the VMM, whatever brings them about: VM exits, or traps that a ring-0 VMM returned from. */
export function vmmEntriesPerOperation(figures: ExactFigures): number {
  return eventsPerOperation(figures, 'vmExit') + eventsPerOperation(figures, 'hostResume');
}

export function hypercallsPerOperation(figures: ExactFigures): number {
  return eventsPerOperation(figures, 'hypercallDispatch');
}
