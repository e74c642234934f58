/** Far transfers, event delivery and IRET over random descriptor tables, against a plain reading of the SDM (reference.ts). */
import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import type { MachineAddress } from '../../../src/core/address.ts';
import * as slot from '../../../src/core/state.ts';
import { flatCpu } from '../../support/flat-cpu.ts';
import { faultOf } from '../../support/protected-cpu.ts';
import {
  type CachedSegment,
  type Context,
  call,
  farReturn,
  interrupt,
  interruptReturn,
  jump,
  type Outcome,
} from './reference.ts';

const GDT_AT = 0x1000;
const IDT_AT = 0x2000;
const TSS_AT = 0x3000;
const GDT_ENTRIES = 24;
const IDT_ENTRIES = 8;
/** Segments lie in the upper half of RAM and the stack pointers stay small, so that no stack reaches the tables. */
const BASES = [0x40000, 0x50000, 0x68000];
const EIP = 0x1234;
const VM = 0x20000;
const DATA_SEGMENTS = [slot.ES, slot.DS, slot.FS, slot.GS];

const cpu = flatCpu(1 << 20);
const { state: S } = cpu.memory;

const ring = fc.integer({ min: 0, max: 3 });
/** Mostly what makes a transfer succeed, so that every check comes to be the first to fail. */
function mostly<T>(usual: fc.Arbitrary<T>, other: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.oneof({ weight: 14, arbitrary: usual }, { weight: 1, arbitrary: other });
}

/** The table's layout: code of rings 0-3, conforming code, data (stacks), call gates, and a few of anything. */
const CODE = 1;
const CONFORMING = 5;
const DATA = 9;
const GATES = 13;
const ANYTHING = 21;
const entrySelector = (first: number, count: number): fc.Arbitrary<number> =>
  fc.tuple(fc.integer({ min: 0, max: count - 1 }), ring).map(([i, rpl]) => ((first + i) << 3) | rpl);
const anySelector = fc.oneof(
  entrySelector(1, GDT_ENTRIES - 1),
  fc.integer({ min: 0, max: 3 }),
  fc.integer({ min: 0, max: 0xffff }),
);
/** Code of a ring, with that ring as RPL; conforming code with any. */
const codeSelector = mostly(
  fc.oneof(
    { weight: 3, arbitrary: ring.map((r) => ((CODE + r) << 3) | r) },
    { weight: 1, arbitrary: entrySelector(CONFORMING, 4) },
  ),
  anySelector,
);
const limit = mostly(fc.constantFrom(0xfff, 0xffff), fc.constantFrom(0, 7, 0x1f, 0x20, 0x27, 0xff));
const offset = mostly(
  fc.constantFrom(0, 1, 0x100, 0xfff),
  fc.constantFrom(7, 8, 0x1f, 0x20, 0x1000, 0xffff, 0x10000, 0xfffffff0),
);
const pointer = mostly(
  fc.constantFrom(0x800, 0x7fe, 0x900, 0x804),
  fc.constantFrom(0x20, 0x24, 0x28, 0x10, 8, 6, 4, 2, 1, 0, 0x1000, 0x1002, 0xfffe, 0x10000),
);
const present = mostly(fc.constant(0x80), fc.constant(0));
const anyType = fc.integer({ min: 0, max: 15 });

interface Entry {
  readonly low: number;
  readonly high: number;
}
function segmentEntry(types: fc.Arbitrary<number>, dpl: fc.Arbitrary<number>): fc.Arbitrary<Entry> {
  return fc
    .record({ type: types, dpl, present, limit, base: fc.constantFrom(...BASES), flags: fc.constantFrom(0, 4, 12) })
    .map(({ type, dpl: d, present: p, limit: l, base, flags }) => ({
      low: ((base & 0xffff) << 16) | l,
      high: (base & 0xff000000) | ((base >>> 16) & 0xff) | ((p | 0x10 | (d << 5) | type) << 8) | (flags << 20),
    }));
}
function gateEntry(usual: readonly number[], other: readonly number[]): fc.Arbitrary<Entry> {
  return fc
    .record({
      type: mostly(fc.constantFrom(...usual), fc.constantFrom(...other)),
      dpl: fc.oneof(fc.constant(3), ring),
      present,
      selector: codeSelector,
      offset,
      parameters: fc.constantFrom(0, 1, 3, 31),
    })
    .map((g) => ({
      low: (g.selector << 16) | (g.offset & 0xffff),
      high: (g.offset & 0xffff0000) | ((g.present | (g.dpl << 5) | g.type) << 8) | g.parameters,
    }));
}
const perRing = (types: readonly number[]): fc.Arbitrary<Entry>[] =>
  [0, 1, 2, 3].map((r) => segmentEntry(mostly(fc.constantFrom(...types), anyType), mostly(fc.constant(r), ring)));
const gdt = fc.tuple(
  fc.constant<Entry>({ low: 0, high: 0 }),
  ...perRing([9, 11]),
  ...perRing([13, 15]),
  ...perRing([3, 3, 7]),
  ...Array.from({ length: ANYTHING - GATES }, () => gateEntry([4, 12], [2, 8, 10])),
  ...Array.from({ length: GDT_ENTRIES - ANYTHING }, () => segmentEntry(anyType, ring)),
);

const world = fc.record({
  gdt,
  idt: fc.array(gateEntry([6, 7, 14, 15], [0, 4, 8, 12]), { minLength: IDT_ENTRIES, maxLength: IDT_ENTRIES }),
  tss: fc.record({
    wide: fc.boolean(),
    limit: mostly(fc.constant(0x67), fc.constantFrom(0x2b, 5, 9, 13, 0x11, 0x19)),
    stacks: fc.tuple(
      ...[0, 1, 2].map((r) => fc.tuple(mostly(fc.constant(((DATA + r) << 3) | r), anySelector), pointer)),
    ),
  }),
  cpl: fc.constantFrom(0, 1, 2, 3, 3),
  ss: fc.record({
    limit,
    big: fc.boolean(),
    down: mostly(fc.constant(false), fc.constant(true)),
    base: fc.constantFrom(...BASES),
  }),
  esp: pointer,
  iopl: ring,
  data: fc.array(fc.tuple(anySelector, ring, fc.boolean()), { minLength: 4, maxLength: 4 }),
  frame: fc.record({
    eip: offset,
    cs: codeSelector,
    eflags: fc.integer({ min: 0, max: 0x3fffff }),
    esp: pointer,
    /** -1: data of the ring that `cs` names. */
    ss: mostly(fc.constant(-1), anySelector),
  }),
});
type World = typeof world extends fc.Arbitrary<infer T> ? T : never;
/** Targets of JMP and CALL. */
const target = fc.oneof(codeSelector, entrySelector(GATES, ANYTHING - GATES));

const put32 = (at: number, value: number): void => cpu.memory.write32(at as MachineAddress, value);
const put16 = (at: number, value: number): void => cpu.memory.write16(at as MachineAddress, value);

function writeTables(w: World): void {
  cpu.memory.ram.fill(0, 0, 0x4000);
  for (const [i, { low, high }] of w.gdt.entries()) {
    put32(GDT_AT + 8 * i, low);
    put32(GDT_AT + 8 * i + 4, high);
  }
  for (const [i, { low, high }] of w.idt.entries()) {
    put32(IDT_AT + 8 * i, low);
    put32(IDT_AT + 8 * i + 4, high);
  }
  for (const [inner, [stack, esp]] of w.tss.stacks.entries()) {
    const at = TSS_AT + (w.tss.wide ? 4 + 8 * inner : 2 + 4 * inner);
    if (w.tss.wide) put32(at, esp);
    else put16(at, esp);
    put16(at + (w.tss.wide ? 4 : 2), stack);
  }
}

const rightsOf = ({ access, big }: CachedSegment): number => access | (big ? slot.RIGHTS_DB : 0);

function load(segment: number, s: CachedSegment): void {
  if (segment !== slot.CS && segment !== slot.SS && s.selector >>> 2 === 0)
    cpu.segmentation.setNull(segment, s.selector);
  else cpu.segmentation.setSegment(segment, s.selector, s.base, s.limit | 0, rightsOf(s));
}

/** Puts the processor into the world, and says the same to the reference. */
function enter(w: World, isVirtual: boolean): Context {
  writeTables(w);
  const cpl = isVirtual ? 3 : w.cpl;
  const v86 = (selector: number): CachedSegment => ({
    selector,
    base: selector << 4,
    limit: 0xffff,
    access: 0xf3,
    big: false,
  });
  const cs: CachedSegment = {
    selector: 0x58 | cpl,
    base: 0x40000,
    limit: 0xffff,
    access: 0x9b | (cpl << 5),
    big: true,
  };
  const down = w.ss.down ? 4 : 0;
  const ss = {
    selector: 0x60 | cpl,
    base: w.ss.base,
    limit: w.ss.limit,
    access: 0x93 | down | (cpl << 5),
    big: w.ss.big,
  };
  const data = w.data.map(([selector, ring, conforming]): CachedSegment => {
    if (isVirtual) return v86(selector);
    if (selector >>> 2 === 0) return { selector, base: 0, limit: 0, access: 0, big: false };
    return { selector, base: 0, limit: 0xffff, access: (conforming ? 0x9f : 0x93) | (ring << 5), big: false };
  });
  const segments = { cs: isVirtual ? v86(0x4000) : cs, ss: isVirtual ? v86(0x5000) : ss };
  const eflags = 0x246 | (w.iopl << 12) | (isVirtual ? VM : 0);
  S[slot.GDTR_BASE] = GDT_AT;
  S[slot.GDTR_LIMIT] = GDT_ENTRIES * 8 - 1;
  S[slot.IDTR_BASE] = IDT_AT;
  S[slot.IDTR_LIMIT] = IDT_ENTRIES * 8 - 1;
  cpu.segmentation.setNull(slot.LDTR, 0);
  cpu.segmentation.setSegment(slot.TR, 0x28, TSS_AT, w.tss.limit, w.tss.wide ? 0x8b : 0x83);
  load(slot.CS, segments.cs);
  load(slot.SS, segments.ss);
  for (const [i, segment] of DATA_SEGMENTS.entries()) load(segment, data[i] as CachedSegment);
  S[slot.CPL] = cpl;
  S[slot.EIP] = EIP;
  S[slot.ESP] = w.esp;
  cpu.setEflags(eflags);
  const read = (at: number, size: 2 | 4): number =>
    size === 4 ? cpu.memory.read32(at as MachineAddress) : cpu.memory.read16(at as MachineAddress);
  const tss = { base: TSS_AT, limit: w.tss.limit, wide: w.tss.wide, selector: 0x28 };
  const tables = { gdt: GDT_AT, gdtLimit: GDT_ENTRIES * 8 - 1, idt: IDT_AT, idtLimit: IDT_ENTRIES * 8 - 1, tss };
  return { read, ...tables, cpl, ...segments, eip: EIP, esp: w.esp, eflags, data };
}

/** A frame for RET and IRET at the stack pointer, as far as it lies in RAM. */
function writeFrame(c: Context, w: World, size: 2 | 4, skip: number): void {
  const { eip, cs, eflags, esp } = w.frame;
  const ss = w.frame.ss >= 0 ? w.frame.ss : ((DATA + (cs & 3)) << 3) | (cs & 3);
  const words = [eip, cs, ...(skip < 0 ? [eflags & ~VM] : []), esp, ss];
  words.forEach((word, i) => {
    const gap = i >= 2 && skip > 0 ? skip : 0;
    const place = c.ss.base + ((c.esp + i * size + gap) & (c.ss.big ? -1 : 0xffff));
    if (place + 4 > 1 << 20) return;
    if (size === 4) put32(place, word);
    else put16(place, word);
  });
}

const segmentNow = (segment: number): Partial<CachedSegment> => {
  const at = slot.segmentSlot(segment);
  return { selector: S[at + slot.SELECTOR]!, base: S[at + slot.BASE]! >>> 0, limit: S[at + slot.LIMIT]! >>> 0 };
};
const shown = ({ selector, base, limit }: CachedSegment): Partial<CachedSegment> => ({ selector, base, limit });

/** The kinds of outcome that a property has come across, so that one which tests nothing is noticed. */
let seen = new Set<string>();
beforeEach(() => {
  seen = new Set();
});
function direction(c: Context, cpl: number): string {
  const from = (c.eflags & VM) !== 0 ? 'virtual-8086 mode to ' : '';
  return from + (cpl < c.cpl ? 'inner ring' : cpl > c.cpl ? 'outer ring' : 'same ring');
}

/** Carries it out and compares; whatever faults must have changed no register. */
function judge(c: Context, expected: Outcome, action: () => void): void {
  const registers = (): unknown => [
    S[slot.CPL],
    S[slot.ESP]! >>> 0,
    cpu.eflags(),
    ...[slot.CS, slot.SS, ...DATA_SEGMENTS].map(segmentNow),
  ];
  const before = registers();
  seen.add('fault' in expected ? `vector ${expected.fault.vector}` : direction(c, expected.transfer.cpl));
  const fault = faultOf(cpu, action);
  if ('fault' in expected) {
    expect(fault).toEqual(expected.fault);
    expect(registers()).toEqual(before);
    return;
  }
  expect(fault).toBeNull();
  const t = expected.transfer;
  expect({
    cs: segmentNow(slot.CS),
    eip: S[slot.EIP]! >>> 0,
    cpl: S[slot.CPL],
    ss: segmentNow(slot.SS),
    esp: S[slot.ESP]! >>> 0,
    eflags: cpu.eflags(),
    dropped: DATA_SEGMENTS.map((segment) => S[slot.segmentSlot(segment) + slot.SELECTOR]! >>> 2 === 0),
  }).toEqual({
    cs: shown(t.cs),
    eip: t.eip,
    cpl: t.cpl,
    ss: shown(t.ss),
    esp: t.esp,
    eflags: t.eflags,
    dropped: t.dropped,
  });
  const stack = t.pushed.map((_, i) => {
    const place = t.ss.base + ((t.esp + i * t.size) & (t.ss.big ? -1 : 0xffff));
    return place + 4 > 1 << 20 ? null : c.read(place, t.size) & (t.size === 4 ? -1 : 0xffff);
  });
  expect(stack).toEqual(
    t.pushed.map((word, i) => (stack[i] === null ? null : t.size === 4 ? word | 0 : word & 0xffff)),
  );
}

const RUNS = { numRuns: 4000, seed: 0x7215 };
const size = fc.constantFrom<2 | 4>(2, 4);

test('JMP far', () => {
  fc.assert(
    fc.property(world, target, offset, (w, to, eip) => {
      const c = enter(w, false);
      judge(c, jump(c, to, eip), () => cpu.system.farJump(to, eip, 4));
    }),
    RUNS,
  );
  expect([...seen].sort()).toEqual(['same ring', 'vector 11', 'vector 13']);
});

test('CALL far', () => {
  fc.assert(
    fc.property(world, target, offset, size, (w, to, eip, bytes) => {
      const c = enter(w, false);
      judge(c, call(c, to, bytes === 2 ? eip & 0xffff : eip, bytes), () => cpu.system.farCall(to, eip, bytes));
    }),
    RUNS,
  );
  expect([...seen].sort()).toEqual(['inner ring', 'same ring', 'vector 10', 'vector 11', 'vector 12', 'vector 13']);
});

test('RET far', () => {
  fc.assert(
    fc.property(world, size, fc.constantFrom(0, 2, 4, 0x20), (w, bytes, release) => {
      const c = enter(w, false);
      writeFrame(c, w, bytes, release);
      judge(c, farReturn(c, release, bytes), () => cpu.system.farReturn(release, bytes));
    }),
    RUNS,
  );
  expect([...seen].sort()).toEqual(['outer ring', 'same ring', 'vector 11', 'vector 12', 'vector 13']);
});

test('IRET', () => {
  fc.assert(
    fc.property(world, size, (w, bytes) => {
      const c = enter(w, false);
      writeFrame(c, w, bytes, -1);
      judge(c, interruptReturn(c, bytes), () => cpu.system.iret(bytes));
    }),
    RUNS,
  );
  expect([...seen].sort()).toEqual(['outer ring', 'same ring', 'vector 11', 'vector 12', 'vector 13']);
});

test('INT n, from protected and from virtual-8086 mode', () => {
  fc.assert(
    fc.property(world, fc.integer({ min: 0, max: IDT_ENTRIES }), fc.boolean(), (w, vector, isVirtual) => {
      const c = enter(w, isVirtual);
      judge(c, interrupt(c, vector, false), () => cpu.system.softwareInterrupt(vector));
    }),
    RUNS,
  );
  expect([...seen].sort()).toEqual([
    'inner ring',
    'same ring',
    'vector 10',
    'vector 11',
    'vector 12',
    'vector 13',
    'virtual-8086 mode to inner ring',
  ]);
});
