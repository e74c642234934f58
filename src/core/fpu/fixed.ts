/**
 * Fixed-point arithmetic on BigInt for the transcendental functions: numbers are integers in units of 2^-FRACTION. What
 * comes out is the same on every host, and more than a hundred bits better than an extended result needs.
 */
import { roundPack } from './round.ts';
import { BIAS, PC_EXTENDED } from './words.ts';

export const FRACTION = 192;
const F = BigInt(FRACTION);
export const ONE: bigint = 1n << F;

export function multiplyFixed(a: bigint, b: bigint): bigint {
  return (a * b) >> F;
}
export function divideFixed(a: bigint, b: bigint): bigint {
  return (a << F) / b;
}

/** sum of t^(2k+1) / (2k+1), with alternating signs if `alternate`: atanh and atan of a small t. */
function oddSeries(t: bigint, alternate: boolean): bigint {
  const square = multiplyFixed(t, t);
  let power = t;
  let sum = t;
  for (let k = 3n, sign = alternate; power !== 0n; k += 2n) {
    power = multiplyFixed(power, square);
    // Shifts of negative numbers round down for ever: stop at -1 too.
    if (power === -1n) break;
    sum = sign ? sum - power / k : sum + power / k;
    sign = alternate && !sign;
  }
  return sum;
}

/** ln 2 = 2 atanh(1/3). */
export const LN2: bigint = 2n * oddSeries(ONE / 3n, false);
/** pi by Machin's formula. */
export const PI: bigint = 16n * oddSeries(ONE / 5n, true) - 4n * oddSeries(ONE / 239n, true);

/** Natural logarithm of (1 + z) / (1 - z). */
export function logarithmOfRatio(z: bigint): bigint {
  return 2n * oddSeries(z, false);
}

/** e^t - 1, |t| < 1. */
export function exponentialMinusOne(t: bigint): bigint {
  let term = t;
  let sum = t;
  for (let n = 2n; term !== 0n && term !== -1n; n++) {
    term = multiplyFixed(term, t) / n;
    sum += term;
  }
  return sum;
}

/** Sine and cosine of |r| <= 1: their Taylor series from x^(1 or 0) on. */
export function sineOf(r: bigint): bigint {
  return alternatingFactorials(r, r, 1n);
}
export function cosineOf(r: bigint): bigint {
  return alternatingFactorials(r, ONE, 0n);
}
function alternatingFactorials(r: bigint, first: bigint, start: bigint): bigint {
  const square = multiplyFixed(r, r);
  let term = first;
  let sum = first;
  for (let n = start + 1n; term !== 0n; n += 2n) {
    term = -(multiplyFixed(term, square) / (n * (n + 1n)));
    sum += term;
  }
  return sum;
}

/** atan(k/16), made when first needed. */
const arctangents: bigint[] = [];
const STEPS = 16n;

function arctangentOfStep(k: number): bigint {
  let known = arctangents[k];
  if (known === undefined) {
    // atan(k/16) = atan((k-1)/16) + atan(16 / (256 + k(k-1)))
    const previous = k === 0 ? 0n : arctangentOfStep(k - 1);
    const n = BigInt(k);
    known = k === 0 ? 0n : previous + oddSeries((ONE * STEPS) / (STEPS * STEPS + n * (n - 1n)), true);
    arctangents[k] = known;
  }
  return known;
}

/** Arctangent of 0 <= t <= 1. */
export function arctangentOf(t: bigint): bigint {
  const k = (2n * t * STEPS + ONE) >> (F + 1n);
  if (k === 0n) return oddSeries(t, true);
  const step = (k * ONE) / STEPS;
  return arctangentOfStep(Number(k)) + oddSeries(divideFixed(t - step, ONE + multiplyFixed(t, step)), true);
}

const bits = new DataView(new ArrayBuffer(8));

/** Number of bits of a positive integer below 2^1000. */
function bitLength(value: bigint): number {
  bits.setFloat64(0, Number(value));
  const estimate = ((bits.getInt32(0) >>> 20) & 0x7ff) - 1022;
  // The conversion may have rounded up to a power of two.
  return value >> BigInt(estimate - 1) === 0n ? estimate - 1 : estimate;
}

/**
 * R = the positive `value` * 2^`scale` with this sign, rounded to 64 bits in the direction of `control`; `exact`
 * says that nothing has been lost yet. Returns status word bits.
 */
export function packFixed(sign: number, value: bigint, scale: number, exact: boolean, control: number): number {
  const length = bitLength(value);
  const shift = length - 96;
  let top = shift >= 0 ? value >> BigInt(shift) : value << BigInt(-shift);
  const lost = !exact || (shift > 0 && top << BigInt(shift) !== value);
  const extra = Number(BigInt.asIntN(32, top));
  top >>= 32n;
  return roundPack(
    sign,
    BIAS + length - 1 + scale,
    Number(BigInt.asIntN(32, top >> 32n)),
    Number(BigInt.asIntN(32, top)),
    lost ? extra | 1 : extra,
    control | PC_EXTENDED,
  );
}
