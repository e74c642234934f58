/** A host trap: an event of the running guest has reached ring 0. */
import { FAULT, GP, NP, PAGE_FAULT, SS_FAULT, UD } from '../../core/signals.ts';
import {
  EIP,
  ESP,
  EVENT_ADDRESS,
  EVENT_CALL_GATE,
  EVENT_ERROR,
  EVENT_EXTERNAL,
  EVENT_HARDWARE,
  EVENT_HAS_ERROR,
  EVENT_KIND,
  EVENT_SOFTWARE,
  EVENT_SYSENTER,
  EVENT_VECTOR,
  INSTRUCTION_LENGTH,
  RETIRED_IN_CACHE,
  SS,
} from '../../core/state.ts';
import { eventNumber } from '../../cost/event.ts';
import { IF } from '../../isa/eflags.ts';
import { callout } from './callouts/callout.ts';
import { COUNT } from './counts.ts';
import { deliver, deliverFault } from './delivery.ts';
import { dispatch } from './dispatch.ts';
import { withFullLimits } from './full-limits.ts';
import { GuestKilled } from './guest-killed.ts';
import { GUEST_LIMIT } from './layout.ts';
import type { Monitor } from './monitor.ts';
import { callThroughGate } from './user-gate.ts';
import { emulateUserPort } from './user-port.ts';
import {
  V_CS,
  V_IDTR_BASE,
  V_IDTR_LIMIT,
  V_IF,
  V_PENDING,
  V_SS,
  V_SYSENTER_CS,
  V_SYSENTER_EIP,
  V_SYSENTER_ESP,
} from './vcpu.ts';

const DISPATCH = eventNumber('vmmDispatch');
const DECODE = eventNumber('emulateDecode');
const EXECUTE = eventNumber('emulateExecute');
const IDT_ERROR = 2;

/** Handles the stop and leaves the processor ready to run the guest again (or the virtual CPU halted). */
export function hostTrap(m: Monitor): void {
  const { state } = m;
  m.ledger.charge(DISPATCH);
  m.guest.user = m.direct;
  const vector = state[EVENT_VECTOR] as number;
  switch (state[EVENT_KIND]) {
    case EVENT_EXTERNAL:
      external(m);
      return;
    case EVENT_CALL_GATE:
      callout(m, (state[EIP] as number) >>> 0);
      return;
    case EVENT_SYSENTER:
      sysenter(m);
      return;
    case EVENT_HARDWARE:
      if (vector === PAGE_FAULT) pageFault(m);
      else exception(m, vector);
      return;
    default:
      // INT n, INT3 or INTO of directly executed code; in the cache these are callouts.
      m.pc = (state[EIP] as number) >>> 0;
      deliver(m, vector, state[EVENT_KIND] as number, false, 0, (m.pc - softwareLength(state)) >>> 0);
      dispatch(m);
  }
}

/** INT n has two bytes; INT3 and INTO have one. */
function softwareLength(state: Int32Array): number {
  return state[EVENT_KIND] === EVENT_SOFTWARE ? 2 : 1;
}

/** A physical interrupt: the guest's if it will take it here, else held until it will. */
function external(m: Monitor): void {
  const { v } = m;
  if (!m.eventDue()) {
    m.counts.add(COUNT.heldInterrupt);
    m.resume();
    return;
  }
  if (m.direct) {
    m.pc = (m.state[EIP] as number) >>> 0;
    dispatch(m);
    return;
  }
  // Inside a sequence the guest is between two states: the sequence is finished first.
  if (m.atBoundary()) dispatch(m);
  else {
    m.counts.add(COUNT.settled);
    v[V_PENDING] = IF;
    m.settle();
    m.resume();
  }
}

/** Gives the guest the exception that the processor reported. */
function reflect(m: Monitor): void {
  m.counts.add(COUNT.reflected);
  if (m.direct) m.pc = (m.state[EIP] as number) >>> 0;
  else m.rollBack();
  deliverFault(m);
  dispatch(m);
}

function pageFault(m: Monitor): void {
  const { state, shadow } = m;
  const linear = (state[EVENT_ADDRESS] as number) >>> 0;
  switch (shadow.handlePageFault(linear, state[EVENT_ERROR] as number)) {
    case 'hidden':
      m.resume();
      return;
    case 'true':
      state[EVENT_ERROR] = shadow.faultError;
      reflect(m);
      return;
    default:
      emulate(m);
  }
}

function exception(m: Monitor, vector: number): void {
  const { state } = m;
  const error = state[EVENT_ERROR] as number;
  const selectorFault = vector === GP || vector === NP || vector === SS_FAULT;
  if (!selectorFault || state[EVENT_HAS_ERROR] === 0) {
    reflect(m);
    return;
  }
  if ((error & IDT_ERROR) !== 0 && m.direct) {
    refusedInterrupt(m, error >>> 3);
    return;
  }
  if (error !== 0) {
    if (vector !== GP && m.descriptors.isUnaccessed(error & 0xffff)) {
      firstLoad(m, error & 0xffff);
      return;
    }
    if (m.direct && callThroughGate(m, error)) {
      dispatch(m);
      return;
    }
    // The descriptor's page may not have been mapped when its table was mirrored.
    if (m.descriptors.refresh(error & 0xffff)) {
      m.counts.add(COUNT.descriptorRefresh);
      m.resume();
    } else reflect(m);
    return;
  }
  if (vector === NP) reflect(m);
  else if (m.direct && (state[EIP] as number) >>> 0 > GUEST_LIMIT) fetchAbove(m);
  else if (m.direct && emulateUserPort(m)) dispatch(m);
  else emulate(m);
}

/** The processor is loading a descriptor for the first time: the guest's accessed bit, then again. */
function firstLoad(m: Monitor, selector: number): void {
  const { segments } = m;
  m.counts.add(COUNT.descriptorAccess);
  try {
    segments.find(selector);
    segments.markAccessed();
  } catch (signal) {
    if (signal !== FAULT) throw signal;
    reflect(m);
    return;
  }
  m.descriptors.refresh(selector);
  if (m.direct) {
    m.pc = (m.state[EIP] as number) >>> 0;
    m.dropStale();
  } else if (m.stale[0] !== 0) {
    if (m.atBoundary()) {
      dispatch(m);
      return;
    }
    m.settle();
  }
  m.resume();
}

/** User code jumped above its truncated code segment: its page tables answer, as natively. */
function fetchAbove(m: Monitor): void {
  const { state } = m;
  const { guest } = m.shadow;
  const linear = (state[EIP] as number) >>> 0;
  m.pc = linear;
  guest.walk(linear);
  if (!guest.allows(false, true, true)) {
    state[EVENT_ADDRESS] = linear;
    deliver(m, PAGE_FAULT, EVENT_HARDWARE, true, guest.errorCode(false, true, true));
  } else if (m.guest.machine(guest.frame * 4096) < 0) deliver(m, UD, EVENT_HARDWARE, false, 0);
  else throw new GuestKilled('User code runs in the top 4 MB of its address space, where this VMM lies.');
  dispatch(m);
}

/** INT n for a vector below 32: the host's gate refused it; the guest's may not. */
function refusedInterrupt(m: Monitor, vector: number): void {
  const { state, v, guest } = m;
  const inside = vector * 8 + 7 <= (v[V_IDTR_LIMIT] as number) >>> 0;
  const high = inside ? guest.peek32(((v[V_IDTR_BASE] as number) + vector * 8 + 4) >>> 0) : 0;
  if (((high >>> 13) & 3) < 3) {
    reflect(m);
    return;
  }
  const at = (state[EIP] as number) >>> 0;
  m.pc = (at + (state[INSTRUCTION_LENGTH] as number)) >>> 0;
  deliver(m, vector, EVENT_SOFTWARE, false, 0, at);
  dispatch(m);
}

function sysenter(m: Monitor): void {
  const { state, v } = m;
  // The stop comes after SYSENTER, which has two bytes.
  m.pc = ((state[EIP] as number) - 2) >>> 0;
  const cs = (v[V_SYSENTER_CS] as number) & 0xfffc;
  if (cs === 0) {
    deliver(m, GP, EVENT_HARDWARE, true, 0);
    dispatch(m);
    return;
  }
  m.counts.add(COUNT.leaveDirect);
  v[V_IF] = 0;
  m.segments.enterCache();
  v[V_CS] = cs;
  v[V_SS] = cs + 8;
  m.cpu.segmentation.setSegment(SS, (cs + 8) | 1, 0, GUEST_LIMIT, 0xc0b3);
  m.clearForDelivery();
  state[ESP] = v[V_SYSENTER_ESP] as number;
  m.pc = (v[V_SYSENTER_EIP] as number) >>> 0;
  dispatch(m);
}

/**
 * Carries out the instruction at the real EIP with its accesses made by the VMM: it stored to a traced page, reached a
 * device, or reached above the truncated limits. A fault of the guest's own comes out of it as that.
 */
function emulate(m: Monitor): void {
  const { cpu, state, guest } = m;
  m.ledger.charge(DECODE);
  m.ledger.charge(EXECUTE);
  m.counts.add(COUNT.emulatedAccess);
  guest.faulted = false;
  guest.hitTrace = false;
  const at = (state[EIP] as number) >>> 0;
  const kernel = !m.direct;
  let pc = at;
  if (kernel) {
    m.cache.resolve(at);
    pc = m.cache.guestPc;
  }
  let completed = true;
  try {
    withFullLimits(m, () => cpu.emulateOne(guest));
  } catch (signal) {
    if (signal !== FAULT) throw signal;
    completed = false;
  }
  if (!completed) {
    // The fetch itself missed the shadow: run it again.
    if (state[EVENT_VECTOR] === PAGE_FAULT && !guest.faulted) m.resume();
    else reflect(m);
    return;
  }
  if ((state[EIP] as number) >>> 0 !== at) cpu.retireEmulated(kernel ? RETIRED_IN_CACHE : 3);
  afterEmulation(m, at, pc, kernel);
}

/** Resumes after an emulated instruction; what its store invalidated goes at the next instruction boundary. */
function afterEmulation(m: Monitor, at: number, pc: number, kernel: boolean): void {
  if (!kernel) {
    m.pc = (m.state[EIP] as number) >>> 0;
    m.dropStale();
    m.resume();
    return;
  }
  const adapt = m.guest.hitTrace && m.adaptation.hit(pc);
  if (!adapt && m.stale[0] === 0) {
    m.resume();
    return;
  }
  if (!m.atBoundary()) {
    m.settle();
    m.resume();
    return;
  }
  if (adapt) {
    m.counts.add(COUNT.adaptationUp);
    m.cache.invalidate(m.cache.unitAt(at));
  }
  dispatch(m);
}
