/** The processor after RESET (SDM 3A 9.1.1, table 9-1): real-address mode, the first instruction 16 bytes below 4 GB. */
import { ALWAYS_SET } from '../isa/eflags.ts';
import type { Cpu } from './cpu.ts';
import * as slot from './state.ts';

const CODE_SELECTOR = 0xf000;
const CODE_BASE = 0xffff0000 | 0;
const FIRST_INSTRUCTION = 0xfff0;
/** Present, accessed, writable data: of every segment register, CS among them. */
const DATA_RIGHTS = 0x93;
const LDT_RIGHTS = 0x82;
const TSS_RIGHTS = 0x8b;

/** Sets every register that a reset defines; the TLBs are flushed. */
export function resetProcessor(cpu: Cpu): void {
  const { state: S } = cpu.memory;
  S.fill(0, slot.EAX, slot.EIP);
  S[slot.EDX] = cpu.profile.cpuid.signature;
  S[slot.EIP] = FIRST_INSTRUCTION;
  for (const control of [slot.CR2, slot.CR3, slot.CR4, slot.EFER, slot.CPL, slot.SHADOW, slot.ACTIVITY]) S[control] = 0;
  S[slot.CR0] = slot.CR0_CD | slot.CR0_NW | slot.CR0_ET;
  S.fill(0, slot.DR0, slot.DR0 + 4);
  S[slot.DR0 + 6] = 0xffff0ff0 | 0;
  S[slot.DR0 + 7] = 0x400;
  const { segmentation } = cpu;
  for (let segment = slot.ES; segment <= slot.GS; segment++)
    segmentation.setSegment(segment, 0, 0, 0xffff, DATA_RIGHTS);
  segmentation.setSegment(slot.CS, CODE_SELECTOR, CODE_BASE, 0xffff, DATA_RIGHTS);
  segmentation.setSegment(slot.LDTR, 0, 0, 0xffff, LDT_RIGHTS);
  segmentation.setSegment(slot.TR, 0, 0, 0xffff, TSS_RIGHTS);
  for (const table of [slot.GDTR_BASE, slot.IDTR_BASE]) {
    S[table] = 0;
    S[table + 1] = 0xffff;
  }
  for (const register of [slot.SYSENTER_CS, slot.SYSENTER_ESP, slot.SYSENTER_EIP]) S[register] = 0;
  for (const latch of [slot.NMI_BLOCKED, slot.NMI_PENDING]) S[latch] = 0;
  S[slot.FPU_CONTROL] = 0x40;
  S[slot.FPU_TAG] = 0xff;
  S[slot.MXCSR] = 0x1f80;
  cpu.mmu.flushAllTags();
  cpu.mmu.controlsChanged();
  cpu.setEflags(ALWAYS_SET);
}
