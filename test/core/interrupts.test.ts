/** Events through the IDT and back with IRET: frames, rings, checks, double and triple faults, host traps. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { MachineAddress } from '../../src/core/address.ts';
import {
  DE,
  DOUBLE_FAULT,
  GP,
  NP,
  PAGE_FAULT,
  SS_FAULT,
  STOP_NONE,
  STOP_SHUTDOWN,
  STOP_TRAP,
  TS,
  UD,
} from '../../src/core/signals.ts';
import * as slot from '../../src/core/state.ts';
import { eventNumber } from '../../src/cost/event.ts';
import { IF, IOPL, NT, RF, TF } from '../../src/isa/eflags.ts';
import {
  code,
  data,
  enterRing,
  FREE_SELECTOR,
  faultOf,
  IDT_AT,
  processorState,
  protectedCpu,
  RING_STACKS,
  setUp,
  stackWords,
  TSS_AT,
  TSS_SELECTOR,
  writeDescriptor,
  writeGate,
} from '../support/protected-cpu.ts';

const HANDLER = 0x12000;
const STACK = 0x30000;
const USER_STACK = 0x31000;

const cpu = protectedCpu();
const { state: S } = cpu.memory;
const CS_SELECTOR = slot.segmentSlot(slot.CS) + slot.SELECTOR;
const SS_SELECTOR = slot.segmentSlot(slot.SS) + slot.SELECTOR;

beforeEach(() => setUp(cpu));

function event(vector: number, kind: number, error: number | null = null): void {
  S[slot.EVENT_VECTOR] = vector;
  S[slot.EVENT_KIND] = kind;
  S[slot.EVENT_HAS_ERROR] = error === null ? 0 : 1;
  S[slot.EVENT_ERROR] = error ?? 0;
}
const exception = (vector: number, error: number | null = null): number => {
  event(vector, slot.EVENT_HARDWARE, error);
  return cpu.interrupts.deliver();
};
const charged = (name: string): number => cpu.ledger.counts[eventNumber(name)]!;

describe('delivery', () => {
  test('in the same ring pushes EFLAGS, CS, EIP and the error code', () => {
    writeGate(cpu, GP, code(0), HANDLER);
    cpu.setEflags(2 | IF | TF | NT);
    expect(exception(GP, 0x1238)).toBe(STOP_NONE);
    expect(S[slot.EIP]).toBe(HANDLER);
    expect(S[slot.ESP]).toBe(STACK - 16);
    expect(stackWords(cpu, 4)).toEqual([0x1238, 0x10000, code(0), 2 | IF | TF | NT | RF]);
    expect(cpu.eflags() & (IF | TF | NT)).toBe(0);
  });

  test('to an inner ring switches to the stack that the TSS names', () => {
    writeGate(cpu, 0x20, code(1), HANDLER, { dpl: 3 });
    enterRing(cpu, 3, USER_STACK);
    cpu.setEflags(2 | IF);
    expect(cpu.system.softwareInterrupt(0x20)).toBe(STOP_NONE);
    expect([S[slot.CPL], S[CS_SELECTOR], S[SS_SELECTOR]]).toEqual([1, code(1), data(1)]);
    expect(S[slot.ESP]).toBe(RING_STACKS[1] - 20);
    expect(stackWords(cpu, 5)).toEqual([0x10000, code(3), 2 | IF, USER_STACK, data(3)]);
  });

  test('an interrupt gate clears IF, a trap gate does not', () => {
    writeGate(cpu, 0x20, code(0), HANDLER);
    writeGate(cpu, 0x21, code(0), HANDLER, { type: 15 });
    cpu.setEflags(2 | IF);
    event(0x21, slot.EVENT_EXTERNAL);
    cpu.interrupts.deliver();
    expect(cpu.eflags() & IF).toBe(IF);
    event(0x20, slot.EVENT_EXTERNAL);
    cpu.interrupts.deliver();
    expect(cpu.eflags() & IF).toBe(0);
  });

  test('a 16-bit gate pushes 16-bit words and jumps to a 16-bit offset', () => {
    writeGate(cpu, 0x20, code(0), 0x15678, { type: 6 });
    cpu.system.softwareInterrupt(0x20);
    expect([S[slot.EIP], S[slot.ESP]]).toEqual([0x5678, STACK - 6]);
  });

  test('a conforming handler keeps the ring', () => {
    writeDescriptor(cpu, FREE_SELECTOR, { type: 0xf, dpl: 0 });
    writeGate(cpu, 0x20, FREE_SELECTOR, HANDLER, { dpl: 3 });
    enterRing(cpu, 3, USER_STACK);
    cpu.system.softwareInterrupt(0x20);
    expect([S[slot.CPL], S[CS_SELECTOR], S[slot.ESP]]).toEqual([3, FREE_SELECTOR | 3, USER_STACK - 12]);
  });

  test('each kind has its price', () => {
    for (const vector of [UD, 0x20, 0x21]) writeGate(cpu, vector, code(0), HANDLER);
    const names = ['exceptionEntry', 'softwareInterruptEntry', 'interruptEntry'];
    const before = names.map(charged);
    exception(UD);
    cpu.system.softwareInterrupt(0x20);
    event(0x21, slot.EVENT_EXTERNAL);
    cpu.interrupts.deliver();
    expect(names.map(charged).map((count, i) => count - before[i]!)).toEqual([1, 1, 1]);
  });

  test('in real mode goes through the vector table', () => {
    S[slot.CR0] = 0;
    S[slot.IDTR_LIMIT] = 0x3ff;
    cpu.memory.write32((IDT_AT + 0x20 * 4) as MachineAddress, 0x1000_2000);
    cpu.system.softwareInterrupt(0x20);
    expect([S[CS_SELECTOR], S[slot.EIP], S[slot.ESP]]).toEqual([0x1000, 0x2000, STACK - 6]);
  });
});

/** Faults in the delivery of INT n: vector, error code, and nothing else changes. */
describe.each<[string, () => void, number, number]>([
  ['beyond the IDT limit', () => (S[slot.IDTR_LIMIT] = 0x20 * 8 + 6), GP, 0x102],
  ['through something that is no gate', () => writeGate(cpu, 0x20, code(0), HANDLER, { type: 12, dpl: 3 }), GP, 0x102],
  ['through a gate of an inner ring', () => writeGate(cpu, 0x20, code(0), HANDLER, { dpl: 2 }), GP, 0x102],
  [
    'through a gate that is not present',
    () => writeGate(cpu, 0x20, code(0), HANDLER, { dpl: 3, present: false }),
    NP,
    0x102,
  ],
  ['through a task gate', () => writeGate(cpu, 0x20, TSS_SELECTOR, 0, { dpl: 3, type: 5 }), GP, 0x102],
  ['to a null selector', () => writeGate(cpu, 0x20, 0, HANDLER, { dpl: 3 }), GP, 0],
  ['to a selector beyond the GDT', () => writeGate(cpu, 0x20, 0x7f8, HANDLER, { dpl: 3 }), GP, 0x7f8],
  ['to a data segment', () => writeGate(cpu, 0x20, data(0), HANDLER, { dpl: 3 }), GP, data(0)],
  [
    'to a code segment that is not present',
    () => {
      writeDescriptor(cpu, FREE_SELECTOR, { type: 0xb, dpl: 0, present: false });
      writeGate(cpu, 0x20, FREE_SELECTOR, HANDLER, { dpl: 3 });
    },
    NP,
    FREE_SELECTOR,
  ],
  [
    'to an offset beyond the segment',
    () => {
      writeDescriptor(cpu, FREE_SELECTOR, { type: 0xb, dpl: 0, limit: 0x1000, granular: false });
      writeGate(cpu, 0x20, FREE_SELECTOR, HANDLER, { dpl: 3 });
    },
    GP,
    0,
  ],
  ['with a TSS too short', () => (S[slot.segmentSlot(slot.TR) + slot.LIMIT] = 8), TS, TSS_SELECTOR],
  ['with a null stack selector in the TSS', () => cpu.memory.write32((TSS_AT + 8) as MachineAddress, 0), TS, 0],
  [
    'with a stack of another ring in the TSS',
    () => cpu.memory.write32((TSS_AT + 8) as MachineAddress, data(1)),
    TS,
    data(1) & 0xfc,
  ],
  [
    'with a stack segment that is not present',
    () => writeDescriptor(cpu, data(0), { type: 3, dpl: 0, present: false }),
    SS_FAULT,
    data(0),
  ],
  [
    'with a stack beyond its segment',
    () => writeDescriptor(cpu, data(0), { type: 3, dpl: 0, limit: 0xfff, granular: false }),
    SS_FAULT,
    data(0),
  ],
])('INT n from ring 3 %s', (_, arrange, vector, error) => {
  test('faults and changes nothing', () => {
    writeGate(cpu, 0x20, code(0), HANDLER, { dpl: 3 });
    enterRing(cpu, 3, USER_STACK);
    arrange();
    const before = processorState(cpu);
    expect(faultOf(cpu, () => cpu.system.softwareInterrupt(0x20))).toEqual({ vector, error });
    expect(processorState(cpu)).toEqual(before);
  });
});

describe('a fault in the delivery of an exception', () => {
  test('has EXT set in its error code and is delivered instead', () => {
    writeGate(cpu, NP, code(0), HANDLER);
    writeGate(cpu, UD, code(0), HANDLER, { present: false });
    exception(UD);
    expect(stackWords(cpu, 2)).toEqual([(UD << 3) | 3, 0x10000]);
  });

  test('contributory on contributory is a double fault', () => {
    writeGate(cpu, DOUBLE_FAULT, code(0), HANDLER);
    exception(DE);
    expect(S[slot.EIP]).toBe(HANDLER);
    expect(stackWords(cpu, 2)).toEqual([0, 0x10000]);
  });

  test('contributory on a page fault is a double fault', () => {
    writeGate(cpu, DOUBLE_FAULT, code(0), HANDLER);
    exception(PAGE_FAULT, 0);
    expect(S[slot.EIP]).toBe(HANDLER);
  });

  test('contributory on a benign one is handled serially', () => {
    writeGate(cpu, GP, code(0), HANDLER);
    exception(UD);
    expect(stackWords(cpu, 1)).toEqual([(UD << 3) | 3]);
  });

  test('on a double fault shuts the processor down', () => {
    expect(exception(DE)).toBe(STOP_SHUTDOWN);
    expect(S[slot.ACTIVITY]).toBe(2);
  });
});

describe('a hosted processor', () => {
  beforeEach(() => {
    S[slot.HOSTED] = 1;
    enterRing(cpu, 3, USER_STACK);
  });

  test('reports what reaches ring 0, after charging it, and pushes nothing', () => {
    writeGate(cpu, GP, code(0), HANDLER);
    const before = processorState(cpu);
    const count = charged('exceptionEntry');
    expect(exception(GP, 8)).toBe(STOP_TRAP);
    expect(processorState(cpu)).toEqual(before);
    expect([S[slot.EVENT_VECTOR], S[slot.EVENT_ERROR]]).toEqual([GP, 8]);
    expect(charged('exceptionEntry') - count).toBe(1);
  });

  test('delivers a gate to ring 1 itself', () => {
    writeGate(cpu, 0x80, code(1), HANDLER, { dpl: 3 });
    expect(cpu.system.softwareInterrupt(0x80)).toBe(STOP_NONE);
    expect([S[slot.CPL], S[slot.EIP]]).toEqual([1, HANDLER]);
  });

  test('traps INT n whose gate it may use, and raises #GP for one it may not', () => {
    writeGate(cpu, 0x80, code(0), HANDLER, { dpl: 3 });
    writeGate(cpu, 0x81, code(0), HANDLER);
    expect(cpu.system.softwareInterrupt(0x80)).toBe(STOP_TRAP);
    expect(S[slot.EVENT_KIND]).toBe(slot.EVENT_SOFTWARE);
    expect(faultOf(cpu, () => cpu.system.softwareInterrupt(0x81))).toEqual({ vector: GP, error: 0x40a });
  });

  test('traps SYSENTER', () => {
    S[slot.SYSENTER_CS] = code(0);
    expect(cpu.system.sysenter()).toBe(STOP_TRAP);
    expect(S[slot.EVENT_KIND]).toBe(slot.EVENT_SYSENTER);
  });
});

describe('IRET', () => {
  function frame(...words: number[]): void {
    for (const [i, word] of words.entries()) cpu.memory.write32((STACK - 0x100 + 4 * i) as MachineAddress, word);
    S[slot.ESP] = STACK - 0x100;
  }

  test('undoes a delivery from ring 3', () => {
    writeGate(cpu, 0x20, code(0), HANDLER, { dpl: 3 });
    enterRing(cpu, 3, USER_STACK);
    cpu.setEflags(2 | IF | 0x8d5);
    const before = processorState(cpu);
    cpu.system.softwareInterrupt(0x20);
    cpu.system.iret(4);
    const dataDropped = [slot.ES, slot.DS, slot.FS, slot.GS].map((s) => S[slot.segmentSlot(s) + slot.RIGHTS]! >>> 16);
    expect(dataDropped).toEqual([0, 0, 0, 0]);
    expect(processorState(cpu)).toEqual(before);
  });

  test('to an outer ring drops data segments that the ring may not use', () => {
    frame(0x11000, code(3), 2, USER_STACK, data(3));
    cpu.system.iret(4);
    for (const segment of [slot.ES, slot.DS, slot.FS, slot.GS]) {
      expect(S[slot.segmentSlot(segment) + slot.RIGHTS]).toBe(slot.RIGHTS_UNUSABLE);
    }
    expect([S[slot.CPL], S[slot.ESP], S[slot.EIP]]).toEqual([3, USER_STACK, 0x11000]);
  });

  test('changes IF and IOPL only as the ring that executes it may', () => {
    enterRing(cpu, 3, STACK);
    cpu.setEflags(2);
    frame(0x11000, code(3), 2 | IF | IOPL);
    cpu.system.iret(4);
    expect(cpu.eflags()).toBe(2);
    enterRing(cpu, 0, STACK);
    frame(0x11000, code(0), 2 | IF | IOPL);
    cpu.system.iret(4);
    expect(cpu.eflags()).toBe(2 | IF | IOPL);
    expect(S[slot.ESP]).toBe(STACK - 0x100 + 12);
  });

  test.each<[string, number[], number, number]>([
    ['to a null selector', [0x11000, 0, 2], GP, 0],
    ['to an inner ring', [0x11000, code(0), 2], GP, code(0)],
    ['to a data segment', [0x11000, data(3), 2], GP, data(3) & 0xfc],
    ['from ring 1 to ring 3 with a null stack', [0x11000, code(3), 2, USER_STACK, 0], GP, 0],
    ['from ring 1 to ring 3 with the stack of ring 2', [0x11000, code(3), 2, USER_STACK, data(2)], GP, data(2) & 0xfc],
  ])('%s faults and changes nothing', (_, words, vector, error) => {
    enterRing(cpu, 1, STACK);
    frame(...words);
    const before = processorState(cpu);
    expect(faultOf(cpu, () => cpu.system.iret(4))).toEqual({ vector, error });
    expect(processorState(cpu)).toEqual(before);
  });

  test('with NT set asks for a task switch, which is absent', () => {
    cpu.setEflags(2 | NT);
    frame(0x11000, code(0), 2);
    expect(faultOf(cpu, () => cpu.system.iret(4))).toEqual({ vector: GP, error: 0 });
  });
});

test('a fault raised by running code is delivered with the address of its instruction', () => {
  writeGate(cpu, UD, code(0), HANDLER);
  cpu.memory.writeBytes(0x10000 as MachineAddress, Uint8Array.of(0x40, 0x0f, 0x0b));
  cpu.memory.writeBytes(HANDLER as MachineAddress, Uint8Array.of(0xf4));
  cpu.run();
  expect(S[slot.EAX]).toBe(1);
  expect(stackWords(cpu, 2)).toEqual([0x10001, code(0)]);
});
