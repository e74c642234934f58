import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { MachineAddress } from '../../../src/core/address.ts';
import { CR0, CR0_WP, CR3 } from '../../../src/core/state.ts';
import type { PageTypes } from '../../../src/engines/paravirt/page-types.ts';
import { BASE_FRAME } from '../../../src/engines/paravirt/vcpu.ts';
import { BASE, DATA, Domain, SELF } from './domain.ts';
import { expectConsistent } from './recount.ts';

const EINVAL = -22;
const RO = 0x61;
const RW = 0x63;
const TABLE = 0x67;
const POOL = 10;

/** Frames that a page table maps writable. */
function writableFrames(domain: Domain, pages: PageTypes): Set<number> {
  const found = new Set<number>();
  for (let frame = 0; frame < pages.types.length; frame++) {
    if (pages.typeCounts[frame] === 0 || pages.types[frame] !== 1) continue;
    for (let index = 0; index < 512; index++) {
      const entry = domain.xen.cpu.memory.read32((frame * 4096 + 8 * index) as MachineAddress);
      if ((entry & 3) === 3) found.add(entry >>> 12);
    }
  }
  return found;
}

/** What pool frames are mostly used as, by index: level-3, level-2, level-1 tables, data. */
const ROOTS = 2;
const DIRECTORIES = 5;
const TABLES = 8;

/** An entry that suits table `index`, or with `odd` any: target and flags. */
function entryFor(index: number, target: number, flavour: number, odd: boolean): readonly [number, number] {
  if (odd) return [target % POOL, [0, 1, RO, RW, TABLE][flavour % 5] as number];
  if (index < ROOTS) return [ROOTS + (target % (DIRECTORIES - ROOTS)), 1];
  if (index < DIRECTORIES) return [DIRECTORIES + (target % (TABLES - DIRECTORIES)), TABLE];
  return flavour % 3 === 0 ? [target % POOL, RO] : [TABLES + (target % (POOL - TABLES)), RW];
}

function step(domain: Domain, [kind, a, b, choice]: readonly [number, number, number, number]): void {
  const pfn = (index: number): number => domain.free + (index % POOL);
  const frame = (index: number): number => domain.frame(pfn(index));
  const level = a < ROOTS ? 2 : a < DIRECTORIES ? 1 : 0;
  switch (kind) {
    case 0:
      domain.protect(pfn(a), [RO, RW, 0][choice % 3] as number);
      break;
    case 1:
    case 2:
    case 3: {
      const [target, flags] = entryFor(a, b, choice, kind === 3);
      const slot = a < ROOTS ? (choice % 2 === 0 ? 3 : choice % 4) : choice % 4;
      const at = BASE + 4096 * pfn(a) + 8 * slot;
      const entry = (frame(target) << 12) | flags;
      // While it is ordinary memory the guest writes it as it likes.
      if (domain.xen.cpu.mmu.probe(at, true, false) >= 0) domain.write(at, entry, 0);
      else domain.update(frame(a) * 4096 + 8 * slot, entry);
      break;
    }
    case 4:
    case 5:
      for (let index = 0; index < TABLES; index++) domain.protect(pfn(index), RO);
      domain.extended(choice % 7 === 0 ? choice % 3 : level, frame(a));
      break;
    case 6:
      domain.extended(4, frame(a));
      domain.protect(pfn(a), RW);
      break;
    case 7: {
      // There and back: the kernel itself need not be mapped in the other space.
      const old = domain.xen.vcpu[BASE_FRAME] as number;
      domain.xen.setBase(frame(a % (ROOTS + 1)));
      expectConsistent(domain);
      expect(domain.xen.setBase(old)).toBe(0);
      break;
    }
    default:
      // A map of another frame in a kernel page's place.
      domain.call(14, BASE + 4096 * pfn(a), (frame(b) << 12) | (choice % 2 === 0 ? RO : RW), 0, 0);
  }
}

describe('direct paging', () => {
  it('[pv:frame-types] keeps every count right and no page table writable through any sequence of updates', () => {
    const operation = fc.tuple(fc.nat(8), fc.nat(POOL - 1), fc.nat(POOL - 1), fc.nat(11));
    fc.assert(
      fc.property(fc.array(operation, { minLength: 20, maxLength: 120, size: 'max' }), (operations) => {
        const domain = new Domain();
        for (const one of operations) step(domain, one);
        expectConsistent(domain);
        const { pages } = domain.xen;
        for (const frame of writableFrames(domain, pages)) expect(pages.types[frame]).toBe(5);
      }),
      { numRuns: 20 },
    );
  });

  it('[pv:frame-types] refuses a writable mapping of a page table and a page table that is mapped writable', () => {
    const domain = new Domain();
    const table = domain.free;
    expect(domain.extended(0, domain.frame(table))).toBe(EINVAL);
    expect(domain.protect(table, RO)).toBe(0);
    expect(domain.extended(0, domain.frame(table))).toBe(0);
    expect(domain.protect(table, RW)).toBe(EINVAL);
    expect(domain.extended(4, domain.frame(table))).toBe(0);
    expect(domain.protect(table, RW)).toBe(0);
    expectConsistent(domain);
  });

  it('[pv:frame-types] flushes stale translations when a frame that was writable becomes a page table', () => {
    const domain = new Domain();
    const pfn = domain.free;
    const map = (flags: number): number => domain.call(14, BASE + 4096 * pfn, (domain.frame(pfn) << 12) | flags, 0, 0);
    const before = domain.engine.counters()['TLB flush'] ?? 0;
    map(RO);
    domain.extended(0, domain.frame(pfn));
    expect(domain.engine.counters()['TLB flush']).toBe(before + 1);
  });

  it('[pv:pinning] pins once, unpins once, and refuses both a second time', () => {
    const domain = new Domain();
    const table = domain.free;
    domain.protect(table, RO);
    expect(domain.extended(0, domain.frame(table))).toBe(0);
    expect(domain.extended(0, domain.frame(table))).toBe(EINVAL);
    expect(domain.extended(4, domain.frame(table))).toBe(0);
    expect(domain.extended(4, domain.frame(table))).toBe(EINVAL);
  });

  it('[pv:pae-l3] refuses a level-3 table without its fourth entry, or one that shares it', () => {
    const domain = new Domain();
    const root = domain.free;
    domain.protect(root, RO);
    expect(domain.extended(2, domain.frame(root))).toBe(EINVAL);
    // The running space's own fourth level-2 table: it carries the hypervisor's entries and may not be shared.
    const current = domain.xen.cpu.memory.read32(((domain.S[CR3] as number) + 24) as MachineAddress);
    domain.protect(root, RW);
    domain.write(BASE + 4096 * root + 24, current, 0);
    domain.protect(root, RO);
    expect(domain.extended(2, domain.frame(root))).toBe(EINVAL);
    expectConsistent(domain);
  });

  it('[pv:pae-l3] refuses a pinned level-2 table in slot 3, and changes to slot 3 of a table in use', () => {
    const domain = new Domain();
    const [root, directory] = [domain.free, domain.free + 1];
    domain.write(BASE + 4096 * root + 24, (domain.frame(directory) << 12) | 1, 0);
    domain.protect(root, RO);
    domain.protect(directory, RO);
    expect(domain.extended(1, domain.frame(directory))).toBe(0);
    expect(domain.extended(2, domain.frame(root))).toBe(EINVAL);
    domain.extended(4, domain.frame(directory));
    expect(domain.extended(2, domain.frame(root))).toBe(0);
    expect(domain.update(domain.frame(root) * 4096 + 24, 0)).toBe(EINVAL);
    expectConsistent(domain);
  });

  it('[pv:hole] refuses updates of the level-2 slots that are the hypervisor’s', () => {
    const domain = new Domain();
    const pointer = domain.xen.cpu.memory.read32(((domain.S[CR3] as number) + 24) as MachineAddress);
    expect(domain.update((pointer & ~0xfff) + 8 * 428, 0)).toBe(EINVAL);
    expect(domain.update((pointer & ~0xfff) + 8 * 511, (domain.frame(domain.free) << 12) | TABLE)).toBe(EINVAL);
    expect(domain.call(14, 0xf5800000, (domain.frame(domain.free) << 12) | RW, 0, 0)).toBe(EINVAL);
  });

  it('[pv:hole] refuses frames that are not the domain’s and reserved bits', () => {
    const domain = new Domain();
    const at = BASE + 4096 * domain.free;
    const own = domain.frame(domain.free) << 12;
    expect(domain.call(14, at, (1 << 12) | RO, 0, 0)).toBe(EINVAL);
    expect(domain.call(14, at, (0xfffff << 12) | RO, 0, 0)).toBe(EINVAL);
    expect(domain.call(14, at, own | RW, 0x10, 0)).toBe(EINVAL);
    expect(domain.call(14, at, own | RW | 0x100, 0, 0)).toBe(EINVAL);
    expect(domain.call(14, at, own | RW | 0x80, 0, 0)).toBe(EINVAL);
    expectConsistent(domain);
  });

  it('[pv:m2p] [pv:hole] shows the machine-to-physical table to ring 1, read-only, and to ring 3 not at all', () => {
    const domain = new Domain();
    const { mmu } = domain.xen.cpu;
    const frame = domain.frame(domain.free);
    const at = 0xf5800000 + 4 * frame;
    expect(domain.read(at)).toBe(domain.free);
    expect(mmu.probe(at, true, false)).toBe(-1);
    expect(mmu.probe(at, false, true)).toBe(-1);
    domain.write(DATA, frame * 4096 + 1, 0, 0x1234, 0);
    expect(domain.call(1, DATA, 1, 0, SELF)).toBe(0);
    expect(domain.read(at)).toBe(0x1234);
  });

  it('[pv:wp-forced] runs the guest with CR0.WP set: its kernel cannot write its page tables', () => {
    const domain = new Domain();
    expect((domain.S[CR0] as number) & CR0_WP).toBe(CR0_WP);
    const root = domain.startInfo(60);
    expect(domain.xen.cpu.mmu.probe(root, false, false)).toBeGreaterThan(0);
    expect(domain.xen.cpu.mmu.probe(root, true, false)).toBe(-1);
  });

  it('[pv:mmu-update] keeps accessed and dirty bits on request, stores data into frames that are no tables, reports how many were done', () => {
    const domain = new Domain();
    const pfn = domain.free;
    const entry = domain.xen.tables.entryOf(BASE + 4096 * pfn);
    const own = domain.frame(pfn) << 12;
    domain.write(DATA, entry | 2, 0, own | 3, 0);
    expect(domain.call(1, DATA, 1, 0, SELF)).toBe(0);
    expect(domain.xen.cpu.memory.read32(entry as MachineAddress) & 0xfff).toBe(0x63);
    domain.update(entry, own | 3);
    expect(domain.xen.cpu.memory.read32(entry as MachineAddress) & 0xfff).toBe(3);
    expect(domain.update(own + 16, 0xabcdef)).toBe(0);
    expect(domain.read(BASE + 4096 * pfn + 16)).toBe(0xabcdef);
    domain.write(DATA, own + 24, 0, 7, 0, 3, 0, 0, 0, own + 32, 0, 9, 0);
    expect(domain.call(1, DATA, 3, DATA + 0x100, SELF)).toBeLessThan(0);
    expect(domain.read(DATA + 0x100)).toBe(1);
    expect(domain.call(1, DATA, 1, 0, 5)).toBe(-3);
  });

  it('[pv:update-va-mapping] maps a page and drops its translation when asked', () => {
    const domain = new Domain();
    const [first, second] = [domain.free, domain.free + 1];
    domain.write(BASE + 4096 * second, 0x5eed);
    domain.xen.cpu.mmu.load32(BASE + 4096 * first, 0);
    expect(domain.call(14, BASE + 4096 * first, (domain.frame(second) << 12) | RO, 0, 2)).toBe(0);
    expect(domain.xen.cpu.mmu.load32(BASE + 4096 * first, 0)).toBe(0x5eed);
  });

  it('[pv:mmuext] switches the address space, clears and copies pages, and refuses what PAE has not', () => {
    const domain = new Domain();
    const [root, directory, page, other] = [0, 1, 2, 3].map((n) => domain.free + n) as [number, number, number, number];
    const old = domain.xen.vcpu[BASE_FRAME] as number;
    // The kernel's own quarter, entry by entry.
    const pointer = domain.xen.cpu.memory.read32(((domain.S[CR3] as number) + 24) as MachineAddress) & ~0xfff;
    for (let slot = 0; slot < 428; slot++) {
      domain.write(
        BASE + 4096 * directory + 8 * slot,
        domain.xen.cpu.memory.read32((pointer + 8 * slot) as MachineAddress),
        0,
      );
    }
    domain.write(BASE + 4096 * root + 24, (domain.frame(directory) << 12) | 1, 0);
    domain.protect(root, RO);
    domain.protect(directory, RO);
    expect(domain.extended(5, domain.frame(root))).toBe(0);
    expect(domain.S[CR3]).toBe(domain.frame(root) << 12);
    expectConsistent(domain);
    expect(domain.extended(5, old)).toBe(0);
    domain.write(BASE + 4096 * page, 1, 2, 3);
    expect(domain.extended(17, domain.frame(other), domain.frame(page))).toBe(0);
    expect(domain.read(BASE + 4096 * other + 8)).toBe(3);
    expect(domain.extended(16, domain.frame(page))).toBe(0);
    expect(domain.read(BASE + 4096 * page + 8)).toBe(0);
    expect(domain.extended(3, domain.frame(page))).toBe(EINVAL);
    expect(domain.extended(99)).toBe(-38);
  });

  it('[pv:balloon] [pv:memory-op] takes back only frames that nothing maps, and gives them out again', () => {
    const domain = new Domain();
    const pfn = domain.free;
    const frame = domain.frame(pfn);
    const reserve = (command: number): number => {
      domain.write(DATA, DATA + 0x100, 1, 0, 0, SELF);
      return domain.call(12, command, DATA);
    };
    domain.write(DATA + 0x100, frame);
    expect(reserve(1)).toBe(0);
    domain.call(14, BASE + 4096 * pfn, 0, 0, 2);
    expect(reserve(1)).toBe(1);
    expect(domain.read(0xf5800000 + 4 * frame)).toBe(0xffffffff);
    domain.write(DATA, SELF);
    expect(domain.call(12, 3, DATA)).toBe((8 << 8) - 1);
    domain.write(DATA + 0x100, pfn);
    expect(reserve(6)).toBe(1);
    expect(domain.read(DATA + 0x100)).toBe(frame);
    expect(domain.read(0xf5800000 + 4 * frame)).toBe(pfn);
  });

  it('[pv:balloon] [pv:memory-op] gives an extent of two frames back and takes it again, aligned and contiguous', () => {
    const domain = new Domain();
    const pfns = new Map<number, number>();
    for (let pfn = domain.free; pfn < 2048; pfn++) pfns.set(domain.frame(pfn), pfn);
    const first = [...pfns.keys()].find(
      (frame) => (frame & 1) === 0 && pfns.has(frame + 1) && pfns.get(frame)! >= 1024,
    )!;
    const reserve = (command: number, order: number, extent: number): number => {
      domain.write(DATA, DATA + 0x100, 1, order, 0, SELF);
      domain.write(DATA + 0x100, extent);
      return domain.call(12, command, DATA);
    };
    expect(reserve(6, 1, 5)).toBe(0);
    // The kernel's region is mapped up to 4 MB.
    for (const frame of [first, first + 1]) {
      if (pfns.get(frame)! < 1024) domain.call(14, BASE + 4096 * pfns.get(frame)!, 0, 0, 2);
    }
    expect(reserve(1, 1, first)).toBe(1);
    expect([0, 1].map((i) => domain.read(0xf5800000 + 4 * (first + i)))).toEqual([0xffffffff, 0xffffffff]);
    domain.write(DATA, SELF);
    expect(domain.call(12, 3, DATA)).toBe((8 << 8) - 2);
    expect(reserve(6, 2, 5)).toBe(0);
    expect(reserve(6, 1, 900)).toBe(1);
    expect(domain.read(DATA + 0x100)).toBe(first);
    expect([0, 1].map((i) => domain.read(0xf5800000 + 4 * (first + i)))).toEqual([900, 901]);
  });
});
