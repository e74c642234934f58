/**
 * Why a cell's cycles moved: every difference is split into what changed counts explain (delta count x cost) and what
 * changed constants explain (count x delta cost). The parts sum to the whole.
 */
import { EVENT_ROWS } from '../cost/event.ts';
import { type ExactFigures, IDLE_EVENT, INSTRUCTION_CATEGORY, perOperation, RETIRED_NAMES } from './figures.ts';
import type { Prices } from './schema.ts';

export interface Cause {
  readonly kind: 'count' | 'constant';
  /** An event's name, a class of instructions, or a constant; in brackets, where it was charged. */
  readonly name: string;
  /** Explained cycles per operation; negative if it made the cell cheaper. */
  readonly cycles: number;
  /** Per operation before and after, for a count; the price before and after, for a constant. NaN if several constants act together. */
  readonly before: number;
  readonly after: number;
}

export function attribute(base: ExactFigures, head: ExactFigures, basePrices: Prices, headPrices: Prices): Cause[] {
  const causes = [...instructionCauses(base, head, basePrices, headPrices), ...eventCauses(base, head)];
  return causes
    .filter((cause) => Math.abs(cause.cycles) > 1e-9)
    .sort((a, b) => Math.abs(b.cycles) - Math.abs(a.cycles));
}

const STEPS_OF: ReadonlyMap<string, number> = new Map(
  EVENT_ROWS.filter((row) => row.kind === 'step').map((row) => [row.name, row.steps]),
);

function* eventCauses(base: ExactFigures, head: ExactFigures): Generator<Cause> {
  const names = new Set([base, head].flatMap((figures) => eventNames(figures)));
  names.delete(IDLE_EVENT);
  for (const name of names) {
    const before = perOperation(base, (region) => region.events[name]?.count ?? 0);
    const after = perOperation(head, (region) => region.events[name]?.count ?? 0);
    const oldPrice = priceOf(base, name) ?? priceOf(head, name) ?? 0;
    const newPrice = priceOf(head, name) ?? oldPrice;
    yield { kind: 'count', name, cycles: (after - before) * oldPrice, before, after };
    // The price of VMM software is so many steps; the constant behind it is the price of one.
    const steps = STEPS_OF.get(name);
    const constant = steps === undefined ? name : `step (${name})`;
    const unit = steps ?? 1;
    const byPrice = after * (newPrice - oldPrice);
    yield { kind: 'constant', name: constant, cycles: byPrice, before: oldPrice / unit, after: newPrice / unit };
  }
}

function eventNames(figures: ExactFigures): string[] {
  return [...Object.keys(figures.measured.events), ...Object.keys(figures.calibration?.events ?? {})];
}

/** The price an event was really charged at. */
function priceOf(figures: ExactFigures, name: string): number | null {
  const charge = figures.measured.events[name] ?? figures.calibration?.events[name];
  return charge === undefined || charge.count === 0 ? null : charge.cycles / charge.count;
}

function* instructionCauses(
  base: ExactFigures,
  head: ExactFigures,
  basePrices: Prices,
  headPrices: Prices,
): Generator<Cause> {
  const moved = movedPrices(basePrices.instructions, headPrices.instructions);
  for (const name of RETIRED_NAMES) {
    const before = perOperation(base, (region) => region.retired[name]);
    const after = perOperation(head, (region) => region.retired[name]);
    const oldCycles = perOperation(base, (region) => region.instructionCycles[name]);
    const newCycles = perOperation(head, (region) => region.instructionCycles[name]);
    const label = INSTRUCTION_CATEGORY[name];
    // Without a changed constant, a changed mix of instructions is a change of counts too.
    const byCount =
      moved.length === 0 ? newCycles - oldCycles : (after - before) * (before === 0 ? 0 : oldCycles / before);
    yield { kind: 'count', name: label, cycles: byCount, before, after };
    const byPrice = newCycles - oldCycles - byCount;
    const one = moved.length === 1 ? (moved[0] as string) : null;
    yield {
      kind: 'constant',
      name: `${moved.join(', ')} (${label})`,
      cycles: byPrice,
      before: one === null ? Number.NaN : (basePrices.instructions[one] as number),
      after: one === null ? Number.NaN : (headPrices.instructions[one] as number),
    };
  }
}

/** Names whose price differs between two price lists. */
export function movedPrices(base: Readonly<Record<string, number>>, head: Readonly<Record<string, number>>): string[] {
  const names = new Set([...Object.keys(base), ...Object.keys(head)]);
  return [...names].filter((name) => base[name] !== head[name]).sort();
}
