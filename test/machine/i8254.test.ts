/** The interval timer against the 8254 datasheet (Intel 231164): modes, latches, and its interrupts on virtual time. */
import { beforeEach, describe, expect, it } from 'vitest';
import { CYCLES, NEXT_EVENT, TIME_WORDS } from '../../src/core/state.ts';
import { cyclesAt, PIT_HZ, ticksAt } from '../../src/machine/clock.ts';
import { EventQueue } from '../../src/machine/events.ts';
import { I8254 } from '../../src/machine/i8254.ts';
import { MachinePortBus } from '../../src/machine/port-bus.ts';

const HZ = 3_400_000_000;
let time: Float64Array;
let ports: MachinePortBus;
let pit: I8254;
let events: EventQueue;
let edges: number[];
let line: boolean;

function ticks(): number {
  return ticksAt(time[CYCLES] as number, HZ, PIT_HZ);
}
function advanceTo(tick: number): void {
  const end = cyclesAt(tick, HZ, PIT_HZ);
  while ((time[NEXT_EVENT] as number) <= end) {
    time[CYCLES] = time[NEXT_EVENT] as number;
    events.runDue();
  }
  time[CYCLES] = end;
}
function program(counter: number, mode: number, count: number): void {
  ports.write(0x43, (counter << 6) | 0x30 | (mode << 1), 1);
  ports.write(0x40 + counter, count & 0xff, 1);
  ports.write(0x40 + counter, count >>> 8, 1);
}
function read16(counter: number): number {
  const low = ports.read(0x40 + counter, 1);
  return low | (ports.read(0x40 + counter, 1) << 8);
}

/** Notes the rising edges of the interrupt line after the first programming. */
function setLine(level: boolean): void {
  if (level && !line && ticks() > 0) edges.push(ticks());
  line = level;
}

beforeEach(() => {
  line = false;
  time = new Float64Array(TIME_WORDS);
  events = new EventQueue(time, () => {});
  ports = new MachinePortBus();
  edges = [];
  pit = new I8254({ ticks, cyclesAt: (tick) => cyclesAt(tick, HZ, PIT_HZ) }, events, setLine);
  pit.attach(ports);
});

describe('clock conversion', () => {
  it('is exact over hours and inverse to itself', () => {
    for (const tick of [0, 1, 2, 11931, 1193181, 1193182, 1193183, 4_295_455_200]) {
      const cycles = cyclesAt(tick, HZ, PIT_HZ);
      expect(ticksAt(cycles, HZ, PIT_HZ)).toBe(tick);
      if (cycles > 0) expect(ticksAt(cycles - 1, HZ, PIT_HZ)).toBe(tick - 1);
    }
  });

  it('agrees with whole-number arithmetic', () => {
    for (const cycles of [1, 2849, 2850, 3_399_999_999, 3_400_000_000, 123_456_789_012_345]) {
      const exact = (BigInt(cycles) * BigInt(PIT_HZ)) / BigInt(HZ);
      expect(ticksAt(cycles, HZ, PIT_HZ)).toBe(Number(exact));
    }
  });
});

describe('mode 2, rate generator', () => {
  it('interrupts every count and counts down to one', () => {
    program(0, 2, 1000);
    advanceTo(3500);
    expect(edges).toEqual([1001, 2001, 3001]);
    expect(read16(0)).toBe(1000 - 499);
  });

  it('takes a new count at the end of its cycle', () => {
    program(0, 2, 1000);
    advanceTo(500);
    ports.write(0x40, 200, 1);
    ports.write(0x40, 0, 1);
    advanceTo(1500);
    expect(edges).toEqual([1001, 1201, 1401]);
  });

  it('reads 0 as 65536', () => {
    program(0, 2, 0);
    advanceTo(70000);
    expect(edges).toEqual([65537]);
  });
});

describe('mode 3, square wave', () => {
  it('interrupts every count', () => {
    program(0, 3, 1000);
    advanceTo(2500);
    expect(edges).toEqual([1001, 2001]);
  });

  it('counts down by two, twice in a period', () => {
    program(2, 3, 1000);
    advanceTo(101);
    expect(read16(2)).toBe(800);
    advanceTo(601);
    expect(read16(2)).toBe(800);
  });

  it('has its output high for the first half, the longer one if the count is odd', () => {
    program(2, 3, 5);
    const levels = [];
    for (let tick = 1; tick < 11; tick++) {
      advanceTo(tick);
      levels.push(pit.output2());
    }
    expect(levels).toEqual([true, true, true, false, false, true, true, true, false, false]);
  });
});

describe('one-shot modes', () => {
  it('mode 0 interrupts once, count + 1 ticks after the write, and counts on', () => {
    program(0, 0, 100);
    advanceTo(500);
    expect(edges).toEqual([101]);
    expect(read16(0)).toBe(0x10000 + 100 - 499);
  });

  it('mode 0 stops at the first byte of a new count', () => {
    program(0, 0, 100);
    advanceTo(50);
    ports.write(0x40, 10, 1);
    advanceTo(500);
    expect(edges).toEqual([]);
    ports.write(0x40, 0, 1);
    advanceTo(600);
    expect(edges).toEqual([511]);
  });

  it('mode 4 strobes low at terminal count', () => {
    program(0, 4, 100);
    advanceTo(500);
    expect(edges).toEqual([102]);
  });

  it('mode 1 waits for the gate', () => {
    pit.setGate2(false);
    program(2, 1, 50);
    advanceTo(100);
    expect(pit.output2()).toBe(true);
    pit.setGate2(true);
    advanceTo(120);
    expect(pit.output2()).toBe(false);
    advanceTo(151);
    expect(pit.output2()).toBe(true);
  });
});

it('drives its line as its output is when it is programmed', () => {
  program(0, 2, 1000);
  expect(line).toBe(true);
  ports.write(0x43, 0x30, 1);
  expect(line).toBe(false);
  advanceTo(5000);
  expect(edges).toEqual([]);
});

it('holds its count while the gate is low', () => {
  program(2, 0, 1000);
  advanceTo(101);
  pit.setGate2(false);
  advanceTo(400);
  expect(read16(2)).toBe(900);
  pit.setGate2(true);
  advanceTo(450);
  expect(read16(2)).toBe(850);
});

describe('latches', () => {
  it('keep the count until both bytes are read', () => {
    program(2, 2, 50000);
    advanceTo(1001);
    ports.write(0x43, 0x80, 1);
    advanceTo(5001);
    expect(read16(2)).toBe(49000);
    expect(read16(2)).toBe(45000);
  });

  it('read-back latches status and count of several counters', () => {
    program(0, 2, 1000);
    program(2, 3, 2000);
    advanceTo(101);
    ports.write(0x43, 0xca, 1);
    advanceTo(301);
    expect(ports.read(0x40, 1)).toBe(0x80 | 0x34);
    expect(read16(0)).toBe(900);
    expect(ports.read(0x42, 1)).toBe(0x80 | 0x36);
    expect(read16(2)).toBe(1800);
  });

  it('status tells that a count has not been loaded yet', () => {
    ports.write(0x43, 0x34, 1);
    ports.write(0x43, 0xe2, 1);
    expect(ports.read(0x40, 1)).toBe(0x80 | 0x40 | 0x34);
  });
});

it('counts in BCD', () => {
  ports.write(0x43, 0xb5, 1);
  ports.write(0x42, 0x00, 1);
  ports.write(0x42, 0x10, 1);
  advanceTo(2);
  expect(read16(2)).toBe(0x0999);
});

it('reads and writes single bytes', () => {
  ports.write(0x43, 0x94, 1);
  ports.write(0x42, 200, 1);
  advanceTo(51);
  expect(ports.read(0x42, 1)).toBe(150);
  expect(ports.read(0x42, 1)).toBe(150);
});

it('comes back from saved numbers as it was', () => {
  program(0, 2, 1000);
  program(2, 3, 77);
  advanceTo(1234);
  const saved = pit.save();
  pit.load(saved);
  expect(pit.save()).toEqual(saved);
  advanceTo(2100);
  expect(edges).toEqual([1001, 2001]);
});
