/** Moving the guest's and the host's state between the processor and the VMCS (SDM 3C 26.3.2, 27.3, 27.5). */
import type { MachineAddress } from '../address.ts';
import type { Cpu } from '../cpu.ts';
import {
  ACTIVITY,
  BASE,
  CPL,
  CR0,
  CR0_PG,
  CR3,
  CR4,
  CR4_PAE,
  DR0,
  EFER,
  EIP,
  ESP,
  GDTR_BASE,
  GDTR_LIMIT,
  IDTR_BASE,
  IDTR_LIMIT,
  LDTR,
  LIMIT,
  NMI_BLOCKED,
  PDPTE,
  RIGHTS,
  RIGHTS_UNUSABLE,
  SEGMENT_STRIDE,
  SEGMENTS,
  SELECTOR,
  SHADOW,
  SYSENTER_CS,
  SYSENTER_EIP,
  SYSENTER_ESP,
  TR,
} from '../state.ts';
import { secondary } from './control-checks.ts';
import {
  BLOCKED_MOV_SS,
  BLOCKED_NMI,
  BLOCKED_STI,
  ENTRY_LOAD_DEBUG,
  ENTRY_LOAD_EFER,
  EXIT_LOAD_EFER,
  EXIT_SAVE_DEBUG,
  EXIT_SAVE_EFER,
  PROC2_EPT,
} from './controls.ts';
import { FIELD } from './fields.ts';
import { pdpteWord } from './guest-checks.ts';
import type { Vmcs } from './vmcs.ts';

const DR7 = DR0 + 7;
const SEGMENT_COUNT = 8;

/** State slot and VMCS field of what is copied as it is, both ways. */
const PLAIN: readonly (readonly [slot: number, field: number])[] = [
  [CR0, FIELD.guestCr0],
  [CR3, FIELD.guestCr3],
  [CR4, FIELD.guestCr4],
  [GDTR_BASE, FIELD.guestGdtrBase],
  [GDTR_LIMIT, FIELD.guestGdtrLimit],
  [IDTR_BASE, FIELD.guestIdtrBase],
  [IDTR_LIMIT, FIELD.guestIdtrLimit],
  [SYSENTER_CS, FIELD.guestSysenterCs],
  [SYSENTER_ESP, FIELD.guestSysenterEsp],
  [SYSENTER_EIP, FIELD.guestSysenterEip],
  [ESP, FIELD.guestRsp],
  [EIP, FIELD.guestRip],
];

const HOST_PLAIN: readonly (readonly [slot: number, field: number])[] = [
  [CR0, FIELD.hostCr0],
  [CR3, FIELD.hostCr3],
  [CR4, FIELD.hostCr4],
  [GDTR_BASE, FIELD.hostGdtrBase],
  [IDTR_BASE, FIELD.hostIdtrBase],
  [SYSENTER_CS, FIELD.hostSysenterCs],
  [SYSENTER_ESP, FIELD.hostSysenterEsp],
  [SYSENTER_EIP, FIELD.hostSysenterEip],
  [ESP, FIELD.hostRsp],
  [EIP, FIELD.hostRip],
];

/** Rights of the host's segments after an exit: flat, 32-bit, accessed (SDM 3C 27.5.2). */
const HOST_CODE = 0xc09b;
const HOST_DATA = 0xc093;
const HOST_TSS = 0x8b;

/** Loads the processor with the guest's state from the current VMCS. */
export function loadGuest(cpu: Cpu, vmcs: Vmcs): void {
  const S = cpu.memory.state;
  for (const [slot, field] of PLAIN) S[slot] = vmcs.get(field);
  for (let segment = 0; segment < SEGMENT_COUNT; segment++) {
    const slot = SEGMENTS + SEGMENT_STRIDE * segment;
    S[slot + SELECTOR] = vmcs.get(FIELD.guestEsSelector + 2 * segment) & 0xffff;
    S[slot + BASE] = vmcs.get(FIELD.guestEsBase + 2 * segment);
    S[slot + LIMIT] = vmcs.get(FIELD.guestEsLimit + 2 * segment);
    S[slot + RIGHTS] = vmcs.get(FIELD.guestEsRights + 2 * segment);
  }
  const entry = vmcs.get(FIELD.entryControls);
  if ((entry & ENTRY_LOAD_DEBUG) !== 0) S[DR7] = vmcs.get(FIELD.guestDr7);
  if ((entry & ENTRY_LOAD_EFER) !== 0) S[EFER] = vmcs.get(FIELD.guestEfer);
  if (((S[CR0] as number) & CR0_PG) !== 0 && ((S[CR4] as number) & CR4_PAE) !== 0) {
    for (let word = 0; word < 8; word++) S[PDPTE + word] = pdpteWord(vmcs, word, cpu.memory);
  }
  const blocked = vmcs.get(FIELD.guestInterruptibility);
  S[SHADOW] = (blocked & BLOCKED_STI) !== 0 ? 1 : (blocked & BLOCKED_MOV_SS) !== 0 ? 2 : 0;
  S[NMI_BLOCKED] = (blocked & BLOCKED_NMI) !== 0 ? 1 : 0;
  S[ACTIVITY] = vmcs.get(FIELD.guestActivity);
  // CPL is SS.DPL (SDM 3C 24.4.1).
  S[CPL] = ((vmcs.get(FIELD.guestSsRights) as number) >>> 5) & 3;
  cpu.setEflags(vmcs.get(FIELD.guestRflags));
}

/** Saves the guest's state into the current VMCS. */
export function saveGuest(cpu: Cpu, vmcs: Vmcs): void {
  const S = cpu.memory.state;
  for (const [slot, field] of PLAIN) vmcs.set(field, S[slot] as number);
  for (let segment = 0; segment < SEGMENT_COUNT; segment++) {
    const slot = SEGMENTS + SEGMENT_STRIDE * segment;
    vmcs.set(FIELD.guestEsSelector + 2 * segment, S[slot + SELECTOR] as number);
    vmcs.set(FIELD.guestEsBase + 2 * segment, S[slot + BASE] as number);
    vmcs.set(FIELD.guestEsLimit + 2 * segment, S[slot + LIMIT] as number);
    vmcs.set(FIELD.guestEsRights + 2 * segment, S[slot + RIGHTS] as number);
  }
  vmcs.set(FIELD.guestRflags, cpu.eflags());
  const exit = vmcs.get(FIELD.exitControls);
  if ((exit & EXIT_SAVE_DEBUG) !== 0) vmcs.set(FIELD.guestDr7, S[DR7] as number);
  if ((exit & EXIT_SAVE_EFER) !== 0) vmcs.set(FIELD.guestEfer, S[EFER] as number);
  if ((secondary(vmcs) & PROC2_EPT) !== 0) {
    for (let word = 0; word < 4; word++) {
      vmcs.set(FIELD.guestPdpte0 + 2 * word, S[PDPTE + 2 * word] as number);
      vmcs.set(FIELD.guestPdpte0 + 2 * word + 1, S[PDPTE + 2 * word + 1] as number);
    }
  }
  const shadow = S[SHADOW] === 1 ? BLOCKED_STI : S[SHADOW] === 2 ? BLOCKED_MOV_SS : 0;
  vmcs.set(FIELD.guestInterruptibility, shadow | (S[NMI_BLOCKED] !== 0 ? BLOCKED_NMI : 0));
  vmcs.set(FIELD.guestActivity, S[ACTIVITY] as number);
  vmcs.set(FIELD.guestPendingDebug, 0);
}

/** Loads the processor with the host's state from the current VMCS (SDM 3C 27.5). */
export function loadHost(cpu: Cpu, vmcs: Vmcs): void {
  const S = cpu.memory.state;
  for (const [slot, field] of HOST_PLAIN) S[slot] = vmcs.get(field);
  S[GDTR_LIMIT] = 0xffff;
  S[IDTR_LIMIT] = 0xffff;
  S[DR7] = 0x400;
  for (let segment = 0; segment < 6; segment++) {
    const selector = vmcs.get(FIELD.hostEsSelector + 2 * segment) & 0xffff;
    const base = segment === 4 ? vmcs.get(FIELD.hostFsBase) : segment === 5 ? vmcs.get(FIELD.hostGsBase) : 0;
    const rights = segment === 1 ? HOST_CODE : selector === 0 ? RIGHTS_UNUSABLE : HOST_DATA;
    setSegment(S, segment, selector, base, -1, rights);
  }
  setSegment(S, TR, vmcs.get(FIELD.hostTrSelector) & 0xffff, vmcs.get(FIELD.hostTrBase), 0x67, HOST_TSS);
  setSegment(S, LDTR, 0, 0, 0, RIGHTS_UNUSABLE);
  if ((vmcs.get(FIELD.exitControls) & EXIT_LOAD_EFER) !== 0) S[EFER] = vmcs.get(FIELD.hostEfer);
  if (((S[CR4] as number) & CR4_PAE) !== 0) {
    const table = ((S[CR3] as number) & ~0x1f) >>> 0;
    for (let word = 0; word < 8; word++) {
      const at = table + 4 * word;
      S[PDPTE + word] = at + 4 <= cpu.memory.size ? cpu.memory.read32(at as MachineAddress) : 0;
    }
  }
  S[SHADOW] = 0;
  S[ACTIVITY] = 0;
  S[CPL] = 0;
  cpu.setEflags(2);
}

function setSegment(
  S: Int32Array,
  segment: number,
  selector: number,
  base: number,
  limit: number,
  rights: number,
): void {
  const slot = SEGMENTS + SEGMENT_STRIDE * segment;
  S[slot + SELECTOR] = selector;
  S[slot + BASE] = base;
  S[slot + LIMIT] = limit;
  S[slot + RIGHTS] = rights;
}
