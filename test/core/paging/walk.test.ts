/** Random page tables, every permission: the core's translation against a reference walker. */
import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import type { MachineAddress } from '../../../src/core/address.ts';
import { VIEW_SHIFT, VIEW_SUPERVISOR, VIEW_USER } from '../../../src/core/memory.ts';
import { FAULT, PAGE_FAULT } from '../../../src/core/signals.ts';
import * as slot from '../../../src/core/state.ts';
import { eventNumber } from '../../../src/cost/event.ts';
import { flatCpu } from '../../support/flat-cpu.ts';
import { type Access, type Outcome, type Paging, referenceWalk } from './reference-walker.ts';

const WALK = eventNumber('pageWalkAccess');
const DIRECTORY = 0x10000;
/** Four tables right after the directory; every directory entry points at one of them. */
const TABLES = 0x11000;
const TABLE_COUNT = 4;

const cpu = flatCpu(1 << 20);
const { state: S } = cpu.memory;
const counts = cpu.ledger.counts;

beforeEach(() => cpu.mmu.flushAllTags());

function read(at: number, size: 4 | 8): bigint {
  if (at + size > cpu.memory.size) return 0n;
  const low = BigInt(cpu.memory.read32(at as MachineAddress));
  return size === 4 ? low : low | (BigInt(cpu.memory.read32((at + 4) as MachineAddress)) << 32n);
}

function write(at: number, value: bigint, size: number): void {
  cpu.memory.write32(at as MachineAddress, Number(value & 0xffffffffn));
  if (size === 8) cpu.memory.write32((at + 4) as MachineAddress, Number(value >> 32n));
}

const often = (probability: number): fc.Arbitrary<boolean> => fc.nat(99).map((n) => n < probability);

const entry = fc.record({
  present: often(93),
  writable: often(60),
  user: often(60),
  accessed: fc.boolean(),
  dirty: fc.boolean(),
  large: often(25),
  global: often(20),
  frame: fc.nat(255),
  noExecute: often(20),
  reserved: fc.oneof({ weight: 20, arbitrary: fc.constant(-1) }, { weight: 1, arbitrary: fc.nat(63) }),
});
type Entry = typeof entry extends fc.Arbitrary<infer T> ? T : never;

function encode(fields: Entry, address: bigint, pae: boolean): bigint {
  let value = address;
  if (fields.present) value |= 1n;
  if (fields.writable) value |= 2n;
  if (fields.user) value |= 4n;
  if (fields.accessed) value |= 0x20n;
  if (fields.dirty) value |= 0x40n;
  if (fields.large) value |= 0x80n;
  if (fields.global) value |= 0x100n;
  if (pae && fields.noExecute) value |= 1n << 63n;
  if (fields.reserved >= 13 && fields.reserved < (pae ? 64 : 32)) value |= 1n << BigInt(fields.reserved);
  return value;
}

const machine = fc.record({
  pae: fc.boolean(),
  pse: fc.boolean(),
  wp: fc.boolean(),
  nxe: fc.boolean(),
  pge: fc.boolean(),
  pdptes: fc.array(often(90), { minLength: 4, maxLength: 4 }),
  directory: fc.array(entry, { minLength: 4, maxLength: 4 }),
  table: fc.array(entry, { minLength: 4, maxLength: 4 }),
});
type Machine = typeof machine extends fc.Arbitrary<infer T> ? T : never;

const access = fc.record({
  spot: fc.nat(63),
  offset: fc.nat(0xfff),
  write: fc.boolean(),
  user: fc.boolean(),
  fetch: often(25),
});

/** Sets the tables up: directory entry d of every gigabyte and table entry t are those of the description. */
function build(m: Machine): Paging {
  const size = m.pae ? 8 : 4;
  cpu.memory.ram.fill(0, DIRECTORY, TABLES + TABLE_COUNT * 4096);
  for (const [d, fields] of m.directory.entries()) {
    const largeFrame = BigInt(fields.frame & 3) << (m.pae ? 21n : 22n);
    const isLarge = fields.large && (m.pae || m.pse);
    const address = isLarge ? largeFrame : BigInt(TABLES + d * 4096);
    write(DIRECTORY + d * size, encode(fields, address, m.pae), size);
    for (const [t, leaf] of m.table.entries()) {
      write(TABLES + d * 4096 + t * size, encode(leaf, BigInt(leaf.frame) << 12n, m.pae), size);
    }
  }
  const pdptes = m.pdptes.map((present) => BigInt(DIRECTORY) | (present ? 1n : 0n));
  for (const [n, pdpte] of pdptes.entries()) {
    S[slot.PDPTE + 2 * n] = Number(pdpte);
    S[slot.PDPTE + 2 * n + 1] = 0;
  }
  S[slot.CR0] = slot.CR0_PE | slot.CR0_PG | (m.wp ? slot.CR0_WP : 0);
  S[slot.CR4] = (m.pae ? slot.CR4_PAE : 0) | (m.pse ? slot.CR4_PSE : 0) | (m.pge ? slot.CR4_PGE : 0);
  S[slot.CR3] = DIRECTORY;
  S[slot.EFER] = m.nxe ? slot.EFER_NXE : 0;
  cpu.mmu.flushAllTags();
  cpu.mmu.controlsChanged();
  return { ...m, cr3: DIRECTORY, pdptes };
}

function linearOf(m: Machine, spot: number, offset: number): number {
  const gigabyte = m.pae ? spot >> 4 : 0;
  const d = (spot >> 2) & 3;
  const t = spot & 3;
  return ((gigabyte << 30) | (d << (m.pae ? 21 : 22)) | (t << 12) | offset) >>> 0;
}

/** What the core makes of the access, in the reference's terms. */
function perform(a: Access): { readonly fault: number | null; readonly physical: number } {
  S[slot.CPL] = a.user ? 3 : 0;
  S[slot.FETCH_PAGE] = -1;
  const table = (a.user ? VIEW_USER : VIEW_SUPERVISOR) << VIEW_SHIFT;
  const seen: number[] = [];
  cpu.mmio.read = (physical) => {
    seen.push(physical);
    return 0;
  };
  cpu.mmio.write = (physical) => {
    seen.push(physical);
  };
  try {
    if (a.fetch) return { fault: null, physical: cpu.mmu.fetchPage(a.linear) + (a.linear & 0xfff) };
    if (a.write) cpu.mmu.store8(a.linear, 0x5a, table);
    else cpu.mmu.load8(a.linear, table);
    return { fault: null, physical: seen[0] ?? projected(a) };
  } catch (signal) {
    if (signal !== FAULT || S[slot.EVENT_VECTOR] !== PAGE_FAULT) throw signal;
    expect(S[slot.EVENT_ADDRESS]! >>> 0).toBe(a.linear);
    return { fault: S[slot.EVENT_ERROR]!, physical: 0 };
  }
}

/** Machine address that the read fast table now gives. */
function projected(a: Access): number {
  const view = a.user ? VIEW_USER : VIEW_SUPERVISOR;
  const fast = cpu.memory.fast[(view << VIEW_SHIFT) + (a.linear >>> 12)]!;
  expect(fast & 0xfff).toBe(0);
  return ((a.linear + fast) >>> 0) - cpu.memory.ramBase;
}

function check(paging: Paging, a: Access, expected: Outcome): void {
  const before = counts[WALK]!;
  const got = perform(a);
  const walked = counts[WALK]! - before;
  if (expected.kind === 'fault') {
    expect(got.fault).toBe(expected.code);
    expect(walked).toBe(expected.reads);
    return;
  }
  expect(got).toEqual({ fault: null, physical: expected.physical });
  let marked = 0;
  for (const { at, value } of expected.entries) {
    const size = paging.pae ? 8 : 4;
    if (beforeEntries.get(at) !== value) marked++;
    expect(read(at, size)).toBe(value);
  }
  expect(walked).toBe(expected.reads + marked);
}
const beforeEntries = new Map<number, bigint>();

test('a walk from an empty TLB agrees with the reference: translation, error code, A and D bits, accesses charged', () => {
  fc.assert(
    fc.property(machine, access, (m, a) => {
      const paging = build(m);
      const full = { linear: linearOf(m, a.spot, a.offset), write: a.write && !a.fetch, user: a.user, fetch: a.fetch };
      const expected = referenceWalk(paging, full, read);
      // A store into the tables themselves would change what is compared.
      const physical = expected.kind === 'mapped' ? expected.physical : 0;
      fc.pre(!(full.write && physical >= DIRECTORY && physical < TABLES + TABLE_COUNT * 4096));
      // A fetch from outside RAM is #UD, not a translation.
      fc.pre(!(full.fetch && physical >= cpu.memory.size));
      beforeEntries.clear();
      if (expected.kind === 'mapped') {
        for (const { at } of expected.entries) beforeEntries.set(at, read(at, m.pae ? 8 : 4));
      }
      check(paging, full, expected);
    }),
    { numRuns: 3000 },
  );
});

test('with a warm TLB every access still faults or translates as the tables say', () => {
  fc.assert(
    fc.property(machine, fc.array(access, { minLength: 2, maxLength: 30 }), (m, accesses) => {
      const paging = build(m);
      for (const a of accesses) {
        const full = {
          linear: linearOf(m, a.spot, a.offset),
          write: a.write && !a.fetch,
          user: a.user,
          fetch: a.fetch,
        };
        const expected = referenceWalk(paging, full, read);
        const physical = expected.kind === 'mapped' ? expected.physical : 0;
        if (full.write && physical >= DIRECTORY && physical < TABLES + TABLE_COUNT * 4096) continue;
        if (full.fetch && physical >= cpu.memory.size) continue;
        const probed = full.fetch ? null : cpu.mmu.probe(full.linear, full.write, full.user);
        const got = perform(full);
        if (expected.kind === 'fault') {
          expect(got.fault).toBe(expected.code);
          if (probed !== null) expect(probed).toBe(-1);
        } else {
          expect(got).toEqual({ fault: null, physical });
          if (probed !== null) expect(probed).toBe(physical);
          expect(read(expected.entries.at(-1)!.at, m.pae ? 8 : 4) & 0x60n).toBe(
            (expected.entries.at(-1)!.value | (full.write ? 0x40n : 0n)) & 0x60n,
          );
        }
      }
    }),
    { numRuns: 600 },
  );
});
