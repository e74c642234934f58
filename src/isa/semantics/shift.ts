/**
 * Shifts and rotates. The count is taken modulo 32; a count of zero changes no flag. OF of a count other than one is
 * undefined by the SDM; it is computed here by the formula of count one, which is what current processors do for SHL and SHR.
 */
import type { Builder, Meaning } from './builder.ts';

function countOf<V>(b: Builder<V>, operand: number): V {
  return b.bind(b.and(b.read(operand), b.constant(31)));
}

/** Runs `body` if the count is not zero, keeping the destination's write access either way. */
function shifting(body: <V>(b: Builder<V>, value: V, count: V) => void): Meaning {
  return (b) => {
    const x = b.modify(0);
    const count = countOf(b, 1);
    b.when(count, () => body(b, x, count));
  };
}

const shl = shifting((b, x, count) => {
  const size = b.size(0);
  const bits = 8 * size;
  const value = b.bind(b.zeroExtend(x, size));
  // Shift by count - 1 first: its top bit is the carry, and a count of 32 or more bits cannot arise for it.
  const before = b.bind(b.shiftLeft(value, b.sub(count, b.constant(1))));
  const r = b.bind(b.signExtend(b.shiftLeft(before, b.constant(1)), size));
  const carry = b.bind(b.and(b.shiftRight(before, b.constant(bits - 1)), b.constant(1)));
  b.write(0, r);
  b.flagsExplicit(r, carry, b.xor(b.shiftRight(r, b.constant(31)), carry));
});

const shr = shifting((b, x, count) => {
  const size = b.size(0);
  const before = b.bind(b.shiftRight(b.zeroExtend(x, size), b.sub(count, b.constant(1))));
  const r = b.bind(b.signExtend(b.shiftRight(before, b.constant(1)), size));
  b.write(0, r);
  b.flagsExplicit(
    r,
    b.and(before, b.constant(1)),
    b.and(b.shiftRight(before, b.constant(8 * size - 1)), b.constant(1)),
  );
});

const sar = shifting((b, x, count) => {
  const before = b.bind(b.shiftRightSigned(x, b.sub(count, b.constant(1))));
  const r = b.bind(b.shiftRightSigned(before, b.constant(1)));
  b.write(0, r);
  b.flagsExplicit(r, b.and(before, b.constant(1)), b.constant(0));
});

/** ROL / ROR: the count that matters is modulo the operand's bits, but a nonzero masked count still sets CF and OF. */
const rol = shifting((b, x, count) => {
  const size = b.size(0);
  const bits = 8 * size;
  const value = b.bind(b.zeroExtend(x, size));
  const n = b.bind(b.and(count, b.constant(bits - 1)));
  const complement = b.and(b.sub(b.constant(bits), n), b.constant(bits - 1));
  const rotated = b.or(b.shiftLeft(value, n), b.shiftRight(value, complement));
  const r = b.bind(b.select(n, b.signExtend(rotated, size), x));
  b.write(0, r);
  const carry = b.bind(b.and(r, b.constant(1)));
  b.setCarry(carry, b.xor(b.shiftRight(r, b.constant(31)), carry));
});

const ror = shifting((b, x, count) => {
  const size = b.size(0);
  const bits = 8 * size;
  const value = b.bind(b.zeroExtend(x, size));
  const n = b.bind(b.and(count, b.constant(bits - 1)));
  const complement = b.and(b.sub(b.constant(bits), n), b.constant(bits - 1));
  const rotated = b.or(b.shiftRight(value, n), b.shiftLeft(value, complement));
  const r = b.bind(b.select(n, b.signExtend(rotated, size), x));
  b.write(0, r);
  const top = b.bind(b.shiftRight(r, b.constant(31)));
  b.setCarry(top, b.xor(top, b.and(b.shiftRight(r, b.constant(bits - 2)), b.constant(1))));
});

/** RCL / RCR rotate through CF, bit by bit in a procedure that returns the result and sets CF and OF. */
function throughCarry(name: string): Meaning {
  return (b) => {
    const x = b.modify(0);
    const count = countOf(b, 1);
    b.when(count, () => {
      b.write(0, b.bind(b.call(`${name}${8 * b.size(0)}`, x, count)));
    });
  };
}

/** SHLD / SHRD; a 16-bit count above 16 is undefined by the SDM: the procedure takes the operand pair as a ring, as processors do. */
function double(name: string): Meaning {
  return (b) => {
    const x = b.modify(0);
    const y = b.read(1);
    const count = countOf(b, 2);
    b.when(count, () => {
      b.write(0, b.bind(b.call(`${name}${8 * b.size(0)}`, x, y, count)));
    });
  };
}

export const shifts: Readonly<Record<string, Meaning>> = {
  shl,
  shr,
  sar,
  rol,
  ror,
  rcl: throughCarry('rotateLeftCarry'),
  rcr: throughCarry('rotateRightCarry'),
  shld: double('shiftLeftDouble'),
  shrd: double('shiftRightDouble'),
};
