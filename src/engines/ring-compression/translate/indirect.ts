/**
 * Indirect jumps, calls and returns: the target indexes a 256-entry table of (guest address, cache address) by its low
 * byte. No flag changes: the comparison is an addition by LEA and a JECXZ. A miss is a callout that fills the entry.
 */
import { EAX, ECX } from '../emitter.ts';
import { INDIRECT_BASE } from '../layout.ts';
import { V_JUMP, V_SPILL0, V_SPILL1 } from '../vcpu.ts';
import { CALLOUT_INDIRECT, spilled } from './kinds.ts';
import type { Sequence, Unit } from './unit.ts';

function spill(u: Unit): void {
  u.boundary();
  u.e.store(V_SPILL0, EAX);
  u.inside(0);
  u.e.store(V_SPILL1, ECX);
}

/** The guest's target is in EAX; guest EAX and ECX are spilled; the instruction has had its other effects. */
function launch(u: Unit): void {
  const { e } = u;
  e.lowByte(ECX);
  e.loadTable(ECX, INDIRECT_BASE);
  e.leaSum(ECX, ECX, EAX);
  const hit = e.jecxz();
  u.callout(CALLOUT_INDIRECT, u.pc);
  e.land(hit);
  e.lowByte(ECX);
  e.loadTable(ECX, INDIRECT_BASE + 4);
  e.store(V_JUMP, ECX);
  e.load(ECX, V_SPILL1);
  e.load(EAX, V_SPILL0);
  e.jumpSlot(V_JUMP);
  u.ended = true;
}

/** mov eax, r/m32: the operand's own registers still hold the guest's values. */
function loadOperand(u: Unit): void {
  const { e, d, source, offset } = u;
  let at = offset;
  while (source[at] !== 0xff) e.put(source[at++] as number);
  e.put(0x8b, (source[at + 1] as number) & 0xc7);
  e.copy(source, at + 2, offset + d.length - at - 2);
}

/** GS and CS reach the VMM's range, and 16-bit targets are rare: those are carried out by the VMM. */
function odd(u: Unit): boolean {
  const { d } = u;
  return d.operandSize !== 4 || (d.mod >= 0 && d.mod !== 3 && (d.segment === 5 || d.segment === 1));
}

const jmpIndirect: Sequence = (u) => {
  if (odd(u)) {
    u.transfer();
    return;
  }
  spill(u);
  u.inside(0);
  loadOperand(u);
  u.inside(spilled(EAX, ECX));
  launch(u);
};

const callIndirect: Sequence = (u) => {
  if (odd(u)) {
    u.transfer();
    return;
  }
  spill(u);
  u.inside(0);
  loadOperand(u);
  u.inside(spilled(EAX, ECX));
  u.e.pushConstant(u.next);
  u.inside(spilled(EAX, ECX) | (4 << 8));
  launch(u);
};

const ret: Sequence = (u) => {
  if (odd(u)) {
    u.transfer();
    return;
  }
  spill(u);
  u.inside(0);
  u.e.pop(EAX);
  if (u.d.immediateSize !== 0) u.e.dropStack(u.d.immediate);
  launch(u);
};

export const INDIRECT: Readonly<Record<string, Sequence>> = { jmpIndirect, callIndirect, ret };
