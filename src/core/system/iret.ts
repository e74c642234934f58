/** IRET within a ring and to an outer ring (SDM 2A IRET). Returns to virtual-8086 mode and to another task are absent. */
import { AC, ARITHMETIC, DF, ID, IF, IOPL, NT, TF, VIF, VIP, VM } from '../../isa/eflags.ts';
import type { Cpu } from '../cpu.ts';
import { GP, raiseWithError } from '../signals.ts';
import { setStackPointer } from '../stack-frame.ts';
import { BASE, CPL, EFLAGS_SYSTEM, ESP, NMI_BLOCKED, RIGHTS, SS, segmentSlot, TR } from '../state.ts';
import { TASK_BY_IRET, type VmxHooks } from '../vmx-hooks.ts';
import { jumpReal, jumpTo, readReturnTarget, returnOuter } from './far-transfers.ts';
import { hasIoPrivilege, isNonRoot, isProtected } from './privilege.ts';

const SS_RIGHTS = segmentSlot(SS) + RIGHTS;
const TR_SLOT = segmentSlot(TR);

/** What any IRET restores, by operand size. RF is not kept: this processor has no instruction breakpoints. */
const ANYONE_16 = ARITHMETIC | TF | DF | NT;
const ANYONE_32 = ANYONE_16 | AC | ID;

export function iret(cpu: Cpu, size: number): void {
  const { frame } = cpu.interrupts;
  const { state } = cpu.memory;
  const isReal = !isProtected(state);
  if (!isReal && (state[EFLAGS_SYSTEM] & NT) !== 0) returnToTask(cpu);
  const offset = frame.peek(0, size);
  const selector = frame.peek(size, size) & 0xffff;
  const image = frame.peek(2 * size, size);
  // What may change is settled by the ring that executes IRET, before it is left.
  const mask = writable(state, size);
  if (isReal) {
    jumpReal(cpu, selector, offset);
    setStackPointer(state, state[SS_RIGHTS], state[ESP] + 3 * size);
  } else {
    if ((image & VM) !== 0 && size === 4 && state[CPL] === 0) raiseWithError(state, GP, 0);
    readReturnTarget(cpu, selector);
    if ((selector & 3) === state[CPL]) {
      jumpTo(cpu, selector, offset);
      setStackPointer(state, state[SS_RIGHTS], state[ESP] + 3 * size);
    } else {
      returnOuter(cpu, selector, offset, 3 * size, size, 0);
    }
  }
  // One that faults unblocks nothing here, so that a hypervisor which retries it need not block again (SDM 3C 27.2.3).
  state[NMI_BLOCKED] = 0;
  cpu.setEflags((cpu.eflags() & ~mask) | (image & mask));
}

function writable(state: Int32Array, size: number): number {
  let mask = size === 2 ? ANYONE_16 : ANYONE_32;
  if (hasIoPrivilege(state)) mask |= IF;
  if (state[CPL] === 0) mask |= size === 2 ? IOPL : IOPL | VIF | VIP;
  return mask;
}

/** Task switches are absent: VMX non-root exits, as it always does; elsewhere NT makes IRET raise #GP(0). */
function returnToTask(cpu: Cpu): never {
  const { state } = cpu.memory;
  if (isNonRoot(state)) {
    const link = cpu.mmu.systemLoad16(state[TR_SLOT + BASE]);
    (cpu.vmx as VmxHooks).taskSwitch(link, TASK_BY_IRET);
  }
  raiseWithError(state, GP, 0);
}
