/** Kinds of extended values, and the responses to NaNs and invalid operands (SDM volume 1, 4.8.3, 8.2.2, 8.5.1.2). */
import { A, B, EXPONENT, HIGH, IE, LOW, MAX_EXPONENT, MSB, SE, SIGN, setResult, W } from './words.ts';

export const ZERO = 0;
/** Denormal or pseudo-denormal. */
export const DENORMAL = 1;
export const NORMAL = 2;
export const INFINITE = 3;
export const QUIET = 4;
export const SIGNALING = 5;
/** Unnormal, pseudo-infinity, pseudo-NaN: invalid operands since the 80387. */
export const UNSUPPORTED = 6;

export function kindOf(se: number, high: number, low: number): number {
  const exponent = se & MAX_EXPONENT;
  if (exponent === 0) return (high | low) === 0 ? ZERO : DENORMAL;
  if (high >= 0) return UNSUPPORTED;
  if (exponent !== MAX_EXPONENT) return NORMAL;
  if (((high << 1) | low) === 0) return INFINITE;
  return (high & 0x40000000) !== 0 ? QUIET : SIGNALING;
}

/** Kind of the operand at `at` (A or B). */
export function kindAt(at: number): number {
  return kindOf(W[at + SE], W[at + HIGH], W[at + LOW]);
}

/** Shifts the mantissa of the finite, nonzero operand at `at` until its top bit is set, and sets EXPONENT to fit. */
export function normalize(at: number): void {
  let exponent = W[at + SE] & MAX_EXPONENT;
  if (exponent === 0) {
    exponent = 1;
    let high = W[at + HIGH];
    let low = W[at + LOW];
    if (high === 0) {
      high = low;
      low = 0;
      exponent -= 32;
    }
    const shift = Math.clz32(high);
    if (shift > 0) {
      high = (high << shift) | (low >>> (32 - shift));
      low <<= shift;
    }
    W[at + HIGH] = high;
    W[at + LOW] = low;
    exponent -= shift;
  }
  W[at + EXPONENT] = exponent;
}

/** R = the floating-point indefinite, a quiet NaN. */
export function indefinite(): void {
  setResult(SIGN | MAX_EXPONENT, 0xc0000000 | 0, 0);
}

/** An invalid operation: R is what the masked response gives. */
export function invalid(): number {
  indefinite();
  return IE;
}

const QUIET_BIT = 0x40000000;

function quieted(at: number): void {
  setResult(W[at + SE], W[at + HIGH] | QUIET_BIT, W[at + LOW]);
}

/**
 * R from operands of which at least one is a NaN and none is unsupported (SDM volume 1, table 4-7): the NaN; of two, the quiet one; of two alike, that
 * with the larger significand, or if they are the same the positive one.
 */
export function propagate(): number {
  const a = kindAt(A);
  const b = kindAt(B);
  const flags = a === SIGNALING || b === SIGNALING ? IE : 0;
  if (b < QUIET) quieted(A);
  else if (a < QUIET) quieted(B);
  else if (a !== b) quieted(a === QUIET ? A : B);
  else quieted(firstIsLarger() ? A : B);
  return flags;
}

function firstIsLarger(): boolean {
  const high = (W[A + HIGH] ^ MSB) - (W[B + HIGH] ^ MSB);
  if (high !== 0) return high > 0;
  const low = (W[A + LOW] >>> 0) - (W[B + LOW] >>> 0);
  return low !== 0 ? low > 0 : (W[A + SE] & SIGN) === 0;
}

/** R from operand A alone, which is a NaN or unsupported. */
export function propagateFirst(): number {
  const kind = kindAt(A);
  if (kind === UNSUPPORTED) return invalid();
  quieted(A);
  return kind === SIGNALING ? IE : 0;
}
