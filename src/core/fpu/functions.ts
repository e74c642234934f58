/** FRNDINT, FSCALE, FXTRACT, FPREM, FPREM1: A (and B) to R, as in `arithmetic.ts` (SDM volume 2, their pages). */
import {
  DENORMAL,
  INFINITE,
  indefinite,
  invalid,
  kindAt,
  normalize,
  propagate,
  propagateFirst,
  QUIET,
  UNSUPPORTED,
  ZERO,
} from './classify.ts';
import { roundToInteger } from './convert.ts';
import { roundPack } from './round.ts';
import {
  A,
  B,
  BIAS,
  C0,
  C1,
  C2,
  C3,
  DE,
  EXPONENT,
  HIGH,
  LOW,
  MAX_EXPONENT,
  MSB,
  OE,
  PC_EXTENDED,
  PE,
  R,
  SE,
  SIGN,
  setResult,
  UE,
  W,
  WRAP,
  X,
  ZE,
} from './words.ts';

/** R = A. */
function copyA(): void {
  setResult(W[A + SE], W[A + HIGH], W[A + LOW]);
}

export function roundInteger(control: number): number {
  const kind = kindAt(A);
  if (kind >= QUIET) return propagateFirst();
  copyA();
  if (kind === INFINITE || kind === ZERO) return 0;
  const denormal = kind === DENORMAL ? DE : 0;
  const flags = roundToInteger(control);
  if (flags <= 0) return denormal;
  const sign = W[A + SE] & SIGN;
  if ((W[X + HIGH] | W[X + LOW]) === 0) {
    setResult(sign, 0, 0);
    return flags | denormal;
  }
  let high = W[X + HIGH];
  let low = W[X + LOW];
  let exponent = BIAS + 63;
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
  setResult(sign | (exponent - shift), high, low);
  return flags | denormal;
}

/** A * 2^(B cut to an integer). */
export function scale(control: number): number {
  const a = kindAt(A);
  const b = kindAt(B);
  if (a === UNSUPPORTED || b === UNSUPPORTED) return invalid();
  if (a >= QUIET || b >= QUIET) return propagate();
  const sign = W[A + SE] & SIGN;
  const down = (W[B + SE] & SIGN) !== 0;
  const flags = a === DENORMAL || b === DENORMAL ? DE : 0;
  if (b === INFINITE) {
    if (a === (down ? INFINITE : ZERO)) return invalid();
    setResult(down ? sign : sign | MAX_EXPONENT, down ? 0 : MSB, 0);
    return flags;
  }
  copyA();
  if (a === INFINITE || a === ZERO) return flags;
  // A scale beyond this much moves any number out of range.
  let count = 0;
  if (b !== ZERO) {
    normalize(B);
    const exponent = W[B + EXPONENT] - BIAS;
    if (exponent >= 16) count = 0x10000;
    else if (exponent >= 0) count = W[B + HIGH] >>> (31 - exponent);
  }
  normalize(A);
  const exponent = W[A + EXPONENT] + (down ? -count : count);
  const rounding = control | PC_EXTENDED;
  // Beyond one wrap of the exponent the unmasked responses are infinity and zero (SDM volume 1, 8.5.4, 8.5.5).
  if (exponent - WRAP >= MAX_EXPONENT && (control & OE) === 0) {
    setResult(sign | MAX_EXPONENT, MSB, 0);
    return flags | OE | PE | C1;
  }
  if (exponent + WRAP <= 0 && (control & UE) === 0) {
    setResult(sign, 0, 0);
    return flags | UE | PE;
  }
  return flags | roundPack(sign, exponent, W[A + HIGH], W[A + LOW], 0, rounding);
}

/** Place of FXTRACT's significand; R is the exponent. */
export const SIGNIFICAND = 36;

export function extract(): number {
  const kind = kindAt(A);
  if (kind >= QUIET) {
    const flags = propagateFirst();
    setSignificand(W[R + SE], W[R + HIGH], W[R + LOW]);
    return flags;
  }
  const sign = W[A + SE] & SIGN;
  setSignificand(W[A + SE], W[A + HIGH], W[A + LOW]);
  if (kind === INFINITE) {
    setResult(MAX_EXPONENT, MSB, 0);
    return 0;
  }
  if (kind === ZERO) {
    setResult(SIGN | MAX_EXPONENT, MSB, 0);
    return ZE;
  }
  normalize(A);
  setSignificand(sign | BIAS, W[A + HIGH], W[A + LOW]);
  const exponent = W[A + EXPONENT] - BIAS;
  if (exponent === 0) setResult(0, 0, 0);
  else {
    const magnitude = Math.abs(exponent);
    const shift = Math.clz32(magnitude);
    setResult((exponent < 0 ? SIGN : 0) | (BIAS + 31 - shift), magnitude << shift, 0);
  }
  return kind === DENORMAL ? DE : 0;
}

function setSignificand(se: number, high: number, low: number): void {
  W[SIGNIFICAND + LOW] = low;
  W[SIGNIFICAND + HIGH] = high;
  W[SIGNIFICAND + SE] = se;
}

/** Of what `remainder` returns: its condition bits mean something. */
export const QUOTIENT = 0x10000;

/** Condition bits that carry the quotient's low three bits: C0 = bit 2, C3 = bit 1, C1 = bit 0. */
function quotientBits(quotient: number): number {
  return QUOTIENT | ((quotient & 4) !== 0 ? C0 : 0) | ((quotient & 2) !== 0 ? C3 : 0) | ((quotient & 1) !== 0 ? C1 : 0);
}

/**
 * Partial remainder of A by B: truncating (FPREM) or rounding to nearest even (FPREM1). One execution reduces the
 * exponent by less than 64; C2 says that it is not finished.
 */
export function remainder(nearest: boolean, control: number): number {
  const a = kindAt(A);
  const b = kindAt(B);
  if (a === UNSUPPORTED || b === UNSUPPORTED) return invalid();
  if (a >= QUIET || b >= QUIET) return propagate();
  if (a === INFINITE || b === ZERO) {
    indefinite();
    return invalid();
  }
  const flags = a === DENORMAL || b === DENORMAL ? DE : 0;
  copyA();
  if (a === ZERO) return flags | QUOTIENT;
  const sign = W[A + SE] & SIGN;
  if (b === INFINITE) {
    normalize(A);
    return flags | keepDividend(a, sign, control);
  }
  normalize(A);
  normalize(B);
  const distance = W[A + EXPONENT] - W[B + EXPONENT];
  if (distance < (nearest ? -1 : 0)) return flags | keepDividend(a, sign, control);
  // What real processors take off in one execution when it is not enough: 32 to 63 bits.
  const partial = distance >= 64;
  const steps = partial ? (distance & 31) | 32 : distance;
  const divisorHigh = W[B + HIGH];
  const divisorLow = W[B + LOW];
  let high = W[A + HIGH];
  let low = W[A + LOW];
  let over = 0;
  let quotient = 0;
  let exponent = W[B + EXPONENT];
  if (partial) {
    // The reduction by 2^(distance - steps) times the divisor, from a dividend below the divisor's next power of two.
    exponent = W[A + EXPONENT] - steps;
  }
  if (distance === -1) {
    // Half the divisor may still be less than the dividend: work in units of half the last place.
    exponent--;
    over = 0;
  }
  const count = distance < 0 ? 0 : steps;
  if (distance >= 0) {
    for (let left = count; ; left--) {
      quotient <<= 1;
      if (over !== 0 || high >>> 0 > divisorHigh >>> 0 || (high === divisorHigh && low >>> 0 >= divisorLow >>> 0)) {
        const difference = (low >>> 0) - (divisorLow >>> 0);
        high = (high - divisorHigh - (difference < 0 ? 1 : 0)) | 0;
        low = difference | 0;
        quotient |= 1;
      }
      if (left === 0) break;
      over = high >>> 31;
      high = (high << 1) | (low >>> 31);
      low <<= 1;
    }
  }
  let resultSign = sign;
  if (nearest && !partial) {
    // The remainder against half the divisor; a tie goes to the even quotient.
    if (distance === -1) {
      // dividend / (2 * divisor in these units): compare with divisor itself.
      const above = high >>> 0 > divisorHigh >>> 0 || (high === divisorHigh && low >>> 0 > divisorLow >>> 0);
      if (above) {
        quotient = 1;
        resultSign ^= SIGN;
        // 2 * divisor - dividend, in units of the dividend's exponent; it is less than the divisor.
        const doubledHigh = (divisorHigh << 1) | (divisorLow >>> 31);
        const doubledLow = divisorLow << 1;
        const difference = (doubledLow >>> 0) - (low >>> 0);
        high = (doubledHigh - high - (difference < 0 ? 1 : 0)) | 0;
        low = difference | 0;
      }
    } else {
      const twiceOver = high >>> 31;
      const twiceHigh = (high << 1) | (low >>> 31);
      const twiceLow = low << 1;
      const above =
        twiceOver !== 0 ||
        twiceHigh >>> 0 > divisorHigh >>> 0 ||
        (twiceHigh === divisorHigh && twiceLow >>> 0 > divisorLow >>> 0);
      const tie = twiceOver === 0 && twiceHigh === divisorHigh && twiceLow === divisorLow;
      if (above || (tie && (quotient & 1) !== 0)) {
        const difference = (divisorLow >>> 0) - (low >>> 0);
        high = (divisorHigh - high - (difference < 0 ? 1 : 0)) | 0;
        low = difference | 0;
        quotient = (quotient + 1) | 0;
        resultSign ^= SIGN;
      }
    }
  }
  const conditions = partial ? QUOTIENT | C2 : quotientBits(quotient);
  if ((high | low) === 0) {
    setResult(sign, 0, 0);
    return flags | conditions;
  }
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
  return flags | conditions | roundPack(resultSign, exponent - shift, high, low, 0, control | PC_EXTENDED);
}

/** A dividend below the divisor is its own remainder, quotient 0: normalized and rounded as any result. */
function keepDividend(kind: number, sign: number, control: number): number {
  if (kind !== DENORMAL) return QUOTIENT;
  return QUOTIENT | roundPack(sign, W[A + EXPONENT], W[A + HIGH], W[A + LOW], 0, control | PC_EXTENDED);
}
