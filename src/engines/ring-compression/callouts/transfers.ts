/**
 * Far transfers and returns of the guest kernel, with the checks of virtual CPL 0 (SDM volume 2: IRET, RET, JMP, CALL), and the near
 * ones that the cache does not carry out: 16-bit targets and operands that GS or CS leads to.
 */
import { BP, GP, NP, OF_TRAP, raiseWithError, SS_FAULT } from '../../../core/signals.ts';
import {
  ECX,
  EDX,
  ESP,
  EVENT_SOFTWARE,
  EVENT_SOFTWARE_EXCEPTION,
  GS,
  NMI_BLOCKED,
  RIGHTS_UNUSABLE,
  SS,
} from '../../../core/state.ts';
import { NT, OF, TF, VM } from '../../../isa/eflags.ts';
import type { Decoded } from '../../../isa/instruction.ts';
import { deliver } from '../delivery.ts';
import { GuestKilled } from '../guest-killed.ts';
import type { Monitor } from '../monitor.ts';
import { linearOf, readRm, segmentBase } from '../operands.ts';
import { dplOf, isCode, isConforming, isPresent, isWritable } from '../segments.ts';
import { V_CS, V_GS_RIGHTS, V_SYSENTER_CS } from '../vcpu.ts';
import type { Handlers } from './handler.ts';

function pop(m: Monitor, index: number, size: number): number {
  return m.guest.load((segmentBase(m, SS) + m.register(4) + index * size) >>> 0, size) | 0;
}

/** The code segment that a transfer within ring 0 names. */
function checkKernelCode(m: Monitor, selector: number): void {
  const { segments, state } = m;
  segments.read(selector);
  if (!isCode(segments.high)) raiseWithError(state, GP, selector & ~3);
  const dpl = dplOf(segments.high);
  if (isConforming(segments.high) ? dpl > 0 : dpl !== 0) raiseWithError(state, GP, selector & ~3);
  if (!isPresent(segments.high)) raiseWithError(state, NP, selector & ~3);
  segments.markAccessed();
  requireFlat(segments.low, segments.high);
}

/** The translator takes EIP for a linear address and code for 32-bit. */
function requireFlat(low: number, high: number): void {
  const flat = low >>> 16 === 0 && (high & 0xff0000ff) === 0 && (high & 0x400000) !== 0;
  if (!flat)
    throw new GuestKilled(
      'The guest kernel runs in a 16-bit or based code segment, which this engine does not translate.',
    );
}

/** A return to ring 3: CS, SS, EIP and ESP have been read; checks both and leaves for direct execution. */
function returnToUser(m: Monitor, eip: number, cs: number, esp: number, ss: number): void {
  const { segments, state } = m;
  segments.read(cs);
  const csLow = segments.low;
  const csHigh = segments.high;
  const csAt = segments.address;
  const dpl = dplOf(csHigh);
  if (!isCode(csHigh) || (isConforming(csHigh) ? dpl > (cs & 3) : dpl !== (cs & 3))) raiseWithError(state, GP, cs & ~3);
  if ((cs & 3) !== 3) throw new GuestKilled('The guest returns to ring 1 or 2; this engine runs rings 0 and 3.');
  if (!isPresent(csHigh)) raiseWithError(state, NP, cs & ~3);
  segments.read(ss);
  if ((ss & 3) !== 3 || dplOf(segments.high) !== 3 || !isWritable(segments.high)) raiseWithError(state, GP, ss & ~3);
  if (!isPresent(segments.high)) raiseWithError(state, SS_FAULT, ss & ~3);
  segments.markAccessed();
  segments.markAccessed(csAt, csHigh);
  m.restoreFpuPointers();
  segments.enterDirect(cs, csLow, csHigh, ss, segments.low, segments.high);
  state[ESP] = esp;
  m.pc = eip >>> 0;
}

/** The target of a near indirect transfer. */
function nearTarget(m: Monitor, d: Decoded): number {
  if (d.mod !== 3 && d.segment === GS && ((m.v[V_GS_RIGHTS] as number) & RIGHTS_UNUSABLE) !== 0) {
    raiseWithError(m.state, GP, 0);
  }
  return readRm(m, d, d.operandSize) >>> 0;
}

/** Pushes `next` as far as the operand size goes, and goes to `target`. */
function nearCall(m: Monitor, d: Decoded, next: number, target: number): void {
  const size = d.operandSize;
  const esp = m.register(4);
  m.guest.store((segmentBase(m, SS) + esp - size) >>> 0, size, size === 2 ? next & 0xffff : next);
  m.state[ESP] = esp - size;
  m.pc = target;
}

function callRelative(m: Monitor, d: Decoded, next: number): void {
  const target = (next + d.immediate) >>> 0;
  nearCall(m, d, next, d.operandSize === 2 ? target & 0xffff : target);
}

function nearRet(m: Monitor, d: Decoded): void {
  const size = d.operandSize;
  const target = pop(m, 0, size);
  m.state[ESP] = m.register(4) + size + (d.immediateSize === 0 ? 0 : d.immediate & 0xffff);
  m.pc = target >>> 0;
}

function iret(m: Monitor, d: Decoded): void {
  const { state } = m;
  const size = d.operandSize;
  if ((m.flagsImage() & NT) !== 0)
    throw new GuestKilled('The guest returns from a nested task, which this engine does not carry out.');
  const eip = pop(m, 0, size);
  const cs = pop(m, 1, size) & 0xffff;
  let image = pop(m, 2, size);
  if (size === 2) image = (image & 0xffff) | (m.flagsImage() & 0xffff0000);
  if ((image & VM) !== 0)
    throw new GuestKilled('The guest returns to virtual-8086 mode, which this engine does not have.');
  if ((image & TF) !== 0) image &= ~TF;
  if ((cs & 3) === 0) {
    checkKernelCode(m, cs);
    state[ESP] = m.register(4) + 3 * size;
    m.v[V_CS] = cs;
    state[NMI_BLOCKED] = 0;
    m.setFlagsImage(image);
    m.pc = (size === 2 ? eip & 0xffff : eip) >>> 0;
    return;
  }
  returnToUser(m, size === 2 ? eip & 0xffff : eip, cs, pop(m, 3, size), pop(m, 4, size) & 0xffff);
  state[NMI_BLOCKED] = 0;
  m.setFlagsImage(image);
}

function farRet(m: Monitor, d: Decoded): void {
  const size = d.operandSize;
  const drop = d.immediateSize === 0 ? 0 : d.immediate & 0xffff;
  const eip = pop(m, 0, size);
  const cs = pop(m, 1, size) & 0xffff;
  if ((cs & 3) === 0) {
    checkKernelCode(m, cs);
    m.state[ESP] = m.register(4) + 2 * size + drop;
    m.v[V_CS] = cs;
    m.pc = eip >>> 0;
    return;
  }
  const at = segmentBase(m, SS) + m.register(4) + 2 * size + drop;
  const esp = m.guest.load(at >>> 0, size);
  const ss = m.guest.load((at + size) >>> 0, 2);
  returnToUser(m, eip, cs, esp + drop, ss);
}

/** Offset and selector of a far jump's or call's target. */
function farTarget(m: Monitor, d: Decoded): readonly [offset: number, selector: number] {
  if (d.mod < 0) return [d.immediate >>> 0, d.immediate2];
  const at = linearOf(m, d);
  return [m.guest.load(at, d.operandSize) >>> 0, m.guest.load((at + d.operandSize) >>> 0, 2)];
}

function farJump(m: Monitor, d: Decoded): void {
  const [offset, selector] = farTarget(m, d);
  checkKernelCode(m, selector);
  m.v[V_CS] = selector & ~3;
  m.pc = offset;
}

function farCall(m: Monitor, d: Decoded, next: number): void {
  const [offset, selector] = farTarget(m, d);
  checkKernelCode(m, selector);
  const size = d.operandSize;
  const esp = m.register(4);
  const base = segmentBase(m, SS);
  m.guest.store((base + esp - size) >>> 0, size, m.v[V_CS] as number);
  m.guest.store((base + esp - 2 * size) >>> 0, size, next);
  m.state[ESP] = esp - 2 * size;
  m.v[V_CS] = selector & ~3;
  m.pc = offset;
}

function softwareInterrupt(m: Monitor, vector: number, kind: number, next: number): void {
  const at = m.pc;
  m.pc = next;
  deliver(m, vector, kind, false, 0, at);
}

/** Flat segments that SYSEXIT loads without reading a table (SDM volume 2, SYSEXIT): [low, high]. */
const USER_CODE = [0x0000ffff, 0x00cffb00] as const;
const USER_DATA = [0x0000ffff, 0x00cff300] as const;

function sysexit(m: Monitor): void {
  const cs = m.v[V_SYSENTER_CS] as number;
  if ((cs & ~3) === 0) raiseWithError(m.state, GP, 0);
  const { state } = m;
  m.restoreFpuPointers();
  m.segments.enterDirect(((cs + 16) & 0xffff) | 3, ...USER_CODE, ((cs + 24) & 0xffff) | 3, ...USER_DATA);
  state[ESP] = state[ECX] as number;
  m.pc = (state[EDX] as number) >>> 0;
}

/** POPF with NT, IOPL or TF set, or 16 bits wide, at virtual CPL 0. */
function popf(m: Monitor, d: Decoded): void {
  const size = d.operandSize;
  const value = pop(m, 0, size);
  const kept = size === 2 ? m.flagsImage() & 0xffff0000 : 0;
  m.state[ESP] = m.register(4) + size;
  m.setFlagsImage((kept | (size === 2 ? value & 0xffff : value)) & ~(TF | VM));
}

function pushf(m: Monitor, d: Decoded): void {
  const size = d.operandSize;
  m.guest.store((segmentBase(m, SS) + m.register(4) - size) >>> 0, size, m.flagsImage());
  m.state[ESP] = m.register(4) - size;
}

export const TRANSFERS: Handlers = {
  call: callRelative,
  callIndirect: (m, d, next) => nearCall(m, d, next, nearTarget(m, d)),
  jmpIndirect: (m, d) => {
    m.pc = nearTarget(m, d);
  },
  ret: nearRet,
  iret,
  farRet,
  farJump,
  farCall,
  sysexit,
  popf,
  pushf,
  int: (m, d, next) => softwareInterrupt(m, d.immediate & 0xff, EVENT_SOFTWARE, next),
  int3: (m, _d, next) => softwareInterrupt(m, BP, EVENT_SOFTWARE_EXCEPTION, next),
  into: (m, _d, next) => {
    if ((m.cpu.eflags() & OF) !== 0) softwareInterrupt(m, OF_TRAP, EVENT_SOFTWARE_EXCEPTION, next);
  },
};
