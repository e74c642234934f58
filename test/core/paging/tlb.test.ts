/** The modelled TLB and its projections: what is remembered, for how long, and what that costs. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { MachineAddress } from '../../../src/core/address.ts';
import {
  EMULATION_VIEW,
  SLOW_ENTRY,
  TABLE_ENTRIES,
  VIEW_SHIFT,
  VIEW_TRUNCATED,
  VIEW_USER,
} from '../../../src/core/memory.ts';
import { Tlb } from '../../../src/core/paging/tlb.ts';
import { FAULT, GP } from '../../../src/core/signals.ts';
import * as slot from '../../../src/core/state.ts';
import { eventNumber } from '../../../src/cost/event.ts';
import { flatCpu } from '../../support/flat-cpu.ts';

const WALK = eventNumber('pageWalkAccess');
const MMIO = eventNumber('mmioAccess');
const GLOBAL = 8;
const CLASS_4M = 2 << 8;
const USER_TABLE = VIEW_USER << VIEW_SHIFT;

describe('the entry array', () => {
  test('holds its capacity and replaces the oldest first, whatever was hit in between', () => {
    const released: number[] = [];
    const tlb = new Tlb(3, (entry) => released.push(tlb.entries[entry * 8 + 1]!));
    for (const page of [10, 11, 12]) tlb.insert(0, page, page, 0);
    expect(tlb.find(0, 10)).toBeGreaterThanOrEqual(0);
    tlb.insert(0, 13, 13, 0);
    expect(released).toEqual([10]);
    expect([10, 11, 12, 13].map((page) => tlb.find(0, page) >= 0)).toEqual([false, true, true, true]);
    expect(tlb.size).toBe(3);
  });

  test('uses a place that an invalidation freed before it replaces anything', () => {
    const tlb = new Tlb(3, () => {});
    for (const page of [10, 11, 12]) tlb.insert(0, page, page, 0);
    tlb.flushPage(0, 11);
    tlb.insert(0, 13, 13, 0);
    expect([10, 12, 13].every((page) => tlb.find(0, page) >= 0)).toBe(true);
  });

  test('keeps tags apart', () => {
    const tlb = new Tlb(8, () => {});
    tlb.insert(1, 5, 100, 0);
    tlb.insert(2, 5, 200, 0);
    tlb.flush(1, true);
    expect(tlb.find(1, 5)).toBe(-1);
    expect(tlb.find(2, 5)).toBeGreaterThanOrEqual(0);
  });

  test('keeps global entries through a plain flush, not through a full one nor a page invalidation', () => {
    const tlb = new Tlb(8, () => {});
    tlb.insert(0, 5, 100, GLOBAL);
    tlb.insert(0, 6, 101, 0);
    tlb.flush(0, false);
    expect([tlb.find(0, 5) >= 0, tlb.find(0, 6) >= 0]).toEqual([true, false]);
    tlb.flushPage(0, 5);
    expect(tlb.find(0, 5)).toBe(-1);
    tlb.insert(0, 5, 100, GLOBAL);
    tlb.flush(0, true);
    expect(tlb.size).toBe(0);
  });

  test('finds a large entry from any of its pages', () => {
    const tlb = new Tlb(8, () => {});
    tlb.insert(0, 2048, 4096, CLASS_4M);
    expect(tlb.find(0, 2048)).toBe(tlb.find(0, 3071));
    expect(tlb.find(0, 3072)).toBe(-1);
    tlb.flushPage(0, 2500);
    expect(tlb.find(0, 2048)).toBe(-1);
  });
});

describe('translation through it', () => {
  const cpu = flatCpu(8 << 20);
  const { mmu, memory } = cpu;
  const { state: S, fast } = memory;
  const DIRECTORY = 0x1000;
  const TABLE = 0x2000;
  const walks = (): number => cpu.ledger.counts[WALK]!;
  const entry = (page: number, bits: number): void =>
    memory.write32((TABLE + page * 4) as MachineAddress, (page << 12) | bits);

  /** Linear 0-4 MB: small pages, identity, user and writable, dirty. 4-8 MB: one large page. 8-12 MB: outside RAM. */
  beforeEach(() => {
    memory.write32(DIRECTORY as MachineAddress, TABLE | 0x27);
    memory.write32((DIRECTORY + 4) as MachineAddress, 0x400000 | 0xe7);
    memory.write32((DIRECTORY + 8) as MachineAddress, 0xfec00000 | 0xe7);
    for (let page = 0; page < 1024; page++) entry(page, 0x67);
    S[slot.CR0] = slot.CR0_PE | slot.CR0_PG | slot.CR0_WP;
    S[slot.CR3] = DIRECTORY;
    S[slot.CR4] = slot.CR4_PSE | slot.CR4_PGE;
    S[slot.TLB_TAG] = 0;
    S[slot.CPL] = 0;
    mmu.ept = null;
    mmu.truncatedLimit = 0xffffffff;
    mmu.flushAllTags();
    mmu.controlsChanged();
  });

  test('a second access is a projection and charges nothing', () => {
    mmu.load32(0x5000, 0);
    const before = walks();
    expect(fast[5]! & 0xfff).toBe(0);
    mmu.load32(0x5000, 0);
    mmu.store32(0x5000, 1, 0);
    expect(walks()).toBe(before);
  });

  test('a dropped projection comes back free', () => {
    mmu.load32(0x5000, 0);
    const before = walks();
    mmu.controlsChanged();
    expect(fast[5]).toBe(SLOW_ENTRY);
    mmu.load32(0x5000, 0);
    expect(walks()).toBe(before);
  });

  test('the capacity is the profile’s: one page more than fit, walked round and round, always misses', () => {
    const capacity = cpu.profile.tlb.data;
    for (let page = 0; page <= capacity; page++) mmu.load8(page << 12, 0);
    const before = walks();
    for (let page = 0; page <= capacity; page++) {
      expect(fast[page]).toBe(SLOW_ENTRY);
      mmu.load8(page << 12, 0);
    }
    expect(walks() - before).toBe(2 * (capacity + 1));
  });

  test('an unwritten page is not in the write table until a store has set its dirty bit', () => {
    entry(5, 0x27);
    mmu.load32(0x5000, 0);
    expect(fast[TABLE_ENTRIES + 5]).toBe(SLOW_ENTRY);
    mmu.store32(0x5000, 7, 0);
    expect(memory.read32((TABLE + 20) as MachineAddress) & 0x40).toBe(0x40);
    expect(fast[TABLE_ENTRIES + 5]! & 0xfff).toBe(0);
  });

  test('supervisor pages stay out of the user view', () => {
    entry(5, 0x63);
    mmu.load32(0x5000, 0);
    expect(fast[USER_TABLE + 5]).toBe(SLOW_ENTRY);
    expect(() => mmu.load32(0x5000, USER_TABLE)).toThrow(FAULT as never);
  });

  test('without WP a supervisor writes a read-only page; setting WP ends that', () => {
    S[slot.CR0] = slot.CR0_PE | slot.CR0_PG;
    mmu.controlsChanged();
    entry(5, 0x25);
    mmu.store32(0x5000, 7, 0);
    expect(fast[TABLE_ENTRIES + 5]! & 0xfff).toBe(0);
    cpu.system.writeControl(0, slot.CR0_PE | slot.CR0_PG | slot.CR0_WP, 0);
    expect(fast[TABLE_ENTRIES + 5]).toBe(SLOW_ENTRY);
    expect(() => mmu.store32(0x5000, 8, 0)).toThrow(FAULT as never);
  });

  test('a large page is one entry, and its eviction clears all its pieces', () => {
    mmu.load32(0x400000, 0);
    const before = walks();
    mmu.load32(0x7ff000, 0);
    expect(walks()).toBe(before);
    mmu.invalidatePage(0x555000);
    expect([fast[0x400], fast[0x7ff], fast[TABLE_ENTRIES + 0x400]]).toEqual([SLOW_ENTRY, SLOW_ENTRY, SLOW_ENTRY]);
  });

  test('a frame that holds decoded code leaves the write tables, and its stores are reported', () => {
    mmu.store32(0x5000, 1, 0);
    mmu.store32(0x455000, 1, 0);
    const reported: number[] = [];
    const { onCodeWrite } = memory;
    memory.onCodeWrite = (ma) => reported.push(ma);
    for (const frame of [5, 0x455]) {
      memory.codeFrames[frame] = 1;
      mmu.protectCode(frame);
    }
    expect([fast[TABLE_ENTRIES + 5], fast[TABLE_ENTRIES + 0x455]]).toEqual([SLOW_ENTRY, SLOW_ENTRY]);
    mmu.store32(0x5004, 1, 0);
    mmu.store32(0x455008, 1, 0);
    memory.codeFrames.fill(0);
    memory.onCodeWrite = onCodeWrite;
    expect(reported).toEqual([0x5004, 0x455008]);
  });

  test('tags: each sees its own translations, and coming back costs nothing', () => {
    mmu.load32(0x5000, 0);
    S[slot.TLB_TAG] = 7;
    mmu.controlsChanged();
    const before = walks();
    mmu.load32(0x5000, 0);
    expect(walks() - before).toBe(2);
    S[slot.TLB_TAG] = 0;
    mmu.controlsChanged();
    mmu.load32(0x5000, 0);
    expect(walks() - before).toBe(2);
  });

  test('fetch has its own entries', () => {
    mmu.load32(0x5000, 0);
    const before = walks();
    mmu.fetchPage(0x5000);
    mmu.fetchPage(0x6000);
    mmu.fetchPage(0x5000);
    expect(walks() - before).toBe(4);
    expect(S[slot.FETCH_PAGE]).toBe(5);
  });

  test('a stale entry is not believed when it forbids: the tables are walked again', () => {
    entry(5, 0x65);
    mmu.load32(0x5000, USER_TABLE);
    entry(5, 0x67);
    mmu.store32(0x5000, 9, USER_TABLE);
    expect(memory.read32(0x5000 as MachineAddress)).toBe(9);
  });

  test('a store across two pages writes nothing if the second one faults', () => {
    memory.write32(0x5ffc as MachineAddress, 0x11223344);
    entry(6, 0x65);
    expect(() => mmu.store32(0x5ffe, -1, USER_TABLE)).toThrow(FAULT as never);
    expect(memory.read32(0x5ffc as MachineAddress)).toBe(0x11223344);
    expect(S[slot.EVENT_ADDRESS]).toBe(0x6000);
  });

  test('pages beyond the truncated limit never enter its views, and an access there is #GP', () => {
    const table = VIEW_TRUNCATED << VIEW_SHIFT;
    mmu.truncatedLimit = 0x5fff;
    mmu.load32(0x5ffc, table);
    expect(fast[table + 5]! & 0xfff).toBe(0);
    expect(() => mmu.load32(0x5ffd, table)).toThrow(FAULT as never);
    expect(S[slot.EVENT_VECTOR]).toBe(GP);
    expect(() => mmu.load8(0x6000, table)).toThrow(FAULT as never);
    expect(fast[table + 6]).toBe(SLOW_ENTRY);
    mmu.load32(0x6000, 0);
  });

  test('what lies outside RAM reaches the device bus, charged, and is never projected', () => {
    const seen: number[][] = [];
    cpu.mmio.read = (physical, size) => {
      seen.push([physical, size]);
      return 0x12345678;
    };
    const before = cpu.ledger.counts[MMIO]!;
    expect(mmu.load16(0x800010, 0)).toBe(0x5678);
    expect(fast[0x800]).toBe(SLOW_ENTRY);
    expect(seen).toEqual([[0xfec00010, 2]]);
    expect(cpu.ledger.counts[MMIO]! - before).toBe(1);
  });

  test('the emulation view sends everything to the port', () => {
    const seen: unknown[] = [];
    mmu.port = {
      load: (linear, size) => seen.push(['load', linear, size]),
      store: (linear, size, value) => seen.push(['store', linear, size, value]),
      checkWrite: (linear, bytes) => seen.push(['checkWrite', linear, bytes]),
    };
    const table = EMULATION_VIEW << VIEW_SHIFT;
    mmu.loadForUpdate32(0xfffffffe, table);
    mmu.storeUpdated32(0xfffffffe, 5, table);
    mmu.port = null;
    expect(seen).toEqual([
      ['checkWrite', 0xfffffffe, 4],
      ['load', 0xfffffffe, 4],
      ['store', 0xfffffffe, 4, 5],
    ]);
  });

  test('turning paging on forgets the identity of the time before', () => {
    S[slot.CR0] = slot.CR0_PE;
    mmu.controlsChanged();
    entry(5, 0x67);
    mmu.load32(0x5000, 0);
    memory.write32((TABLE + 20) as MachineAddress, 0x9000 | 0x67);
    memory.write32(0x9000 as MachineAddress, 99);
    cpu.system.writeControl(0, slot.CR0_PE | slot.CR0_PG, 0);
    expect(mmu.load32(0x5000, 0)).toBe(99);
  });

  test('a snapshot of its arrays brings back what was cached, hits and misses alike', () => {
    mmu.load32(0x5000, 0);
    const saved = mmu.stateArrays().map((array) => array.slice());
    mmu.load32(0x6000, 0);
    mmu.invalidatePage(0x5000);
    for (const [index, array] of mmu.stateArrays().entries()) array.set(saved[index]!);
    mmu.afterRestore();
    const before = walks();
    mmu.load32(0x5000, 0);
    expect(walks() - before).toBe(0);
    mmu.load32(0x6000, 0);
    expect(walks() - before).toBe(2);
  });
});
