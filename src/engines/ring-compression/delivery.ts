/**
 * Events into the guest: what the processor does through the IDT (SDM 3A 6.12), on the virtual CPU. The guest's IDT,
 * GDT and TSS are read through its own page tables; the frame shows its own selectors (virtual CPL 0 as RPL 0), its
 * own EIP and its own IF and IOPL. Absent: task gates, 16-bit gates, handlers in rings 1 and 2.
 */
import {
  AC_FAULT,
  BR,
  DE,
  DOUBLE_FAULT,
  FAULT,
  GP,
  MF,
  NM,
  NP,
  PAGE_FAULT,
  raiseWithError,
  SS_FAULT,
  TS,
  UD,
  XM,
} from '../../core/signals.ts';
import {
  BASE,
  ESP,
  EVENT_ADDRESS,
  EVENT_ERROR,
  EVENT_EXTERNAL,
  EVENT_HARDWARE,
  EVENT_HAS_ERROR,
  EVENT_NMI,
  EVENT_SOFTWARE,
  EVENT_SOFTWARE_EXCEPTION,
  EVENT_VECTOR,
  LIMIT,
  SS,
  segmentSlot,
} from '../../core/state.ts';
import { eventNumber } from '../../cost/event.ts';
import { RF } from '../../isa/eflags.ts';
import { COUNT } from './counts.ts';
import { GuestKilled } from './guest-killed.ts';
import { GUEST_LIMIT } from './layout.ts';
import type { Monitor } from './monitor.ts';
import { dplOf, isCode, isConforming, isPresent, isWritable } from './segments.ts';
import { descriptorBase, descriptorLimit } from './shadow-descriptors.ts';
import { V_CR2, V_CS, V_IDTR_BASE, V_IDTR_LIMIT, V_IF, V_SS, V_TR, V_TSS_BASE, V_TSS_LIMIT } from './vcpu.ts';

const DELIVER = eventNumber('deliverEvent');
const INTERRUPT_GATE = 0x0e;
const TRAP_GATE = 0x0f;

/** Exceptions that push RF set (SDM 3B 17.3.1.1): bits by vector. */
const FAULTS = [DE, BR, UD, NM, TS, NP, SS_FAULT, GP, PAGE_FAULT, MF, AC_FAULT, XM].reduce(
  (set, v) => set | (1 << v),
  0,
);
const CONTRIBUTORY: ReadonlySet<number> = new Set([DE, TS, NP, SS_FAULT, GP]);

/** An exception during delivery of `first` (SDM 3A table 6-5): the vector that the guest sees, or -1 for shutdown. */
function combine(first: number, external: boolean, second: number): number {
  if (first === DOUBLE_FAULT) return CONTRIBUTORY.has(second) || second === PAGE_FAULT ? -1 : second;
  if (external) return second;
  if (CONTRIBUTORY.has(first) && CONTRIBUTORY.has(second)) return DOUBLE_FAULT;
  if (first === PAGE_FAULT && (CONTRIBUTORY.has(second) || second === PAGE_FAULT)) return DOUBLE_FAULT;
  return second;
}

/**
 * Delivers an event with return address `m.pc`, then leaves `m.pc` at the handler. If an INT n cannot be delivered, the
 * exception that results returns to `faultPc`, the instruction itself.
 */
export function deliver(
  m: Monitor,
  vector: number,
  kind: number,
  hasError: boolean,
  error: number,
  faultPc: number = m.pc,
): void {
  count(m, kind);
  for (;;) {
    if (kind === EVENT_HARDWARE && vector === PAGE_FAULT) m.v[V_CR2] = m.state[EVENT_ADDRESS] as number;
    try {
      deliverOnce(m, vector, kind, hasError, error);
      return;
    } catch (signal) {
      if (signal !== FAULT) throw signal;
    }
    const { state } = m;
    const external = kind !== EVENT_HARDWARE;
    const next = combine(vector, external, state[EVENT_VECTOR] as number);
    if (next < 0) throw new GuestKilled('The guest took a triple fault.');
    hasError = next === DOUBLE_FAULT || state[EVENT_HAS_ERROR] !== 0;
    error = next === DOUBLE_FAULT ? 0 : (state[EVENT_ERROR] as number);
    vector = next;
    kind = EVENT_HARDWARE;
    m.pc = faultPc;
  }
}

/** Delivers the fault that FAULT announced (EVENT_*), with return address `m.pc`. */
export function deliverFault(m: Monitor): void {
  const { state } = m;
  deliver(m, state[EVENT_VECTOR] as number, EVENT_HARDWARE, state[EVENT_HAS_ERROR] !== 0, state[EVENT_ERROR] as number);
}

function count(m: Monitor, kind: number): void {
  if (kind === EVENT_EXTERNAL || kind === EVENT_NMI) m.counts.add(COUNT.deliveredInterrupt);
  else if (kind === EVENT_HARDWARE) m.counts.add(COUNT.deliveredException);
  else m.counts.add(COUNT.deliveredSoftware);
}

function deliverOnce(m: Monitor, vector: number, kind: number, hasError: boolean, error: number): void {
  const { v, guest, segments, state } = m;
  m.ledger.charge(DELIVER);
  const software = kind === EVENT_SOFTWARE || kind === EVENT_SOFTWARE_EXCEPTION;
  const external = software ? 0 : 1;
  const gateError = vector * 8 + 2 + external;
  if (vector * 8 + 7 > (v[V_IDTR_LIMIT] as number) >>> 0) raiseWithError(state, GP, gateError);
  guest.user = false;
  m.touch();
  const at = ((v[V_IDTR_BASE] as number) + vector * 8) >>> 0;
  const low = guest.load(at, 4) | 0;
  const high = guest.load((at + 4) >>> 0, 4) | 0;
  const type = (high >>> 8) & 0x1f;
  if (type === 5 || type === 6 || type === 7) {
    throw new GuestKilled(
      `The guest delivers vector ${vector} through a task gate or a 16-bit gate, which this engine does not have.`,
    );
  }
  if (type !== INTERRUPT_GATE && type !== TRAP_GATE) raiseWithError(state, GP, gateError);
  if (software && dplOf(high) < m.cpl) raiseWithError(state, GP, gateError);
  if (!isPresent(high)) raiseWithError(state, NP, gateError);

  const selector = low >>> 16;
  const offset = ((high & 0xffff0000) | (low & 0xffff)) >>> 0;
  segments.read(selector, GP, external);
  const dpl = dplOf(segments.high);
  if (!isCode(segments.high) || dpl > m.cpl) raiseWithError(state, GP, (selector & ~3) | external);
  if (!isPresent(segments.high)) raiseWithError(state, NP, (selector & ~3) | external);
  const inner = !isConforming(segments.high) && dpl < m.cpl;
  if (inner ? dpl !== 0 : m.cpl !== 0) {
    throw new GuestKilled(
      `The guest handles vector ${vector} in ring ${inner ? dpl : m.cpl}; this engine runs rings 0 and 3.`,
    );
  }
  segments.markAccessed();

  const fault = kind === EVENT_HARDWARE && vector < 32 && ((FAULTS >>> vector) & 1) !== 0;
  const image = fault ? m.flagsImage() | RF : m.flagsImage() & ~RF;
  const frame = hasError ? [error, m.pc, v[V_CS] as number, image] : [m.pc, v[V_CS] as number, image];
  if (inner) enterInner(m, frame, external);
  else {
    const stack = segmentSlot(SS);
    push(m, frame, state[stack + BASE] as number, state[stack + LIMIT] as number, state[ESP] as number, external);
  }

  v[V_CS] = selector & ~3;
  m.clearForDelivery();
  if (type === INTERRUPT_GATE) v[V_IF] = 0;
  m.pc = offset;
}

/**
 * Pushes `values`, the last first, on a stack segment with this base and limit, and moves ESP once all are written.
 * A limit that is the truncated one stands for 4 GB. `error`: of the #SS that a push beyond the limit is.
 */
function push(m: Monitor, values: readonly number[], base: number, limit: number, esp: number, error: number): void {
  const last = limit >>> 0 === GUEST_LIMIT ? 0xffffffff : limit >>> 0;
  let top = esp;
  for (let i = values.length - 1; i >= 0; i--) {
    top = (top - 4) | 0;
    if ((top >>> 0) + 3 > last) raiseWithError(m.state, SS_FAULT, error);
    m.guest.store((base + top) >>> 0, 4, values[i] as number);
  }
  m.state[ESP] = top;
}

/** From direct execution to ring 0: pushes `frame`, lowest address first, below the old SS:ESP on the stack of the guest's TSS. */
export function enterInner(m: Monitor, frame: readonly number[], external: number): void {
  const { v, guest, segments, state } = m;
  const tr = v[V_TR] as number;
  if ((v[V_TSS_LIMIT] as number) >>> 0 < 11) raiseWithError(state, TS, (tr & ~3) | external);
  m.touch();
  const tss = v[V_TSS_BASE] as number;
  const esp = guest.load((tss + 4) >>> 0, 4) | 0;
  const ss = guest.load((tss + 8) >>> 0, 2);
  segments.read(ss, TS, external);
  if ((ss & 3) !== 0 || dplOf(segments.high) !== 0 || !isWritable(segments.high)) {
    raiseWithError(state, TS, (ss & ~3) | external);
  }
  if (!isPresent(segments.high)) raiseWithError(state, SS_FAULT, (ss & ~3) | external);
  segments.markAccessed();
  const { low, high } = segments;
  const old = [state[ESP] as number, v[V_SS] as number];
  const error = (ss & ~3) | external;
  push(m, [...frame, ...old], descriptorBase(low, high), descriptorLimit(low, high), esp, error);
  m.counts.add(COUNT.leaveDirect);
  segments.enterCache();
  segments.low = low;
  segments.high = high;
  v[V_SS] = ss;
  segments.place(SS, ss | 1);
  m.cpu.updateMode();
}
