/**
 * A far call of user code through a call gate of the guest's: the real GDT has no guest gates, so it comes as #GP. Carried
 * out here for gates that lead to ring 0 (SDM 3A 5.8.5); others stay #GP.
 */
import { FAULT, GP, NP, raiseWithError } from '../../core/signals.ts';
import { EIP, ESP, EVENT_VECTOR, SS } from '../../core/state.ts';
import { eventNumber } from '../../cost/event.ts';
import type { Decoded } from '../../isa/instruction.ts';
import { enterInner } from './delivery.ts';
import type { Monitor } from './monitor.ts';
import { linearOf, segmentBase } from './operands.ts';
import { dplOf, isCode, isConforming, isPresent } from './segments.ts';
import { userInstruction } from './user-code.ts';
import { V_CS } from './vcpu.ts';

const EXECUTE = eventNumber('emulateExecute');
const CALL_GATE = 0x0c;

/** `error`: the #GP's. True if the call has been carried out; else EVENT_* hold the exception that it is. */
export function callThroughGate(m: Monitor, error: number): boolean {
  const gate = m.descriptors.peek(error & 0xffff);
  if (gate === null || ((gate[1] >>> 8) & 0x1f) !== CALL_GATE) return false;
  const d = userInstruction(m);
  if (d === null || d.instruction.semantics !== 'farCall') return false;
  m.ledger.charge(EXECUTE);
  try {
    return enterGate(m, d, gate[0], gate[1]);
  } catch (signal) {
    if (signal !== FAULT) throw signal;
    return false;
  }
}

function enterGate(m: Monitor, d: Decoded, low: number, high: number): boolean {
  const { state, guest, segments, v } = m;
  guest.user = true;
  const selector = d.mod < 0 ? d.immediate2 : guest.load((linearOf(m, d) + d.operandSize) >>> 0, 2);
  if (dplOf(high) < 3) return false;
  if (!isPresent(high)) raiseWithError(state, NP, selector & ~3);
  const target = low >>> 16;
  segments.read(target);
  if (!isCode(segments.high)) raiseWithError(state, GP, target & ~3);
  if (!isPresent(segments.high)) raiseWithError(state, NP, target & ~3);
  if (isConforming(segments.high) || dplOf(segments.high) !== 0) {
    state[EVENT_VECTOR] = GP;
    return false;
  }
  segments.markAccessed();
  const parameters: number[] = [];
  const stack = segmentBase(m, SS) + (state[ESP] as number);
  for (let i = 0; i < (high & 0x1f); i++) parameters.push(guest.load((stack + 4 * i) >>> 0, 4));
  guest.user = false;
  const next = ((state[EIP] as number) + d.length) >>> 0;
  enterInner(m, [next, v[V_CS] as number, ...parameters], 0);
  v[V_CS] = target & ~3;
  m.pc = ((high & 0xffff0000) | (low & 0xffff)) >>> 0;
  m.cpu.retireEmulated(3);
  return true;
}
