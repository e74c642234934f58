/**
 * The ledger: every cycle of virtual time has a cause. Total cycles = the ordinary instructions of each
 * retirement class + count x price of every event; `entries()` lists them and they sum to CYCLES exactly.
 */
import {
  CYCLES,
  EVENT_CYCLES_TOTAL,
  FOLD_MARK,
  INSTRUCTION_CYCLES,
  RETIRED,
  RETIRED_CLASS,
  RETIRED_PENDING,
} from '../core/state.ts';
import { EVENT_COUNT, EVENT_ROWS } from './event.ts';
import type { Profile } from './profile.ts';

export class Ledger {
  readonly profile: Profile;
  /** Times each event happened, by event number. Part of the snapshot. */
  readonly counts: Float64Array = new Float64Array(EVENT_COUNT);
  /** Cycles of one event, by event number. */
  readonly price: Float64Array = new Float64Array(EVENT_COUNT);
  readonly #time: Float64Array;
  readonly #state: Int32Array;

  constructor(profile: Profile, state: Int32Array, time: Float64Array) {
    this.profile = profile;
    this.#state = state;
    this.#time = time;
    for (const [number, row] of EVENT_ROWS.entries()) {
      const priced = profile.events[row.name];
      if (row.kind === 'step') this.price[number] = row.steps * profile.step.cycles;
      else if (priced === undefined) throw new Error(`Profile ${profile.name} has no price for '${row.name}'.`);
      else this.price[number] = priced.cycles;
    }
  }

  /** Charges `times` events: counts them and advances virtual time. */
  charge(event: number, times = 1): void {
    const cycles = (this.price[event] as number) * times;
    this.counts[event] = (this.counts[event] as number) + times;
    this.#time[CYCLES] = (this.#time[CYCLES] as number) + cycles;
    this.#time[EVENT_CYCLES_TOTAL] = (this.#time[EVENT_CYCLES_TOTAL] as number) + cycles;
  }

  /** Credits instructions and their cycles since the last fold to the current retirement class. */
  fold(): void {
    const time = this.#time;
    const state = this.#state;
    const retired = state[RETIRED_CLASS] as number;
    time[RETIRED + retired] = (time[RETIRED + retired] as number) + (state[RETIRED_PENDING] as number);
    state[RETIRED_PENDING] = 0;
    const mark = (time[CYCLES] as number) - (time[EVENT_CYCLES_TOTAL] as number);
    time[INSTRUCTION_CYCLES + retired] =
      (time[INSTRUCTION_CYCLES + retired] as number) + mark - (time[FOLD_MARK] as number);
    time[FOLD_MARK] = mark;
  }
}
