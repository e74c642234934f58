/** IRET in every mode (SDM 2A IRET). Returns to another task are absent. */
import { AC, ARITHMETIC, DF, ID, IF, IOPL, NT, RF, TF, VIF, VIP, VM } from '../../isa/eflags.ts';
import type { Cpu } from '../cpu.ts';
import { GP, raiseWithError } from '../signals.ts';
import { setStackPointer } from '../stack-frame.ts';
import {
  BASE,
  CPL,
  CR0,
  CR0_PE,
  CS,
  DS,
  EFLAGS_SYSTEM,
  EIP,
  ES,
  ESP,
  FS,
  GS,
  NMI_BLOCKED,
  RIGHTS,
  SS,
  segmentSlot,
  TR,
} from '../state.ts';
import { TASK_BY_IRET, type VmxHooks } from '../vmx-hooks.ts';
import { jumpReal, jumpTo, readReturnTarget, returnOuter } from './far-transfers.ts';
import { isBelowIopl, requireFlagsTransfer, virtualInterruptFlag } from './flags.ts';
import { hasIoPrivilege, isNonRoot } from './privilege.ts';

const SS_RIGHTS = segmentSlot(SS) + RIGHTS;
const TR_SLOT = segmentSlot(TR);

/** What any IRET restores, by operand size. RF is not kept: this processor has no instruction breakpoints. */
const ANYONE_16 = ARITHMETIC | TF | DF | NT;
const ANYONE_32 = ANYONE_16 | AC | ID;
/** Every flag there is. */
const ALL = ANYONE_32 | IF | IOPL | RF | VM | VIF | VIP;

/** Segment registers as they lie on the stack above ESP and EFLAGS when virtual-8086 mode is entered. */
const VIRTUAL_8086_SEGMENTS = [SS, ES, DS, FS, GS];

export function iret(cpu: Cpu, size: number): void {
  const { state } = cpu.memory;
  if ((state[CR0] & CR0_PE) === 0) returnReal(cpu, size);
  else if ((state[EFLAGS_SYSTEM] & VM) !== 0) returnWithinVirtual8086(cpu, size);
  else returnProtected(cpu, size);
  // One that faults unblocks nothing here, so that a hypervisor which retries it need not block again (SDM 3C 27.2.3).
  state[NMI_BLOCKED] = 0;
}

function returnProtected(cpu: Cpu, size: number): void {
  const { frame } = cpu.interrupts;
  const { state } = cpu.memory;
  if ((state[EFLAGS_SYSTEM] & NT) !== 0) returnToTask(cpu);
  const offset = frame.peek(0, size);
  const selector = frame.peek(size, size) & 0xffff;
  const image = frame.peek(2 * size, size);
  if ((image & VM) !== 0 && size === 4 && state[CPL] === 0) {
    enterVirtual8086(cpu, offset, selector, image);
    return;
  }
  // What may change is settled by the ring that executes IRET, before it is left.
  const mask = writable(state, size);
  readReturnTarget(cpu, selector);
  if ((selector & 3) === state[CPL]) {
    jumpTo(cpu, selector, offset);
    setStackPointer(state, state[SS_RIGHTS], state[ESP] + 3 * size);
  } else {
    returnOuter(cpu, selector, offset, 3 * size, size, 0);
  }
  setFlags(cpu, image, mask);
}

function returnReal(cpu: Cpu, size: number): void {
  // VM, VIF and VIP stay (SDM 2A IRET: "EFLAGS AND 1A0000H").
  popPlain(cpu, size, (size === 2 ? ANYONE_16 : ANYONE_32) | IF | IOPL);
}

/** IOPL, VM, VIF and VIP stay, but VIF takes IF's place below IOPL 3. */
function returnWithinVirtual8086(cpu: Cpu, size: number): void {
  const { state } = cpu.memory;
  requireFlagsTransfer(state, size);
  if (isBelowIopl(state)) popPlain(cpu, size, ANYONE_16 | VIF);
  else popPlain(cpu, size, (size === 2 ? ANYONE_16 : ANYONE_32) | IF);
}

/** IP, CS and FLAGS without descriptors. A mask with VIF gets it from the image's IF. */
function popPlain(cpu: Cpu, size: number, mask: number): void {
  const { frame } = cpu.interrupts;
  const { state } = cpu.memory;
  const offset = frame.peek(0, size);
  const selector = frame.peek(size, size) & 0xffff;
  let image = frame.peek(2 * size, size);
  if ((mask & VIF) !== 0) image = (image & ~VIF) | virtualInterruptFlag(state, image);
  jumpReal(cpu, selector, offset);
  setStackPointer(state, state[SS_RIGHTS], state[ESP] + 3 * size);
  setFlags(cpu, image, mask);
}

/** From ring 0 into virtual-8086 mode (SDM 3B 20.2.5): nothing is checked but the offset. */
function enterVirtual8086(cpu: Cpu, offset: number, selector: number, image: number): void {
  const { interrupts, segmentation } = cpu;
  const { state } = cpu.memory;
  if (offset >>> 0 > 0xffff) raiseWithError(state, GP, 0);
  const pointer = interrupts.frame.peek(12, 4);
  const selectors = VIRTUAL_8086_SEGMENTS.map((_, index) => interrupts.frame.peek(16 + 4 * index, 4) & 0xffff);
  for (const [index, segment] of VIRTUAL_8086_SEGMENTS.entries()) {
    segmentation.loadVirtual8086(segment, selectors[index] as number);
  }
  segmentation.loadVirtual8086(CS, selector);
  state[ESP] = pointer;
  state[EIP] = offset;
  state[CPL] = 3;
  setFlags(cpu, image, ALL & ~RF);
}

function setFlags(cpu: Cpu, image: number, mask: number): void {
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
