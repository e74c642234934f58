/** What CR4.VME changes in virtual-8086 mode: where INT n goes (SDM 3B 20.3.3, table 20-2; SDM 2A INT n). */
import { IF, IOPL, RF, TF, VIF } from '../../isa/eflags.ts';
import type { Cpu } from '../cpu.ts';
import { GP, raiseWithError } from '../signals.ts';
import { BASE, CR4, CR4_VME, EFLAGS_SYSTEM, LIMIT, RIGHTS, segmentSlot, TR } from '../state.ts';

const TR_SLOT = segmentSlot(TR);
/** Offset of the I/O map base in a 32-bit TSS. The redirection bitmap's 32 bytes end where the I/O map begins. */
const IO_MAP_BASE = 102;
const REDIRECTION_BYTES = 32;

/**
 * INT n in virtual-8086 mode. True: the 8086 program's own handler has been entered. False: it goes through the IDT.
 * Raises #GP(0) if IOPL < 3 leaves it to the virtual-8086 monitor.
 */
export function redirectInterrupt(cpu: Cpu, vector: number): boolean {
  const { state } = cpu.memory;
  const isVme = (state[CR4] & CR4_VME) !== 0;
  const mayInterrupt = (state[EFLAGS_SYSTEM] & IOPL) === IOPL;
  if (isVme && !isForMonitor(cpu, vector)) {
    const flags = cpu.eflags();
    if (mayInterrupt) cpu.interrupts.redirect(vector, flags, IF | TF | RF);
    else cpu.interrupts.redirect(vector, virtualFlags(flags), VIF | TF | RF);
    return true;
  }
  if (!mayInterrupt) raiseWithError(state, GP, 0);
  return false;
}

/** FLAGS as VME shows them below IOPL 3: VIF in the place of IF, and an IOPL of 3. */
export function virtualFlags(flags: number): number {
  return (flags & ~IF) | ((flags & VIF) !== 0 ? IF : 0) | IOPL;
}

/** The bit of the software interrupt redirection bitmap. A bitmap that the TSS does not hold raises #GP(0). */
function isForMonitor(cpu: Cpu, vector: number): boolean {
  const { state } = cpu.memory;
  const limit = state[TR_SLOT + LIMIT] >>> 0;
  if ((state[TR_SLOT + RIGHTS] & 8) === 0 || limit < IO_MAP_BASE + 1) raiseWithError(state, GP, 0);
  const base = state[TR_SLOT + BASE];
  const at = cpu.mmu.systemLoad16((base + IO_MAP_BASE) | 0) - REDIRECTION_BYTES + (vector >>> 3);
  if (at < 0 || at > limit) raiseWithError(state, GP, 0);
  return ((cpu.mmu.systemLoad8((base + at) | 0) >>> (vector & 7)) & 1) !== 0;
}
