/** A callout: translated code has called the VMM through its gate. What the record asks is done here. */
import { FAULT, raise, UD } from '../../../core/signals.ts';
import { EAX, ECX, EIP, EVENT_HARDWARE, GS, RETIRED_IN_CACHE } from '../../../core/state.ts';
import { eventNumber } from '../../../cost/event.ts';
import { createDecoded, decode } from '../../../isa/decode.ts';
import { COUNT } from '../counts.ts';
import { deliver, deliverFault } from '../delivery.ts';
import { continueAt, dispatch } from '../dispatch.ts';
import { CALLOUT_BYTES } from '../emitter.ts';
import { withFullLimits } from '../full-limits.ts';
import { ESCAPE_GS } from '../layout.ts';
import type { Monitor } from '../monitor.ts';
import {
  CALLOUT_CHECK,
  CALLOUT_CONTINUE,
  CALLOUT_EMULATE,
  CALLOUT_INDIRECT,
  CALLOUT_INSTRUCTION,
  CALLOUT_RAISE,
  CALLOUT_STI,
  CALLOUT_TRACED_STORE,
} from '../translate/kinds.ts';
import { V_GS, V_GS_BASE, V_GS_LIMIT, V_GS_RIGHTS, V_HALTED, V_SHADOW, V_SPILL0, V_SPILL1 } from '../vcpu.ts';
import { DEVICES } from './devices.ts';
import type { Handlers } from './handler.ts';
import { SEGMENT_HANDLERS } from './segments.ts';
import { SYSTEM } from './system.ts';
import { TRANSFERS } from './transfers.ts';

const EXECUTE = eventNumber('emulateExecute');

export const HANDLERS: Handlers = { ...DEVICES, ...SEGMENT_HANDLERS, ...SYSTEM, ...TRANSFERS };

const decoded = createDecoded();

/** Handles the callout whose gate call ends at `address` (cache address of the byte after it). */
export function callout(m: Monitor, address: number): void {
  const { cache, counts } = m;
  const record = cache.recordOf(address - CALLOUT_BYTES);
  const kind = cache.callouts[4 * record] as number;
  const pc = (cache.callouts[4 * record + 1] as number) >>> 0;
  const a = cache.callouts[4 * record + 2] as number;
  const b = cache.callouts[4 * record + 3] as number;
  counts.add(COUNT.calloutContinue + kind);
  m.pc = pc;
  switch (kind) {
    case CALLOUT_CONTINUE:
      continueAt(m, pc, a >>> 0, b);
      return;
    case CALLOUT_INDIRECT:
      indirect(m);
      return;
    case CALLOUT_INSTRUCTION:
      instruction(m, address, a);
      return;
    case CALLOUT_EMULATE:
    case CALLOUT_TRACED_STORE:
      emulateCopy(m, address, a, kind === CALLOUT_TRACED_STORE);
      return;
    case CALLOUT_CHECK:
      dispatch(m);
      return;
    case CALLOUT_STI:
      m.v[V_SHADOW] = 1;
      dispatch(m);
      return;
    case CALLOUT_RAISE:
      m.guest.user = false;
      deliver(m, a, EVENT_HARDWARE, b !== 0, 0);
      dispatch(m);
      return;
    default:
      throw new Error(`No callout is at cache address ${address.toString(16)}.`);
  }
}

/** The target missed the table: fill its entry, so that the next time the cache finds it alone. */
function indirect(m: Monitor): void {
  const { state, v } = m;
  const target = (state[EAX] as number) >>> 0;
  state[EAX] = v[V_SPILL0] as number;
  state[ECX] = v[V_SPILL1] as number;
  m.counts.add(COUNT.indirectMiss);
  m.pc = target;
  if (m.eventDue()) {
    dispatch(m);
    return;
  }
  const address = m.lookUp(target);
  if (address < 0) {
    dispatch(m);
    return;
  }
  const entry = 2 * (target & 0xff);
  m.indirect[entry] = -target;
  m.indirect[entry + 1] = address;
  m.enterCache(address);
}

/** Carries out the instruction whose bytes stand at `address`. */
function instruction(m: Monitor, address: number, length: number): void {
  const { cache, v } = m;
  const pc = m.pc;
  const next = (pc + length) >>> 0;
  const { generation } = cache;
  const at = cache.machine(address);
  decode(cache.bytes, at, at + length, true, decoded);
  m.ledger.charge(EXECUTE);
  m.guest.user = false;
  try {
    const handler = HANDLERS[decoded.instruction.semantics];
    if (handler === undefined) raise(m.state, UD);
    handler(m, decoded, next);
  } catch (signal) {
    if (signal !== FAULT) throw signal;
    m.pc = pc;
    deliverFault(m);
    dispatch(m);
    return;
  }
  m.cpu.retireEmulated(RETIRED_IN_CACHE);
  if (v[V_HALTED] !== 0) return;
  const { semantics } = decoded.instruction;
  if (m.pc === pc && !TRANSFERS_ALWAYS.has(semantics)) m.pc = next;
  const due = m.eventDue() || m.stale[0] !== 0 || v[V_SHADOW] !== 0;
  if (m.pc !== next || due || cache.generation !== generation || m.direct || DISPATCHED.has(semantics)) {
    dispatch(m);
    return;
  }
  m.enterCache(address + length);
}

/** Instructions that may go to their own address. */
const TRANSFERS_ALWAYS: ReadonlySet<string> = new Set([
  'call',
  'callIndirect',
  'jmpIndirect',
  'ret',
  'iret',
  'farRet',
  'farJump',
  'farCall',
  'sysexit',
  'int',
  'int3',
]);
/**
 * Instructions after which the guest is dispatched even if it goes on behind them: no translation follows a transfer,
 * and what follows a new mapping may be other code.
 */
const DISPATCHED: ReadonlySet<string> = new Set([...TRANSFERS_ALWAYS, 'into', 'writeControl', 'invlpg', 'hlt']);

/** Runs the copy of one instruction with its accesses made through guest memory, with the guest's own GS. */
function emulateCopy(m: Monitor, address: number, length: number, store: boolean): void {
  const { cache, cpu, guest, v, state } = m;
  const pc = m.pc;
  const { generation } = cache;
  m.ledger.charge(EXECUTE);
  guest.user = false;
  guest.faulted = false;
  guest.hitTrace = false;
  m.restoreFpuPointers();
  cpu.segmentation.setSegment(
    GS,
    v[V_GS] as number,
    v[V_GS_BASE] as number,
    v[V_GS_LIMIT] as number,
    v[V_GS_RIGHTS] as number,
  );
  cpu.updateMode();
  state[EIP] = address;
  let completed = true;
  try {
    withFullLimits(m, () => cpu.emulateOne(guest));
  } catch (signal) {
    if (signal !== FAULT) throw signal;
    completed = false;
  } finally {
    cpu.segmentation.setSegment(GS, ESCAPE_GS, 0, 0xffffffff, 0xc0b3);
    cpu.updateMode();
  }
  m.counts.add(COUNT.emulatedAccess);
  if (!completed) {
    deliverFault(m);
    dispatch(m);
    return;
  }
  // A REP string may stop between elements: then it is not over.
  const done = state[EIP] !== (address | 0);
  if (done) cpu.retireEmulated(RETIRED_IN_CACHE);
  m.pc = done ? (pc + length) >>> 0 : pc;
  if (store && m.adaptation.stored(pc, guest.hitTrace)) {
    m.counts.add(COUNT.adaptationDown);
    cache.invalidate(cache.unitAt(address));
    dispatch(m);
    return;
  }
  if (m.stale[0] !== 0 || cache.generation !== generation || m.eventDue() || !done) dispatch(m);
  else m.enterCache(address + length);
}
