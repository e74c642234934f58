/** Far JMP, CALL and RET: code segments and call gates, with stack switch and parameter copy (SDM 3A 5.8). */
import type { Cpu } from '../cpu.ts';
import { isCode, isConforming, isWritableData, privilegeOf, TYPE_CODE, withinLimit } from '../segmentation.ts';
import { GP, NP, raiseWithError, SS_FAULT, STOP_NONE, STOP_TRAP } from '../signals.ts';
import { setStackPointer } from '../stack-frame.ts';
import {
  CPL,
  CS,
  DS,
  EIP,
  ES,
  ESP,
  EVENT_CALL_GATE,
  EVENT_ERROR,
  EVENT_HAS_ERROR,
  EVENT_KIND,
  EVENT_VECTOR,
  FS,
  GS,
  HOSTED,
  LIMIT,
  RIGHTS,
  RIGHTS_P,
  RIGHTS_S,
  SELECTOR,
  SS,
  segmentSlot,
} from '../state.ts';
import { TASK_BY_CALL, TASK_BY_JUMP, type VmxHooks } from '../vmx-hooks.ts';
import { isNonRoot, isProtected } from './privilege.ts';

const CS_SLOT = segmentSlot(CS);
const SS_SLOT = segmentSlot(SS);

const DATA_SEGMENTS = [ES, DS, FS, GS];

const CALL_GATE_16 = 4;
const CALL_GATE = 12;
const TASK_GATE = 5;
/** Available and busy TSS, 16 and 32 bits. */
const TSS_TYPES = [1, 3, 9, 11];

/** Far JMP. On entry EIP is the next instruction's address. */
export function farJump(cpu: Cpu, selector: number, offset: number, size: number): number {
  const { segmentation } = cpu;
  const { state } = cpu.memory;
  const target = size === 2 ? offset & 0xffff : offset;
  if (!isProtected(state)) {
    jumpReal(cpu, selector, target);
    return STOP_NONE;
  }
  if ((selector & 0xfffc) === 0) raiseWithError(state, GP, 0);
  segmentation.readDescriptor(selector, GP);
  if ((segmentation.rights() & RIGHTS_S) !== 0) {
    checkDirectTarget(cpu, selector);
    jumpTo(cpu, selector, target);
    return STOP_NONE;
  }
  const type = openGate(cpu, selector, TASK_BY_JUMP);
  const gateLow = segmentation.low;
  const gateHigh = segmentation.high;
  const code = gateLow >>> 16;
  const rights = readGateTarget(cpu, code);
  const dpl = privilegeOf(rights);
  // A jump never changes the privilege level.
  if (isConforming(rights) ? dpl > state[CPL] : dpl !== state[CPL]) raiseWithError(state, GP, code & 0xfffc);
  if ((rights & RIGHTS_P) === 0) raiseWithError(state, NP, code & 0xfffc);
  jumpTo(cpu, code, gateOffset(type, gateLow, gateHigh));
  return STOP_NONE;
}

/** Far CALL. Returns STOP_TRAP if a hosted processor's call gate leads to ring 0. */
export function farCall(cpu: Cpu, selector: number, offset: number, size: number): number {
  const { segmentation } = cpu;
  const { frame } = cpu.interrupts;
  const { state } = cpu.memory;
  const target = size === 2 ? offset & 0xffff : offset;
  if (!isProtected(state)) {
    frame.requireRoomHere(2, size, 0);
    if (!withinLimit(state[CS_SLOT + LIMIT], 0, target, 1)) raiseWithError(state, GP, 0);
    pushReturn(cpu, size);
    jumpReal(cpu, selector, target);
    setStackPointer(state, state[SS_SLOT + RIGHTS], frame.pointer);
    return STOP_NONE;
  }
  if ((selector & 0xfffc) === 0) raiseWithError(state, GP, 0);
  segmentation.readDescriptor(selector, GP);
  if ((segmentation.rights() & RIGHTS_S) !== 0) {
    checkDirectTarget(cpu, selector);
    callSameRing(cpu, selector, target, size);
    return STOP_NONE;
  }
  const type = openGate(cpu, selector, TASK_BY_CALL);
  const gateLow = segmentation.low;
  const gateHigh = segmentation.high;
  const code = gateLow >>> 16;
  const rights = readGateTarget(cpu, code);
  const dpl = privilegeOf(rights);
  if (dpl > state[CPL]) raiseWithError(state, GP, code & 0xfffc);
  if ((rights & RIGHTS_P) === 0) raiseWithError(state, NP, code & 0xfffc);
  const gateSize = type === CALL_GATE ? 4 : 2;
  const inner = !isConforming(rights) && dpl < state[CPL];
  if (inner && dpl === 0 && state[HOSTED] !== 0) {
    state[EVENT_KIND] = EVENT_CALL_GATE;
    state[EVENT_VECTOR] = selector;
    state[EVENT_HAS_ERROR] = 0;
    state[EVENT_ERROR] = 0;
    return STOP_TRAP;
  }
  if (inner) callInnerRing(cpu, code, gateOffset(type, gateLow, gateHigh), gateSize, dpl, gateHigh & 0x1f);
  else callSameRing(cpu, code, gateOffset(type, gateLow, gateHigh), gateSize);
  return STOP_NONE;
}

/** Far RET, `popBytes` of parameters released on both stacks (SDM 2B RET). */
export function farReturn(cpu: Cpu, popBytes: number, size: number): void {
  const { frame } = cpu.interrupts;
  const { state } = cpu.memory;
  const release = popBytes & 0xffff;
  const offset = frame.peek(0, size);
  const selector = frame.peek(size, size) & 0xffff;
  if (!isProtected(state)) {
    jumpReal(cpu, selector, offset);
    setStackPointer(state, state[SS_SLOT + RIGHTS], state[ESP] + 2 * size + release);
    return;
  }
  readReturnTarget(cpu, selector);
  const rpl = selector & 3;
  if (rpl === state[CPL]) {
    jumpTo(cpu, selector, offset);
    setStackPointer(state, state[SS_SLOT + RIGHTS], state[ESP] + 2 * size + release);
    return;
  }
  returnOuter(cpu, selector, offset, 2 * size + release, size, release);
}

/** Reads and checks the code segment that RET or IRET goes to. The caller checks the offset's limit. */
export function readReturnTarget(cpu: Cpu, selector: number): void {
  const { segmentation } = cpu;
  const { state } = cpu.memory;
  if ((selector & 0xfffc) === 0) raiseWithError(state, GP, 0);
  segmentation.readDescriptor(selector, GP);
  const rights = segmentation.rights();
  const rpl = selector & 3;
  const dpl = privilegeOf(rights);
  if (!isCode(rights) || rpl < state[CPL] || (isConforming(rights) ? dpl > rpl : dpl !== rpl)) {
    raiseWithError(state, GP, selector & 0xfffc);
  }
  if ((rights & RIGHTS_P) === 0) raiseWithError(state, NP, selector & 0xfffc);
}

/**
 * Return to an outer ring whose code descriptor has just been read: takes ESP and SS at stack offset `at`, then
 * drops data segments that the outer ring may not use.
 */
export function returnOuter(
  cpu: Cpu,
  selector: number,
  offset: number,
  at: number,
  size: number,
  release: number,
): void {
  const { segmentation } = cpu;
  const { frame } = cpu.interrupts;
  const { state } = cpu.memory;
  const rpl = selector & 3;
  const base = segmentation.base();
  const limit = segmentation.limit();
  const rights = segmentation.rights() | 1;
  segmentation.markAccessed();
  const pointer = frame.peek(at, size);
  const stack = frame.peek(at + size, size) & 0xffff;
  if ((stack & 0xfffc) === 0) raiseWithError(state, GP, 0);
  segmentation.readDescriptor(stack, GP);
  const stackRights = segmentation.rights();
  if ((stack & 3) !== rpl || !isWritableData(stackRights) || privilegeOf(stackRights) !== rpl) {
    raiseWithError(state, GP, stack & 0xfffc);
  }
  if ((stackRights & RIGHTS_P) === 0) raiseWithError(state, SS_FAULT, stack & 0xfffc);
  if (!withinLimit(limit, rights, offset, 1)) raiseWithError(state, GP, 0);
  segmentation.markAccessed();
  segmentation.commit(SS, stack);
  segmentation.setSegment(CS, selector, base, limit, rights);
  setStackPointer(state, state[SS_SLOT + RIGHTS], pointer + release);
  state[CPL] = rpl;
  state[EIP] = offset;
  dropInnerData(cpu, rpl);
  cpu.updateMode();
}

/**
 * SDM 2B RET: a data segment more privileged than the new CPL does not survive (conforming code does). An unusable one
 * counts as DPL 0, so that the RPL of a null selector goes too.
 */
function dropInnerData(cpu: Cpu, cpl: number): void {
  const { state } = cpu.memory;
  for (const segment of DATA_SEGMENTS) {
    const rights = state[segmentSlot(segment) + RIGHTS];
    if (privilegeOf(rights) >= cpl) continue;
    if ((rights & TYPE_CODE) === 0 || !isConforming(rights)) cpu.segmentation.setNull(segment, 0);
  }
}

/** The rules of a direct far JMP or CALL to the code descriptor last read (SDM 3A 5.8.1). */
function checkDirectTarget(cpu: Cpu, selector: number): void {
  const { state } = cpu.memory;
  const rights = cpu.segmentation.rights();
  const dpl = privilegeOf(rights);
  const cpl = state[CPL];
  const allowed = isConforming(rights) ? dpl <= cpl : dpl === cpl && (selector & 3) <= cpl;
  if (!isCode(rights) || !allowed) raiseWithError(state, GP, selector & 0xfffc);
  if ((rights & RIGHTS_P) === 0) raiseWithError(state, NP, selector & 0xfffc);
}

/** Checks the system descriptor last read and returns its type, a call gate's. Task switches are absent: #GP. */
function openGate(cpu: Cpu, selector: number, cause: number): number {
  const { state } = cpu.memory;
  const rights = cpu.segmentation.rights();
  const type = rights & 0xf;
  const error = selector & 0xfffc;
  const isTask = type === TASK_GATE || TSS_TYPES.includes(type);
  if (!isTask && type !== CALL_GATE && type !== CALL_GATE_16) raiseWithError(state, GP, error);
  const dpl = privilegeOf(rights);
  if (dpl < state[CPL] || dpl < (selector & 3)) raiseWithError(state, GP, error);
  if ((rights & RIGHTS_P) === 0) raiseWithError(state, NP, error);
  if (isTask) {
    const tss = type === TASK_GATE ? cpu.segmentation.low >>> 16 : selector;
    if (isNonRoot(state)) (cpu.vmx as VmxHooks).taskSwitch(tss, cause);
    raiseWithError(state, GP, error);
  }
  return type;
}

function gateOffset(type: number, low: number, high: number): number {
  return type === CALL_GATE ? (high & 0xffff0000) | (low & 0xffff) : low & 0xffff;
}

/** Rights of the code segment a call gate names. */
function readGateTarget(cpu: Cpu, selector: number): number {
  const { segmentation } = cpu;
  const { state } = cpu.memory;
  if ((selector & 0xfffc) === 0) raiseWithError(state, GP, 0);
  segmentation.readDescriptor(selector, GP);
  const rights = segmentation.rights();
  if (!isCode(rights)) raiseWithError(state, GP, selector & 0xfffc);
  return rights;
}

/** Loads CS from the descriptor last read, at the same privilege level. Raises #GP(0) beyond the limit. */
export function jumpTo(cpu: Cpu, selector: number, offset: number): void {
  const { segmentation } = cpu;
  const { state } = cpu.memory;
  if (!withinLimit(segmentation.limit(), segmentation.rights(), offset, 1)) raiseWithError(state, GP, 0);
  segmentation.markAccessed();
  segmentation.commit(CS, (selector & 0xfffc) | state[CPL]);
  state[EIP] = offset;
  cpu.updateMode();
}

/** Real-address mode, where CS's limit and rights stay as they are, and virtual-8086 mode. Raises #GP(0) beyond the limit. */
export function jumpReal(cpu: Cpu, selector: number, offset: number): void {
  const { state } = cpu.memory;
  if (!withinLimit(state[CS_SLOT + LIMIT], 0, offset, 1)) raiseWithError(state, GP, 0);
  cpu.segmentation.loadReal(CS, selector & 0xffff);
  state[EIP] = offset;
  cpu.updateMode();
}

function pushReturn(cpu: Cpu, size: number): void {
  const { frame } = cpu.interrupts;
  const { state } = cpu.memory;
  frame.clear();
  frame.push(state[CS_SLOT + SELECTOR]);
  frame.push(state[EIP]);
  frame.writeHere(size);
}

function callSameRing(cpu: Cpu, selector: number, offset: number, size: number): void {
  const { segmentation } = cpu;
  const { state } = cpu.memory;
  cpu.interrupts.frame.requireRoomHere(2, size, 0);
  if (!withinLimit(segmentation.limit(), segmentation.rights(), offset, 1)) raiseWithError(state, GP, 0);
  segmentation.markAccessed();
  pushReturn(cpu, size);
  setStackPointer(state, state[SS_SLOT + RIGHTS], cpu.interrupts.frame.pointer);
  jumpTo(cpu, selector, offset);
}

/** Call gate to an inner ring: new stack from the TSS, parameters copied from the old one (SDM 3A figure 5-13). */
function callInnerRing(
  cpu: Cpu,
  selector: number,
  offset: number,
  size: number,
  cpl: number,
  parameters: number,
): void {
  const { interrupts, segmentation } = cpu;
  const { state } = cpu.memory;
  const { frame } = interrupts;
  const base = segmentation.base();
  const limit = segmentation.limit();
  const rights = segmentation.rights() | 1;
  segmentation.markAccessed();
  interrupts.readInnerStack(cpl);
  const { innerSelector, innerBase, innerLimit, innerRights, innerPointer } = interrupts;
  frame.requireRoom(4 + parameters, innerLimit, innerRights, innerPointer, size, innerSelector & 0xfffc);
  if (!withinLimit(limit, rights, offset, 1)) raiseWithError(state, GP, 0);
  frame.clear();
  frame.push(state[SS_SLOT + SELECTOR]);
  frame.push(state[ESP]);
  for (let i = parameters - 1; i >= 0; i--) frame.push(frame.peek(i * size, size));
  frame.push(state[CS_SLOT + SELECTOR]);
  frame.push(state[EIP]);
  frame.write(innerBase, innerRights, innerPointer, cpl, size);
  segmentation.setSegment(SS, innerSelector, innerBase, innerLimit, innerRights);
  segmentation.setSegment(CS, (selector & 0xfffc) | cpl, base, limit, rights);
  setStackPointer(state, innerRights, frame.pointer);
  state[CPL] = cpl;
  state[EIP] = offset;
  cpu.updateMode();
}
