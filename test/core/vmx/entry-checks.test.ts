/** VM entry: for every check, one VMCS that passes all the others and fails this one. */
import { beforeEach, describe, expect, test } from 'vitest';
import { CONTROL_CHECKS, HOST_CHECKS } from '../../../src/core/vmx/control-checks.ts';
import { FIELD as F } from '../../../src/core/vmx/fields.ts';
import { GUEST_CHECKS } from '../../../src/core/vmx/guest-checks.ts';
import { ERROR, EXIT } from '../../../src/core/vmx/reasons.ts';
import { NEHALEM } from '../../../src/cost/profiles/nehalem.ts';
import { DIRECTORY_AT, PDPT_AT, reset, type VmxCpu, vmxCpu } from '../../support/vmx-cpu.ts';

const VALID = 0x80000000 | 0;
const EXTERNAL = VALID | 0x20;
const machine = vmxCpu();
let m: VmxCpu = machine;
beforeEach(() => {
  m = machine;
  reset(m);
});

const set = (field: number, bits: number): void => m.write(field, m.read(field) | bits);
/** Does several things in turn: its arguments. */
const both = (..._done: unknown[]): void => {};
const drop = (field: number, bits: number): void => m.write(field, m.read(field) & ~bits);

/** How to break each check of the control fields; a row with two functions is tried on two VMCSs. */
const BREAK_CONTROLS: Record<string, (() => void)[]> = {
  'pin controls reserved bits': [() => m.write(F.pinControls, 0), () => set(F.pinControls, 1 << 6)],
  'proc controls reserved bits': [() => drop(F.procControls, 2), () => set(F.procControls, 1 << 27)],
  'secondary controls reserved bits': [() => set(F.procControls2, 1)],
  'CR3-target count': [() => m.write(F.cr3TargetCount, 5)],
  'I/O bitmap addresses': [
    () => both(set(F.procControls, 1 << 25), m.write(F.ioBitmapA, 8)),
    () => both(set(F.procControls, 1 << 25), m.write(F.ioBitmapB + 1, 0x10)),
  ],
  'MSR bitmap address': [() => both(set(F.procControls, 1 << 28), m.write(F.msrBitmap, 0x800))],
  'VPID zero': [() => m.write(F.vpid, 0)],
  'EPT pointer': [
    () => m.write(F.eptPointer, (m.read(F.eptPointer) & ~7) | 1),
    () => m.write(F.eptPointer, m.read(F.eptPointer) & ~0x38),
    () => set(F.eptPointer, 0x40),
    () => m.write(F.eptPointer + 1, 0x10),
  ],
  'unrestricted guest needs EPT': [() => drop(F.procControls2, 2)],
  'exit controls reserved bits': [() => m.write(F.exitControls, 0), () => set(F.exitControls, 1 << 9)],
  'exit MSR-store area': [() => both(m.write(F.exitMsrStoreCount, 1), m.write(F.exitMsrStoreAddress, 8))],
  'exit MSR-load area': [() => both(m.write(F.exitMsrLoadCount, 1), m.write(F.exitMsrLoadAddress, 4))],
  'entry controls reserved bits': [() => m.write(F.entryControls, 0), () => set(F.entryControls, 1 << 9)],
  'injection reserved bits': [() => m.write(F.entryInterruptionInfo, VALID | (3 << 8) | (1 << 12))],
  'injection type': [
    () => m.write(F.entryInterruptionInfo, VALID | (1 << 8) | 3),
    () => m.write(F.entryInterruptionInfo, VALID | (7 << 8)),
  ],
  'injection vector': [
    () => m.write(F.entryInterruptionInfo, VALID | (2 << 8) | 3),
    () => m.write(F.entryInterruptionInfo, VALID | (3 << 8) | 32),
  ],
  'injection error code': [
    () => m.write(F.entryInterruptionInfo, VALID | (3 << 8) | 13),
    () => m.write(F.entryInterruptionInfo, VALID | (3 << 8) | (1 << 11) | 6),
    () => m.write(F.entryInterruptionInfo, EXTERNAL | (1 << 11)),
  ],
  'injected error code bits': [
    () => both(m.write(F.entryInterruptionInfo, VALID | (3 << 8) | (1 << 11) | 13), m.write(F.entryErrorCode, 0x8000)),
  ],
  'injection instruction length': [
    () => m.write(F.entryInterruptionInfo, VALID | (4 << 8) | 0x80),
    () => both(m.write(F.entryInterruptionInfo, VALID | (6 << 8) | 3), m.write(F.entryInstructionLength, 16)),
  ],
  'entry MSR-load area': [() => both(m.write(F.entryMsrLoadCount, 1), m.write(F.entryMsrLoadAddress, 1))],
};
/** Their controls are not built, so the reserved-bit checks before them fail first. */
const BEHIND_RESERVED = ['NMI-window exiting needs virtual NMIs', 'virtual NMIs need NMI exiting'];

const BREAK_HOST: Record<string, (() => void)[]> = {
  'host CR0': [() => drop(F.hostCr0, 1), () => drop(F.hostCr0, 0x20)],
  'host CR4': [() => m.write(F.hostCr4, 0), () => set(F.hostCr4, 1 << 20)],
  'host selectors TI and RPL': [() => m.write(F.hostDsSelector, 0x13), () => m.write(F.hostTrSelector, 0x1c)],
  'host CS null': [() => m.write(F.hostCsSelector, 0)],
  'host TR null': [() => m.write(F.hostTrSelector, 0)],
  'host SS null': [() => m.write(F.hostSsSelector, 0)],
  'host EFER': [() => both(set(F.exitControls, 1 << 21), m.write(F.hostEfer, 0x100))],
};

const v86 = (): void => {
  set(F.guestRflags, 0x20000);
  for (let segment = 0; segment < 6; segment++) {
    m.write(F.guestEsSelector + 2 * segment, 0x100);
    m.write(F.guestEsBase + 2 * segment, 0x1000);
    m.write(F.guestEsLimit + 2 * segment, 0xffff);
    m.write(F.guestEsRights + 2 * segment, 0xf3);
  }
};
const restricted = (): void => {
  m.write(F.procControls2, 0x22);
  set(F.guestCr0, 0x80000000 | 0);
};
const pae = (): void => {
  set(F.guestCr0, 0x80000000 | 0);
  set(F.guestCr4, 0x20);
};
const SEGMENTS = ['ES', 'CS', 'SS', 'DS', 'FS', 'GS'];

function segmentBreakers(): Record<string, (() => void)[]> {
  const rows: Record<string, (() => void)[]> = {};
  for (const [index, name] of SEGMENTS.entries()) {
    const rights = F.guestEsRights + 2 * index;
    rows[`guest ${name} base in virtual-8086 mode`] = [() => both(v86(), m.write(F.guestEsBase + 2 * index, 0x2000))];
    rows[`guest ${name} limit in virtual-8086 mode`] = [
      () => both(v86(), m.write(F.guestEsLimit + 2 * index, 0xfffff)),
    ];
    rows[`guest ${name} rights in virtual-8086 mode`] = [() => both(v86(), m.write(rights, 0x93))];
    rows[`guest ${name} type`] = [() => drop(rights, 1)];
    rows[`guest ${name} S`] = [() => drop(rights, 0x10)];
    rows[`guest ${name} present`] = [() => drop(rights, 0x80)];
    rows[`guest ${name} rights reserved bits`] = [() => set(rights, 0x100)];
    rows[`guest ${name} granularity`] = [() => m.write(F.guestEsLimit + 2 * index, 0x100), () => drop(rights, 0x8000)];
    rows[`guest ${name} DPL`] = [
      index === 1
        ? () => set(rights, 0x60)
        : index === 2
          ? () => both(restricted(), set(rights, 0x60), set(F.guestCsRights, 0x60))
          : () => both(restricted(), m.write(F.guestEsSelector + 2 * index, 0x13)),
    ];
  }
  return rows;
}

const BREAK_GUEST: Record<string, (() => void)[]> = {
  ...segmentBreakers(),
  'guest CR0': [() => drop(F.guestCr0, 0x20), () => both(restricted(), drop(F.guestCr0, 1))],
  'guest CR0 PG without PE': [() => both(set(F.guestCr0, 0x80000000 | 0), drop(F.guestCr0, 1))],
  'guest CR4': [() => m.write(F.guestCr4, 0), () => set(F.guestCr4, 1 << 22)],
  'guest DEBUGCTL': [() => both(set(F.entryControls, 4), m.write(F.guestDebugctl, 0x8000))],
  'guest EFER': [() => both(set(F.entryControls, 1 << 15), m.write(F.guestEfer, 0x400))],
  'guest TR selector TI': [() => m.write(F.guestTrSelector, 0x1c)],
  'guest LDTR selector TI': [() => both(m.write(F.guestLdtrRights, 0x82), m.write(F.guestLdtrSelector, 4))],
  'guest SS RPL equals CS RPL': [() => both(restricted(), m.write(F.guestSsSelector, 0x13))],
  'guest CS unusable': [() => set(F.guestCsRights, 0x10000)],
  'guest TR type': [() => m.write(F.guestTrRights, 0x89)],
  'guest TR S': [() => set(F.guestTrRights, 0x10)],
  'guest TR present': [() => drop(F.guestTrRights, 0x80)],
  'guest TR rights reserved bits': [() => set(F.guestTrRights, 0x200)],
  'guest TR granularity': [() => set(F.guestTrRights, 0x8000 | 0), () => m.write(F.guestTrLimit, 0x100000)],
  'guest TR unusable': [() => set(F.guestTrRights, 0x10000)],
  'guest LDTR type': [() => m.write(F.guestLdtrRights, 0x83)],
  'guest LDTR S': [() => m.write(F.guestLdtrRights, 0x92)],
  'guest LDTR present': [() => m.write(F.guestLdtrRights, 0x02)],
  'guest LDTR rights reserved bits': [() => m.write(F.guestLdtrRights, 0x182)],
  'guest LDTR granularity': [() => both(m.write(F.guestLdtrRights, 0x8082), m.write(F.guestLdtrLimit, 0x10))],
  'guest GDTR limit': [() => m.write(F.guestGdtrLimit, 0x10000)],
  'guest IDTR limit': [() => m.write(F.guestIdtrLimit, -1)],
  'guest RFLAGS reserved bits': [() => m.write(F.guestRflags, 0), () => set(F.guestRflags, 0x8000)],
  'guest RFLAGS VM without PE': [() => both(v86(), drop(F.guestCr0, 1))],
  'guest RFLAGS IF for an injected interrupt': [() => m.write(F.entryInterruptionInfo, EXTERNAL)],
  'guest activity state': [() => m.write(F.guestActivity, 2)],
  'guest HLT with SS.DPL': [
    () => {
      m.write(F.guestActivity, 1);
      for (const segment of [0, 1, 2, 3, 4, 5]) {
        set(F.guestEsRights + 2 * segment, 0x60);
        set(F.guestEsSelector + 2 * segment, 3);
      }
    },
  ],
  'guest activity with blocking': [
    () => both(m.write(F.guestActivity, 1), set(F.guestRflags, 0x200), m.write(F.guestInterruptibility, 1)),
  ],
  'guest activity with injection': [
    () => both(m.write(F.guestActivity, 1), m.write(F.entryInterruptionInfo, VALID | (3 << 8) | 6)),
  ],
  'guest interruptibility reserved bits': [() => m.write(F.guestInterruptibility, 0x20)],
  'guest STI and MOV SS blocking at once': [() => both(set(F.guestRflags, 0x200), m.write(F.guestInterruptibility, 3))],
  'guest STI blocking without IF': [() => m.write(F.guestInterruptibility, 1)],
  'guest blocking with an injected interrupt': [
    () =>
      both(set(F.guestRflags, 0x200), m.write(F.guestInterruptibility, 1), m.write(F.entryInterruptionInfo, EXTERNAL)),
  ],
  'guest MOV SS blocking with an injected NMI': [
    () => both(m.write(F.guestInterruptibility, 2), m.write(F.entryInterruptionInfo, VALID | (2 << 8) | 2)),
  ],
  'guest blocking by SMI': [() => m.write(F.guestInterruptibility, 4)],
  'guest pending debug exceptions reserved bits': [() => m.write(F.guestPendingDebug, 0x10)],
  'VMCS link pointer': [() => m.write(F.vmcsLinkPointer, 0)],
  'guest PDPTEs': [() => both(pae(), m.write(F.guestPdpte1, 3))],
};

const firstFailing = (): string | undefined =>
  [...CONTROL_CHECKS, ...HOST_CHECKS, ...GUEST_CHECKS].find(
    (row) => !row.passes(m.vmx.vmcs, m.vmx.capabilities, m.cpu.memory),
  )?.name;
const cases = (rows: Record<string, (() => void)[]>): [string, () => void][] =>
  Object.entries(rows).flatMap(([name, breakers]) => breakers.map((breaker): [string, () => void] => [name, breaker]));

test('[vtx:check-guest] the VMCS these tests start from passes, as do its variants', () => {
  expect(firstFailing()).toBeUndefined();
  for (const variant of [v86, restricted]) {
    reset(m);
    variant();
    expect(firstFailing()).toBeUndefined();
  }
  reset(m);
  pae();
  for (let i = 0; i < 4; i++) m.write(F.guestPdpte0 + 2 * i, (PDPT_AT + 0x1000 * (i + 1)) | 1);
  expect(firstFailing()).toBeUndefined();
  m = vmxCpu(NEHALEM);
  expect(firstFailing()).toBeUndefined();
});

describe('control fields: VMfailValid, error 7', () => {
  test.each(cases(BREAK_CONTROLS))('[vtx:check-controls] [vtx:check-injection] %s', (name, breaker) => {
    breaker();
    expect(firstFailing()).toBe(name);
    expect(m.vmx.transitions.enter(true)).toBe(ERROR.controls);
  });
  test('every check has a test', () => {
    expect(CONTROL_CHECKS.map((row) => row.name).sort()).toEqual(
      [...Object.keys(BREAK_CONTROLS), ...BEHIND_RESERVED].sort(),
    );
  });
});

describe('host state: VMfailValid, error 8', () => {
  test.each(cases(BREAK_HOST))('[vtx:check-host] %s', (name, breaker) => {
    breaker();
    expect(firstFailing()).toBe(name);
    expect(m.vmx.transitions.enter(true)).toBe(ERROR.hostState);
  });
  test('every check has a test', () => {
    expect(HOST_CHECKS.map((row) => row.name).sort()).toEqual(Object.keys(BREAK_HOST).sort());
  });
});

describe('guest state: exit 33 | bit 31 with its qualification', () => {
  test.each(cases(BREAK_GUEST))('[vtx:check-guest] %s', (name, breaker) => {
    breaker();
    expect(firstFailing()).toBe(name);
    const row = GUEST_CHECKS.find((check) => check.name === name)!;
    expect(m.vmx.transitions.enter(true)).toBe(0);
    expect(m.read(F.exitReason)).toBe(EXIT.entryGuestState | 0x80000000);
    expect(m.read(F.exitQualification)).toBe(row.qualification);
  });
  test('every check has a test', () => {
    const names = GUEST_CHECKS.map((row) => row.name);
    expect([...new Set(names)].sort()).toEqual(Object.keys(BREAK_GUEST).sort());
  });
  test('without EPT the PDPTEs are checked in memory at CR3', () => {
    m = vmxCpu(NEHALEM);
    m.write(F.procControls2, 0x20);
    pae();
    m.write(F.guestCr3, PDPT_AT);
    expect(firstFailing()).toBeUndefined();
    m.write(F.guestCr3, DIRECTORY_AT);
    expect(firstFailing()).toBe('guest PDPTEs');
  });
});

describe('[vtx:entry-exit-controls] MSR areas', () => {
  test('an MSR that cannot be loaded: exit 34 | bit 31, qualification its number', () => {
    const area = 0x440000;
    m.cpu.memory.write32(area as never, 0x174);
    m.cpu.memory.write32((area + 16) as never, 0xc0000100 | 0);
    m.write(F.entryMsrLoadCount, 2);
    m.write(F.entryMsrLoadAddress, area);
    expect(m.vmx.transitions.enter(true)).toBe(0);
    expect([m.read(F.exitReason), m.read(F.exitQualification)]).toEqual([EXIT.entryMsrLoad | 0x80000000, 2]);
  });
});
