/** Two-dimensional translation: what the walker asks of EPT, and what becomes of the answers. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { MachineAddress } from '../../../src/core/address.ts';
import { SLOW_ENTRY, TABLE_ENTRIES } from '../../../src/core/memory.ts';
import {
  ACCESS_FETCH,
  ACCESS_READ,
  ACCESS_WRITE,
  CAUSE_FINAL,
  CAUSE_NO_LINEAR,
  CAUSE_WALK,
  type GuestPhysicalTranslator,
} from '../../../src/core/paging/guest-physical.ts';
import { FAULT, VM_EXIT } from '../../../src/core/signals.ts';
import * as slot from '../../../src/core/state.ts';
import { flatCpu } from '../../support/flat-cpu.ts';

/** Guest-physical g is machine g + OFFSET. */
const OFFSET = 0x400000;
const DIRECTORY = 0x1000;
const TABLE = 0x2000;

class OffsetEpt implements GuestPhysicalTranslator {
  pageBits = 12;
  writable = true;
  executable = true;
  /** Guest-physical pages whose writing is a violation. */
  readonly readOnly = new Set<number>();
  readonly asked: number[][] = [];

  translate(address: number, access: number, _linear: number, cause: number): number {
    this.asked.push([address, access, cause]);
    this.writable = !this.readOnly.has(address >>> 12);
    if (!this.writable && (access & ACCESS_WRITE) !== 0) throw VM_EXIT;
    return address + OFFSET;
  }
  probe(address: number, access: number): number {
    return (access & ACCESS_WRITE) !== 0 && this.readOnly.has(address >>> 12) ? -1 : address + OFFSET;
  }
}

const cpu = flatCpu(8 << 20);
const { mmu, memory } = cpu;
const { state: S, fast } = memory;
let ept: OffsetEpt;

function guestWrite(address: number, value: number): void {
  memory.write32((address + OFFSET) as MachineAddress, value);
}

beforeEach(() => {
  ept = new OffsetEpt();
  memory.ram.fill(0);
  guestWrite(DIRECTORY, TABLE | 0x27);
  guestWrite(TABLE + 0x14, 0x7000 | 0x67);
  guestWrite(DIRECTORY + 4, 0xe7);
  S[slot.CR0] = slot.CR0_PE | slot.CR0_PG | slot.CR0_WP;
  S[slot.CR3] = DIRECTORY;
  S[slot.CR4] = slot.CR4_PSE;
  mmu.ept = ept;
  mmu.flushAllTags();
  mmu.controlsChanged();
});

test('every table entry and the final address are translated, each with its cause', () => {
  guestWrite(0x7010, 42);
  expect(mmu.load32(0x5010, 0)).toBe(42);
  expect(ept.asked).toEqual([
    [DIRECTORY, ACCESS_READ, CAUSE_WALK],
    [TABLE + 0x14, ACCESS_READ, CAUSE_WALK],
    [0x7010, ACCESS_READ, CAUSE_FINAL],
  ]);
});

test('setting accessed and dirty bits is a write', () => {
  guestWrite(TABLE + 0x14, 0x7000 | 0x07);
  mmu.store32(0x5010, 1, 0);
  expect(ept.asked.slice(2)).toEqual([
    [TABLE + 0x14, ACCESS_WRITE, CAUSE_WALK],
    [0x7010, ACCESS_WRITE, CAUSE_FINAL],
  ]);
  expect(memory.read32((TABLE + 0x14 + OFFSET) as MachineAddress) & 0x60).toBe(0x60);
});

test('a fetch asks for execution', () => {
  expect(mmu.fetchPage(0x5010)).toBe(0x7000 + OFFSET);
  expect(ept.asked.at(-1)).toEqual([0x7010, ACCESS_FETCH, CAUSE_FINAL]);
});

test('a page that EPT does not let be written is not in the write table, and writing it exits', () => {
  ept.readOnly.add(7);
  mmu.load32(0x5010, 0);
  expect(fast[5]! & 0xfff).toBe(0);
  expect(fast[TABLE_ENTRIES + 5]).toBe(SLOW_ENTRY);
  expect(() => mmu.store32(0x5010, 1, 0)).toThrow();
  expect([mmu.probe(0x5010, false, false), mmu.probe(0x5010, true, false)]).toEqual([0x7010 + OFFSET, -1]);
});

test('a guest fault comes before the final translation', () => {
  let thrown: unknown;
  try {
    mmu.load32(0x6000, 0);
  } catch (signal) {
    thrown = signal;
  }
  expect(thrown).toBe(FAULT);
  expect(ept.asked.every(([, , cause]) => cause === CAUSE_WALK)).toBe(true);
});

describe('the size of an entry is the smaller of both mappings', () => {
  test('4 KB under a 4 MB guest page', () => {
    mmu.load32(0x400000, 0);
    const before = ept.asked.length;
    mmu.load32(0x401000, 0);
    expect(ept.asked.length).toBeGreaterThan(before);
  });

  test('2 MB under a 4 MB guest page', () => {
    ept.pageBits = 21;
    mmu.load32(0x400000, 0);
    const before = ept.asked.length;
    expect(mmu.data.size).toBe(1);
    mmu.load32(0x5ff000, 0);
    expect(ept.asked.length).toBe(before);
    mmu.load32(0x600000, 0);
    expect(ept.asked.length).toBeGreaterThan(before);
  });
});

test('without paging the guest’s addresses still go through EPT and its TLB', () => {
  S[slot.CR0] = slot.CR0_PE;
  mmu.controlsChanged();
  guestWrite(0x7010, 43);
  expect(mmu.load32(0x7010, 0)).toBe(43);
  expect(mmu.load32(0x7020, 0)).toBe(0);
  expect(ept.asked).toEqual([[0x7010, ACCESS_READ, CAUSE_FINAL]]);
  expect(mmu.data.size).toBe(1);
});

test('the PDPTEs are read without a linear address', () => {
  guestWrite(0x9000, 0x3001);
  mmu.loadPdptes(0x9000);
  expect(S[slot.PDPTE]).toBe(0x3001);
  expect(ept.asked.every(([, access, cause]) => access === ACCESS_READ && cause === CAUSE_NO_LINEAR)).toBe(true);
});
