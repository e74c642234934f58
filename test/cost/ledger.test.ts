/** The ledger: every cycle has one cause. */
import { expect, it } from 'vitest';
import {
  CYCLES,
  EVENT_CYCLES_TOTAL,
  INSTRUCTION_CYCLES,
  RETIRED,
  RETIRED_CLASS,
  RETIRED_CLASSES,
  RETIRED_PENDING,
  STATE_WORDS,
  TIME_WORDS,
} from '../../src/core/state.ts';
import { EVENT_ROWS, eventNumber } from '../../src/cost/event.ts';
import { Ledger } from '../../src/cost/ledger.ts';
import { DEFAULT_PROFILE, PROFILES } from '../../src/cost/profiles/index.ts';
import { Random } from '../support/random.ts';

function setUp() {
  const state = new Int32Array(STATE_WORDS);
  const time = new Float64Array(TIME_WORDS);
  return { state, time, ledger: new Ledger(DEFAULT_PROFILE, state, time) };
}

it('sums instructions and events exactly to virtual time', () => {
  const { state, time, ledger } = setUp();
  const random = new Random(7);
  let retired = 0;
  for (let round = 0; round < 1000; round++) {
    if (random.below(3) === 0) {
      ledger.charge(random.below(EVENT_ROWS.length), 1 + random.below(3));
    } else {
      const instructions = random.below(64);
      retired += instructions;
      time[CYCLES] = (time[CYCLES] as number) + random.below(500);
      state[RETIRED_PENDING] = (state[RETIRED_PENDING] as number) + instructions;
    }
    if (random.below(5) === 0) {
      ledger.fold();
      state[RETIRED_CLASS] = random.below(RETIRED_CLASSES);
    }
  }
  ledger.fold();
  const classes = Array.from({ length: RETIRED_CLASSES }, (_, index) => index);
  const instructionCycles = classes.reduce((sum, index) => sum + (time[INSTRUCTION_CYCLES + index] as number), 0);
  const eventCycles = ledger.counts.reduce((sum, count, event) => sum + count * (ledger.price[event] as number), 0);
  expect(eventCycles).toBe(time[EVENT_CYCLES_TOTAL]);
  expect(instructionCycles + eventCycles).toBe(time[CYCLES]);
  expect(classes.reduce((sum, index) => sum + (time[RETIRED + index] as number), 0)).toBe(retired);
});

it('prices software at the one step rate of its profile', () => {
  for (const profile of PROFILES) {
    const ledger = new Ledger(profile, new Int32Array(STATE_WORDS), new Float64Array(TIME_WORDS));
    for (const [number, row] of EVENT_ROWS.entries()) {
      if (row.kind === 'step') expect(ledger.price[number]).toBe(row.steps * profile.step.cycles);
    }
  }
});

it('refuses a profile without a price', () => {
  const events = Object.fromEntries(Object.entries(DEFAULT_PROFILE.events).filter(([name]) => name !== 'vmExit'));
  const profile = { ...DEFAULT_PROFILE, events };
  expect(() => new Ledger(profile, new Int32Array(STATE_WORDS), new Float64Array(TIME_WORDS))).toThrow(
    "Profile sandy-bridge has no price for 'vmExit'.",
  );
  expect(eventNumber('vmExit')).toBeGreaterThan(0);
});
