/** Moves, conversions, bit scans and tests, flag instructions, stack instructions. */
import { CF, DF } from '../eflags.ts';
import type { Builder, Meaning, Size } from './builder.ts';

const mov: Meaning = (b) => b.write(0, b.read(1));
const lea: Meaning = (b) => b.write(0, b.effectiveAddress());
const movzx: Meaning = (b) => b.write(0, b.readUnsigned(1));
const movsx: Meaning = (b) => b.write(0, b.read(1));

const xchg: Meaning = (b) => {
  const memory = b.isMemory(1) ? 1 : 0;
  const other = 1 - memory;
  const x = b.modify(memory);
  const y = b.read(other);
  b.write(memory, y);
  b.write(other, x);
};

/** The source is read, and may fault, whether or not the condition holds (SDM 2A CMOVcc). */
const cmovcc: Meaning = (b, condition) => {
  const y = b.read(1);
  b.when(b.condition(condition), () => b.write(0, y));
};

const setcc: Meaning = (b, condition) => b.write(0, b.condition(condition));

const cbw: Meaning = (b) => {
  const half: Size = b.operandSize === 4 ? 2 : 1;
  b.setRegister(0, b.operandSize, b.register(0, half));
};

const cwd: Meaning = (b) => {
  const size = b.operandSize;
  b.setRegister(2, size, b.shiftRightSigned(b.register(0, size), b.constant(31)));
};

const bswap: Meaning = (b) => b.write(0, b.call('byteSwap', b.read(0)));
/** XLAT's address is (E)BX + AL: the form's base is EBX. */
const xlat: Meaning = (b) => b.setRegister(0, 1, b.load(1, b.linear(1, false, b.zeroExtend(b.register(0, 1), 1))));

/** BT with a register bit offset addresses memory beyond the operand (SDM 2A BT): the displaced element is `offset >> 5` units away. */
function bitTest(change: (<V>(b: Builder<V>, value: V, mask: V) => V) | null): Meaning {
  return (b) => {
    const size = b.size(0);
    const bits = 8 * size;
    if (b.isMemory(0) && !b.isImmediateOperand(1)) {
      const offset = b.read(1);
      const bytes = b.multiply(b.shiftRightSigned(offset, b.constant(size === 4 ? 5 : 4)), b.constant(size));
      const linear = b.bind(b.linear(size, change !== null, bytes));
      const bit = b.bind(b.and(offset, b.constant(bits - 1)));
      const x = b.bind(change === null ? b.load(size, linear) : b.loadForUpdate(size, linear));
      if (change !== null) b.storeUpdated(size, linear, change(b, x, b.shiftLeft(b.constant(1), bit)));
      b.setCarry(b.and(b.shiftRight(x, bit), b.constant(1)));
      return;
    }
    const x = change === null ? b.read(0) : b.modify(0);
    const bit = b.bind(b.and(b.read(1), b.constant(bits - 1)));
    if (change !== null) b.write(0, change(b, x, b.shiftLeft(b.constant(1), bit)));
    b.setCarry(b.and(b.shiftRight(x, bit), b.constant(1)));
  };
}

/** A zero source sets ZF and leaves the destination as it was (SDM: undefined; processors keep it). */
function bitScan(procedure: string): Meaning {
  return (b) => {
    const x = b.bind(b.readUnsigned(1));
    b.setZero(b.equal(x, b.constant(0)));
    b.when(x, () => b.write(0, b.call(procedure, x)));
  };
}

function setDirection(value: number): Meaning {
  return (b) => b.perform('setSystemFlag', b.constant(DF), b.constant(value));
}

const push: Meaning = (b) => {
  const size = b.operandSize;
  const value = b.read(0);
  b.stackStore(-size, size, value);
  b.adjustStack(b.constant(-size));
};

/** POP to memory computes the address with the incremented stack pointer (SDM 2B POP). */
const pop: Meaning = (b) => {
  const size = b.operandSize;
  const value = b.bind(b.stackLoad(0, size));
  if (b.isMemory(0)) {
    b.popToMemory(value);
    return;
  }
  b.adjustStack(b.constant(size));
  b.write(0, value);
};

const leave: Meaning = (b) => b.perform(`leave${8 * b.operandSize}`);
const enter: Meaning = (b) => b.perform(`enter${8 * b.operandSize}`, b.immediate(), b.immediate2());
const pusha: Meaning = (b) => b.perform(`pushAll${8 * b.operandSize}`);
const popa: Meaning = (b) => b.perform(`popAll${8 * b.operandSize}`);

const bound: Meaning = (b) => {
  const size = b.operandSize;
  const value = b.read(0);
  const low = b.bind(b.load(size, b.linear(size * 2, false)));
  const high = b.bind(b.load(size, b.linear(size, false, b.constant(size))));
  b.perform('checkBounds', value, low, high);
};

/** The destination is written only if its RPL is raised: on a read-only page ARPL otherwise does not fault (SDM 2A ARPL). */
const arpl: Meaning = (b) => {
  b.perform('requireProtected');
  const x = b.read(0);
  const y = b.read(1);
  const lower = b.bind(b.lessUnsigned(b.and(x, b.constant(3)), b.and(y, b.constant(3))));
  b.when(lower, () => b.write(0, b.or(b.and(x, b.constant(~3)), b.and(y, b.constant(3)))));
  b.setZero(lower);
};

export const data: Readonly<Record<string, Meaning>> = {
  mov,
  lea,
  movzx,
  movsx,
  xchg,
  cmovcc,
  setcc,
  cbw,
  cwd,
  bswap,
  xlat,
  push,
  pop,
  leave,
  enter,
  pusha,
  popa,
  bound,
  arpl,
  bt: bitTest(null),
  bts: bitTest((b, x, mask) => b.or(x, mask)),
  btr: bitTest((b, x, mask) => b.and(x, b.not(mask))),
  btc: bitTest((b, x, mask) => b.xor(x, mask)),
  bsf: bitScan('lowestBit'),
  bsr: bitScan('highestBit'),
  clc: (b) => b.setCarry(b.constant(0)),
  stc: (b) => b.setCarry(b.constant(1)),
  cmc: (b) => b.setCarry(b.xor(b.carry(), b.constant(CF))),
  cld: setDirection(0),
  std: setDirection(1),
  lahf: (b) => b.perform('lahf'),
  sahf: (b) => b.perform('sahf'),
  nop: () => {},
  pause: (b) => b.perform('pause'),
  ud2: (b) => b.perform('invalidOpcode'),
  // It faults as a load of its byte does (SDM 2A CLFLUSH).
  clflush: (b) => b.perform('ignore', b.load(1, b.linear(1, false))),
  fence: () => {},
};
