/**
 * The interrupt flag. Physical EFLAGS.IF is always 1 and POPF at CPL 1 leaves it so; the guest's lies in the vcpu block.
 * Arithmetic flags stay in the real EFLAGS, so none of these sequences may disturb them before it has saved them.
 */
import { EAX, ECX } from '../emitter.ts';
import { V_IF, V_IOPL_DELTA, V_PENDING, V_SPILL0, V_SPILL1 } from '../vcpu.ts';
import { CALLOUT_CHECK, CALLOUT_STI, spilled } from './kinds.ts';
import type { Sequence } from './unit.ts';

const NT_IOPL_TF = 0x7100;
const NOT_ZERO = 5;

const cli: Sequence = (u) => {
  u.boundary();
  u.e.storeConstant(V_IF, 0);
};

/** If an interrupt waits, the VMM runs the next instruction (the STI shadow) and delivers it then. */
const sti: Sequence = (u) => {
  const { e } = u;
  u.boundary();
  e.storeConstant(V_IF, 0x200);
  u.inside(0);
  e.store(V_SPILL0, ECX);
  e.load(ECX, V_PENDING);
  u.inside(spilled(ECX));
  const none = e.jecxz();
  e.load(ECX, V_SPILL0);
  u.callout(CALLOUT_STI, u.next);
  e.land(none);
  e.load(ECX, V_SPILL0);
};

const pushf: Sequence = (u) => {
  const { e, d } = u;
  if (d.operandSize !== 4) {
    u.instruction();
    return;
  }
  u.boundary();
  e.put(0x9c);
  u.inside(4 << 8);
  e.store(V_SPILL0, EAX);
  e.store(V_SPILL1, ECX);
  u.inside(spilled(EAX, ECX) | (4 << 8));
  e.loadTop(EAX);
  e.load(ECX, V_IF);
  e.leaSum(EAX, EAX, ECX);
  e.load(ECX, V_IOPL_DELTA);
  e.leaSum(EAX, EAX, ECX);
  e.storeTop(EAX);
  e.load(ECX, V_SPILL1);
  e.load(EAX, V_SPILL0);
};

/** TF, NT and IOPL go to the VMM; the rest is POPF itself plus the copy of IF. */
const popf: Sequence = (u) => {
  const { e, d } = u;
  if (d.operandSize !== 4 || u.cache.virtualIopl !== 0) {
    u.instruction();
    return;
  }
  u.boundary();
  e.store(V_SPILL0, EAX);
  u.inside(0);
  e.loadTop(EAX);
  u.inside(spilled(EAX));
  // POPF writes every flag that this test clobbers; on the way to the VMM the real flags no longer matter either.
  e.put(0xa9);
  e.word32(NT_IOPL_TF);
  const odd = e.jccShort(NOT_ZERO);
  e.put(0x25);
  e.word32(0x200);
  e.store(V_IF, EAX);
  e.andSlot(EAX, V_PENDING);
  const waiting = e.jccShort(NOT_ZERO);
  e.load(EAX, V_SPILL0);
  e.put(0x9d);
  const done = e.length;
  e.put(0xeb, 0);
  e.land(waiting);
  e.load(EAX, V_SPILL0);
  e.put(0x9d);
  u.callout(CALLOUT_CHECK, u.next);
  e.land(odd);
  e.load(EAX, V_SPILL0);
  u.boundary();
  u.instructionHere();
  e.land(done + 1);
};

export const FLAGS: Readonly<Record<string, Sequence>> = { cli, sti, pushf, popf };
