/**
 * The transcendental functions against their true values, computed here by other series, in fixed point with BITS bits
 * behind the point: rounded to nearest they must lie within 0.501 units in the last place.
 */
import { describe, expect, test } from 'vitest';
import {
  arctangent,
  cosine,
  exponential,
  logarithm,
  logarithmPlusOne,
  SECOND,
  sine,
  sineCosine,
  tangent,
} from '../../../src/core/fpu/transcendental.ts';
import { A, B, B_DENORMAL, C2, R, W } from '../../../src/core/fpu/words.ts';
import { Random } from '../../support/random.ts';

const BITS = 500n;
const ONE = 1n << BITS;
const SAMPLES = 400;
const CONTROL = 0x37f;
const BIAS = 0x3fff;

/** mantissa * 2^(exponent - 63), negative if `sign`. */
interface Operand {
  readonly sign: number;
  readonly exponent: number;
  readonly mantissa: bigint;
}

function operand(random: Random, lowest: number, highest: number, signed = true): Operand {
  const mantissa = (1n << 63n) | (BigInt(random.next() >>> 1) << 32n) | BigInt(random.next());
  return {
    sign: signed ? random.below(2) : 0,
    exponent: lowest + random.below(highest - lowest + 1),
    mantissa: random.below(8) === 0 ? 1n << 63n : mantissa,
  };
}
function put(at: number, { sign, exponent, mantissa }: Operand): void {
  W[at] = Number(BigInt.asIntN(32, mantissa));
  W[at + 1] = Number(BigInt.asIntN(32, mantissa >> 32n));
  W[at + 2] = (sign << 15) | (exponent + BIAS);
}
/** In units of 2^-BITS. */
function fixed({ sign, exponent, mantissa }: Operand): bigint {
  const shift = BITS + BigInt(exponent - 63);
  const magnitude = shift >= 0n ? mantissa << shift : mantissa >> -shift;
  return sign === 0 ? magnitude : -magnitude;
}
function resultAt(at: number): Operand {
  return {
    sign: (W[at + 2]! >> 15) & 1,
    exponent: (W[at + 2]! & 0x7fff) - BIAS,
    mantissa: (BigInt(W[at + 1]! >>> 0) << 32n) | BigInt(W[at]! >>> 0),
  };
}
/** Thousandths of a unit in the last place between a result and the truth. */
function error(at: number, truth: bigint): number {
  const result = resultAt(at);
  if (truth === 0n) return result.mantissa === 0n ? 0 : Number.POSITIVE_INFINITY;
  const unit = ONE >> BigInt(63 - result.exponent);
  const difference = fixed(result) - truth;
  return Number(((difference < 0n ? -difference : difference) * 1000n) / unit);
}

const multiply = (a: bigint, b: bigint): bigint => (a * b) >> BITS;
const divide = (a: bigint, b: bigint): bigint => (a << BITS) / b;
const isSmall = (term: bigint): boolean => term === 0n || term === -1n;

function series(first: bigint, next: (term: bigint, n: bigint) => bigint): bigint {
  let sum = first;
  let term = first;
  for (let n = 1n; !isSmall(term); n++) {
    term = next(term, n);
    sum += term;
  }
  return sum;
}
/** ln 2 = sum of 1 / (n 2^n). */
const LN2 = (() => {
  let sum = 0n;
  for (let n = 1n; n < BITS + 8n; n++) sum += ONE / (n << n);
  return sum;
})();
const exponentialOf = (x: bigint): bigint => series(ONE, (term, n) => multiply(term, x) / n);
const sineOf = (x: bigint): bigint =>
  series(x, (term, n) => -multiply(multiply(term, x), x) / (2n * n * (2n * n + 1n)));
const cosineOf = (x: bigint): bigint =>
  series(ONE, (term, n) => -multiply(multiply(term, x), x) / (2n * n * (2n * n - 1n)));
/** Euler's series, for t of at most 1. */
function arctangentOf(t: bigint): bigint {
  const square = multiply(t, t);
  const ratio = divide(square, ONE + square);
  return series(divide(t, ONE + square), (term, n) => (multiply(term, ratio) * 2n * n) / (2n * n + 1n));
}
/** Bit by bit: squaring doubles the logarithm. */
function log2Of(x: bigint): bigint {
  let result = 0n;
  for (; x >= 2n * ONE; x >>= 1n) result += ONE;
  for (; x < ONE; x <<= 1n) result -= ONE;
  for (let bit = ONE >> 1n; bit > ONE >> 320n; bit >>= 1n) {
    x = multiply(x, x);
    if (x < 2n * ONE) continue;
    x >>= 1n;
    result += bit;
  }
  return result;
}
const PI = 4n * arctangentOf(ONE);
/** The 66 bits of pi that angles are reduced by (SDM volume 1, 8.3.8). */
const HALF_PI_66 = ((PI >> (BITS - 64n)) << (BITS - 64n)) / 2n;

/** The true sine and cosine of the angle that is left, turned back by its quadrant. */
function trueSineCosine(x: bigint): [bigint, bigint] {
  const turns = (2n * (x < 0n ? -x : x) + HALF_PI_66) / (2n * HALF_PI_66);
  const rest = (x < 0n ? -x : x) - turns * HALF_PI_66;
  const [s, c] = [sineOf(rest), cosineOf(rest)];
  const turned = [
    [s, c],
    [c, -s],
    [-s, -c],
    [-c, s],
  ] as const;
  const [sin, cos] = turned[Number(turns & 3n)]!;
  return [x < 0n ? -sin : sin, cos];
}

/** Greatest error of many samples, in thousandths of a unit. */
function worst(seed: number, sample: (random: Random) => number): number {
  const random = new Random(seed);
  let greatest = 0;
  for (let n = 0; n < SAMPLES; n++) greatest = Math.max(greatest, sample(random));
  return greatest;
}
function place(at: number, value: Operand): bigint {
  put(at, value);
  W[B_DENORMAL] = 0;
  return fixed(value);
}

const LIMIT = 501;

describe('within 0.501 units of the truth', () => {
  test('the 66-bit pi is the one that Intel documents', () => {
    expect((HALF_PI_66 >> (BITS - 65n)).toString(16)).toBe('3243f6a8885a308d3');
  });

  test('F2XM1', () => {
    const greatest = worst(1, (random) => {
      const x = place(A, operand(random, -100, -1));
      exponential(CONTROL);
      return error(R, exponentialOf(multiply(x, LN2)) - ONE);
    });
    expect(greatest).toBeLessThanOrEqual(LIMIT);
  });

  test('FYL2X', () => {
    const greatest = worst(2, (random) => {
      const near = random.below(3) === 0;
      const x = near
        ? { sign: 0, exponent: 0, mantissa: (1n << 63n) + (BigInt(random.next()) << BigInt(random.below(30))) }
        : operand(random, -60, 60, false);
      const value = place(A, x);
      const y = place(B, operand(random, -20, 20));
      logarithm(CONTROL);
      return error(R, multiply(log2Of(value), y));
    });
    expect(greatest).toBeLessThanOrEqual(LIMIT);
  });

  test('FYL2XP1', () => {
    const greatest = worst(3, (random) => {
      const x = place(A, operand(random, -100, -3));
      const y = place(B, operand(random, -20, 20));
      logarithmPlusOne(CONTROL);
      return error(R, multiply(log2Of(ONE + x), y));
    });
    expect(greatest).toBeLessThanOrEqual(LIMIT);
  });

  test('FPATAN', () => {
    const greatest = worst(4, (random) => {
      const x = place(A, operand(random, -40, 40));
      const y = place(B, operand(random, -40, 40));
      arctangent(CONTROL);
      const [width, height] = [x < 0n ? -x : x, y < 0n ? -y : y];
      let truth = height <= width ? arctangentOf(divide(height, width)) : PI / 2n - arctangentOf(divide(width, height));
      if (x < 0n) truth = PI - truth;
      return error(R, y < 0n ? -truth : truth);
    });
    expect(greatest).toBeLessThanOrEqual(LIMIT);
  });

  test('FSIN, FCOS, FSINCOS, FPTAN, of the angle that the 66-bit pi leaves', () => {
    const greatest = worst(5, (random) => {
      const angle = operand(random, random.below(2) === 0 ? -100 : -4, 62);
      const x = place(A, angle);
      const [sin, cos] = trueSineCosine(x);
      sine(CONTROL);
      let most = error(R, sin);
      put(A, angle);
      cosine(CONTROL);
      most = Math.max(most, error(R, cos));
      put(A, angle);
      sineCosine(CONTROL);
      most = Math.max(most, error(R, sin), error(SECOND, cos));
      put(A, angle);
      tangent(CONTROL);
      return Math.max(most, error(R, divide(sin, cos)));
    });
    expect(greatest).toBeLessThanOrEqual(LIMIT);
  });

  test('an angle of 2^63 is out of range', () => {
    put(A, { sign: 1, exponent: 63, mantissa: 1n << 63n });
    expect(sine(CONTROL) & C2).toBe(C2);
    put(A, { sign: 0, exponent: 62, mantissa: (1n << 64n) - 1n });
    expect(tangent(CONTROL) & C2).toBe(0);
  });
});
