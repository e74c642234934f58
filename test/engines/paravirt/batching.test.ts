import { describe, expect, it } from 'vitest';
import type { MachineAddress } from '../../../src/core/address.ts';
import { EVENT_ROWS } from '../../../src/cost/event.ts';
import { BASE, CODE, DATA, Domain, SELF } from './domain.ts';

const ENTRY = EVENT_ROWS.findIndex((row) => row.name === 'softwareInterruptEntry');
const MARKER = [0x0f, 0x1f, 0x80, 0x04, 0x00, 0x56, 0x54];

function constant(register: number, value: number): number[] {
  return [0xb8 + register, value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
}
/** Ring-1 code: EAX, EBX, ECX, EDX, ESI set, INT 82h, marker 4. */
function callCode(number: number, ebx: number, ecx: number, edx: number): number[] {
  const load = [constant(0, number), constant(3, ebx), constant(1, ecx), constant(2, edx), constant(6, SELF)].flat();
  return [...load, 0xcd, 0x82, ...MARKER];
}

/** Runs it and returns how often ring 0 was entered for it, and EAX. */
function entries(domain: Domain): { entered: number; result: number } {
  const { counts } = domain.xen.cpu.ledger;
  const before = counts[ENTRY] as number;
  expect(domain.run()).toMatchObject({ kind: 'marker', code: 4 });
  return { entered: (counts[ENTRY] as number) - before, result: domain.S[0] as number };
}

describe('batching', () => {
  for (const [variation, expected] of [
    [[], 1],
    [['nobatch'], 3],
  ] as const) {
    const name = ['paravirt', ...variation].join('~');

    it(`[pv:batching] [pv:continuation] ${name}: three updates are ${expected} entries, with one outcome`, () => {
      const domain = new Domain(callCode(1, DATA, 3, DATA + 0x100), variation);
      const pfn = domain.free;
      for (let index = 0; index < 3; index++) {
        domain.write(DATA + 16 * index, domain.frame(pfn) * 4096 + 8 * index, 0, 0x100 + index, 0);
      }
      expect(entries(domain)).toEqual({ entered: expected, result: 0 });
      expect([0, 8, 16].map((offset) => domain.read(BASE + 4096 * pfn + offset))).toEqual([0x100, 0x101, 0x102]);
      expect(domain.read(DATA + 0x100)).toBe(3);
    });

    it(`[pv:batching] [pv:multicall] ${name}: three calls are ${expected} entries, with one outcome`, () => {
      const domain = new Domain(callCode(13, DATA, 3, 0), variation);
      for (let index = 0; index < 3; index++) domain.write(DATA + 32 * index, 17, 0, 7, 0, 0, 0, 0, 0);
      expect(entries(domain)).toEqual({ entered: expected, result: 0 });
      expect([4, 36, 68].map((offset) => domain.read(DATA + offset))).toEqual([4096, 4096, 4096]);
    });
  }

  const LISTS: Readonly<Record<string, readonly [number: number, fill: (domain: Domain) => void]>> = {
    multicall: [
      13,
      (domain) => {
        const page = domain.frame(domain.free) * 4096;
        for (let index = 0; index < 100; index++) {
          domain.write(DATA + 32 * index, 14, -1, BASE + 4096 * domain.free, page | 3, 0, 2, 0, 0);
        }
      },
    ],
    mmu_update: [
      1,
      (domain) => {
        const at = domain.frame(domain.free) * 4096;
        for (let index = 0; index < 100; index++) domain.write(DATA + 16 * index, at + 8 * index, 0, index + 1, 0);
      },
    ],
    mmuext_op: [
      26,
      (domain) => {
        for (let index = 0; index < 100; index++) domain.write(DATA + 12 * index, 7, BASE, 0);
      },
    ],
  };
  for (const [name, [number, fill]] of Object.entries(LISTS)) {
    it(`[pv:continuation] ${name}: a timer that comes due breaks the list off once, and it goes on where it was`, () => {
      const entriesOf = (due: number): { entered: number; result: number; continued: number } => {
        const domain = new Domain(callCode(number, DATA, 100, 0));
        fill(domain);
        if (due > 0) domain.call(15, domain.xen.clock.now + due, 0);
        const outcome = entries(domain);
        if (name === 'multicall') {
          for (let index = 0; index < 100; index++) expect(domain.read(DATA + 32 * index + 4)).toBe(0);
        } else if (name === 'mmu_update') {
          const at = BASE + 4096 * domain.free;
          for (let index = 0; index < 100; index++) expect(domain.read(at + 8 * index)).toBe(index + 1);
        }
        return { ...outcome, continued: domain.engine.counters().continuation ?? 0 };
      };
      expect(entriesOf(0)).toEqual({ entered: 1, result: 0, continued: 0 });
      expect(entriesOf(250)).toEqual({ entered: 2, result: 0, continued: 1 });
    });
  }

  it('[pv:batching] counts the operations before a failing one, continued or not', () => {
    for (const variation of [[], ['nobatch']]) {
      const domain = new Domain(callCode(1, DATA, 3, DATA + 0x100), variation);
      const at = domain.frame(domain.free) * 4096;
      domain.write(DATA, at, 0, 1, 0, 3, 0, 0, 0, at + 8, 0, 2, 0);
      expect(entries(domain).result).toBeLessThan(0);
      expect(domain.read(DATA + 0x100)).toBe(1);
    }
  });
});

describe('writable page tables', () => {
  /** mov %ecx, (%ebx), with the registers set, then the marker; the handler of #PF is a marker 3. */
  function storing(address: number, value: number, store: readonly number[], assist = true): Domain {
    const domain = new Domain([...constant(3, address), ...constant(1, value), ...store, ...MARKER]);
    domain.xen.vcpu[14 * 4 + 1] = 0xe019;
    domain.xen.vcpu[14 * 4 + 2] = CODE + 0x800;
    domain.write(CODE + 0x800, 0x03801f0f, 0x90545600);
    domain.S[8] = DATA + 0x1000;
    if (assist) domain.call(21, 0, 2);
    return domain;
  }
  const STORE = [0x89, 0x0b];
  /** The boot tables are at one place in every domain of this size. */
  const probe = new Domain();
  const pfn = probe.free;
  const table = probe.startInfo(60) + 8192;
  const entryAddress = table + 8 * pfn;
  const own = (probe.frame(pfn) << 12) >>> 0;

  it('[pv:writable-assist] makes a kernel’s store into a level-1 table, checked', () => {
    const domain = storing(entryAddress, own | 1, STORE);
    expect(domain.run()).toMatchObject({ kind: 'marker', code: 4 });
    expect(domain.engine.counters()).toMatchObject({ 'writable page table': 1 });
    expect(domain.read(entryAddress)).toBe((own | 1) >>> 0);
    expect(domain.xen.cpu.mmu.probe(BASE + 4096 * pfn, true, false)).toBe(-1);
  });

  it('[pv:writable-assist] reads, changes and writes an entry in one instruction', () => {
    // andl %ecx, (%ebx)
    const domain = storing(entryAddress, ~2, [0x21, 0x0b]);
    expect(domain.run()).toMatchObject({ kind: 'marker', code: 4 });
    expect(domain.read(entryAddress) & 3).toBe(1);
  });

  it('[pv:writable-assist] gives the guest its page fault for a bad entry, an unaligned store, or without the assist', () => {
    const table1 = probe.frame((table - BASE) >>> 12) << 12;
    for (const domain of [
      storing(entryAddress, table1 | 3, STORE),
      storing(entryAddress + 2, own | 1, STORE),
      storing(entryAddress, own | 1, STORE, false),
      // A level-2 table is not a level-1 table.
      storing(table - 4096, 0, STORE),
    ]) {
      const before = domain.read(entryAddress);
      expect(domain.run()).toMatchObject({ kind: 'marker', code: 3 });
      expect(domain.shared(8)).toBe(domain.S[3 * 2]! >>> 0);
      expect(domain.read(entryAddress)).toBe(before);
    }
  });

  it('[pv:writable-assist] takes a high half written first as a step on the way: the entry is not present until the low half', () => {
    const domain = storing(entryAddress + 4, 0x10, STORE);
    expect(domain.run()).toMatchObject({ kind: 'marker', code: 4 });
    const at = domain.machine(entryAddress);
    expect(domain.xen.cpu.memory.read32(at) & 1).toBe(0);
    expect(domain.xen.cpu.memory.read32((at + 4) as MachineAddress)).toBe(0x10);
  });
});
