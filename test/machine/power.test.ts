/** Reset and ACPI fixed hardware (ACPI Specification 3.0, section 4.7): timer, SCI, switching off. */
import { beforeEach, describe, expect, it } from 'vitest';
import { CYCLES, NEXT_EVENT, TIME_WORDS } from '../../src/core/state.ts';
import { PM_TIMER_HZ, TickClock } from '../../src/machine/clock.ts';
import { EventQueue } from '../../src/machine/events.ts';
import { MachinePortBus } from '../../src/machine/port-bus.ts';
import { Power } from '../../src/machine/power.ts';

const HZ = 3_800_000_000;
const STATUS = 0x600;
const ENABLE = 0x602;
const CONTROL = 0x604;
const TIMER = 0x608;

let time: Float64Array;
let ports: MachinePortBus;
let events: EventQueue;
let clock: TickClock;
let power: Power;
let sci: boolean;
let stops: number;

function advanceTo(tick: number): void {
  const end = clock.cyclesAt(tick);
  while (time[NEXT_EVENT]! <= end) {
    time[CYCLES] = time[NEXT_EVENT]!;
    events.runDue();
  }
  time[CYCLES] = end;
}

beforeEach(() => {
  time = new Float64Array(TIME_WORDS);
  clock = new TickClock(time, HZ, PM_TIMER_HZ);
  events = new EventQueue(time, () => {});
  ports = new MachinePortBus();
  sci = false;
  stops = 0;
  power = new Power(
    clock,
    events,
    (level) => {
      sci = level;
    },
    () => {
      stops++;
    },
  );
  power.attach(ports);
});

describe('power management timer', () => {
  it('counts at 3.579545 MHz exactly, in 24 bits', () => {
    for (const seconds of [0, 1, 4, 5, 3600]) {
      time[CYCLES] = seconds * HZ;
      expect(ports.read(TIMER, 4)).toBe((seconds * PM_TIMER_HZ) % 2 ** 24);
    }
    time[CYCLES] = 12345678901;
    const exact = (12345678901n * BigInt(PM_TIMER_HZ)) / BigInt(HZ);
    expect(ports.read(TIMER, 4)).toBe(Number(exact % 2n ** 24n));
  });

  it('sets its status bit when bit 23 changes, either way; writing one clears it', () => {
    advanceTo(2 ** 23 - 1);
    expect(ports.read(STATUS, 2)).toBe(0);
    advanceTo(2 ** 23);
    expect(ports.read(STATUS, 2)).toBe(1);
    ports.write(STATUS, 1, 2);
    expect(ports.read(STATUS, 2)).toBe(0);
    advanceTo(2 ** 24);
    expect(ports.read(STATUS, 2)).toBe(1);
  });

  it('raises the SCI while enabled and set', () => {
    ports.write(ENABLE, 0xffff, 2);
    // Timer, global lock, power button, sleep button, real-time clock (table 4-12).
    expect(ports.read(ENABLE, 2)).toBe(0x0721);
    advanceTo(2 ** 23 - 1);
    expect(sci).toBe(false);
    advanceTo(2 ** 23);
    expect(sci).toBe(true);
    ports.write(STATUS, 1, 2);
    expect(sci).toBe(false);
    advanceTo(2 ** 24);
    expect(sci).toBe(true);
    ports.write(ENABLE, 0, 2);
    expect(sci).toBe(false);
    expect(time[NEXT_EVENT]).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('the guest switches off', () => {
  it('by sleep type 5 with sleep enable', () => {
    ports.write(CONTROL, (5 << 10) | (1 << 13), 2);
    expect([power.request, stops]).toEqual(['off', 1]);
  });

  it('but not by another type, nor without the enable bit', () => {
    ports.write(CONTROL, (3 << 10) | (1 << 13), 2);
    ports.write(CONTROL, 5 << 10, 2);
    expect([power.request, stops]).toEqual([null, 0]);
    // The type is kept, and the machine is in ACPI mode.
    expect(ports.read(CONTROL, 2)).toBe((5 << 10) | 1);
  });
});

describe('the guest resets', () => {
  it.each([
    [
      'port 0xcf9, RST_CPU rising',
      [
        [0xcf9, 0x02],
        [0xcf9, 0x06],
      ],
    ],
    ['port 0x92, bit 0 rising', [[0x92, 0x03]]],
  ])('by %s', (_, writes) => {
    for (const [port, value] of writes) ports.write(port!, value!, 1);
    expect([power.request, stops]).toEqual(['reset', 1]);
  });

  it('but not by bits that do not rise', () => {
    ports.write(0xcf9, 0x02, 1);
    ports.write(0x92, 0x00, 1);
    ports.write(0x92, 0x02, 1);
    expect([ports.read(0xcf9, 1), ports.read(0x92, 1)]).toEqual([0x02, 0x02]);
    expect([power.request, stops]).toEqual([null, 0]);
  });
});

it('is restored', () => {
  ports.write(ENABLE, 1, 2);
  advanceTo(2 ** 23 + 5);
  ports.write(0x92, 1, 1);
  const saved = power.save();
  ports.write(CONTROL, (5 << 10) | (1 << 13), 2);
  ports.write(STATUS, 1, 2);
  power.load(saved);
  expect(power.save()).toEqual(saved);
  expect([power.request, ports.read(STATUS, 2)]).toEqual(['reset', 1]);
});
