/**
 * Segments against a real processor: 16- and 32-bit code and stacks, expand-down segments, limits of data, stacks and code,
 * descriptor loads, near and far transfers at ring 3. Whatever ends a case reaches ring 0 and so becomes a host trap.
 */
import { expect, test } from 'vitest';
import type { MachineAddress } from '../../../src/core/address.ts';
import { STOP_TRAP } from '../../../src/core/signals.ts';
import * as slot from '../../../src/core/state.ts';
import { flatCpu } from '../../support/flat-cpu.ts';
import { type LdtEntry, loadSegmentVectors, type SegmentCase } from '../../support/segment-vectors.ts';

const GDT_AT = 0x1000;
const IDT_AT = 0x2000;
const LDT_AT = 0x3000;
const LDT_ENTRIES = 17;
const REGION_BYTES = 0x30000;
const CODE_BYTES = 0x10000;
/** EFLAGS bits that exist, less RF, which the recording leaves out. */
const FLAGS = 0x3e7fd7;
/** As Linux numbers its GDT: kernel code and data, then user code and data. */
const KERNEL_CODE = 0x10;
const BREAKPOINT = 3;
const GDT: Readonly<Record<number, LdtEntry & { readonly dpl: number }>> = {
  [KERNEL_CODE]: { contents: 2, base: 0, limit: 0xfffff, big: true, pages: true, dpl: 0 },
  24: { contents: 0, base: 0, limit: 0xfffff, big: true, pages: true, dpl: 0 },
  32: { contents: 2, base: 0, limit: 0xfffff, big: true, pages: true, dpl: 3 },
  40: { contents: 0, base: 0, limit: 0xfffff, big: true, pages: true, dpl: 3 },
};
/** PUSHA POPA ENTER, far and near CALL. */
const PARTIAL: ReadonlySet<number> = new Set([0x60, 0x61, 0xc8, 0x9a, 0xe8, 0xff]);
/** CS SS DS ES FS, as the vectors order selectors. */
const SEGMENTS = [slot.CS, slot.SS, slot.DS, slot.ES, slot.FS];

const vectors = loadSegmentVectors();
const cpu = flatCpu(4 << 20);
const { state: S, time: T, ram } = cpu.memory;

/** As fill_ldt of Linux makes it: accessed from the start, DPL 3. */
function writeDescriptor(at: number, d: LdtEntry, dpl: number): void {
  const type = (d.contents << 2) | (d.restricted === true ? 0 : 2) | 1;
  const access = type | 0x10 | (dpl << 5) | (d.absent === true ? 0 : 0x80);
  // Linux sets AVL in an LDT's descriptors.
  const flags = (d.big ? 0x40 : 0) | (d.pages === true ? 0x80 : 0) | (at >= LDT_AT ? 0x10 : 0);
  cpu.memory.write32(at as MachineAddress, ((d.base & 0xffff) << 16) | (d.limit & 0xffff));
  const high = (d.base & 0xff000000) | ((d.base >>> 16) & 0xff) | (access << 8) | (d.limit & 0xf0000) | (flags << 16);
  cpu.memory.write32((at + 4) as MachineAddress, high);
}

function setUpTables(): void {
  for (const [selector, entry] of Object.entries(GDT)) writeDescriptor(GDT_AT + Number(selector), entry, entry.dpl);
  for (const [index, entry] of Object.entries(vectors.descriptors))
    writeDescriptor(LDT_AT + 8 * Number(index), entry, 3);
  for (let vector = 0; vector < 256; vector++) {
    const dpl = vector === 3 || vector === 4 ? 3 : 0;
    cpu.memory.write32((IDT_AT + 8 * vector) as MachineAddress, KERNEL_CODE << 16);
    cpu.memory.write32((IDT_AT + 8 * vector + 4) as MachineAddress, 0x8e00 | (dpl << 13));
  }
  S[slot.GDTR_BASE] = GDT_AT;
  S[slot.GDTR_LIMIT] = 0x7f;
  S[slot.IDTR_BASE] = IDT_AT;
  S[slot.IDTR_LIMIT] = 0x7ff;
  S[slot.HOSTED] = 1;
  // No I/O map.
  cpu.segmentation.setSegment(slot.TR, 0x40, 0x4000, 0x65, 0x8b);
  cpu.segmentation.setSegment(slot.LDTR, 0x50, LDT_AT, LDT_ENTRIES * 8 - 1, 0x82);
}

function background(region: number): Uint8Array {
  const bytes = new Uint8Array(REGION_BYTES).fill(0xcc, 0, CODE_BYTES);
  for (let i = CODE_BYTES; i < REGION_BYTES; i++) bytes[i] = i * 7 + 3 + (i >> 8);
  cpu.memory.writeBytes(region as MachineAddress, bytes);
  return bytes;
}

function load(segment: number, selector: number): void {
  if ((selector & 0xfffc) === 0) cpu.segmentation.setNull(segment, selector);
  else {
    cpu.segmentation.readDescriptor(selector);
    cpu.segmentation.commit(segment, selector);
  }
}

/** Runs the case and puts the region back; returns what differs from the recording, or null. */
function replay(test: SegmentCase, clean: Uint8Array): string | null {
  const { region } = vectors;
  const touched: number[] = [];
  const put = (at: number, bytes: Uint8Array): void => {
    for (const [i, byte] of bytes.entries()) {
      touched.push(at + i);
      cpu.memory.write8((at + i) as MachineAddress, byte);
    }
  };
  put(test.codeAt, test.code);
  for (const [at, value] of test.patches) put(at, new Uint8Array(Uint32Array.of(value).buffer));
  const before = new Map(touched.map((at) => [at, ram[at] as number]));

  test.registers.forEach((value, number) => {
    S[2 * number] = value;
  });
  for (const [i, segment] of SEGMENTS.entries()) load(segment, test.selectors[i] as number);
  S[slot.CPL] = 3;
  S[slot.EIP] = test.eip;
  S[slot.SHADOW] = 0;
  cpu.setEflags(test.eflags);
  T[slot.BUDGET] = (T[slot.CYCLES] as number) + 20000;
  const stop = cpu.run();

  const differences: string[] = [];
  const compare = (what: string, actual: number, expected: number): void => {
    if (actual >>> 0 !== expected >>> 0) {
      differences.push(`${what} ${(actual >>> 0).toString(16)} instead of ${(expected >>> 0).toString(16)}`);
    }
  };
  const { after } = test;
  compare('stop', stop, STOP_TRAP);
  compare('vector', S[slot.EVENT_VECTOR] as number, after.vector);
  compare('error', S[slot.EVENT_HAS_ERROR] !== 0 ? (S[slot.EVENT_ERROR] as number) : -1, after.error ?? -1);
  compare('EIP', S[slot.EIP] as number, after.eip);
  compare('EFLAGS', cpu.eflags() & FLAGS, after.eflags & FLAGS);
  // A fault in the middle of these leaves some of their stores made, and of POPA's registers loaded: not architectural.
  const partial = after.vector !== BREAKPOINT && after.eip === test.eip && PARTIAL.has(opcodeOf(test.code));
  after.registers.forEach((value, number) => {
    const expected = partial ? (test.registers[number] as number) : value;
    compare(`register ${number}`, S[2 * number] as number, expected);
  });
  after.selectors.forEach((value, i) => {
    compare(`segment ${i}`, S[slot.segmentSlot(SEGMENTS[i] as number) + slot.SELECTOR] as number, value);
  });
  for (const [at, value] of partial ? [] : after.changes) {
    compare(`memory ${at.toString(16)}`, ram[at] as number, value);
    touched.push(at);
    before.set(at, value);
  }
  for (const at of touched) cpu.memory.write8(at as MachineAddress, clean[at - region] as number);
  // A store that the real processor did not make.
  if (Buffer.compare(ram.subarray(region, region + REGION_BYTES), clean) !== 0) {
    if (!partial) differences.push('memory changed elsewhere');
    cpu.memory.writeBytes(region as MachineAddress, clean);
  }
  return differences.length === 0 ? null : differences.join(', ');
}

function opcodeOf(code: Uint8Array): number {
  return code.find((byte) => byte !== 0x66 && byte !== 0x67) ?? 0;
}

/** Which case it is, so that a failure can be read. */
function nameOf({ code, selectors, registers, eip }: SegmentCase): string {
  const hex = (values: readonly number[]): string => values.map((value) => value.toString(16)).join(' ');
  return `${Buffer.from(code).toString('hex')} at ${hex([eip])}, CS SS DS ES FS ${hex(selectors)}, registers ${hex(registers)}`;
}

test(`agrees with ${vectors.processor} on ${vectors.cases.length} uses of segments`, () => {
  setUpTables();
  const clean = background(vectors.region);
  const wrong: string[] = [];
  for (const vector of vectors.cases) {
    const difference = replay(vector, clean);
    if (difference !== null) wrong.push(`${nameOf(vector)}: ${difference}`);
  }
  expect(wrong).toEqual([]);
});
