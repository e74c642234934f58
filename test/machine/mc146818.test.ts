/** The real-time clock against the MC146818A data sheet: time, formats, setting, flags and interrupts on virtual time. */
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { CYCLES, NEXT_EVENT, TIME_WORDS } from '../../src/core/state.ts';
import { calendarAt, secondsOf } from '../../src/machine/calendar.ts';
import { RTC_HZ, TickClock } from '../../src/machine/clock.ts';
import { EventQueue } from '../../src/machine/events.ts';
import { Mc146818 } from '../../src/machine/mc146818.ts';
import { MachinePortBus } from '../../src/machine/port-bus.ts';

const HZ = 3_400_000_000;
const A = 10;
const B = 11;
const C = 12;
const D = 13;

let time: Float64Array;
let ports: MachinePortBus;
let events: EventQueue;
let clock: TickClock;
let rtc: Mc146818;
let line: boolean;
/** Crystal ticks at which the line rose. */
let edges: number[];

const read = (index: number): number => {
  ports.write(0x70, index, 1);
  return ports.read(0x71, 1);
};
const write = (index: number, value: number): void => {
  ports.write(0x70, index, 1);
  ports.write(0x71, value, 1);
};
/** Hours, minutes, seconds as the registers show them. */
const shown = (): string => [4, 2, 0].map((index) => read(index).toString(16).padStart(2, '0')).join(':');
const date = (): string => [9, 8, 7, 6].map((index) => read(index).toString(16).padStart(2, '0')).join('-');
function advanceTo(tick: number): void {
  const end = clock.cyclesAt(tick);
  while (time[NEXT_EVENT]! <= end) {
    time[CYCLES] = time[NEXT_EVENT]!;
    events.runDue();
  }
  time[CYCLES] = end;
}
const advance = (ticks: number): void => advanceTo(clock.ticks() + ticks);

beforeEach(() => {
  time = new Float64Array(TIME_WORDS);
  clock = new TickClock(time, HZ, RTC_HZ);
  events = new EventQueue(time, () => {});
  ports = new MachinePortBus();
  line = false;
  edges = [];
  rtc = new Mc146818(
    clock,
    events,
    (level) => {
      if (level && !line) edges.push(clock.ticks());
      line = level;
    },
    64 << 20,
  );
  rtc.attach(ports);
});

describe('calendar', () => {
  it('agrees with the host calendar on the whole century', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 36525 * 86400 - 1 }), (seconds) => {
        const time = calendarAt(seconds);
        const host = new Date(Date.UTC(2000, 0, 1) + seconds * 1000);
        expect(time).toEqual({
          second: host.getUTCSeconds(),
          minute: host.getUTCMinutes(),
          hour: host.getUTCHours(),
          weekday: host.getUTCDay() + 1,
          day: host.getUTCDate(),
          month: host.getUTCMonth() + 1,
          year: host.getUTCFullYear() - 2000,
        });
        expect(secondsOf(time)).toBe(seconds);
      }),
      { numRuns: 2000 },
    );
  });

  it('knows every day', () => {
    for (let day = 0; day < 36525; day++) {
      const host = new Date(Date.UTC(2000, 0, 1 + day));
      const { year, month, day: ofMonth } = calendarAt(day * 86400);
      expect([year, month, ofMonth]).toEqual([host.getUTCFullYear() - 2000, host.getUTCMonth() + 1, host.getUTCDate()]);
    }
  });
});

describe('time', () => {
  it('starts on Sunday, 9 January 2011, midnight, in BCD and 24 hours', () => {
    expect([date(), shown()]).toEqual(['11-01-09-01', '00:00:00']);
    expect([read(A), read(B), read(C), read(D)]).toEqual([0x26, 0x02, 0x00, 0x80]);
  });

  it('goes on by the second', () => {
    advance(RTC_HZ - 1);
    expect(shown()).toBe('00:00:00');
    advance(1);
    expect(shown()).toBe('00:00:01');
    advance(RTC_HZ * 86399);
    expect([date(), shown()]).toEqual(['11-01-10-02', '00:00:00']);
  });

  it.each([
    [0x02, 13, 0x13],
    [0x06, 13, 13],
    [0x00, 13, 0x81],
    [0x00, 0, 0x12],
    [0x00, 12, 0x92],
    [0x04, 23, 0x8b],
    [0x04, 11, 11],
  ])('with register B %i, hour %i reads %i (table 3)', (mode, hour, expected) => {
    write(B, mode);
    write(4, expected);
    expect(read(4)).toBe(expected);
    write(B, 0x06);
    expect(read(4)).toBe(hour);
  });

  it('is set while SET holds it', () => {
    write(B, 0x82);
    for (const [index, value] of [
      [9, 0x24],
      [8, 0x02],
      [7, 0x28],
      [4, 0x23],
      [2, 0x59],
      [0, 0x58],
    ] as const)
      write(index, value);
    advance(10 * RTC_HZ);
    expect([date(), shown()]).toEqual(['24-02-28-04', '23:59:58']);
    write(B, 0x02);
    advance(2 * RTC_HZ);
    expect([date(), shown()]).toEqual(['24-02-29-05', '00:00:00']);
    advance(86400 * RTC_HZ);
    expect(date()).toBe('24-03-01-06');
  });

  it('update in progress: 244 us before the update and 1984 us of it (table 6)', () => {
    advance(RTC_HZ - 74);
    expect(read(A) & 0x80).toBe(0);
    advance(1);
    expect(read(A) & 0x80).toBe(0x80);
    advance(72);
    expect(read(A) & 0x80).toBe(0x80);
    advance(1);
    expect(read(A) & 0x80).toBe(0);
    advance(RTC_HZ - 10);
    write(B, 0x82);
    expect(read(A) & 0x80).toBe(0);
  });

  it('the first update comes half a second after the divider is let go', () => {
    advance(1000);
    write(A, 0x76);
    advance(5 * RTC_HZ);
    expect(shown()).toBe('00:00:00');
    write(A, 0x26);
    advance(RTC_HZ / 2 - 1);
    expect(shown()).toBe('00:00:00');
    advance(1);
    expect(shown()).toBe('00:00:01');
  });
});

describe('interrupts', () => {
  it.each([
    [1, 128],
    [2, 256],
    [3, 4],
    [6, 32],
    [15, 16384],
  ])('periodic, rate %i: every %i crystal ticks (table 5)', (rate, period) => {
    write(A, 0x20 | rate);
    write(B, 0x42);
    for (let count = 1; count <= 4; count++) {
      advance(period);
      expect(read(C) & 0xc0).toBe(0xc0);
    }
    expect(edges).toEqual([1, 2, 3, 4].map((count) => count * period));
  });

  it('a flag that has not been read holds back the next edge', () => {
    write(B, 0x42);
    advance(100 * 32);
    expect(edges).toEqual([32]);
    expect(time[NEXT_EVENT]).toBe(Number.POSITIVE_INFINITY);
  });

  it('update-ended, once a second', () => {
    write(A, 0x20);
    write(B, 0x12);
    advance(3 * RTC_HZ - 1);
    expect(edges).toEqual([RTC_HZ]);
    expect(read(C)).toBe(0x90 | (0x20 * 0));
    advance(1);
    expect(edges).toEqual([RTC_HZ, 3 * RTC_HZ]);
  });

  it.each([
    ['at one time of the day', [0x10, 0x05, 0x01], [3910, 3910 + 86400]],
    ['every hour', [0x10, 0x05, 0xff], [310, 3910]],
    ['every minute', [0x10, 0xc0, 0xc0], [10, 70]],
    ['every second', [0xff, 0xff, 0xff], [1, 2]],
  ] as const)('alarm, %s', (_, [second, minute, hour], expected) => {
    write(1, second);
    write(3, minute);
    write(5, hour);
    write(B, 0x22);
    advanceTo(expected[0] * RTC_HZ);
    expect(read(C) & 0xa0).toBe(0xa0);
    advanceTo(expected[1] * RTC_HZ);
    expect(edges).toEqual(expected.map((seconds) => seconds * RTC_HZ));
  });

  it('an alarm that no time matches never comes', () => {
    write(1, 0x60);
    write(B, 0x22);
    expect(time[NEXT_EVENT]).toBe(Number.POSITIVE_INFINITY);
  });

  it('flags are set without being enabled, and reading register C clears them all', () => {
    write(1, 0x01);
    write(3, 0x00);
    write(5, 0x00);
    advance(RTC_HZ);
    expect(read(C)).toBe(0x70);
    expect(read(C)).toBe(0);
    expect(edges).toEqual([]);
  });

  it('enabling finds a flag that is set already', () => {
    advance(RTC_HZ);
    write(B, 0x12);
    expect(line).toBe(true);
    read(C);
    expect(line).toBe(false);
  });

  it('SET clears the update-ended enable', () => {
    write(B, 0x92);
    expect(read(B)).toBe(0x82);
  });
});

describe('CMOS memory', () => {
  it('says how much memory there is, with a checksum', () => {
    const word = (index: number): number => read(index) | (read(index + 1) << 8);
    expect([word(0x15), word(0x17), word(0x30), word(0x34)]).toEqual([640, 63 * 1024, 63 * 1024, 768]);
    let sum = 0;
    for (let index = 0x10; index <= 0x2d; index++) sum += read(index);
    expect((read(0x2e) << 8) | read(0x2f)).toBe(sum);
    expect(read(0x32)).toBe(0x20);
  });

  it('keeps what is written, and its index has seven bits', () => {
    write(0x40, 0xa5);
    expect(read(0xc0)).toBe(0xa5);
    expect(rtc.nmiMasked).toBe(true);
    ports.write(0x70, 0x40, 1);
    expect(rtc.nmiMasked).toBe(false);
    expect(ports.read(0x70, 1)).toBe(0xff);
  });

  it('registers C and D are read-only', () => {
    write(C, 0xff);
    write(D, 0x00);
    expect([read(C), read(D)]).toEqual([0, 0x80]);
  });
});

it('is restored with time, flags and plans', () => {
  write(B, 0x42);
  advance(RTC_HZ * 5 + 7);
  const saved = rtc.save();
  const due = events.due.slice();
  const now = time[CYCLES]!;
  read(C);
  advance(RTC_HZ * 100);
  time[CYCLES] = now;
  rtc.load(saved);
  events.due.set(due);
  events.restored();
  expect(rtc.save()).toEqual(saved);
  expect([shown(), read(C)]).toEqual(['00:00:05', 0xf0 & ~0x20]);
});
