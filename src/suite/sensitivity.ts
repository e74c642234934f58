/**
 * How the published signs fare when each assumed constant of the profile is halved and doubled. None of the signs' workloads
 * waits for a timer, so their counts do not depend on prices and cycles are linear in every price. A ledger gives the count of
 * every event; the count of an instruction class is what one more cycle of its price adds, so it takes one run a class,
 * all of them in one warm process an engine.
 */
import { EVENT_ROWS } from '../cost/event.ts';
import type { Priced, Profile } from '../cost/profile.ts';
import type { PriceOverride } from './cell-protocol.ts';
import { cyclesPerOperation, type ExactFigures, eventsPerOperation } from './figures.ts';
import { SIGNS, type Sign } from './signs.ts';

const FACTORS = [0.5, 2] as const;

export interface AssumedConstant {
  readonly kind: 'instruction' | 'event' | 'step';
  readonly name: string;
  readonly cycles: number;
}

/** The constants of a profile whose source is an assumption; a price of zero has no half and no double. */
export function assumedConstants(profile: Profile): AssumedConstant[] {
  const found: AssumedConstant[] = [];
  const add = (kind: AssumedConstant['kind'], name: string, priced: Priced): void => {
    if (priced.source.kind === 'assumed' && priced.cycles > 0) found.push({ kind, name, cycles: priced.cycles });
  };
  for (const [name, priced] of Object.entries(profile.instructions)) add('instruction', name, priced);
  for (const [name, priced] of Object.entries(profile.events)) add('event', name, priced);
  add('step', 'step', profile.step);
  return found;
}

/** The profile with one instruction class dearer. */
export function withOverride(profile: Profile, override: PriceOverride): Profile {
  const known = Object.entries(profile.instructions).find(([name]) => name === override.instruction);
  if (known === undefined) return profile;
  const [name, priced] = known;
  return {
    ...profile,
    instructions: { ...profile.instructions, [name]: { ...priced, cycles: priced.cycles + override.cycles } },
  };
}

/** Figures by workload and engine (`nano/in@vtx`). */
export type SignFigures = ReadonlyMap<string, ExactFigures>;

/** How often a constant is charged in one operation of one cell. */
function chargesPerOperation(constant: AssumedConstant, base: ExactFigures, dearer: ExactFigures | undefined): number {
  if (constant.kind === 'event') return eventsPerOperation(base, constant.name);
  if (constant.kind === 'instruction') {
    return dearer === undefined ? Number.NaN : cyclesPerOperation(dearer) - cyclesPerOperation(base);
  }
  let steps = 0;
  for (const row of EVENT_ROWS) if (row.kind === 'step') steps += row.steps * eventsPerOperation(base, row.name);
  return steps;
}

export interface SignSurvival extends Sign {
  readonly ringCompression: number;
  readonly vtx: number;
  /** Loser's cycles / winner's cycles as assumed, and the least over all halved and doubled constants; below 1 it fails. */
  readonly margin: number;
  readonly leastMargin: number;
  /** `interruptEntry x2`: where the least margin is. */
  readonly leastAt: string;
  readonly breaksAt: readonly string[];
}

/**
 * `dearer` holds, per instruction class, the figures with its price one cycle up. A constant whose effect was not measured
 * counts as breaking every sign: an unknown is no proof.
 */
export function signSurvival(
  base: SignFigures,
  dearer: ReadonlyMap<string, SignFigures>,
  constants: readonly AssumedConstant[],
): SignSurvival[] {
  const results: SignSurvival[] = [];
  for (const sign of SIGNS) {
    const keys = [`${sign.workload}@ring-compression`, `${sign.workload}@vtx`] as const;
    const [software, hardware] = [base.get(keys[0]), base.get(keys[1])];
    if (software === undefined || hardware === undefined) continue;
    const cycles = [cyclesPerOperation(software), cyclesPerOperation(hardware)] as const;
    const margin = marginOf(sign, cycles[0], cycles[1]);
    let [leastMargin, leastAt] = [margin, 'as assumed'];
    const breaksAt: string[] = [];
    for (const constant of constants) {
      const unit = dearer.get(constant.name);
      const charges = [
        chargesPerOperation(constant, software, unit?.get(keys[0])),
        chargesPerOperation(constant, hardware, unit?.get(keys[1])),
      ] as const;
      for (const factor of FACTORS) {
        const change = Math.max(1, Math.round(constant.cycles * factor)) - constant.cycles;
        const moved = marginOf(sign, cycles[0] + charges[0] * change, cycles[1] + charges[1] * change);
        const label = `${constant.name} x${factor}`;
        if (!(moved > 1)) breaksAt.push(label);
        if (moved < leastMargin) [leastMargin, leastAt] = [moved, label];
      }
    }
    results.push({ ...sign, ringCompression: cycles[0], vtx: cycles[1], margin, leastMargin, leastAt, breaksAt });
  }
  return results;
}

function marginOf(sign: Sign, ringCompression: number, vtx: number): number {
  return sign.winner === 'vtx' ? ringCompression / vtx : vtx / ringCompression;
}

/** Whether a run with another price did the same work: the premise of linearity. */
export function sameCounts(a: ExactFigures, b: ExactFigures): boolean {
  const counts = (figures: ExactFigures): string => {
    const events = Object.entries(figures.measured.events).map(([name, charge]) => [name, charge.count]);
    return JSON.stringify([figures.measured.retired, events]);
  };
  return counts(a) === counts(b);
}
