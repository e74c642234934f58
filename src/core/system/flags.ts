/** PUSHF POPF CLI STI and HLT: who may touch IF and IOPL (SDM 2B POPF table 4-15; VME is absent). */
import { AC, ARITHMETIC, DF, ID, IF, IOPL, NT, RF, TF, VM } from '../../isa/eflags.ts';
import type { Cpu } from '../cpu.ts';
import { GP, raiseWithError } from '../signals.ts';
import { ACTIVITY, CPL, EFLAGS_SYSTEM, SHADOW } from '../state.ts';
import type { VmxHooks } from '../vmx-hooks.ts';
import { hasIoPrivilege, isNonRoot, requireRing0 } from './privilege.ts';

/** What PUSHF stores: VM and RF read as zero. */
export function pushfImage(cpu: Cpu): number {
  return cpu.eflags() & ~(VM | RF);
}

/** Bits that the current ring may not change keep their value, silently: POPF is why ring 1 cannot see its own IF. */
export function popf(cpu: Cpu, value: number, size: number): void {
  const { state } = cpu.memory;
  let mask = ARITHMETIC | TF | DF | NT;
  if (size === 4) mask |= AC | ID;
  if (hasIoPrivilege(state)) mask |= IF;
  if (state[CPL] === 0) mask |= IOPL;
  cpu.setEflags((cpu.eflags() & ~(mask | RF)) | (value & mask));
}

export function cli(cpu: Cpu): void {
  const { state } = cpu.memory;
  if (!hasIoPrivilege(state)) raiseWithError(state, GP, 0);
  state[EFLAGS_SYSTEM] &= ~IF;
}

/** Interrupts stay shut for one more instruction if they were shut. */
export function sti(cpu: Cpu): void {
  const { state } = cpu.memory;
  if (!hasIoPrivilege(state)) raiseWithError(state, GP, 0);
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
