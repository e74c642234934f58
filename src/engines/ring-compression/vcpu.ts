/**
 * The vcpu block: the virtual CPU's registers that differ from the real ones, in a VMM frame. Translated code reads and
 * writes them through GS; the VMM through `words`. Slots are int32 indices; `slotAddress` is what translated code uses.
 */
import type { MachineMemory } from '../../core/memory.ts';
import { VCPU_BASE } from './layout.ts';

/** Virtual EFLAGS.IF: 0 or 0x200. */
export const V_IF = 0;
/** Virtual IOPL - 0x200: with V_IF, what a real PUSHF image lacks (hardware IF is 1 and IOPL 0). */
export const V_IOPL_DELTA = 1;
/** 0x200 while a physical interrupt waits for V_IF. */
export const V_PENDING = 2;
/** Where multi-instruction sequences put guest registers. */
export const V_SPILL0 = 3;
export const V_SPILL1 = 4;
/** Target of the indirect jump under way. */
export const V_JUMP = 5;
export const V_CPL = 6;
/** Virtual interrupt shadow: 1 while the next instruction must complete before an interrupt. */
export const V_SHADOW = 7;
export const V_CR0 = 8;
export const V_CR2 = 9;
export const V_CR3 = 10;
export const V_CR4 = 11;
export const V_EFER = 12;
export const V_GDTR_BASE = 13;
export const V_GDTR_LIMIT = 14;
export const V_IDTR_BASE = 15;
export const V_IDTR_LIMIT = 16;
export const V_LDTR = 17;
export const V_LDT_BASE = 18;
export const V_LDT_LIMIT = 19;
export const V_TR = 20;
export const V_TSS_BASE = 21;
export const V_TSS_LIMIT = 22;
export const V_CS = 23;
export const V_SS = 24;
/** Guest GS while the escape lies in the real one: selector, base, limit, rights. */
export const V_GS = 25;
export const V_GS_BASE = 26;
export const V_GS_LIMIT = 27;
export const V_GS_RIGHTS = 28;
export const V_SYSENTER_CS = 29;
export const V_SYSENTER_ESP = 30;
export const V_SYSENTER_EIP = 31;
export const V_DR0 = 32;
/** 1 while CPL 3 code runs directly. */
export const V_DIRECT = 40;

/** 1 while the virtual CPU is halted. */
export const V_HALTED = 41;
/** Guest address at which a halted virtual CPU goes on. */
export const V_PC = 42;
export const VCPU_WORDS = 1024;

/** Linear address of a slot, as translated code addresses it. */
export function slotAddress(slot: number): number {
  return VCPU_BASE + 4 * slot;
}

/** The block's words, over machine memory at `machineAddress`. */
export function vcpuWords(memory: MachineMemory, machineAddress: number): Int32Array {
  return new Int32Array(memory.memory.buffer, memory.ramBase + machineAddress, VCPU_WORDS);
}
