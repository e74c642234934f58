/**
 * Rounding and packing (SDM volume 1, 4.8.4, 8.1.5.2, 8.5.4-8.5.6): a sign, an exponent without bounds and a
 * significand of 96 bits become an extended value of the precision that the control word asks for. Tininess is
 * detected after rounding, as on every x86.
 */
import {
  C1,
  EXTRA,
  HIGH,
  LOW,
  MAX_EXPONENT,
  MSB,
  OE,
  PC,
  PC_DOUBLE,
  PC_EXTENDED,
  PC_SINGLE,
  PE,
  R,
  RC,
  RC_DOWN,
  RC_UP,
  SE,
  UE,
  W,
  WRAP,
  X,
} from './words.ts';

/** True if a value with these bits below its last place (`odd`: that place's bit) is rounded away from zero. */
export function roundsUp(sign: number, extra: number, odd: number, control: number): boolean {
  const mode = control & RC;
  if (mode === 0) return extra < 0 && (extra !== MSB || odd !== 0);
  return extra !== 0 && mode === (sign === 0 ? RC_UP : RC_DOWN);
}

/** Shifts the 96 bits of X right by `count`; what falls out leaves a one in the last bit. */
export function shiftRightJam(count: number): void {
  let high = W[X + HIGH];
  let low = W[X + LOW];
  let extra = W[X + EXTRA];
  let lost = 0;
  if (count >= 96) {
    lost = high | low | extra;
    high = low = extra = 0;
    count = 0;
  }
  for (; count >= 32; count -= 32) {
    lost |= extra;
    extra = low;
    low = high;
    high = 0;
  }
  if (count > 0) {
    lost |= extra << (32 - count);
    extra = (extra >>> count) | (low << (32 - count));
    low = (low >>> count) | (high << (32 - count));
    high >>>= count;
  }
  W[X + HIGH] = high;
  W[X + LOW] = low;
  W[X + EXTRA] = lost !== 0 ? extra | 1 : extra;
}

/** Set by `roundMantissa`: the mantissa of X became 0 by a carry out of its top. */
export const CARRIED = X + 3;

/** Rounds the mantissa of X to the control word's precision. Returns 0, PE or PE | C1. */
export function roundMantissa(sign: number, control: number): number {
  let high = W[X + HIGH];
  let low = W[X + LOW];
  let extra = W[X + EXTRA];
  let lowUnit = 1;
  let highUnit = 0;
  let odd = low & 1;
  if ((control & PC) === PC_DOUBLE) {
    extra = (low << 21) | (extra !== 0 ? 1 : 0);
    low &= ~0x7ff;
    lowUnit = 0x800;
    odd = low & 0x800;
  } else if ((control & PC) === PC_SINGLE) {
    extra = (high << 24) | ((low | extra) !== 0 ? 1 : 0);
    high &= ~0xff;
    low = 0;
    lowUnit = 0;
    highUnit = 0x100;
    odd = high & 0x100;
  }
  W[CARRIED] = 0;
  const up = roundsUp(sign, extra, odd, control);
  if (up) {
    low = (low + lowUnit) | 0;
    const carry = lowUnit !== 0 && low === 0 ? 1 : 0;
    if (carry + highUnit !== 0) {
      high = (high + carry + highUnit) | 0;
      if (high === 0) W[CARRIED] = 1;
    }
  }
  W[X + HIGH] = high;
  W[X + LOW] = low;
  return extra === 0 ? 0 : up ? PE | C1 : PE;
}

/**
 * Makes R from a sign (0 or SIGN), a biased exponent that may lie outside its range and a normalized significand;
 * `extra` are the 32 bits below it. Returns status word bits: OE UE PE and C1.
 */
export function roundPack(
  sign: number,
  exponent: number,
  high: number,
  low: number,
  extra: number,
  control: number,
): number {
  if ((control & PC) !== PC_EXTENDED || exponent <= 0 || exponent >= 0x7ffe)
    return roundPackAny(sign, exponent, high, low, extra, control);
  let flags = 0;
  if (extra !== 0) {
    flags = PE;
    const mode = control & RC;
    if (mode === 0 ? extra < 0 && (extra !== MSB || (low & 1) !== 0) : mode === (sign === 0 ? RC_UP : RC_DOWN)) {
      flags = PE | C1;
      low = (low + 1) | 0;
      if (low === 0) {
        high = (high + 1) | 0;
        if (high === 0) {
          high = MSB;
          exponent++;
        }
      }
    }
  }
  W[R + LOW] = low;
  W[R + HIGH] = high;
  W[R + SE] = sign | exponent;
  return flags;
}

function roundPackAny(
  sign: number,
  exponent: number,
  high: number,
  low: number,
  extra: number,
  control: number,
): number {
  let flags = 0;
  W[X + HIGH] = high;
  W[X + LOW] = low;
  W[X + EXTRA] = extra;
  if (exponent <= 0) {
    roundMantissa(sign, control);
    const tiny = exponent < 0 || W[CARRIED] === 0;
    W[X + HIGH] = high;
    W[X + LOW] = low;
    if (!tiny || (control & UE) !== 0) {
      shiftRightJam(1 - exponent);
      const inexact = roundMantissa(sign, control);
      W[R + LOW] = W[X + LOW];
      W[R + HIGH] = W[X + HIGH];
      W[R + SE] = sign | (W[X + HIGH] < 0 ? 1 : 0);
      return tiny && inexact !== 0 ? inexact | UE : inexact;
    }
    flags = UE;
    exponent += WRAP;
    W[X + EXTRA] = extra;
  }
  flags |= roundMantissa(sign, control);
  if (W[CARRIED] !== 0) {
    W[X + HIGH] = MSB;
    exponent++;
  }
  if (exponent >= MAX_EXPONENT) {
    if ((control & OE) !== 0) return overflow(sign, control);
    flags |= OE;
    exponent -= WRAP;
  }
  W[R + LOW] = W[X + LOW];
  W[R + HIGH] = W[X + HIGH];
  W[R + SE] = sign | exponent;
  return flags;
}

/** The masked response: infinity, or the greatest number of the precision, whichever the rounding direction says. */
export function overflow(sign: number, control: number): number {
  const mode = control & RC;
  if (mode === 0 || mode === (sign === 0 ? RC_UP : RC_DOWN)) {
    W[R + LOW] = 0;
    W[R + HIGH] = MSB;
    W[R + SE] = sign | MAX_EXPONENT;
    return OE | PE | C1;
  }
  const pc = control & PC;
  W[R + LOW] = pc === PC_SINGLE ? 0 : pc === PC_DOUBLE ? ~0x7ff : -1;
  W[R + HIGH] = pc === PC_SINGLE ? ~0xff : -1;
  W[R + SE] = sign | (MAX_EXPONENT - 1);
  return OE | PE;
}
