/** Direct branches: exits to continuations, which chaining replaces. */
import type { Sequence } from './unit.ts';

const OPERAND_SIZE = 0x66;

function target(next: number, displacement: number, operandSize: number): number {
  const linear = (next + displacement) >>> 0;
  return operandSize === 2 ? linear & 0xffff : linear;
}

const jcc: Sequence = (u) => {
  u.branch(u.d.instruction.condition, target(u.next, u.d.immediate, u.d.operandSize));
};

/** The jump itself vanishes: the unit goes on at its target. */
const jmp: Sequence = (u) => {
  u.continueAt(target(u.next, u.d.immediate, u.d.operandSize));
};

/** The stack gets the guest's own return address: a guest that looks at it must find what it finds natively. */
const call: Sequence = (u) => {
  if (u.d.operandSize !== 4) {
    u.transfer();
    return;
  }
  u.boundary();
  u.e.pushConstant(u.next);
  u.continueAt(target(u.next, u.d.immediate, 4));
};

/**
 * LOOP and JECXZ have short distances only: `loop taken; jmp short fall; taken: jmp target; fall:`. An operand-size prefix
 * would cut the cache's own address: it stays behind, and cuts the guest's.
 */
const loop: Sequence = (u) => {
  const { e, d } = u;
  u.boundary();
  for (let at = u.offset; at < u.offset + d.length - 1; at++) {
    if (u.source[at] !== OPERAND_SIZE) e.put(u.source[at] as number);
  }
  e.put(2);
  u.boundary(u.next);
  e.put(0xeb, 5);
  u.jumpTo(target(u.next, d.immediate, d.operandSize));
  u.continueAt(u.next);
};

export const DIRECT: Readonly<Record<string, Sequence>> = {
  jcc,
  jmp,
  call,
  loop,
  loope: loop,
  loopne: loop,
  jecxz: loop,
};
