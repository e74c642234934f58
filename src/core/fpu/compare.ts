/** Comparison and FXAM (SDM volume 2, FCOM, FUCOM, FXAM). */
import {
  DENORMAL,
  INFINITE,
  kindAt,
  kindOf,
  NORMAL,
  normalize,
  QUIET,
  SIGNALING,
  UNSUPPORTED,
  ZERO,
} from './classify.ts';
import { A, B, B_DENORMAL, C0, C1, C2, C3, DE, EXPONENT, HIGH, IE, LOW, SE, SIGN, W } from './words.ts';

export const GREATER = 0;
export const LESS = C0;
export const EQUAL = C3;
export const UNORDERED = C0 | C2 | C3;

/** Compares A with B: GREATER LESS EQUAL or UNORDERED, with IE and DE. A quiet NaN is invalid unless `quiet`. */
export function compare(quiet: boolean): number {
  const a = kindAt(A);
  const b = kindAt(B);
  if (a >= QUIET || b >= QUIET) {
    const isInvalid = !quiet || a >= SIGNALING || b >= SIGNALING;
    return isInvalid ? UNORDERED | IE : UNORDERED;
  }
  const flags = a === DENORMAL || b === DENORMAL ? DE : W[B_DENORMAL];
  if (a === ZERO && b === ZERO) return EQUAL | flags;
  const aNegative = (W[A + SE] & SIGN) !== 0;
  const bNegative = (W[B + SE] & SIGN) !== 0;
  if (a === ZERO) return (bNegative ? GREATER : LESS) | flags;
  if (b === ZERO || aNegative !== bNegative) return (aNegative ? LESS : GREATER) | flags;
  normalize(A);
  normalize(B);
  let order = W[A + EXPONENT] - W[B + EXPONENT];
  if (order === 0) order = (W[A + HIGH] >>> 0) - (W[B + HIGH] >>> 0);
  if (order === 0) order = (W[A + LOW] >>> 0) - (W[B + LOW] >>> 0);
  if (order === 0) return EQUAL | flags;
  return (order > 0 !== aNegative ? GREATER : LESS) | flags;
}

/** Condition bits of FXAM for a register's words. */
export function examine(se: number, high: number, low: number): number {
  const sign = (se & SIGN) !== 0 ? C1 : 0;
  switch (kindOf(se, high, low)) {
    case ZERO:
      return sign | C3;
    case DENORMAL:
      return sign | C3 | C2;
    case NORMAL:
      return sign | C2;
    case INFINITE:
      return sign | C2 | C0;
    case UNSUPPORTED:
      return sign;
    default:
      return sign | C0;
  }
}
