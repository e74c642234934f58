/**
 * VM-entry checks on guest state, in the SDM's order (SDM 3C 26.3.1). The first that fails ends the entry with a VM
 * exit, reason 33 | bit 31, and the row's exit qualification (SDM 3C 26.8).
 */
import type { MachineAddress } from '../address.ts';
import type { MachineMemory } from '../memory.ts';
import { type Capabilities, CR0_FIXED0, CR0_FIXED1, CR4_FIXED0, CR4_FIXED1 } from './capabilities.ts';
import { secondary, usesPaePdptes } from './control-checks.ts';
import {
  BLOCKED_MOV_SS,
  BLOCKED_SMI,
  BLOCKED_STI,
  ENTRY_LOAD_DEBUG,
  ENTRY_LOAD_EFER,
  INFO_VALID,
  PROC2_EPT,
  PROC2_UNRESTRICTED,
} from './controls.ts';
import { FIELD } from './fields.ts';
import type { Vmcs } from './vmcs.ts';

export const QUALIFICATION_PDPTE = 2;
export const QUALIFICATION_NMI = 3;
export const QUALIFICATION_LINK_POINTER = 4;

export interface GuestCheck {
  readonly name: string;
  readonly qualification: number;
  readonly passes: (vmcs: Vmcs, capabilities: Capabilities, memory: MachineMemory) => boolean;
}

const ES = 0;
const CS = 1;
const SS = 2;
const LDTR = 6;
const TR = 7;
const NAMES = ['ES', 'CS', 'SS', 'DS', 'FS', 'GS', 'LDTR', 'TR'];

const selector = (v: Vmcs, segment: number): number => v.get(FIELD.guestEsSelector + 2 * segment) & 0xffff;
const limit = (v: Vmcs, segment: number): number => v.get(FIELD.guestEsLimit + 2 * segment);
const rights = (v: Vmcs, segment: number): number => v.get(FIELD.guestEsRights + 2 * segment);
const base = (v: Vmcs, segment: number): number => v.get(FIELD.guestEsBase + 2 * segment);
const usable = (v: Vmcs, segment: number): boolean => (rights(v, segment) & 0x10000) === 0;
const dpl = (v: Vmcs, segment: number): number => (rights(v, segment) >>> 5) & 3;
const virtual8086 = (v: Vmcs): boolean => (v.get(FIELD.guestRflags) & 0x20000) !== 0;
const unrestricted = (v: Vmcs): boolean => (secondary(v) & PROC2_UNRESTRICTED) !== 0;
const injection = (v: Vmcs): number => v.get(FIELD.entryInterruptionInfo);
const injects = (v: Vmcs, type: number): boolean => injection(v) < 0 && ((injection(v) >>> 8) & 7) === type;

/** G and limit agree: an expanded limit with a low 12 bits not all ones needs G = 0, one above 1 MB needs G = 1. */
function granular(v: Vmcs, segment: number): boolean {
  const value = limit(v, segment);
  const g = (rights(v, segment) & 0x8000) !== 0;
  return !((value & 0xfff) !== 0xfff && g) && !((value & 0xfff00000) !== 0 && !g);
}

function check(name: string, passes: GuestCheck['passes'], qualification = 0): GuestCheck {
  return { name, qualification, passes };
}

/** Rights of ES CS SS DS FS GS outside virtual-8086 mode (26.3.1.2), one row each. */
function rightsChecks(segment: number): GuestCheck[] {
  const name = NAMES[segment] as string;
  // CS must be usable; the others are checked only if they are.
  const applies = (v: Vmcs): boolean => !virtual8086(v) && (segment === CS || usable(v, segment));
  const row = (what: string, passes: GuestCheck['passes']): GuestCheck =>
    check(`guest ${name} ${what}`, (v, c, m) => !applies(v) || passes(v, c, m));
  const type = (v: Vmcs): number => rights(v, segment) & 0xf;
  const typeAllowed = (v: Vmcs): boolean => {
    if (segment === CS) return (type(v) & 9) === 9 || (unrestricted(v) && type(v) === 3);
    if (segment === SS) return type(v) === 3 || type(v) === 7;
    // Accessed, and readable if code.
    return (type(v) & 1) !== 0 && ((type(v) & 8) === 0 || (type(v) & 2) !== 0);
  };
  const dplAllowed = (v: Vmcs): boolean => {
    if (segment === CS) {
      if (type(v) === 3) return dpl(v, CS) === 0;
      return (type(v) & 4) === 0 ? dpl(v, CS) === dpl(v, SS) : dpl(v, CS) <= dpl(v, SS);
    }
    if (segment === SS) {
      return unrestricted(v) || dpl(v, SS) === (selector(v, SS) & 3);
    }
    return unrestricted(v) || type(v) > 11 || dpl(v, segment) >= (selector(v, segment) & 3);
  };
  return [
    row('type', typeAllowed),
    row('S', (v) => (rights(v, segment) & 0x10) !== 0),
    row('DPL', dplAllowed),
    row('present', (v) => (rights(v, segment) & 0x80) !== 0),
    row('rights reserved bits', (v) => (rights(v, segment) & 0xfffe0f00) === 0),
    row('granularity', (v) => granular(v, segment)),
  ];
}

function virtual8086Checks(segment: number): GuestCheck[] {
  const name = NAMES[segment] as string;
  return [
    check(
      `guest ${name} base in virtual-8086 mode`,
      (v) => !virtual8086(v) || base(v, segment) === selector(v, segment) << 4,
    ),
    check(`guest ${name} limit in virtual-8086 mode`, (v) => !virtual8086(v) || limit(v, segment) === 0xffff),
    check(`guest ${name} rights in virtual-8086 mode`, (v) => !virtual8086(v) || rights(v, segment) === 0xf3),
  ];
}

const DATA_SEGMENTS = [ES, CS, SS, 3, 4, 5];

export const GUEST_CHECKS: readonly GuestCheck[] = [
  // Control registers, debug registers, MSRs (26.3.1.1).
  check('guest CR0', (v) => {
    const fixed = unrestricted(v) ? CR0_FIXED0 & ~0x80000001 : CR0_FIXED0;
    return (v.get(FIELD.guestCr0) & fixed) === fixed && (v.get(FIELD.guestCr0) & ~CR0_FIXED1) === 0;
  }),
  check('guest CR0 PG without PE', (v) => v.get(FIELD.guestCr0) >= 0 || (v.get(FIELD.guestCr0) & 1) !== 0),
  check(
    'guest CR4',
    (v) => (v.get(FIELD.guestCr4) & CR4_FIXED0) === CR4_FIXED0 && (v.get(FIELD.guestCr4) & ~CR4_FIXED1) === 0,
  ),
  check(
    'guest DEBUGCTL',
    (v) => (v.get(FIELD.entryControls) & ENTRY_LOAD_DEBUG) === 0 || (v.get(FIELD.guestDebugctl) & ~3) === 0,
  ),
  check(
    'guest EFER',
    (v) => (v.get(FIELD.entryControls) & ENTRY_LOAD_EFER) === 0 || (v.get(FIELD.guestEfer) & ~0x800) === 0,
  ),
  // Segment registers (26.3.1.2).
  check('guest TR selector TI', (v) => (selector(v, TR) & 4) === 0),
  check('guest LDTR selector TI', (v) => !usable(v, LDTR) || (selector(v, LDTR) & 4) === 0),
  check(
    'guest SS RPL equals CS RPL',
    (v) => virtual8086(v) || unrestricted(v) || (selector(v, SS) & 3) === (selector(v, CS) & 3),
  ),
  ...DATA_SEGMENTS.flatMap(virtual8086Checks),
  check('guest CS unusable', (v) => virtual8086(v) || usable(v, CS)),
  ...DATA_SEGMENTS.flatMap(rightsChecks),
  check('guest TR type', (v) => (rights(v, TR) & 0x7) === 3),
  check('guest TR S', (v) => (rights(v, TR) & 0x10) === 0),
  check('guest TR present', (v) => (rights(v, TR) & 0x80) !== 0),
  check('guest TR rights reserved bits', (v) => (rights(v, TR) & 0xfffe0f00) === 0),
  check('guest TR granularity', (v) => granular(v, TR)),
  check('guest TR unusable', (v) => usable(v, TR)),
  check('guest LDTR type', (v) => !usable(v, LDTR) || (rights(v, LDTR) & 0xf) === 2),
  check('guest LDTR S', (v) => !usable(v, LDTR) || (rights(v, LDTR) & 0x10) === 0),
  check('guest LDTR present', (v) => !usable(v, LDTR) || (rights(v, LDTR) & 0x80) !== 0),
  check('guest LDTR rights reserved bits', (v) => !usable(v, LDTR) || (rights(v, LDTR) & 0xfffe0f00) === 0),
  check('guest LDTR granularity', (v) => !usable(v, LDTR) || granular(v, LDTR)),
  // Descriptor tables (26.3.1.3).
  check('guest GDTR limit', (v) => v.get(FIELD.guestGdtrLimit) >>> 0 <= 0xffff),
  check('guest IDTR limit', (v) => v.get(FIELD.guestIdtrLimit) >>> 0 <= 0xffff),
  // RIP, RFLAGS (26.3.1.4).
  check('guest RFLAGS reserved bits', (v) => (v.get(FIELD.guestRflags) & ~0x3f7fd5) === 2),
  check('guest RFLAGS VM without PE', (v) => !virtual8086(v) || !unrestricted(v) || (v.get(FIELD.guestCr0) & 1) !== 0),
  check('guest RFLAGS IF for an injected interrupt', (v) => !injects(v, 0) || (v.get(FIELD.guestRflags) & 0x200) !== 0),
  // Non-register state (26.3.1.5).
  check('guest activity state', (v) => v.get(FIELD.guestActivity) >>> 0 <= 1),
  check('guest HLT with SS.DPL', (v) => v.get(FIELD.guestActivity) !== 1 || dpl(v, SS) === 0),
  check(
    'guest activity with blocking',
    (v) => v.get(FIELD.guestActivity) === 0 || (v.get(FIELD.guestInterruptibility) & 3) === 0,
  ),
  check('guest activity with injection', (v) => {
    if (v.get(FIELD.guestActivity) !== 1 || (injection(v) & INFO_VALID) === 0) return true;
    const type = (injection(v) >>> 8) & 7;
    const vector = injection(v) & 0xff;
    return type === 0 || type === 2 || (type === 3 && (vector === 1 || vector === 18));
  }),
  check('guest interruptibility reserved bits', (v) => (v.get(FIELD.guestInterruptibility) & ~0xf) === 0),
  check('guest STI and MOV SS blocking at once', (v) => (v.get(FIELD.guestInterruptibility) & 3) !== 3),
  check(
    'guest STI blocking without IF',
    (v) => (v.get(FIELD.guestRflags) & 0x200) !== 0 || (v.get(FIELD.guestInterruptibility) & BLOCKED_STI) === 0,
  ),
  check(
    'guest blocking with an injected interrupt',
    (v) => !injects(v, 0) || (v.get(FIELD.guestInterruptibility) & 3) === 0,
  ),
  check(
    'guest MOV SS blocking with an injected NMI',
    (v) => !injects(v, 2) || (v.get(FIELD.guestInterruptibility) & BLOCKED_MOV_SS) === 0,
    QUALIFICATION_NMI,
  ),
  check('guest blocking by SMI', (v) => (v.get(FIELD.guestInterruptibility) & BLOCKED_SMI) === 0),
  check('guest pending debug exceptions reserved bits', (v) => (v.get(FIELD.guestPendingDebug) & ~0x500f) === 0),
  check(
    'VMCS link pointer',
    (v) => v.get(FIELD.vmcsLinkPointer) === -1 && v.get(FIELD.vmcsLinkPointer + 1) === -1,
    QUALIFICATION_LINK_POINTER,
  ),
  // Page-directory-pointer-table entries (26.3.1.6).
  check(
    'guest PDPTEs',
    (v, _c, memory) => {
      if (!usesPaePdptes(v)) return true;
      for (let slot = 0; slot < 4; slot++) {
        const low = pdpteWord(v, 2 * slot, memory);
        const high = pdpteWord(v, 2 * slot + 1, memory);
        if ((low & 1) !== 0 && ((low & 0x1e6) !== 0 || (high & ~0xf) !== 0)) return false;
      }
      return true;
    },
    QUALIFICATION_PDPTE,
  ),
];

/** Word 0 .. 7 (low, high, low, ...) of the PDPTEs as VM entry loads them: from the VMCS under EPT, else from memory at CR3 (SDM 3C 26.3.2.4). */
export function pdpteWord(v: Vmcs, word: number, memory: MachineMemory): number {
  if ((secondary(v) & PROC2_EPT) !== 0) return v.get(FIELD.guestPdpte0 + (word & ~1) + (word & 1));
  const at = ((v.get(FIELD.guestCr3) & ~0x1f) >>> 0) + 4 * word;
  return at + 4 <= memory.size ? memory.read32(at as MachineAddress) | 0 : 0;
}
