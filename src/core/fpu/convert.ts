/**
 * Conversions between the extended format and single, double, integers and packed BCD (SDM volume 1, 4.2, 8.2.1,
 * 8.3.1): narrower formats come into B, go out as words in OUT. They return status word bits.
 */
import { DENORMAL, INFINITE, kindAt, NORMAL, normalize, SIGNALING, UNSUPPORTED, ZERO } from './classify.ts';
import { CARRIED, roundMantissa, roundsUp, shiftRightJam } from './round.ts';
import {
  A,
  B,
  B_DENORMAL,
  BIAS,
  C1,
  DE,
  EXPONENT,
  EXTRA,
  HIGH,
  IE,
  LOW,
  MAX_EXPONENT,
  MSB,
  OE,
  PC,
  PC_DOUBLE,
  PC_SINGLE,
  PE,
  R,
  RC,
  RC_DOWN,
  RC_UP,
  SE,
  SIGN,
  UE,
  W,
  X,
} from './words.ts';

/** Words that go to memory, lowest first. */
export const OUT = 28;

function setB(se: number, high: number, low: number): void {
  W[B + LOW] = low;
  W[B + HIGH] = high;
  W[B + SE] = se;
}

/** B = the single `bits`; a signaling NaN stays one, and a denormal sets B_DENORMAL. */
export function fromSingle(bits: number): void {
  const sign = (bits >>> 16) & SIGN;
  const exponent = (bits >>> 23) & 0xff;
  const fraction = bits & 0x7fffff;
  W[B_DENORMAL] = 0;
  if (exponent === 0) {
    if (fraction === 0) {
      setB(sign, 0, 0);
      return;
    }
    const shift = Math.clz32(fraction);
    W[B_DENORMAL] = DE;
    setB(sign | (BIAS - 126 - (shift - 8)), fraction << shift, 0);
    return;
  }
  setB(sign | (exponent === 0xff ? MAX_EXPONENT : exponent + BIAS - 127), MSB | (fraction << 8), 0);
}

/** The same for a double. */
export function fromDouble(high: number, low: number): void {
  const sign = (high >>> 16) & SIGN;
  const exponent = (high >>> 20) & 0x7ff;
  const fraction = high & 0xfffff;
  W[B_DENORMAL] = 0;
  if (exponent === 0) {
    if ((fraction | low) === 0) {
      setB(sign, 0, 0);
      return;
    }
    W[B_DENORMAL] = DE;
    // 0.fraction * 2^-1022, its leading bit moved to the top.
    let top = (fraction << 11) | (low >>> 21);
    let bottom = low << 11;
    let scale = BIAS - 1022;
    if (top === 0) {
      top = bottom;
      bottom = 0;
      scale -= 32;
    }
    const shift = Math.clz32(top);
    if (shift > 0) {
      top = (top << shift) | (bottom >>> (32 - shift));
      bottom <<= shift;
    }
    setB(sign | (scale - shift), top, bottom);
    return;
  }
  setB(
    sign | (exponent === 0x7ff ? MAX_EXPONENT : exponent + BIAS - 1023),
    MSB | (fraction << 11) | (low >>> 21),
    low << 11,
  );
}

/** B = a signed integer of one word. */
export function fromInteger(value: number): void {
  W[B_DENORMAL] = 0;
  if (value === 0) {
    setB(0, 0, 0);
    return;
  }
  const magnitude = value < 0 ? -value | 0 : value;
  const shift = Math.clz32(magnitude);
  setB((value < 0 ? SIGN : 0) | (BIAS + 31 - shift), magnitude << shift, 0);
}

/** B = a signed integer of two words. */
export function fromInteger64(high: number, low: number): void {
  W[B_DENORMAL] = 0;
  const sign = high < 0 ? SIGN : 0;
  if (high < 0) {
    high = low === 0 ? -high | 0 : ~high;
    low = -low | 0;
  }
  setMagnitude(sign, high, low);
}

function setMagnitude(sign: number, high: number, low: number): void {
  let exponent = BIAS + 63;
  if (high === 0) {
    if (low === 0) {
      setB(sign, 0, 0);
      return;
    }
    high = low;
    low = 0;
    exponent -= 32;
  }
  const shift = Math.clz32(high);
  if (shift > 0) {
    high = (high << shift) | (low >>> (32 - shift));
    low <<= shift;
  }
  setB(sign | (exponent - shift), high, low);
}

/** B = ten bytes of packed BCD: words `top` (16 bits: sign byte and two digits), `high`, `low`. */
export function fromBcd(top: number, high: number, low: number): void {
  let value = 0n;
  for (let digit = 1; digit >= 0; digit--) value = value * 10n + BigInt((top >> (4 * digit)) & 15);
  for (let digit = 7; digit >= 0; digit--) value = value * 10n + BigInt((high >> (4 * digit)) & 15);
  for (let digit = 7; digit >= 0; digit--) value = value * 10n + BigInt((low >> (4 * digit)) & 15);
  W[B_DENORMAL] = 0;
  setMagnitude(top & SIGN, Number(BigInt.asIntN(32, value >> 32n)), Number(BigInt.asIntN(32, value)));
}

/** Width of a narrow format: the precision control value with its mantissa, exponent bias and range. */
interface Narrow {
  readonly precision: number;
  readonly bias: number;
  readonly maximum: number;
}
const SINGLE: Narrow = { precision: PC_SINGLE, bias: 127, maximum: 0xff };
const DOUBLE: Narrow = { precision: PC_DOUBLE, bias: 1023, maximum: 0x7ff };

/** OUT = A as a single. */
export function toSingle(control: number): number {
  return toNarrow(SINGLE, control);
}

/** OUT = A as a double, two words. */
export function toDouble(control: number): number {
  return toNarrow(DOUBLE, control);
}

function packNarrow(format: Narrow, sign: number, exponent: number, high: number, low: number): void {
  if (format === SINGLE) {
    W[OUT] = (sign << 16) | (exponent << 23) | ((high >>> 8) & 0x7fffff);
    return;
  }
  W[OUT] = (low >>> 11) | (high << 21);
  W[OUT + 1] = (sign << 16) | (exponent << 20) | ((high >>> 11) & 0xfffff);
}

function toNarrow(format: Narrow, control: number): number {
  const sign = W[A + SE] & SIGN;
  const kind = kindAt(A);
  if (kind !== NORMAL && kind !== DENORMAL) return specialToNarrow(format, kind, sign);
  normalize(A);
  const high = W[A + HIGH];
  const low = W[A + LOW];
  let exponent = W[A + EXPONENT] - BIAS + format.bias;
  const rounding = (control & ~PC) | format.precision;
  W[X + HIGH] = high;
  W[X + LOW] = low;
  W[X + EXTRA] = 0;
  let flags = roundMantissa(sign, rounding);
  if (exponent <= 0) {
    const tiny = exponent < 0 || W[CARRIED] === 0;
    if (tiny && (control & UE) === 0) return UE | flags;
    W[X + HIGH] = high;
    W[X + LOW] = low;
    W[X + EXTRA] = 0;
    shiftRightJam(1 - exponent);
    flags = roundMantissa(sign, rounding);
    packNarrow(format, sign, W[X + HIGH] < 0 ? 1 : 0, W[X + HIGH], W[X + LOW]);
    return tiny && flags !== 0 ? flags | UE : flags;
  }
  if (W[CARRIED] !== 0) exponent++;
  if (exponent >= format.maximum) {
    if ((control & OE) === 0) return OE | flags;
    const mode = control & RC;
    const infinite = mode === 0 || mode === (sign === 0 ? RC_UP : RC_DOWN);
    if (infinite) packNarrow(format, sign, format.maximum, 0, 0);
    else packNarrow(format, sign, format.maximum - 1, -1, -1);
    return infinite ? OE | PE | C1 : OE | PE;
  }
  packNarrow(format, sign, exponent, W[X + HIGH], W[X + LOW]);
  return flags;
}

function specialToNarrow(format: Narrow, kind: number, sign: number): number {
  if (kind === ZERO) packNarrow(format, sign, 0, 0, 0);
  else if (kind === INFINITE) packNarrow(format, sign, format.maximum, 0, 0);
  else if (kind === UNSUPPORTED) indefiniteNarrow(format);
  else packNarrow(format, sign, format.maximum, W[A + HIGH] | 0x40000000, W[A + LOW]);
  return kind === UNSUPPORTED || kind === SIGNALING ? IE : 0;
}

function indefiniteNarrow(format: Narrow): void {
  packNarrow(format, SIGN, format.maximum, 0xc0000000 | 0, 0);
}
export function indefiniteSingle(): void {
  indefiniteNarrow(SINGLE);
}
export function indefiniteDouble(): void {
  indefiniteNarrow(DOUBLE);
}

/**
 * OUT = A rounded to a signed integer of `bits` bits (16, 32 or 64), two words; out of range: IE and the integer
 * indefinite (SDM volume 1, 4.2.2).
 */
export function toInteger(bits: number, control: number): number {
  const kind = kindAt(A);
  if (kind === ZERO) {
    W[OUT] = 0;
    W[OUT + 1] = 0;
    return 0;
  }
  if (kind >= INFINITE) return integerIndefinite(bits);
  const flags = roundToInteger(control);
  if (flags < 0) return integerIndefinite(bits);
  const negative = (W[A + SE] & SIGN) !== 0;
  let high = W[X + HIGH];
  let low = W[X + LOW];
  const fits =
    bits === 64
      ? high >= 0 || (negative && high === MSB && low === 0)
      : high === 0 && low >>> 0 <= (negative ? 2 ** (bits - 1) : 2 ** (bits - 1) - 1);
  if (!fits) return integerIndefinite(bits);
  if (negative) {
    high = low === 0 ? -high | 0 : ~high;
    low = -low | 0;
  }
  W[OUT] = low;
  W[OUT + 1] = high;
  return flags;
}

export function integerIndefinite(bits: number): number {
  W[OUT] = bits === 64 ? 0 : bits === 32 ? MSB : 0x8000;
  W[OUT + 1] = MSB;
  return IE;
}

/** X = magnitude of the finite operand A as an integer; -1 if it needs more than 64 bits, else PE and C1. */
export function roundToInteger(control: number): number {
  normalize(A);
  const distance = BIAS + 63 - W[A + EXPONENT];
  if (distance < 0) return -1;
  W[X + HIGH] = W[A + HIGH];
  W[X + LOW] = W[A + LOW];
  W[X + EXTRA] = 0;
  shiftRightJam(distance);
  const extra = W[X + EXTRA];
  if (extra === 0) return 0;
  if (!roundsUp(W[A + SE] & SIGN, extra, W[X + LOW] & 1, control)) return PE;
  W[X + LOW] = W[X + LOW] + 1;
  if (W[X + LOW] === 0) W[X + HIGH] = W[X + HIGH] + 1;
  return PE | C1;
}

const BCD_LIMIT = 10n ** 18n;

/** OUT = A as packed BCD, three words of which the last has 16 bits. */
export function toBcd(control: number): number {
  const kind = kindAt(A);
  const sign = W[A + SE] & SIGN;
  let value = 0n;
  let flags = 0;
  if (kind !== ZERO) {
    flags = kind >= INFINITE ? -1 : roundToInteger(control);
    if (flags < 0) return bcdIndefinite();
    value = (BigInt(W[X + HIGH] >>> 0) << 32n) | BigInt(W[X + LOW] >>> 0);
    if (value >= BCD_LIMIT) return bcdIndefinite();
  }
  for (let word = 0; word < 3; word++) {
    let digits = 0;
    for (let digit = 0; digit < (word === 2 ? 2 : 8); digit++) {
      digits |= Number(value % 10n) << (4 * digit);
      value /= 10n;
    }
    W[OUT + word] = digits;
  }
  W[OUT + 2] |= sign;
  return flags;
}

export function bcdIndefinite(): number {
  W[OUT] = 0;
  W[OUT + 1] = 0xc0000000 | 0;
  W[OUT + 2] = 0xffff;
  return IE;
}

/** R = B, as a load does it: a signaling NaN becomes quiet. For operands from single and double. */
export function loaded(): number {
  const kind = kindAt(B);
  W[R + LOW] = W[B + LOW];
  W[R + HIGH] = kind === SIGNALING ? W[B + HIGH] | 0x40000000 : W[B + HIGH];
  W[R + SE] = W[B + SE];
  return kind === SIGNALING ? IE : W[B_DENORMAL];
}
