/**
 * PUSHF POPF CLI STI and HLT: who may touch IF and IOPL (SDM 2B POPF table 4-16), and the virtual interrupt flag that
 * CR4.VME and CR4.PVI put in IF's place (SDM 3B 20.3, 20.4).
 */
import { AC, ARITHMETIC, DF, ID, IF, IOPL, NT, RF, TF, VIF, VIP, VM } from '../../isa/eflags.ts';
import type { Cpu } from '../cpu.ts';
import { GP, raiseWithError } from '../signals.ts';
import { ACTIVITY, CPL, CR4, CR4_PVI, CR4_VME, EFLAGS_SYSTEM, SHADOW } from '../state.ts';
import type { VmxHooks } from '../vmx-hooks.ts';
import { hasIoPrivilege, isNonRoot, requireRing0 } from './privilege.ts';
import { virtualFlags } from './virtual-8086.ts';

/** Virtual-8086 mode with IOPL < 3, where the flag instructions are sensitive. */
export function isBelowIopl(state: Int32Array): boolean {
  return (state[EFLAGS_SYSTEM] & VM) !== 0 && (state[EFLAGS_SYSTEM] & IOPL) !== IOPL;
}

/** PUSHF, POPF and IRET in virtual-8086 mode need IOPL 3, or VME and a 16-bit operand. Raises #GP(0). */
export function requireFlagsTransfer(state: Int32Array, size: number): void {
  if (isBelowIopl(state) && (size === 4 || (state[CR4] & CR4_VME) === 0)) raiseWithError(state, GP, 0);
}

/** What POPF and IRET load into VIF, shifted IF; raises #GP(0) for what VME leaves to the monitor. */
export function virtualInterruptFlag(state: Int32Array, image: number): number {
  const opens = (image & IF) !== 0;
  if ((opens && (state[EFLAGS_SYSTEM] & VIP) !== 0) || (image & TF) !== 0) raiseWithError(state, GP, 0);
  return opens ? VIF : 0;
}

/** What PUSHF stores: VM and RF read as zero. */
export function pushfImage(cpu: Cpu, size: number): number {
  const { state } = cpu.memory;
  requireFlagsTransfer(state, size);
  const flags = cpu.eflags() & ~(VM | RF);
  return isBelowIopl(state) ? virtualFlags(flags) : flags;
}

/** Bits that the current ring may not change keep their value, silently: POPF is why ring 1 cannot see its own IF. */
export function popf(cpu: Cpu, value: number, size: number): void {
  const { state } = cpu.memory;
  let mask = ARITHMETIC | TF | DF | NT;
  if (size === 4) mask |= AC | ID;
  if (isBelowIopl(state)) {
    mask |= VIF;
    value = (value & ~VIF) | virtualInterruptFlag(state, value);
  } else if (hasIoPrivilege(state)) mask |= IF;
  if (state[CPL] === 0) mask |= IOPL;
  cpu.setEflags((cpu.eflags() & ~(mask | RF)) | (value & mask));
}

/** Whether CLI and STI act on VIF: in virtual-8086 mode under VME, at CPL 3 under PVI. */
function actsOnVif(state: Int32Array): boolean {
  const control = (state[EFLAGS_SYSTEM] & VM) !== 0 ? CR4_VME : CR4_PVI;
  return state[CPL] === 3 && (state[CR4] & control) !== 0;
}

export function cli(cpu: Cpu): void {
  const { state } = cpu.memory;
  if (hasIoPrivilege(state)) state[EFLAGS_SYSTEM] &= ~IF;
  else if (actsOnVif(state)) state[EFLAGS_SYSTEM] &= ~VIF;
  else raiseWithError(state, GP, 0);
}

/** Interrupts stay shut for one more instruction if they were shut. */
export function sti(cpu: Cpu): void {
  const { state } = cpu.memory;
  if (!hasIoPrivilege(state)) {
    if (!actsOnVif(state) || (state[EFLAGS_SYSTEM] & VIP) !== 0) raiseWithError(state, GP, 0);
    state[EFLAGS_SYSTEM] |= VIF;
    return;
  }
  if ((state[EFLAGS_SYSTEM] & IF) === 0) state[SHADOW] = 1;
  state[EFLAGS_SYSTEM] |= IF;
  cpu.attention();
}

export function hlt(cpu: Cpu): void {
  const { state } = cpu.memory;
  requireRing0(state);
  if (isNonRoot(state)) (cpu.vmx as VmxHooks).hlt();
  state[ACTIVITY] = 1;
  cpu.attention();
}
