/** Shadow paging against a reference walk of the guest's tables, over random tables, accesses and table stores. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MachineMemory } from '../../../src/core/memory.ts';
import { CR0_PG, CR0_WP, CR4_PAE, CR4_PGE, CR4_PSE } from '../../../src/core/state.ts';
import { Ledger } from '../../../src/cost/ledger.ts';
import { DEFAULT_PROFILE } from '../../../src/cost/profiles/index.ts';
import { ShadowPaging } from '../../../src/engines/shadow-paging/shadow-paging.ts';
import { TRACE_CODE, TRACE_PAGE_TABLE } from '../../../src/engines/shadow-paging/types.ts';

/** Guest of 16 MB: a PDPT, two directories and four tables from here on, the rest data. */
const GUEST_FRAMES = 4096;
const PDPT = 0x10000;
const DIRECTORIES = [0x11000, 0x12000] as const;
const TABLES = [0x13000, 0x14000, 0x15000, 0x16000] as const;
const VMM_FRAMES = 64;
const P = 1;
const W = 2;
const U = 4;
const A = 0x20;
const D = 0x40;
const PS = 0x80;

const memory = new MachineMemory((GUEST_FRAMES + VMM_FRAMES) * 4096);
const machineFrame = (frame: number): number => VMM_FRAMES + ((frame * 1597) % GUEST_FRAMES);

class Guest {
  flushes = 0;
  invalidated: number[] = [];
  traced: [number, number, number][] = [];
  readonly shadow: ShadowPaging;

  constructor(tableFrames = 32) {
    memory.ram.fill(0);
    this.shadow = new ShadowPaging({
      memory,
      ledger: new Ledger(DEFAULT_PROFILE, memory.state, memory.time),
      frames: { guestFrames: GUEST_FRAMES, machineFrame },
      tables: 0,
      tableFrames,
      hooks: {
        invalidatePage: (linear) => this.invalidated.push(linear),
        flush: () => this.flushes++,
        tracedStore: (kinds, physical, size) => this.traced.push([kinds, physical, size]),
      },
    });
  }
  at(physical: number): number {
    return machineFrame(physical >>> 12) * 4096 + (physical & 0xfff);
  }
  word(physical: number): number {
    return memory.read32(this.at(physical) as never) | 0;
  }
  /** The guest's own store, before its tables are shadowed. */
  put(physical: number, value: number): void {
    memory.write32(this.at(physical) as never, value);
  }
  /** A store that the VMM emulates. */
  store(physical: number, value: number): void {
    this.put(physical, value);
    this.shadow.stored(physical, 4);
  }
  pae(writeProtect = true): number {
    for (let i = 0; i < 2; i++) this.put(PDPT + 8 * i, DIRECTORIES[i]! | P);
    return this.shadow.activate(PDPT, CR0_PG | (writeProtect ? CR0_WP : 0) | 0, CR4_PAE | CR4_PGE, 0);
  }
}

interface Translation {
  readonly frame: number;
  readonly writable: boolean;
  readonly user: boolean;
  readonly dirty: boolean;
}

/** What the guest's PAE tables say of `linear`, walked independently of the code under test. */
function reference(guest: Guest, linear: number): Translation | null {
  const pdpte = guest.word(PDPT + 8 * (linear >>> 30));
  if ((pdpte & P) === 0) return null;
  const upper = guest.word((pdpte & ~0xfff) + 8 * ((linear >>> 21) & 511));
  if ((upper & P) === 0) return null;
  if ((upper & PS) !== 0) {
    const frame = (upper >>> 12) + ((linear >>> 12) & 511);
    return { frame, writable: (upper & W) !== 0, user: (upper & U) !== 0, dirty: (upper & D) !== 0 };
  }
  const entry = guest.word((upper & ~0xfff) + 8 * ((linear >>> 12) & 511));
  if ((entry & P) === 0) return null;
  return {
    frame: entry >>> 12,
    writable: (upper & entry & W) !== 0,
    user: (upper & entry & U) !== 0,
    dirty: (entry & D) !== 0,
  };
}

/** What the shadow tables let the processor do: the walk of SDM 3A 4.4.2, with WP set. */
function shadowWalk(root: number, linear: number): Translation | null {
  const read = (at: number): number => memory.read32(at as never) | 0;
  const pdpte = read(root + 8 * (linear >>> 30));
  if ((pdpte & P) === 0) return null;
  const upper = read((pdpte & ~0xfff) + 8 * ((linear >>> 21) & 511));
  if ((upper & P) === 0) return null;
  const entry = read((upper & ~0xfff) + 8 * ((linear >>> 12) & 511));
  if ((entry & P) === 0) return null;
  return { frame: entry >>> 12, writable: (upper & entry & W) !== 0, user: (upper & entry & U) !== 0, dirty: true };
}

/** Makes one access as the processor would: through the shadow, faulting until it succeeds or the guest must see it. */
function access(guest: Guest, root: number, linear: number, write: boolean, user: boolean): string {
  for (let tries = 0; tries < 3; tries++) {
    const seen = shadowWalk(root, linear);
    if (seen !== null && (!user || seen.user) && (!write || seen.writable)) return 'done';
    const error = (seen !== null ? 1 : 0) | (write ? 2 : 0) | (user ? 4 : 0);
    const kind = guest.shadow.handlePageFault(linear, error);
    if (kind !== 'hidden') return kind;
  }
  return 'no progress';
}

const arbitraryEntry = fc.record({
  target: fc.integer({ min: 0, max: 40 }),
  bits: fc.constantFrom(
    0,
    P,
    P | W,
    P | U,
    P | W | U,
    P | W | U | A | D,
    P | U | A,
    P | PS | W | U,
    P | PS | D | W | A,
  ),
});
const slot = fc.constantFrom(0, 1, 5, 511);
const step = fc.oneof(
  fc.record({
    kind: fc.constant('access' as const),
    gigabyte: fc.constantFrom(0, 1, 2),
    directory: slot,
    page: slot,
    write: fc.boolean(),
    user: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('leaf' as const),
    table: fc.integer({ min: 0, max: 3 }),
    page: slot,
    entry: arbitraryEntry,
  }),
  fc.record({
    kind: fc.constant('upper' as const),
    table: fc.integer({ min: 0, max: 1 }),
    page: slot,
    entry: arbitraryEntry,
  }),
  fc.record({ kind: fc.constant('reload' as const) }),
);

describe('[rc:shadow-cache] [rc:hidden-true] random guest tables', () => {
  test('the shadow allows what the guest allows, maps where it maps, and never what a trace forbids', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 60 }), fc.constantFrom(16, 32), (steps, tableFrames) => {
        const guest = new Guest(tableFrames);
        let root = guest.pae();
        for (const s of steps) {
          if (s.kind === 'reload') root = guest.shadow.activate(PDPT, CR0_PG | CR0_WP | 0, CR4_PAE | CR4_PGE, 0);
          else if (s.kind === 'leaf')
            guest.store(TABLES[s.table]! + 8 * s.page, ((0x10 + s.entry.target) << 12) | (s.entry.bits & ~PS));
          else if (s.kind === 'upper') {
            const large = (s.entry.bits & PS) !== 0;
            const target = large ? (s.entry.target & 3) << 21 : TABLES[s.entry.target & 3]!;
            guest.store(DIRECTORIES[s.table]! + 8 * s.page, target | s.entry.bits);
          } else {
            const linear = ((s.gigabyte << 30) | (s.directory << 21) | (s.page << 12)) >>> 0;
            const before = reference(guest, linear);
            const allowed = before !== null && (!s.user || before.user) && (!s.write || before.writable);
            const outcome = access(guest, root, linear, s.write, s.user);
            if (!allowed) {
              expect(outcome).toBe('true');
              expect(guest.shadow.faultError).toBe((before !== null ? 1 : 0) | (s.write ? 2 : 0) | (s.user ? 4 : 0));
            } else {
              const isTraced = guest.shadow.traces[before.frame] !== 0;
              expect(outcome).toBe(s.write && isTraced ? 'traced' : 'done');
              expect(shadowWalk(root, linear)?.frame).toBe(machineFrame(before.frame));
              if (s.write) expect(reference(guest, linear)?.dirty).toBe(true);
            }
          }
          checkAll(guest, root);
        }
      }),
      { numRuns: 150, seed: 20060 },
    );
  });
});

/** Whatever the shadow maps now must be no more than the guest maps, and no traced or clean page may be writable. */
function checkAll(guest: Guest, root: number): void {
  for (const gigabyte of [0, 1])
    for (const directory of [0, 1, 5, 511])
      for (const page of [0, 1, 5, 511]) {
        const linear = ((gigabyte << 30) | (directory << 21) | (page << 12)) >>> 0;
        const seen = shadowWalk(root, linear);
        if (seen === null) continue;
        const truth = reference(guest, linear);
        expect(truth).not.toBeNull();
        expect(seen.frame).toBe(machineFrame(truth!.frame));
        expect(!seen.user || truth!.user).toBe(true);
        expect(!seen.writable || (truth!.writable && truth!.dirty && guest.shadow.traces[truth!.frame] === 0)).toBe(
          true,
        );
      }
}

describe('faults', () => {
  function mapped(bits = P | W | U): { guest: Guest; root: number } {
    const guest = new Guest();
    guest.put(DIRECTORIES[0], TABLES[0] | P | W | U);
    guest.put(TABLES[0] + 8, 0x20000 | bits);
    return { guest, root: guest.pae() };
  }
  test('[rc:hidden-true] a first read maps read-only, so that the first write comes to set D', () => {
    const { guest, root } = mapped();
    expect(guest.shadow.handlePageFault(0x1000, 4)).toBe('hidden');
    expect(guest.word(TABLES[0] + 8) & (A | D)).toBe(A);
    expect(shadowWalk(root, 0x1000)?.writable).toBe(false);
    expect(guest.shadow.handlePageFault(0x1000, 7)).toBe('hidden');
    expect(guest.word(TABLES[0] + 8) & (A | D)).toBe(A | D);
    expect(shadowWalk(root, 0x1000)?.writable).toBe(true);
  });
  test('[rc:traces] a frame that becomes a page table loses write access everywhere', () => {
    const { guest, root } = mapped();
    guest.put(TABLES[0] + 16, TABLES[1] | P | W | U);
    access(guest, root, 0x2000, true, true);
    expect(shadowWalk(root, 0x2000)?.writable).toBe(true);
    // The frame mapped writable at 0x2000 is now used as a level-1 table.
    guest.store(DIRECTORIES[0] + 8, TABLES[1] | P | W | U);
    guest.put(TABLES[1], 0x21000 | P | U);
    access(guest, root, 0x200000, false, true);
    expect(guest.shadow.traces[TABLES[1] >>> 12]).toBe(TRACE_PAGE_TABLE);
    expect(shadowWalk(root, 0x2000)?.writable).toBe(false);
    expect(guest.flushes).toBeGreaterThan(0);
    expect(guest.shadow.handlePageFault(0x2000, 7)).toBe('traced');
  });
  test('[rc:traces] other traces are reported to the engine', () => {
    const { guest, root } = mapped();
    access(guest, root, 0x1000, true, true);
    guest.shadow.trace(0x20, TRACE_CODE);
    expect(guest.shadow.handlePageFault(0x1000, 7)).toBe('traced');
    guest.store(0x20010, 1);
    expect(guest.traced).toEqual([[TRACE_CODE, 0x20010, 4]]);
    guest.shadow.untrace(0x20, TRACE_CODE);
    expect(access(guest, root, 0x1000, true, true)).toBe('done');
  });
  test('[rc:eager-validate] a store to a table refills the shadow entry at once, if A is set', () => {
    const { guest, root } = mapped();
    access(guest, root, 0x1000, true, true);
    guest.store(TABLES[0] + 8, 0x25000 | P | W | U | A | D);
    expect(shadowWalk(root, 0x1000)).toEqual({ frame: machineFrame(0x25), writable: true, user: true, dirty: true });
    guest.store(TABLES[0] + 8, 0x26000 | P | W | U);
    expect(shadowWalk(root, 0x1000)).toBeNull();
  });
  test('an access beyond RAM is a device’s', () => {
    const { guest } = mapped();
    guest.store(TABLES[0] + 8, 0xfee00000 | P | W | U);
    expect(guest.shadow.handlePageFault(0x1234, 6)).toBe('mmio');
    expect(guest.shadow.faultPhysical).toBe(0xfee00234);
  });
  test('reserved bits are reported as native does', () => {
    const { guest } = mapped();
    guest.put(TABLES[0] + 12, 0x100);
    expect(guest.shadow.handlePageFault(0x1000, 4)).toBe('true');
    expect(guest.shadow.faultError).toBe(0xd);
  });
});

describe('[rc:root-switch] roots', () => {
  test('are cached by CR3; a switch back finds its tables', () => {
    const guest = new Guest();
    const first = guest.pae();
    guest.put(PDPT + 0x20, DIRECTORIES[1] | P);
    const second = guest.shadow.activate(PDPT + 0x20, CR0_PG | CR0_WP | 0, CR4_PAE | CR4_PGE, 0);
    expect(second).not.toBe(first);
    expect(guest.shadow.activate(PDPT, CR0_PG | CR0_WP | 0, CR4_PAE | CR4_PGE, 0)).toBe(first);
    expect(guest.shadow.counters()).toMatchObject({ rootNew: 2, rootSwitch: 3 });
  });
  test('PDPTEs count as they were when CR3 was loaded; reserved bits refuse the load', () => {
    const guest = new Guest();
    const root = guest.pae();
    guest.put(PDPT + 8, 0);
    expect(memory.read32((root + 8) as never) & P).toBe(P);
    guest.shadow.activate(PDPT, CR0_PG | CR0_WP | 0, CR4_PAE | CR4_PGE, 0);
    expect(memory.read32((root + 8) as never) & P).toBe(0);
    guest.put(PDPT, DIRECTORIES[0] | P | 2);
    expect(guest.shadow.activate(PDPT, CR0_PG | CR0_WP | 0, CR4_PAE | CR4_PGE, 0)).toBe(-1);
  });
});

describe('[rc:shadow-details] the rest of the architecture', () => {
  test('paging off: identity', () => {
    const guest = new Guest();
    const root = guest.shadow.activate(0, 0, 0, 0);
    expect(access(guest, root, 0x123000, true, false)).toBe('done');
    expect(shadowWalk(root, 0x123000)?.frame).toBe(machineFrame(0x123));
    expect(guest.shadow.handlePageFault(0xfee00000, 2)).toBe('mmio');
  });
  test('two-level tables: both halves of a table, quarters of a directory', () => {
    const guest = new Guest();
    guest.put(0x11000, 0x12000 | P | W | U);
    guest.put(0x11000 + 4 * 0x3ff, 0x400000 | P | W | PS);
    guest.put(0x12000 + 4 * 3, 0x30000 | P | W | U);
    guest.put(0x12000 + 4 * 0x203, 0x31000 | P | W | U);
    const root = guest.shadow.activate(0x11000, CR0_PG | CR0_WP | 0, CR4_PSE, 0);
    for (const [linear, frame] of [
      [0x3000, 0x30],
      [0x203000, 0x31],
      [0xffc05000, 0x405],
      [0xfffff000, 0x7ff],
    ] as const) {
      expect(access(guest, root, linear, true, false)).toBe('done');
      expect(shadowWalk(root, linear)?.frame).toBe(machineFrame(frame));
    }
    guest.store(0x12000 + 4 * 0x203, 0x32000 | P | W | U | A | D);
    expect(shadowWalk(root, 0x203000)?.frame).toBe(machineFrame(0x32));
    guest.store(0x11000, 0);
    expect([shadowWalk(root, 0x3000), shadowWalk(root, 0x203000)]).toEqual([null, null]);
  });
  test('CR0.WP = 0: a supervisor writes through a read-only page, and users still cannot', () => {
    const guest = new Guest();
    guest.put(DIRECTORIES[0], TABLES[0] | P | W | U);
    guest.put(TABLES[0] + 8, 0x20000 | P | U);
    const root = guest.pae(false);
    expect(access(guest, root, 0x1000, true, false)).toBe('done');
    expect(access(guest, root, 0x1000, true, true)).toBe('true');
    expect(access(guest, root, 0x1000, false, true)).toBe('done');
    expect(shadowWalk(root, 0x1000)?.writable).toBe(false);
  });
  test('NX is carried to the shadow when execute-disable is on', () => {
    const guest = new Guest();
    guest.put(DIRECTORIES[0], TABLES[0] | P | W | U);
    guest.put(TABLES[0] + 8, 0x20000 | P | U);
    guest.put(TABLES[0] + 12, 0x80000000 | 0);
    guest.put(PDPT, DIRECTORIES[0] | P);
    guest.shadow.activate(PDPT, CR0_PG | CR0_WP | 0, CR4_PAE, 0x800);
    expect(guest.shadow.handlePageFault(0x1000, 0x14)).toBe('true');
    expect(guest.shadow.faultError).toBe(0x15);
    expect(guest.shadow.handlePageFault(0x1000, 4)).toBe('hidden');
  });
});

describe('[rc:bounded-shadow] [rc:write-flood] bounded memory', () => {
  test('runs on when the table frames run out, and reclaims', () => {
    const guest = new Guest(16);
    const root = guest.pae();
    for (let i = 0; i < 64; i++) {
      const table = 0x100000 + 0x1000 * i;
      guest.store(DIRECTORIES[0] + 8 * i, table | P | W | U);
      guest.put(table, 0x200000 | P | W | U);
      expect(access(guest, root, i << 21, false, true)).toBe('done');
    }
    expect(guest.shadow.counters().shadowReclaim).toBeGreaterThan(40);
    let traced = 0;
    for (let i = 0; i < 64; i++) traced += guest.shadow.traces[0x100 + i]! & 1;
    expect(traced).toBeLessThanOrEqual(16);
  });
  test('a freed table that is stored to as data loses its trace', () => {
    const guest = new Guest();
    guest.put(DIRECTORIES[0], TABLES[0] | P | W | U);
    guest.put(TABLES[0] + 8, 0x20000 | P | W | U);
    const root = guest.pae();
    access(guest, root, 0x1000, false, true);
    guest.store(DIRECTORIES[0], 0);
    guest.store(TABLES[0], 0x1234567);
    expect(guest.shadow.traces[TABLES[0] >>> 12]).toBe(0);
  });
  test('a linked table is given up after useless stores, and not while it is used', () => {
    const guest = new Guest();
    guest.put(DIRECTORIES[0], TABLES[0] | P | W | U);
    guest.put(TABLES[0] + 8, 0x20000 | P | W | U);
    const root = guest.pae();
    access(guest, root, 0x1000, false, true);
    for (let i = 0; i < 100; i++) guest.store(TABLES[0] + 8, (0x20000 + (i << 12)) | P | U | A);
    expect(guest.shadow.traces[TABLES[0] >>> 12]).toBe(1);
    for (let i = 0; i < 16; i++) guest.store(TABLES[0] + 0x800 + 4 * i, 0);
    expect(guest.shadow.traces[TABLES[0] >>> 12]).toBe(0);
  });
});

test('[rc:vmm-writes] a frame that a fault frame must be pushed to can be given up', () => {
  const guest = new Guest();
  guest.put(DIRECTORIES[0], TABLES[0] | P | W | U);
  guest.put(TABLES[0] + 8, TABLES[0] | P | W | U);
  const root = guest.pae();
  expect(access(guest, root, 0x1000, true, false)).toBe('traced');
  expect(guest.shadow.abandon(TABLES[0] >>> 12)).toBe(true);
  expect(guest.shadow.traces[TABLES[0] >>> 12]).toBe(0);
  expect(guest.shadow.abandon(DIRECTORIES[0] >>> 12)).toBe(false);
});

test('all state is in the arrays: a copy put back behaves the same', () => {
  const guest = new Guest();
  guest.put(DIRECTORIES[0], TABLES[0] | P | W | U);
  for (let i = 0; i < 8; i++) guest.put(TABLES[0] + 8 * i, ((0x20 + i) << 12) | P | W | U);
  const root = guest.pae();
  access(guest, root, 0x1000, true, true);
  const saved = guest.shadow.arrays().map(([, array]) => array.slice());
  const ram = memory.ram.slice();
  const play = (): unknown => {
    for (let i = 0; i < 8; i++) access(guest, root, i << 12, i % 2 === 0, true);
    guest.store(TABLES[0] + 16, 0);
    return [
      guest.shadow.counters(),
      [...memory.ram.subarray(0, 32 * 4096)].reduce((h, b) => Math.imul(h ^ b, 16777619), 1),
    ];
  };
  const first = play();
  memory.ram.set(ram);
  for (const [i, [, array]] of guest.shadow.arrays().entries()) array.set(saved[i]!);
  expect(play()).toEqual(first);
});
