/**
 * Addition, multiplication, division and square root of extended values: A op B to R, rounded as the control word
 * says. Each returns the status word bits that it raises (IE DE ZE OE UE PE, C1), with the result of the masked
 * response in R. Mantissas are two words and all arithmetic is on int32.
 */
import {
  DENORMAL,
  INFINITE,
  invalid,
  kindAt,
  NORMAL,
  normalize,
  propagate,
  propagateFirst,
  QUIET,
  UNSUPPORTED,
  ZERO,
} from './classify.ts';
import { roundPack, shiftRightJam } from './round.ts';
import {
  A,
  B,
  B_DENORMAL,
  BIAS,
  DE,
  EXPONENT,
  EXTRA,
  HIGH,
  LOW,
  MAX_EXPONENT,
  MSB,
  RC,
  RC_DOWN,
  SE,
  SIGN,
  setResult,
  W,
  X,
  ZE,
} from './words.ts';

const TWO32 = 4294967296;

/** True if `exponent` is that of a normal number. */
const isNormalExponent = (exponent: number): boolean => (exponent - 1) >>> 0 < MAX_EXPONENT - 1;

/** A + B; `flip` SIGN makes it A - B. */
export function add(control: number, flip: number): number {
  const aSign = W[A + SE] & SIGN;
  const bSign = (W[B + SE] ^ flip) & SIGN;
  const aExponent = W[A + SE] & MAX_EXPONENT;
  const bExponent = W[B + SE] & MAX_EXPONENT;
  if (
    (W[A + HIGH] & W[B + HIGH]) < 0 &&
    isNormalExponent(aExponent) &&
    isNormalExponent(bExponent) &&
    W[B_DENORMAL] === 0
  )
    return addFinite(aSign, aExponent, bSign, bExponent, control);
  const a = kindAt(A);
  const b = kindAt(B);
  if (a === UNSUPPORTED || b === UNSUPPORTED) return invalid();
  if (a >= QUIET || b >= QUIET) return propagate();
  const flags = denormalFlag(a, b);
  if (a === INFINITE || b === INFINITE) {
    if (a === b && aSign !== bSign) return invalid();
    setResult((a === INFINITE ? aSign : bSign) | MAX_EXPONENT, MSB, 0);
    return flags;
  }
  if (a === ZERO && b === ZERO) {
    setResult(aSign === bSign ? aSign : zeroSign(control), 0, 0);
    return flags;
  }
  if (a !== ZERO) normalize(A);
  if (b !== ZERO) normalize(B);
  if (b === ZERO) return flags | roundPack(aSign, W[A + EXPONENT], W[A + HIGH], W[A + LOW], 0, control);
  if (a === ZERO) return flags | roundPack(bSign, W[B + EXPONENT], W[B + HIGH], W[B + LOW], 0, control);
  return flags | addFinite(aSign, W[A + EXPONENT], bSign, W[B + EXPONENT], control);
}

/** Sign of an exact zero difference (SDM volume 1, 4.8.3.1). */
const zeroSign = (control: number): number => ((control & RC) === RC_DOWN ? SIGN : 0);

function denormalFlag(a: number, b: number): number {
  return a === DENORMAL || b === DENORMAL ? DE : W[B_DENORMAL];
}

/** Of two normalized significands. */
function addFinite(aSign: number, aExponent: number, bSign: number, bExponent: number, control: number): number {
  let large = A;
  let small = B;
  let sign = aSign;
  let exponent = aExponent;
  let distance = aExponent - bExponent;
  if (distance < 0) {
    large = B;
    small = A;
    sign = bSign;
    exponent = bExponent;
    distance = -distance;
  }
  let high = W[large + HIGH];
  let low = W[large + LOW];
  let bHigh = W[small + HIGH];
  let bLow = W[small + LOW];
  let extra = 0;
  if (distance !== 0) {
    if (distance < 32) {
      extra = bLow << (32 - distance);
      bLow = (bLow >>> distance) | (bHigh << (32 - distance));
      bHigh >>>= distance;
    } else {
      W[X + HIGH] = bHigh;
      W[X + LOW] = bLow;
      W[X + EXTRA] = 0;
      shiftRightJam(distance);
      bHigh = W[X + HIGH];
      bLow = W[X + LOW];
      extra = W[X + EXTRA];
    }
  }
  if (aSign === bSign) {
    const lowSum = (low >>> 0) + (bLow >>> 0);
    low = lowSum | 0;
    const highSum = (high >>> 0) + (bHigh >>> 0) + (lowSum >= TWO32 ? 1 : 0);
    high = highSum | 0;
    if (highSum >= TWO32) {
      extra = (extra >>> 1) | (extra & 1) | (low << 31);
      low = (low >>> 1) | (high << 31);
      high = (high >>> 1) | MSB;
      exponent++;
    }
    return roundPack(sign, exponent, high, low, extra, control);
  }
  if (distance === 0) {
    // Which is larger is not known yet.
    if (high === bHigh && low === bLow) {
      setResult(zeroSign(control), 0, 0);
      return 0;
    }
    if (high >>> 0 < bHigh >>> 0 || (high === bHigh && low >>> 0 < bLow >>> 0)) {
      const [keptHigh, keptLow] = [high, low];
      high = bHigh;
      low = bLow;
      bHigh = keptHigh;
      bLow = keptLow;
      sign ^= SIGN;
    }
  }
  let borrow = extra !== 0 ? 1 : 0;
  extra = -extra | 0;
  const lowDifference = (low >>> 0) - (bLow >>> 0) - borrow;
  low = lowDifference | 0;
  borrow = lowDifference < 0 ? 1 : 0;
  high = (high - bHigh - borrow) | 0;
  // With a distance of two or more at most one bit is gone, so that a sticky bit in `extra` stays below the rounding bit.
  if (high === 0) {
    high = low;
    low = extra;
    extra = 0;
    exponent -= 32;
    if (high === 0) {
      high = low;
      low = 0;
      exponent -= 32;
    }
  }
  const shift = Math.clz32(high);
  if (shift > 0) {
    high = (high << shift) | (low >>> (32 - shift));
    low = (low << shift) | (extra >>> (32 - shift));
    extra <<= shift;
    exponent -= shift;
  }
  return roundPack(sign, exponent, high, low, extra, control);
}

/** High word of the product of two unsigned words. */
export function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = (Math.imul(aHigh, bLow) + (Math.imul(aLow, bLow) >>> 16)) | 0;
  const other = (Math.imul(aLow, bHigh) + (middle & 0xffff)) | 0;
  return (Math.imul(aHigh, bHigh) + (middle >>> 16) + (other >>> 16)) | 0;
}

/** Where `multiplyWords` leaves its 128 bits, lowest word first. */
export const PRODUCT = 20;

/** 64 x 64 -> 128 bits. */
export function multiplyWords(aHigh: number, aLow: number, bHigh: number, bLow: number): void {
  W[PRODUCT] = Math.imul(aLow, bLow);
  const first = (multiplyHigh(aLow, bLow) >>> 0) + (Math.imul(aLow, bHigh) >>> 0) + (Math.imul(aHigh, bLow) >>> 0);
  W[PRODUCT + 1] = first | 0;
  const carry = first >= 2 * TWO32 ? 2 : first >= TWO32 ? 1 : 0;
  const second =
    (multiplyHigh(aLow, bHigh) >>> 0) + (multiplyHigh(aHigh, bLow) >>> 0) + (Math.imul(aHigh, bHigh) >>> 0) + carry;
  W[PRODUCT + 2] = second | 0;
  W[PRODUCT + 3] = (multiplyHigh(aHigh, bHigh) + (second >= 2 * TWO32 ? 2 : second >= TWO32 ? 1 : 0)) | 0;
}

export function multiply(control: number): number {
  const sign = (W[A + SE] ^ W[B + SE]) & SIGN;
  const aExponent = W[A + SE] & MAX_EXPONENT;
  const bExponent = W[B + SE] & MAX_EXPONENT;
  if (
    (W[A + HIGH] & W[B + HIGH]) < 0 &&
    isNormalExponent(aExponent) &&
    isNormalExponent(bExponent) &&
    W[B_DENORMAL] === 0
  )
    return multiplyFinite(sign, aExponent + bExponent, control);
  const a = kindAt(A);
  const b = kindAt(B);
  if (a === UNSUPPORTED || b === UNSUPPORTED) return invalid();
  if (a >= QUIET || b >= QUIET) return propagate();
  if (a === INFINITE || b === INFINITE) {
    if (a === ZERO || b === ZERO) return invalid();
    setResult(sign | MAX_EXPONENT, MSB, 0);
    return denormalFlag(a, b);
  }
  const flags = denormalFlag(a, b);
  if (a === ZERO || b === ZERO) {
    setResult(sign, 0, 0);
    return flags;
  }
  normalize(A);
  normalize(B);
  return flags | multiplyFinite(sign, W[A + EXPONENT] + W[B + EXPONENT], control);
}

function multiplyFinite(sign: number, exponents: number, control: number): number {
  multiplyWords(W[A + HIGH], W[A + LOW], W[B + HIGH], W[B + LOW]);
  let high = W[PRODUCT + 3];
  let low = W[PRODUCT + 2];
  let extra = W[PRODUCT + 1];
  let exponent = exponents - (BIAS - 1);
  if (high >= 0) {
    high = (high << 1) | (low >>> 31);
    low = (low << 1) | (extra >>> 31);
    extra = (extra << 1) | (W[PRODUCT] >>> 31);
    exponent--;
    if (W[PRODUCT] << 1 !== 0) extra |= 1;
  } else if (W[PRODUCT] !== 0) extra |= 1;
  return roundPack(sign, exponent, high, low, extra, control);
}

/** A / B. */
export function divide(control: number): number {
  const sign = (W[A + SE] ^ W[B + SE]) & SIGN;
  const aExponent = W[A + SE] & MAX_EXPONENT;
  const bExponent = W[B + SE] & MAX_EXPONENT;
  if (
    (W[A + HIGH] & W[B + HIGH]) < 0 &&
    isNormalExponent(aExponent) &&
    isNormalExponent(bExponent) &&
    W[B_DENORMAL] === 0
  )
    return divideFinite(A, B, sign, aExponent - bExponent, control);
  const a = kindAt(A);
  const b = kindAt(B);
  if (a === UNSUPPORTED || b === UNSUPPORTED) return invalid();
  if (a >= QUIET || b >= QUIET) return propagate();
  const flags = denormalFlag(a, b);
  if (a === INFINITE) {
    if (b === INFINITE) return invalid();
    setResult(sign | MAX_EXPONENT, MSB, 0);
    return flags;
  }
  if (b === INFINITE) {
    setResult(sign, 0, 0);
    return flags;
  }
  if (b === ZERO) {
    if (a === ZERO) return invalid();
    setResult(sign | MAX_EXPONENT, MSB, 0);
    return ZE;
  }
  if (a === ZERO) {
    setResult(sign, 0, 0);
    return flags;
  }
  normalize(A);
  normalize(B);
  return flags | divideFinite(A, B, sign, W[A + EXPONENT] - W[B + EXPONENT], control);
}

/** Swaps A and B, for the reversed forms; a denormal memory operand stays one. */
export function exchangeOperands(): void {
  for (let word = 0; word < 3; word++) {
    const kept = W[A + word];
    W[A + word] = W[B + word];
    W[B + word] = kept;
  }
}

/** The remainder of the digit division, and its next dividend word. */
const REMAINDER_HIGH = 24;
const REMAINDER_LOW = 25;

/**
 * One digit of base 2^32: the quotient of remainder * 2^32 + `next` by the normalized 64-bit divisor, which is larger
 * than the remainder. The estimate from doubles is at most a few units off.
 */
function quotientDigit(divisorHigh: number, divisorLow: number, next: number): number {
  const top = (W[REMAINDER_HIGH] >>> 0) * TWO32 + (W[REMAINDER_LOW] >>> 0);
  const divisor = (divisorHigh >>> 0) * TWO32 + (divisorLow >>> 0);
  let digit = Math.floor((top / divisor) * TWO32);
  if (digit > TWO32 - 1) digit = TWO32 - 1;
  let q = digit | 0;
  // remainder * 2^32 + next - q * divisor, of which words 2 (sign), 1 and 0 are kept.
  const word0 = (next >>> 0) - (Math.imul(q, divisorLow) >>> 0);
  let low = word0 | 0;
  const word1 =
    (W[REMAINDER_LOW] >>> 0) -
    (multiplyHigh(q, divisorLow) >>> 0) -
    (Math.imul(q, divisorHigh) >>> 0) -
    (word0 < 0 ? 1 : 0);
  let high = word1 | 0;
  let sign = (W[REMAINDER_HIGH] - multiplyHigh(q, divisorHigh) + Math.floor(word1 / TWO32)) | 0;
  while (sign < 0) {
    q = (q - 1) | 0;
    const lowSum = (low >>> 0) + (divisorLow >>> 0);
    const highSum = (high >>> 0) + (divisorHigh >>> 0) + (lowSum >= TWO32 ? 1 : 0);
    low = lowSum | 0;
    high = highSum | 0;
    if (highSum >= TWO32) sign++;
  }
  while (sign > 0 || high >>> 0 > divisorHigh >>> 0 || (high === divisorHigh && low >>> 0 >= divisorLow >>> 0)) {
    q = (q + 1) | 0;
    const lowDifference = (low >>> 0) - (divisorLow >>> 0);
    const highDifference = (high >>> 0) - (divisorHigh >>> 0) - (lowDifference < 0 ? 1 : 0);
    low = lowDifference | 0;
    high = highDifference | 0;
    if (highDifference < 0) sign--;
  }
  W[REMAINDER_HIGH] = high;
  W[REMAINDER_LOW] = low;
  return q;
}

/** Quotient of the normalized significands at `a` and `b`, whose exponents differ by `exponents`. */
function divideFinite(a: number, b: number, sign: number, exponents: number, control: number): number {
  const divisorHigh = W[b + HIGH];
  const divisorLow = W[b + LOW];
  let high = W[a + HIGH];
  let low = W[a + LOW];
  let next = 0;
  let exponent = exponents + BIAS - 1;
  if (high >>> 0 > divisorHigh >>> 0 || (high === divisorHigh && low >>> 0 >= divisorLow >>> 0)) {
    next = low << 31;
    low = (low >>> 1) | (high << 31);
    high >>>= 1;
    exponent++;
  }
  W[REMAINDER_HIGH] = high;
  W[REMAINDER_LOW] = low;
  const first = quotientDigit(divisorHigh, divisorLow, next);
  const second = quotientDigit(divisorHigh, divisorLow, 0);
  return roundPack(sign, exponent, first, second, fraction(divisorHigh, divisorLow), control);
}

/** How the remainder compares to half the divisor, as the bits below a quotient. */
function fraction(divisorHigh: number, divisorLow: number): number {
  const high = W[REMAINDER_HIGH];
  const low = W[REMAINDER_LOW];
  if ((high | low) === 0) return 0;
  if (high < 0) return MSB | 1;
  const twiceHigh = (high << 1) | (low >>> 31);
  const twiceLow = low << 1;
  if (twiceHigh === divisorHigh && twiceLow === divisorLow) return MSB;
  const above = twiceHigh >>> 0 > divisorHigh >>> 0 || (twiceHigh === divisorHigh && twiceLow >>> 0 > divisorLow >>> 0);
  return above ? MSB | 1 : 1;
}

/** Square root of A. */
export function squareRoot(control: number): number {
  const kind = kindAt(A);
  if (kind >= QUIET) return propagateFirst();
  const sign = W[A + SE] & SIGN;
  if (kind === ZERO) {
    setResult(sign, 0, 0);
    return 0;
  }
  if (sign !== 0) return invalid();
  if (kind === INFINITE) {
    setResult(MAX_EXPONENT, MSB, 0);
    return 0;
  }
  normalize(A);
  return (kind === NORMAL ? 0 : DE) | rootFinite(control);
}

function rootFinite(control: number): number {
  // The value is n * 2^(even), n of 128 bits whose top two are not both zero; its root has 64 bits.
  const unbiased = W[A + EXPONENT] - BIAS;
  const high = W[A + HIGH];
  const low = W[A + LOW];
  const isEven = (unbiased & 1) === 0;
  const n3 = isEven ? high >>> 1 : high;
  const n2 = isEven ? (high << 31) | (low >>> 1) : low;
  const n1 = isEven ? low << 31 : 0;
  let rootHigh = 0;
  let rootLow = 0;
  // A root of 53 good bits, then one Newton step in two words.
  const value = (n3 >>> 0) * TWO32 + (n2 >>> 0);
  const estimate = Math.sqrt(value);
  let top = Math.floor(estimate);
  if (top >= TWO32) top = TWO32 - 1;
  rootHigh = top | 0;
  // value - top^2, exact by words.
  const squareLow = Math.imul(rootHigh, rootHigh);
  const squareHigh = multiplyHigh(rootHigh, rootHigh);
  const difference = ((n3 >>> 0) - (squareHigh >>> 0)) * TWO32 + ((n2 >>> 0) - (squareLow >>> 0)) + (n1 >>> 0) / TWO32;
  let bottom = Math.floor((difference / (2 * top)) * TWO32);
  if (bottom < 0) {
    rootHigh = (rootHigh - 1) | 0;
    bottom = TWO32 - 1;
  }
  if (bottom > TWO32 - 1) bottom = TWO32 - 1;
  rootLow = bottom | 0;
  for (;;) {
    multiplyWords(rootHigh, rootLow, rootHigh, rootLow);
    // n - root^2 in four words.
    const d0 = -(W[PRODUCT] >>> 0);
    const d1 = (n1 >>> 0) - (W[PRODUCT + 1] >>> 0) - (d0 < 0 ? 1 : 0);
    const d2 = (n2 >>> 0) - (W[PRODUCT + 2] >>> 0) + Math.floor(d1 / TWO32);
    const d3 = (n3 >>> 0) - (W[PRODUCT + 3] >>> 0) + Math.floor(d2 / TWO32);
    if (d3 < 0) {
      if (rootLow === 0) rootHigh = (rootHigh - 1) | 0;
      rootLow = (rootLow - 1) | 0;
      continue;
    }
    const r0 = d0 >>> 0;
    const r1 = d1 >>> 0;
    const r2 = d2 >>> 0;
    // The remainder of a floor is at most twice the root.
    const beyond = d3 !== 0 || r2 > 1 || (r2 === 1 && isAboveTwice(r1, r0, rootHigh, rootLow));
    if (beyond) {
      rootLow = (rootLow + 1) | 0;
      if (rootLow === 0) rootHigh = (rootHigh + 1) | 0;
      continue;
    }
    // (root + 1/2)^2 = root^2 + root + 1/4: above half if the remainder is above the root.
    const zero = r2 === 0 && r1 === 0 && r0 === 0;
    const above = r2 !== 0 || r1 > rootHigh >>> 0 || (r1 === rootHigh >>> 0 && r0 > rootLow >>> 0);
    return roundPack(0, (unbiased >> 1) + BIAS, rootHigh, rootLow, zero ? 0 : above ? MSB | 1 : 1, control);
  }
}

/** 2^64 + r1:r0 > 2 * root, whose own top bit is set. */
function isAboveTwice(r1: number, r0: number, rootHigh: number, rootLow: number): boolean {
  const twiceHigh = ((rootHigh << 1) | (rootLow >>> 31)) >>> 0;
  const twiceLow = (rootLow << 1) >>> 0;
  return r1 > twiceHigh || (r1 === twiceHigh && r0 > twiceLow);
}
