/** What a profile charges, as plain numbers, so that results can be compared constant by constant. */
import { EVENT_ROWS } from '../cost/event.ts';
import type { Profile } from '../cost/profile.ts';
import type { Prices } from './schema.ts';

export function pricesOf(profile: Profile): Prices {
  const instructions: Record<string, number> = {};
  for (const [name, priced] of Object.entries(profile.instructions)) instructions[name] = priced.cycles;
  const events: Record<string, number> = {};
  for (const row of EVENT_ROWS) {
    events[row.name] = row.kind === 'step' ? row.steps * profile.step.cycles : (profile.events[row.name]?.cycles ?? 0);
  }
  return { instructions, events };
}
