/** The native engine on whole, tiny guests: every way a run can end, interrupts on virtual time, snapshots. */
import { describe, expect, it } from 'vitest';
import { CYCLES, EAX, EBX, EIP, EVENT_CYCLES_TOTAL, INSTRUCTION_CYCLES, RETIRED } from '../../../src/core/state.ts';
import { eventNumber } from '../../../src/cost/event.ts';
import { DEFAULT_PROFILE } from '../../../src/cost/profiles/index.ts';
import type { Engine, GuestStop } from '../../../src/engines/engine.ts';
import { definition } from '../../../src/engines/native/native.ts';
import { PIT_HZ } from '../../../src/machine/clock.ts';
import { MULTIBOOT_MAGIC } from '../../../src/machine/multiboot.ts';
import { GUESTS, tinyImage } from '../../support/tiny-image.ts';
import { TICKS, TIMER_COUNT, timerGuest } from './timer-guest.ts';

const LIMIT = 1e10;

function create(image: Uint8Array): Engine {
  return definition.create({
    profile: DEFAULT_PROFILE,
    variation: [],
    ramBytes: 4 << 20,
    image,
    commandLine: '',
  });
}
/** Runs past the begin marker that most tiny guests start with. */
function runOn(engine: Engine, limit = LIMIT): GuestStop {
  const first = engine.run(limit);
  return first.kind === 'marker' && first.code === 2 ? engine.run(limit) : first;
}
function cycles(engine: Engine): number {
  return engine.machine.memory.time[CYCLES] as number;
}

describe('a run ends with', () => {
  it('a marker and its payload', () => {
    const engine = create(tinyImage(GUESTS.good));
    expect(engine.run(LIMIT)).toEqual({ kind: 'marker', code: 2, payload: [0, 0, 0] });
    expect(engine.run(LIMIT)).toEqual({ kind: 'marker', code: 3, payload: [0, 1000, 0x2a] });
    expect(engine.run(LIMIT)).toEqual({ kind: 'exit', status: 0 });
  });

  it("the guest's exit status", () => {
    expect(runOn(create(tinyImage(GUESTS.exitsWithStatus)))).toEqual({ kind: 'exit', status: 3 });
  });

  it('the limit of virtual time, and goes on from there', () => {
    const engine = create(tinyImage(GUESTS.endless));
    expect(runOn(engine, 10_000)).toEqual({ kind: 'limit' });
    expect(cycles(engine)).toBeGreaterThanOrEqual(10_000);
    expect(cycles(engine)).toBeLessThan(10_100);
    expect(engine.run(20_000)).toEqual({ kind: 'limit' });
    expect(cycles(engine)).toBeGreaterThanOrEqual(20_000);
  });

  it('a halt that nothing can end', () => {
    const stop = runOn(create(tinyImage(GUESTS.hangs)));
    expect(stop).toMatchObject({ kind: 'hang', message: expect.stringMatching(/^The guest halted at 0x1000/) });
  });

  it('a halt with interrupts on but no device that has anything planned', () => {
    expect(create(tinyImage([0xfb, 0xf4])).run(LIMIT).kind).toBe('hang');
  });

  it('a triple fault', () => {
    const stop = runOn(create(tinyImage(GUESTS.tripleFaults)));
    expect(stop).toMatchObject({
      kind: 'crash',
      message: expect.stringMatching(/^The guest triple-faulted at 0x1000/),
    });
  });
});

it('starts the guest as multiboot promises', () => {
  const { state } = create(tinyImage(GUESTS.good)).machine.memory;
  expect((state[EAX] as number) >>> 0).toBe(MULTIBOOT_MAGIC);
  expect(state[EBX]).toBe(0x9000);
  expect(state[EIP]).toBe(0x100060);
});

it('writes its console to the serial port', () => {
  // mov edx, 0x3f8; mov al, 'o'; out dx, al; mov al, 'k'; out dx, al; cli; hlt
  const engine = create(tinyImage([0xba, 0xf8, 3, 0, 0, 0xb0, 0x6f, 0xee, 0xb0, 0x6b, 0xee, 0xfa, 0xf4]));
  expect(engine.run(LIMIT).kind).toBe('hang');
  expect(engine.machine.consoleText()).toBe('ok');
});

describe.each(['hlt', 'spin'] as const)('timer interrupts (%s between them)', (sleep) => {
  it('arrive in time and wake the guest', () => {
    const engine = create(timerGuest(sleep));
    expect(engine.run(LIMIT)).toEqual({ kind: 'exit', status: TICKS });
    const period = (TIMER_COUNT / PIT_HZ) * DEFAULT_PROFILE.frequencyHz;
    // The first tick comes when the timer is programmed: its output rises with the control word.
    expect(cycles(engine) / period).toBeGreaterThan(TICKS - 1);
    expect(cycles(engine) / period).toBeLessThan(TICKS - 0.9);
    expect(engine.ledger.counts[eventNumber('interruptEntry')]).toBe(TICKS);
    const idle = engine.ledger.counts[eventNumber('idle')] as number;
    if (sleep === 'hlt') expect(idle / cycles(engine)).toBeGreaterThan(0.9);
    else expect(idle).toBe(0);
  });

  it('has a cause for every cycle', () => {
    const engine = create(timerGuest(sleep));
    engine.run(LIMIT);
    const { ledger } = engine;
    const { time } = engine.machine.memory;
    const events = ledger.counts.reduce((sum, count, event) => sum + count * (ledger.price[event] as number), 0);
    const instructions = time.slice(INSTRUCTION_CYCLES, INSTRUCTION_CYCLES + 5).reduce((sum, part) => sum + part, 0);
    expect(events).toBe(time[EVENT_CYCLES_TOTAL]);
    expect(instructions + events).toBe(time[CYCLES]);
    expect(time[RETIRED]).toBeGreaterThan(0);
  });

  it('come the same way again after a restore, and on another machine', () => {
    const engine = create(timerGuest(sleep));
    expect(engine.run(2_000_000).kind).toBe('limit');
    const snapshot = engine.snapshot();
    const start = engine.machine.hash();
    const endOf = (one: Engine): unknown[] => [one.run(LIMIT), cycles(one), [...one.ledger.counts], one.machine.hash()];
    const end = endOf(engine);
    for (let round = 0; round < 2; round++) {
      engine.restore(snapshot);
      expect(engine.machine.hash()).toBe(start);
      expect(endOf(engine)).toEqual(end);
    }
    const other = create(timerGuest(sleep));
    other.restore(snapshot);
    expect(endOf(other)).toEqual(end);
    const whole = create(timerGuest(sleep));
    expect(endOf(whole)).toEqual(end);
  });
});

it('translates guest-linear addresses without changing anything', () => {
  const engine = create(tinyImage(GUESTS.good));
  const before = engine.machine.hash();
  expect(engine.translate(0x100060)).toBe(0x100060);
  expect(engine.machine.hash()).toBe(before);
});
