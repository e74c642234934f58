/** Extended page tables: rights, violations, misconfigurations, page sizes, and how many accesses a walk makes. */
import { beforeEach, describe, expect, test } from 'vitest';
import * as slot from '../../../src/core/state.ts';
import { FIELD as F } from '../../../src/core/vmx/fields.ts';
import { EXIT } from '../../../src/core/vmx/reasons.ts';
import { eventNumber } from '../../../src/cost/event.ts';
import { EPT_AT, reset, runGuest, type VmxCpu, vmxCpu } from '../../support/vmx-cpu.ts';

const WALK = eventNumber('pageWalkAccess');
const CPUID = [0x0f, 0xa2];
const READ = [0xa1, 0, 0, 0x70, 0];
const WRITE = [0xa3, 0, 0, 0x70, 0];
const PAGE = 0x700000;
/** The table that splits 6-8 MB into 4 KB pages, and the entry of the page that READ and WRITE touch. */
const TABLE = EPT_AT + 0x3000;
const LEAF = TABLE + 8 * 256;

const m: VmxCpu = vmxCpu();
const { S } = m;
const word = (at: number, value: number): void => m.cpu.memory.write32(at as never, value);

beforeEach(() => {
  reset(m);
  word(EPT_AT + 0x2000 + 8 * 3, TABLE | 7);
  for (let i = 0; i < 512; i++) word(TABLE + 8 * i, (0x600000 + 0x1000 * i) | 0x37);
});

describe('[vtx:ept] violations', () => {
  test.each([
    ['read of an absent page', 0, READ, 1],
    ['write to an absent page', 0, WRITE, 2],
    ['write to a read-only page', 0x31, WRITE, 2 | (1 << 3)],
    ['write to a read-execute page', 0x35, WRITE, 2 | (5 << 3)],
  ])('%s', (_name, rights, code, access) => {
    word(LEAF, rights === 0 ? 0 : PAGE | rights);
    expect(runGuest(m, code)).toBe(EXIT.eptViolation);
    expect(m.read(F.exitQualification)).toBe(access | 0x180);
    expect([m.read(F.guestPhysicalAddress), m.read(F.guestLinearAddress), m.read(F.guestRip)]).toEqual([
      PAGE,
      PAGE,
      0x100000,
    ]);
  });
  test('fetch from a page without X', () => {
    word(LEAF, PAGE | 0x33);
    // jmp to the page
    expect(runGuest(m, [0xe9, 0xfb, 0xff, 0x5f, 0])).toBe(EXIT.eptViolation);
    expect(m.read(F.exitQualification)).toBe(4 | (3 << 3) | 0x180);
  });
  test('rights of all levels count together', () => {
    word(EPT_AT + 0x2000 + 8 * 3, TABLE | 5);
    expect(runGuest(m, WRITE)).toBe(EXIT.eptViolation);
  });
  test('an access to the guest’s page table is told from a final one', () => {
    // Paging through a directory in the absent page; code in the identity-mapped first 4 MB.
    word(PAGE, 0xe7);
    word(LEAF, 0);
    m.write(F.guestCr0, m.read(F.guestCr0) | (0x80000000 | 0));
    m.write(F.guestCr3, PAGE);
    expect(runGuest(m, CPUID)).toBe(EXIT.eptViolation);
    expect(m.read(F.exitQualification) & 0x180).toBe(0x80);
  });
  test('a page need not lie where the guest thinks', () => {
    word(LEAF, 0x705000 | 0x37);
    word(0x705000, 0x600d);
    runGuest(m, [...READ, 0x89, 0xc3, 0xf4]);
    expect(S[slot.EBX]).toBe(0x600d);
  });
});

describe('[vtx:ept-misconfig] misconfigurations', () => {
  test.each([
    ['write without read', PAGE | 0x32, 0],
    ['execute-only', PAGE | 0x34, 0],
    ['reserved memory type', PAGE | 0x17, 0],
    ['address beyond 36 bits', PAGE | 0x37, 0x10],
  ])('%s', (_name, low, high) => {
    word(LEAF, low);
    word(LEAF + 4, high);
    expect(runGuest(m, READ)).toBe(EXIT.eptMisconfiguration);
    expect(m.read(F.guestPhysicalAddress)).toBe(PAGE);
  });
  test('a large page out of alignment', () => {
    word(EPT_AT + 0x2000 + 8 * 3, 0x601000 | 0xb7);
    expect(runGuest(m, READ)).toBe(EXIT.eptMisconfiguration);
  });
});

describe('[vtx:walk-count] accesses of a walk', () => {
  /** Walk accesses charged for one guest read of PAGE, its code page already in the TLB. */
  function accesses(): number {
    const { counts } = m.cpu.ledger;
    runGuest(m, [...CPUID, ...READ, ...CPUID]);
    const before = counts[WALK] as number;
    m.write(F.guestRip, 0x100002);
    runGuest(m);
    return (counts[WALK] as number) - before;
  }
  /** PAE tables at 2 MB, identity by 4 KB pages where READ and the code are; A and D set. */
  function paeGuest(): void {
    const [pdpt, directory, low, high] = [0x300000, 0x301000, 0x302000, 0x303000];
    word(pdpt, directory | 1);
    word(directory, low | 0x67);
    word(directory + 8 * 3, high | 0x67);
    for (let i = 0; i < 512; i++) {
      word(low + 8 * i, (i << 12) | 0x67);
      word(high + 8 * i, (0x600000 + (i << 12)) | 0x67);
    }
    m.write(F.guestCr0, m.read(F.guestCr0) | (0x80000000 | 0));
    m.write(F.guestCr4, m.read(F.guestCr4) | 0x20);
    m.write(F.guestCr3, pdpt);
    m.write(F.guestPdpte0, directory | 1);
  }
  test('paging off: four EPT levels for a 4 KB page, three for 2 MB, two for 1 GB', () => {
    expect(accesses()).toBe(4);
    reset(m);
    expect(accesses()).toBe(3);
    reset(m);
    word(EPT_AT + 0x1000, 0xb7);
    expect(accesses()).toBe(2);
  });
  test('PAE over 4 KB EPT pages: at most 14', () => {
    paeGuest();
    // The guest's tables lie in 2 MB EPT pages: 3 + 1, 3 + 1, and 4 for the page.
    expect(accesses()).toBe(12);
    word(EPT_AT + 0x2000 + 8, (EPT_AT + 0x4000) | 7);
    for (let i = 0; i < 512; i++) word(EPT_AT + 0x4000 + 8 * i, (0x200000 + 0x1000 * i) | 0x37);
    reset2();
    expect(accesses()).toBe(14);
  });
  /** Forgets translations, not the tables. */
  function reset2(): void {
    m.cpu.mmu.flushAllTags();
    m.write(F.guestRip, 0x100000);
  }
});
