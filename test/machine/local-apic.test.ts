/** The local APIC against SDM volume 3A chapter 10: registers, priorities, local vector table, IPIs, timer. */
import { beforeEach, describe, expect, it } from 'vitest';
import { CYCLES, NEXT_EVENT, TIME_WORDS, TSC_BASE } from '../../src/core/state.ts';
import { TickClock } from '../../src/machine/clock.ts';
import { EventQueue } from '../../src/machine/events.ts';
import { FIXED, LocalApic, NMI } from '../../src/machine/local-apic.ts';
import { MachineMmioBus } from '../../src/machine/mmio-bus.ts';

const CPU_HZ = 3_400_000_000;
const BUS_HZ = 100_000_000;
/** Processor cycles of one bus tick. */
const TICK = CPU_HZ / BUS_HZ;
const BASE = 0xfee00000;
const MASKED = 0x10000;

/** Register offsets (table 10-1). */
const ID = 0x20;
const VERSION = 0x30;
const TPR = 0x80;
const PPR = 0xa0;
const EOI = 0xb0;
const LDR = 0xd0;
const DFR = 0xe0;
const SVR = 0xf0;
const ISR = 0x100;
const TMR = 0x180;
const IRR = 0x200;
const ESR = 0x280;
const ICR_LOW = 0x300;
const ICR_HIGH = 0x310;
const LVT_TIMER = 0x320;
const LVT_LINT0 = 0x350;
const LVT_LINT1 = 0x360;
const LVT_ERROR = 0x370;
const INITIAL = 0x380;
const CURRENT = 0x390;
const DIVIDE = 0x3e0;

let time: Float64Array;
let mmio: MachineMmioBus;
let events: EventQueue;
let apic: LocalApic;
let interrupt: boolean;
let nmis: number;
let externalVector: number;
let ended: number[];

function make(tscDeadline = true): LocalApic {
  const bus = new TickClock(time, CPU_HZ, BUS_HZ);
  return new LocalApic({
    clock: {
      ticks: () => bus.ticks(),
      cyclesAt: (ticks) => bus.cyclesAt(ticks),
      cycles: () => time[CYCLES]!,
      tscBase: () => time[TSC_BASE]!,
    },
    events,
    mmio,
    tscDeadline,
    physicalBits: 36,
    onInterrupt: (level) => {
      interrupt = level;
    },
    onNmi: () => {
      nmis++;
    },
    acknowledgeExternal: () => {
      apic.setPin(0, false);
      return externalVector;
    },
    onEndOfInterrupt: (vector) => ended.push(vector),
  });
}

const read = (offset: number): number => mmio.read(BASE + offset, 4);
const write = (offset: number, value: number): void => mmio.write(BASE + offset, value, 4);
function advance(cycles: number): void {
  const end = time[CYCLES]! + cycles;
  while (time[NEXT_EVENT]! <= end) {
    time[CYCLES] = time[NEXT_EVENT]!;
    events.runDue();
  }
  time[CYCLES] = end;
}
/** Vectors taken one after the other, each ended before the next. */
function takeAll(): number[] {
  const taken: number[] = [];
  while (interrupt) {
    taken.push(apic.acknowledge());
    write(EOI, 0);
  }
  return taken;
}

beforeEach(() => {
  time = new Float64Array(TIME_WORDS);
  mmio = new MachineMmioBus();
  events = new EventQueue(time, () => {});
  interrupt = false;
  nmis = 0;
  externalVector = 0x20;
  ended = [];
  apic = make();
});

describe('after power-up (10.4.7.1)', () => {
  it('registers are as the SDM says', () => {
    for (const offset of [ID, TPR, PPR, LDR, ESR, ICR_LOW, ICR_HIGH, INITIAL, CURRENT, DIVIDE])
      expect([offset, read(offset)]).toEqual([offset, 0]);
    for (let word = 0; word < 24; word++) expect(read(ISR + 16 * word)).toBe(0);
    expect(read(DFR)).toBe(0xffffffff);
    expect(read(SVR)).toBe(0xff);
    for (let entry = 0; entry < 6; entry++) expect(read(LVT_TIMER + 16 * entry)).toBe(MASKED);
    // An integrated APIC (1xH) with six LVT entries.
    expect(read(VERSION)).toBe(0x50014);
  });

  it('software-disabled: LVT mask bits cannot be cleared and interrupts are not accepted (10.4.7.2)', () => {
    write(LVT_TIMER, 0x40);
    expect(read(LVT_TIMER)).toBe(MASKED | 0x40);
    expect(apic.accept(FIXED, 0x40, false)).toBe(false);
    apic.setPin(0, true);
    expect(interrupt).toBe(false);
    apic.accept(NMI, 0, false);
    expect(nmis).toBe(1);
  });

  it('disabling masks the LVT; requests and interrupts in service stay', () => {
    write(SVR, 0x1ff);
    write(LVT_TIMER, 0x40);
    apic.accept(FIXED, 0x51, false);
    write(SVR, 0xff);
    expect(read(LVT_TIMER)).toBe(MASKED | 0x40);
    expect(read(IRR + 0x20)).toBe(1 << 17);
    expect(apic.acknowledge()).toBe(0x51);
  });
});

describe('IA32_APIC_BASE (10.4.4)', () => {
  const APIC_BASE = 0x1b;
  it('starts enabled, on the bootstrap processor, at FEE00000H', () => {
    expect(apic.readMsr(APIC_BASE).map((word) => word >>> 0)).toEqual([0xfee00900, 0]);
  });

  it('moves the registers', () => {
    expect(apic.writeMsr(APIC_BASE, 0xfed0_0900, 0)).toBe(true);
    expect(mmio.read(0xfed00030, 4)).toBe(0x50014);
    expect(read(VERSION)).toBe(0xffffffff);
  });

  it('disabled: no registers, no state, and LINT0 and LINT1 are INTR and NMI (10.4.3)', () => {
    write(SVR, 0x1ff);
    apic.accept(FIXED, 0x51, false);
    expect(apic.writeMsr(APIC_BASE, 0xfee00100, 0)).toBe(true);
    expect(apic.enabled).toBe(false);
    expect(read(VERSION)).toBe(0xffffffff);
    expect(interrupt).toBe(false);
    apic.setPin(0, true);
    expect(interrupt).toBe(true);
    expect(apic.acknowledge()).toBe(0x20);
    apic.setPin(1, true);
    apic.setPin(1, true);
    expect(nmis).toBe(1);
    apic.writeMsr(APIC_BASE, 0xfee00900, 0);
    expect([read(SVR), read(IRR + 0x20)]).toEqual([0xff, 0]);
  });

  it.each([
    [0xfee00901, 0],
    [0xfee00d00, 0],
    [0xfee00b00, 0],
    [0xfee00900, 0x10],
  ])('reserved bits are refused: %x, high word %x', (low, high) => {
    expect(apic.writeMsr(APIC_BASE, low, high)).toBe(false);
    expect(apic.readMsr(APIC_BASE)[0]).toBe(0xfee00900 | 0);
  });
});

describe('writable bits (figures 10-8, 10-12 to 10-14, 10-18, 10-23)', () => {
  beforeEach(() => write(SVR, 0x1ff));
  it.each([
    ['ID', ID, 0xff000000],
    ['TPR', TPR, 0xff],
    ['LDR', LDR, 0xff000000],
    ['DFR', DFR, 0xffffffff],
    ['SVR', SVR, 0x3ff],
    ['ICR low', ICR_LOW, 0xccfff],
    ['ICR high', ICR_HIGH, 0xff000000],
    ['timer', LVT_TIMER, 0x700ff],
    ['thermal', 0x330, 0x107ff],
    ['performance', 0x340, 0x107ff],
    ['LINT0', LVT_LINT0, 0x1a7ff],
    ['LINT1', LVT_LINT1, 0x1a7ff],
    ['error', LVT_ERROR, 0x100ff],
    ['initial count', INITIAL, 0xffffffff],
    ['divide', DIVIDE, 0xb],
  ])('%s', (_, offset, bits) => {
    if (offset === INITIAL) write(LVT_TIMER, MASKED);
    write(offset, 0xffffffff);
    expect(read(offset)).toBe(bits >>> 0);
  });

  it('DFR keeps its low bits set', () => {
    write(DFR, 0);
    expect(read(DFR)).toBe(0x0fffffff);
  });

  it('TSC-deadline mode exists only where the processor has it', () => {
    apic = make(false);
    write(SVR, 0x1ff);
    write(LVT_TIMER, 0x40040);
    expect(read(LVT_TIMER)).toBe(0x40);
    expect(apic.hasMsr(0x6e0)).toBe(false);
  });
});

describe('priority (10.8.3)', () => {
  beforeEach(() => write(SVR, 0x1ff));

  it('the highest vector is delivered first, and an interrupt in service holds back its class', () => {
    for (const vector of [0x41, 0x52, 0x45, 0x61]) apic.accept(FIXED, vector, false);
    expect(apic.acknowledge()).toBe(0x61);
    expect(interrupt).toBe(false);
    expect(read(PPR)).toBe(0x60);
    apic.accept(FIXED, 0x6f, false);
    expect(interrupt).toBe(false);
    apic.accept(FIXED, 0x70, false);
    expect(apic.acknowledge()).toBe(0x70);
    write(EOI, 0);
    expect(read(PPR)).toBe(0x60);
    write(EOI, 0);
    expect(takeAll()).toEqual([0x6f, 0x52, 0x45, 0x41]);
  });

  it.each([
    [0x00, 0x5f, 0x50],
    [0x4f, 0x50, 0x50],
    [0x50, 0x50, 0x50],
    [0x5a, 0x50, 0x5a],
    [0x73, 0x50, 0x73],
  ])('PPR by task priority %x and in service %x is %x', (task, serving, expected) => {
    apic.accept(FIXED, serving, false);
    expect(apic.acknowledge()).toBe(serving);
    write(TPR, task);
    expect(read(PPR)).toBe(expected);
  });

  it('the task priority holds back its class and those below', () => {
    write(TPR, 0x50);
    apic.accept(FIXED, 0x5f, false);
    expect(interrupt).toBe(false);
    write(TPR, 0x4f);
    expect(interrupt).toBe(true);
    write(TPR, 0x50);
    expect(interrupt).toBe(false);
    // An acknowledge cycle that finds nothing gets the spurious vector, and nothing is in service (10.9).
    expect(apic.acknowledge()).toBe(0xff);
    expect(read(ISR + 0x70)).toBe(0);
  });

  it('IRR and ISR hold one interrupt each of a vector', () => {
    apic.accept(FIXED, 0x45, false);
    expect([read(IRR + 0x20), read(ISR + 0x20)]).toEqual([1 << 5, 0]);
    apic.acknowledge();
    apic.accept(FIXED, 0x45, false);
    apic.accept(FIXED, 0x45, false);
    expect([read(IRR + 0x20), read(ISR + 0x20)]).toEqual([1 << 5, 1 << 5]);
    write(EOI, 0);
    expect(takeAll()).toEqual([0x45]);
  });

  it('an EOI with nothing in service does nothing', () => {
    write(EOI, 0);
    expect(ended).toEqual([]);
  });

  it('the end of a level-triggered interrupt is broadcast', () => {
    apic.accept(FIXED, 0x45, true);
    expect(read(TMR + 0x20)).toBe(1 << 5);
    apic.acknowledge();
    write(EOI, 0);
    expect(ended).toEqual([0x45]);
    apic.accept(FIXED, 0x45, false);
    expect(read(TMR + 0x20)).toBe(0);
    takeAll();
    expect(ended).toEqual([0x45]);
  });
});

describe('local pins (10.5.1)', () => {
  beforeEach(() => write(SVR, 0x1ff));

  it('ExtINT takes the 8259 vector past every priority and leaves nothing in service', () => {
    write(TPR, 0xff);
    write(LVT_LINT0, 0x700);
    apic.setPin(0, true);
    expect(interrupt).toBe(true);
    expect(apic.acknowledge()).toBe(0x20);
    expect(interrupt).toBe(false);
    expect(read(PPR)).toBe(0xff);
  });

  it('a masked LINT0 keeps the 8259 pair out, whose request waits', () => {
    apic.setPin(0, true);
    expect(interrupt).toBe(false);
    write(LVT_LINT0, 0x700);
    expect(interrupt).toBe(true);
    write(LVT_LINT0, 0x10700);
    expect(interrupt).toBe(false);
  });

  it('fixed, edge-triggered: one interrupt a rising edge', () => {
    write(LVT_LINT0, 0x45);
    apic.setPin(0, true);
    expect(takeAll()).toEqual([0x45]);
    apic.setPin(0, true);
    apic.setPin(0, false);
    expect(interrupt).toBe(false);
  });

  it('fixed, active low: the falling edge counts', () => {
    apic.setPin(0, true);
    write(LVT_LINT0, 0x2045);
    apic.setPin(0, false);
    expect(takeAll()).toEqual([0x45]);
  });

  it('fixed, level-triggered: again after each EOI while asserted; remote IRR in between', () => {
    write(LVT_LINT0, 0x8045);
    apic.setPin(0, true);
    expect(read(LVT_LINT0)).toBe(0xc045);
    expect(apic.acknowledge()).toBe(0x45);
    write(EOI, 0);
    expect(apic.acknowledge()).toBe(0x45);
    apic.setPin(0, false);
    write(EOI, 0);
    expect(interrupt).toBe(false);
    expect(read(LVT_LINT0)).toBe(0x8045);
  });

  it('LINT1 as NMI: one a rising edge, and none while masked', () => {
    write(LVT_LINT1, 0x400);
    apic.setPin(1, true);
    apic.setPin(1, false);
    write(LVT_LINT1, 0x10400);
    apic.setPin(1, true);
    expect(nmis).toBe(1);
  });
});

describe('interrupt command (10.6.1)', () => {
  beforeEach(() => write(SVR, 0x1ff));
  const send = (destination: number, low: number): void => {
    write(ICR_HIGH, destination << 24);
    write(ICR_LOW, low);
  };

  it.each([
    ['self', 0, 0x40051, [0x51]],
    ['all including self', 0, 0x80051, [0x51]],
    ['all excluding self', 0, 0xc0051, []],
    ['own physical identifier', 0, 0x51, [0x51]],
    ['another physical identifier', 1, 0x51, []],
    ['physical broadcast', 0xff, 0x51, [0x51]],
    ['lowest priority to itself', 0, 0x151, [0x51]],
    ['INIT to all', 0, 0x8c500, []],
    ['start-up to itself', 0, 0x610, []],
    ['SMI', 0, 0x200, []],
  ])('%s', (_, destination, low, expected) => {
    send(destination, low);
    expect(takeAll()).toEqual(expected);
    expect(nmis).toBe(0);
    expect(read(ICR_LOW)).toBe(low);
  });

  it('NMI by destination', () => {
    send(0, 0x400);
    send(1, 0x400);
    expect(nmis).toBe(1);
  });

  it.each([
    ['flat: a common bit', 0xffffffff, 0x06, 0x02, true],
    ['flat: no common bit', 0xffffffff, 0x06, 0x09, false],
    ['flat broadcast', 0xffffffff, 0x06, 0xff, true],
    ['cluster: same cluster and bit', 0x0fffffff, 0x24, 0x24, true],
    ['cluster: another cluster', 0x0fffffff, 0x24, 0x14, false],
    ['cluster: another member', 0x0fffffff, 0x24, 0x23, false],
    ['all clusters', 0x0fffffff, 0x24, 0xf4, true],
  ])('logical destination, %s (10.6.2.2)', (_, format, own, destination, reaches) => {
    write(DFR, format);
    write(LDR, own << 24);
    send(destination, 0x851);
    expect(takeAll()).toEqual(reaches ? [0x51] : []);
  });

  it('a vector below 16 is an error and goes nowhere (10.5.3)', () => {
    send(0, 0x4000f);
    expect(interrupt).toBe(false);
    expect(read(ESR)).toBe(0);
    write(ESR, 0);
    expect(read(ESR)).toBe(0x20);
    write(ESR, 0);
    expect(read(ESR)).toBe(0);
  });
});

describe('errors (10.5.3)', () => {
  beforeEach(() => write(SVR, 0x1ff));

  it('a received vector below 16', () => {
    write(LVT_ERROR, 0x35);
    apic.accept(FIXED, 15, false);
    expect(takeAll()).toEqual([0x35]);
    write(ESR, 0);
    expect(read(ESR)).toBe(0x40);
  });

  it.each([0x00, 0x10, 0x40, 0x70, 0x290, 0x2f0, 0x3a0, 0x3d0, 0x3f0, 0x400, 0xff0])(
    'a reserved register: %x',
    (offset) => {
      write(LVT_ERROR, 0x35);
      read(offset);
      expect(takeAll()).toEqual([0x35]);
      write(offset, 0);
      // The same error again before the status is read raises no second interrupt.
      expect(interrupt).toBe(false);
      write(ESR, 0);
      expect(read(ESR)).toBe(0x80);
    },
  );

  it('an error interrupt with an illegal vector of its own is not delivered', () => {
    write(LVT_ERROR, 0x05);
    read(0x3f0);
    write(ESR, 0);
    expect(read(ESR)).toBe(0xc0);
    expect(interrupt).toBe(false);
  });

  it.each([VERSION, 0x90, PPR, 0xc0, CURRENT, ISR, IRR])('a read-only register may be written: %x', (offset) => {
    const before = read(offset);
    write(offset, 0xffffffff);
    write(ESR, 0);
    expect([read(offset), read(ESR)]).toEqual([before, 0]);
  });
});

describe('timer (10.5.4)', () => {
  beforeEach(() => write(SVR, 0x1ff));

  it.each([
    [0b0000, 2],
    [0b0001, 4],
    [0b0010, 8],
    [0b0011, 16],
    [0b1000, 32],
    [0b1001, 64],
    [0b1010, 128],
    [0b1011, 1],
  ])('divide configuration %i counts every %i bus clocks (figure 10-10)', (code, divider) => {
    write(DIVIDE, code);
    write(INITIAL, 1000);
    advance(divider * TICK - 1);
    expect(read(CURRENT)).toBe(1000);
    advance(1);
    expect(read(CURRENT)).toBe(999);
    advance(997 * divider * TICK);
    expect(read(CURRENT)).toBe(2);
  });

  it('one-shot: interrupts once, at zero, and stays there', () => {
    write(DIVIDE, 0b1011);
    write(LVT_TIMER, 0x31);
    write(INITIAL, 50);
    advance(50 * TICK - 1);
    expect(interrupt).toBe(false);
    advance(1);
    expect(takeAll()).toEqual([0x31]);
    expect([read(CURRENT), read(INITIAL)]).toEqual([0, 50]);
    advance(1e6);
    expect(interrupt).toBe(false);
    write(INITIAL, 10);
    advance(10 * TICK);
    expect(takeAll()).toEqual([0x31]);
  });

  it('periodic: reloads at zero, for ever', () => {
    write(LVT_TIMER, 0x20031);
    write(DIVIDE, 0b1011);
    write(INITIAL, 50);
    for (let period = 0; period < 5; period++) {
      advance(49 * TICK);
      expect([interrupt, read(CURRENT)]).toEqual([false, 1]);
      advance(TICK);
      expect(read(CURRENT)).toBe(50);
      expect(takeAll()).toEqual([0x31]);
    }
  });

  it('masked: counts without interrupts, and plans nothing', () => {
    write(LVT_TIMER, 0x30031);
    write(DIVIDE, 0b1011);
    write(INITIAL, 50);
    expect(time[NEXT_EVENT]).toBe(Number.POSITIVE_INFINITY);
    advance(120 * TICK);
    expect(read(CURRENT)).toBe(30);
    write(LVT_TIMER, 0x20031);
    expect(interrupt).toBe(false);
    advance(30 * TICK);
    expect(takeAll()).toEqual([0x31]);
  });

  it('an initial count of zero stops it', () => {
    write(LVT_TIMER, 0x20031);
    write(INITIAL, 50);
    write(INITIAL, 0);
    advance(1e6);
    expect([interrupt, read(CURRENT)]).toEqual([false, 0]);
  });

  it('an expiry that the guest overtakes by writing a new count is not lost', () => {
    write(LVT_TIMER, 0x31);
    write(DIVIDE, 0b1011);
    write(INITIAL, 10);
    // The guest's own code takes virtual time past the expiry before the next block boundary.
    time[CYCLES] = 12 * TICK;
    write(INITIAL, 100);
    events.runDue();
    expect(takeAll()).toEqual([0x31]);
  });

  it('keeps the count over a change of the divider', () => {
    write(DIVIDE, 0b1011);
    write(INITIAL, 1000);
    advance(400 * TICK);
    write(DIVIDE, 0b0000);
    expect(read(CURRENT)).toBe(600);
    advance(20 * TICK);
    expect(read(CURRENT)).toBe(590);
  });

  describe('TSC deadline (10.5.4.1)', () => {
    const DEADLINE = 0x6e0;
    beforeEach(() => {
      time[TSC_BASE] = 1e12;
      write(LVT_TIMER, 0x40031);
    });
    const arm = (tsc: number): boolean => apic.writeMsr(DEADLINE, (tsc % 2 ** 32) | 0, Math.floor(tsc / 2 ** 32));

    it('interrupts when the TSC reaches the deadline, and disarms', () => {
      arm(1e12 + 5000);
      expect(apic.readMsr(DEADLINE).map((word) => word >>> 0)).toEqual([
        (1e12 + 5000) % 2 ** 32,
        Math.floor(1e12 / 2 ** 32),
      ]);
      advance(4999);
      expect(interrupt).toBe(false);
      advance(1);
      expect(takeAll()).toEqual([0x31]);
      expect(apic.readMsr(DEADLINE)).toEqual([0, 0]);
    });

    it('a deadline that has passed interrupts at once', () => {
      advance(10_000);
      arm(1e12);
      expect(takeAll()).toEqual([0x31]);
    });

    it('zero disarms; so does leaving the mode', () => {
      arm(1e12 + 5000);
      arm(0);
      arm(1e12 + 6000);
      write(LVT_TIMER, 0x31);
      expect(apic.readMsr(DEADLINE)).toEqual([0, 0]);
      advance(1e5);
      expect(interrupt).toBe(false);
    });

    it('follows a write to the TSC', () => {
      arm(1e12 + 5000);
      time[TSC_BASE] = 1e12 + 4000;
      apic.timeStampWritten();
      advance(1000);
      expect(interrupt).toBe(true);
    });

    it('the count registers are out of use, and the MSR in the other modes', () => {
      write(INITIAL, 100);
      expect([read(INITIAL), read(CURRENT)]).toEqual([0, 0]);
      write(LVT_TIMER, 0x31);
      arm(1e12 + 5000);
      expect(apic.readMsr(DEADLINE)).toEqual([0, 0]);
    });
  });
});

it('is restored with a count under way, requests, and moved registers', () => {
  write(SVR, 0x1ff);
  write(LVT_TIMER, 0x31);
  write(DIVIDE, 0b1011);
  write(INITIAL, 50);
  apic.accept(FIXED, 0x45, true);
  apic.writeMsr(0x1b, 0xfed00900, 0);
  const saved = apic.save();
  const due = events.due.slice();
  advance(1e6);
  apic.writeMsr(0x1b, 0xfee00100, 0);

  time[CYCLES] = 0;
  apic.load(saved);
  events.due.set(due);
  events.restored();
  expect(apic.save()).toEqual(saved);
  advance(20 * TICK);
  expect(mmio.read(0xfed00390, 4)).toBe(30);
  expect(apic.acknowledge()).toBe(0x45);
});

it('narrow reads get their part of the register, narrow and unaligned writes nothing (10.4.1)', () => {
  expect([mmio.read(BASE + VERSION, 1), mmio.read(BASE + VERSION + 2, 1), mmio.read(BASE + VERSION, 2)]).toEqual([
    0x14, 5, 0x14,
  ]);
  expect(mmio.read(BASE + VERSION + 4, 4)).toBe(0);
  mmio.write(BASE + TPR, 0x55, 1);
  mmio.write(BASE + TPR + 4, 0x55, 4);
  expect(read(TPR)).toBe(0);
});
