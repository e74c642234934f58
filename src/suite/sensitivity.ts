/**
 * How the published signs fare when each assumed constant of the profile is halved and doubled. Every variant is a real
 * run with the changed price, because a price also moves timer interrupts.
 */
import type { Priced, Profile } from '../cost/profile.ts';
import type { PriceOverride } from './cell-protocol.ts';

export const FACTORS = [0.5, 2] as const;

/** The constants of a profile whose source is an assumption; zero prices cannot be scaled and are left out. */
export function assumedConstants(profile: Profile): { kind: PriceOverride['kind']; name: string; cycles: number }[] {
  const found: { kind: PriceOverride['kind']; name: string; cycles: number }[] = [];
  const add = (kind: PriceOverride['kind'], name: string, priced: Priced): void => {
    if (priced.source.kind === 'assumed' && priced.cycles > 0) found.push({ kind, name, cycles: priced.cycles });
  };
  for (const [name, priced] of Object.entries(profile.instructions)) add('instruction', name, priced);
  for (const [name, priced] of Object.entries(profile.events)) add('event', name, priced);
  add('step', 'step', profile.step);
  return found;
}

/** The profile with one price scaled, rounded to whole cycles and never to zero. */
export function withOverride(profile: Profile, override: PriceOverride): Profile {
  const scaled = (priced: Priced): Priced => ({
    ...priced,
    cycles: Math.max(1, Math.round(priced.cycles * override.factor)),
  });
  const { kind, name } = override;
  if (kind === 'step') return { ...profile, step: scaled(profile.step) };
  if (kind === 'event') {
    const priced = profile.events[name];
    return priced === undefined ? profile : { ...profile, events: { ...profile.events, [name]: scaled(priced) } };
  }
  const { instructions } = profile;
  const known = Object.entries(instructions).find(([key]) => key === name);
  return known === undefined ? profile : { ...profile, instructions: { ...instructions, [name]: scaled(known[1]) } };
}
