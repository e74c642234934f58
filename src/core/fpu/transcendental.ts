/**
 * F2XM1, FYL2X, FYL2XP1, FSIN, FCOS, FSINCOS, FPTAN, FPATAN (SDM volume 2, their pages, for special operands). Results are
 * those of exact arithmetic but for about 2^-100, rounded as the control word says: at most half a unit in the last
 * place to nearest, one in the directed modes. Angles are reduced, as Intel's processors do it, with a pi of 66 bits
 * (SDM volume 1, 8.3.8); near a multiple of pi the results are those of that pi.
 */
import {
  DENORMAL,
  INFINITE,
  invalid,
  kindAt,
  normalize,
  propagate,
  propagateFirst,
  QUIET,
  UNSUPPORTED,
  ZERO,
} from './classify.ts';
import {
  arctangentOf,
  cosineOf,
  divideFixed,
  exponentialMinusOne,
  FRACTION,
  LN2,
  logarithmOfRatio,
  multiplyFixed,
  ONE,
  PI,
  packFixed,
  sineOf,
} from './fixed.ts';
import {
  A,
  B,
  BIAS,
  C2,
  DE,
  EXPONENT,
  HIGH,
  LOW,
  MAX_EXPONENT,
  MSB,
  PE,
  R,
  SE,
  SIGN,
  setResult,
  W,
  ZE,
} from './words.ts';

/** Place of the second result: FSINCOS's cosine, FPTAN's 1. */
export const SECOND = 40;

/** Below this exponent a function is its first term, to far less than the last place. */
const TINY = -80;

/** Mantissa of the normalized operand at `at`, in units of 2^(exponent - 63). */
function mantissa(at: number): bigint {
  return (BigInt(W[at + HIGH] >>> 0) << 32n) | BigInt(W[at + LOW] >>> 0);
}
/** The operand's magnitude in fixed point: exact for exponents from -129 on. */
function fixed(at: number): bigint {
  const shift = FRACTION + W[at + EXPONENT] - BIAS - 63;
  return shift >= 0 ? mantissa(at) << BigInt(shift) : mantissa(at) >> BigInt(-shift);
}
const exponentOf = (at: number): number => W[at + EXPONENT] - BIAS;
const magnitude = (value: bigint): bigint => (value < 0n ? -value : value);

function copy(from: number, to: number): void {
  for (let word = LOW; word <= SE; word++) W[to + word] = W[from + word];
}
function setOne(): void {
  setResult(BIAS, MSB, 0);
}
/** R = a little less than the normalized operand A in magnitude, rounded. */
function justBelow(sign: number, control: number): number {
  return packFixed(sign, (mantissa(A) << 64n) - 1n, exponentOf(A) - 127, false, control);
}
/** R = a little less than 1. */
function justBelowOne(control: number): number {
  return packFixed(0, (1n << 128n) - 1n, -128, false, control);
}

/** 2^A - 1, -1 <= A <= 1; beyond that A itself, as processors answer. */
export function exponential(control: number): number {
  const kind = kindAt(A);
  if (kind >= QUIET) return propagateFirst();
  const sign = W[A + SE] & SIGN;
  copy(A, R);
  if (kind === ZERO) return 0;
  if (kind === INFINITE) {
    // 2^-infinity - 1
    if (sign !== 0) setResult(SIGN | BIAS, MSB, 0);
    return 0;
  }
  normalize(A);
  const denormal = kind === DENORMAL ? DE : 0;
  if (exponentOf(A) >= 0) {
    if (sign !== 0 && exponentOf(A) === 0 && mantissa(A) === 1n << 63n) setResult(SIGN | (BIAS - 1), MSB, 0);
    return exponentOf(A) > 0 || mantissa(A) !== 1n << 63n ? PE : 0;
  }
  if (exponentOf(A) < TINY) {
    // x ln 2 (1 + x ln 2 / 2), the second factor to the bits that can matter.
    const product = mantissa(A) * LN2;
    return denormal | packFixed(sign, product, exponentOf(A) - 63 - FRACTION, false, control);
  }
  const t = multiplyFixed(fixed(A), LN2);
  const value = exponentialMinusOne(sign !== 0 ? -t : t);
  return packFixed(sign, magnitude(value), -FRACTION, false, control);
}

/** log2 of a mantissa m / 2^63 in [1, 2) times 2^e; `exact` if it is a power of two. */
function logarithmOf(m: bigint, e: number): bigint {
  let value = m << BigInt(FRACTION - 63);
  // From 3/4 to 3/2, so that nothing cancels against e.
  if (value > ONE + (ONE >> 1n)) {
    value >>= 1n;
    e++;
  }
  const z = divideFixed(value - ONE, value + ONE);
  return (BigInt(e) << BigInt(FRACTION)) + divideFixed(logarithmOfRatio(z), LN2);
}

/** B * log2 A, of which `log` computes the second factor of a finite positive A. */
function product(log: bigint, logScale: number, exact: boolean, control: number): number {
  const sign = (W[B + SE] & SIGN) ^ (log < 0n ? SIGN : 0);
  if (log === 0n) {
    setResult(sign, 0, 0);
    return 0;
  }
  return packFixed(sign, magnitude(log) * mantissa(B), exponentOf(B) - 63 + logScale, exact, control);
}

/** FYL2X: B log2 A. */
export function logarithm(control: number): number {
  const a = kindAt(A);
  const b = kindAt(B);
  if (a === UNSUPPORTED || b === UNSUPPORTED) return invalid();
  if (a >= QUIET || b >= QUIET) return propagate();
  const bSign = W[B + SE] & SIGN;
  if (a === ZERO) {
    if (b === ZERO) return invalid();
    setResult((bSign ^ SIGN) | MAX_EXPONENT, MSB, 0);
    return b === INFINITE ? 0 : ZE;
  }
  if ((W[A + SE] & SIGN) !== 0) return invalid();
  const denormal = a === DENORMAL || b === DENORMAL ? DE : 0;
  if (a === INFINITE) {
    if (b === ZERO) return invalid();
    setResult(bSign | MAX_EXPONENT, MSB, 0);
    return denormal;
  }
  normalize(A);
  const isPowerOfTwo = mantissa(A) === 1n << 63n;
  const isOne = isPowerOfTwo && exponentOf(A) === 0;
  const isBelowOne = exponentOf(A) < 0;
  if (b === INFINITE) {
    if (isOne) return invalid();
    setResult((isBelowOne ? bSign ^ SIGN : bSign) | MAX_EXPONENT, MSB, 0);
    return denormal;
  }
  if (b === ZERO) {
    setResult(isBelowOne ? bSign ^ SIGN : bSign, 0, 0);
    return denormal;
  }
  normalize(B);
  return denormal | product(logarithmOf(mantissa(A), exponentOf(A)), -FRACTION, isPowerOfTwo, control);
}

/** No logarithm of 1 + A exists: the result is undefined (SDM volume 2, FYL2XP1), on processors A. */
function unchanged(): number {
  copy(A, R);
  return 0;
}

/** FYL2XP1: B log2(A + 1). */
export function logarithmPlusOne(control: number): number {
  const a = kindAt(A);
  const b = kindAt(B);
  if (a === UNSUPPORTED || b === UNSUPPORTED) return invalid();
  if (a >= QUIET || b >= QUIET) return propagate();
  const aSign = W[A + SE] & SIGN;
  const bSign = W[B + SE] & SIGN;
  const denormal = a === DENORMAL || b === DENORMAL ? DE : 0;
  if (a === INFINITE) {
    if (aSign !== 0 || b === ZERO) return invalid();
    setResult(bSign | MAX_EXPONENT, MSB, 0);
    return denormal;
  }
  if (b === INFINITE) {
    if (a === ZERO) return invalid();
    setResult((aSign ^ bSign) | MAX_EXPONENT, MSB, 0);
    return denormal;
  }
  if (a === ZERO || b === ZERO) {
    setResult(aSign ^ bSign, 0, 0);
    return denormal;
  }
  normalize(A);
  normalize(B);
  if (exponentOf(A) < TINY) {
    // log2(1 + x) = x / ln 2, but for less than half the last place.
    const value = (mantissa(A) * ONE * ONE) / LN2;
    return denormal | product(aSign !== 0 ? -value : value, exponentOf(A) - 63 - FRACTION, false, control);
  }
  // Far out of the range in which the result is defined: 1 + A has no more bits than A, or no logarithm.
  if (exponentOf(A) > 64) {
    if (aSign !== 0) return denormal | unchanged();
    return denormal | product(logarithmOf(mantissa(A), exponentOf(A)), -FRACTION, false, control);
  }
  const x = aSign !== 0 ? -fixed(A) : fixed(A);
  if (x <= -ONE) return denormal | unchanged();
  if (exponentOf(A) < -1) {
    const value = divideFixed(logarithmOfRatio(divideFixed(x, x + 2n * ONE)), LN2);
    return denormal | product(value, -FRACTION, false, control);
  }
  let sum = x + ONE;
  let e = 0;
  for (; sum >= 2n * ONE; e++) sum >>= 1n;
  for (; sum < ONE; e--) sum <<= 1n;
  if (sum > ONE + (ONE >> 1n)) {
    sum >>= 1n;
    e++;
  }
  const log = (BigInt(e) << BigInt(FRACTION)) + divideFixed(logarithmOfRatio(divideFixed(sum - ONE, sum + ONE)), LN2);
  return denormal | product(log, -FRACTION, sum === ONE, control);
}

/** Half of the 66-bit pi. */
const HALF_PI = 0xc90fdaa22168c234cn << BigInt(FRACTION - 67);
/** What `reduce` leaves: the angle within a quarter turn of zero, and the quadrant. */
let angle = 0n;
let quadrant = 0;

function reduce(): void {
  const x = fixed(A);
  const turns = (2n * x + HALF_PI) / (2n * HALF_PI);
  angle = x - turns * HALF_PI;
  quadrant = Number(turns & 3n);
}
function packSigned(value: bigint, sign: number, control: number): number {
  return packFixed(value < 0n ? sign ^ SIGN : sign, magnitude(value), -FRACTION, false, control);
}
/** R = sine or cosine of the reduced angle, for the sign of A. */
function packSine(sign: number, control: number): number {
  const value = (quadrant & 1) !== 0 ? cosineOf(angle) : sineOf(angle);
  return packSigned(value, (quadrant & 2) !== 0 ? sign ^ SIGN : sign, control);
}
function packCosine(control: number): number {
  const value = (quadrant & 1) !== 0 ? sineOf(angle) : cosineOf(angle);
  return packSigned(value, quadrant === 1 || quadrant === 2 ? SIGN : 0, control);
}

/** Operands that need no series: status bits, with R (and SECOND) set; -1: go on with the normalized A. */
function angleSpecial(kind: number): number {
  if (kind >= QUIET) return propagateFirst();
  if (kind === INFINITE) return invalid();
  if (kind === ZERO) {
    setResult(W[A + SE] & SIGN, 0, 0);
    return 0;
  }
  normalize(A);
  // 2^63 and beyond: the operand stays (SDM volume 2, FSIN).
  return exponentOf(A) >= 63 ? C2 : -1;
}

export function sine(control: number): number {
  const kind = kindAt(A);
  const special = angleSpecial(kind);
  if (special >= 0) return special;
  const sign = W[A + SE] & SIGN;
  const denormal = kind === DENORMAL ? DE : 0;
  if (exponentOf(A) < TINY) return denormal | justBelow(sign, control);
  reduce();
  return packSine(sign, control);
}

export function cosine(control: number): number {
  const kind = kindAt(A);
  const special = angleSpecial(kind);
  if (special >= 0) {
    if (kind === ZERO) setOne();
    return special;
  }
  const denormal = kind === DENORMAL ? DE : 0;
  if (exponentOf(A) < TINY) return denormal | justBelowOne(control);
  reduce();
  return packCosine(control);
}

export function sineCosine(control: number): number {
  const kind = kindAt(A);
  const special = angleSpecial(kind);
  if (special >= 0) {
    copy(R, SECOND);
    if (kind === ZERO) setSecondToOne();
    return special;
  }
  const denormal = kind === DENORMAL ? DE : 0;
  const sign = W[A + SE] & SIGN;
  const isTiny = exponentOf(A) < TINY;
  if (!isTiny) reduce();
  let flags = isTiny ? justBelowOne(control) : packCosine(control);
  copy(R, SECOND);
  flags |= isTiny ? justBelow(sign, control) : packSine(sign, control);
  return flags | denormal;
}

function setSecondToOne(): void {
  W[SECOND + LOW] = 0;
  W[SECOND + HIGH] = MSB;
  W[SECOND + SE] = BIAS;
}

export function tangent(control: number): number {
  const kind = kindAt(A);
  const special = angleSpecial(kind);
  if (special >= 0) {
    // A NaN is pushed twice; a zero gets its 1.
    copy(R, SECOND);
    if (kind === ZERO) setSecondToOne();
    return special;
  }
  const denormal = kind === DENORMAL ? DE : 0;
  const sign = W[A + SE] & SIGN;
  setSecondToOne();
  if (exponentOf(A) < TINY) {
    // A little more than A.
    return denormal | packFixed(sign, mantissa(A) << 64n, exponentOf(A) - 127, false, control);
  }
  reduce();
  const s = sineOf(angle);
  const c = cosineOf(angle);
  const value = (quadrant & 1) === 0 ? divideFixed(s, c) : divideFixed(-c, s);
  return packSigned(value, sign, control);
}

/** R = pi * `numerator` / 4 with B's sign. */
function quarters(numerator: bigint, control: number): number {
  return packFixed(W[B + SE] & SIGN, (PI * numerator) >> 2n, -FRACTION, false, control);
}

/** FPATAN: the angle of the point (A, B). */
export function arctangent(control: number): number {
  const a = kindAt(A);
  const b = kindAt(B);
  if (a === UNSUPPORTED || b === UNSUPPORTED) return invalid();
  if (a >= QUIET || b >= QUIET) return propagate();
  const isLeft = (W[A + SE] & SIGN) !== 0;
  const bSign = W[B + SE] & SIGN;
  const denormal = a === DENORMAL || b === DENORMAL ? DE : 0;
  if (b === INFINITE) return denormal | quarters(a !== INFINITE ? 2n : isLeft ? 3n : 1n, control);
  if (b === ZERO || a === INFINITE) {
    if (isLeft) return denormal | quarters(4n, control);
    setResult(bSign, 0, 0);
    return denormal;
  }
  if (a === ZERO) return denormal | quarters(2n, control);
  normalize(A);
  normalize(B);
  const distance = exponentOf(B) - exponentOf(A);
  const x = mantissa(A);
  const y = mantissa(B);
  if (distance < TINY && !isLeft) {
    // y / x, which may underflow; of an exact quotient a little less.
    const quotient = (y << BigInt(FRACTION)) / x;
    const isExact = quotient * x === y << BigInt(FRACTION);
    return denormal | packFixed(bSign, isExact ? quotient - 1n : quotient, distance - FRACTION, false, control);
  }
  const isSteep = distance > 0 || (distance === 0 && y > x);
  let t = 0n;
  const shift = BigInt(FRACTION - Math.abs(distance));
  if (Math.abs(distance) < FRACTION) t = isSteep ? (x << shift) / y : (y << shift) / x;
  let result = arctangentOf(t);
  if (isSteep) result = (PI >> 1n) - result;
  if (isLeft) result = PI - result;
  return denormal | packFixed(bSign, result, -FRACTION, false, control);
}
