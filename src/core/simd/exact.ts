/**
 * Floating-point operations by exact integers, in every rounding mode, with every flag: the slow path behind
 * `arithmetic.ts`, for whatever is not normal. Values are bit patterns as BigInts.
 *
 * The rules are SDM volume 1, 4.8.4 (rounding), 4.9.1 (exceptions and masked responses; tininess is detected after
 * rounding), 10.2.3 (DAZ, FTZ) and table 4-7 (NaN operands).
 */
import {
  CHOP,
  DAZ,
  DE,
  DOWN,
  FTZ,
  IE,
  NEAREST,
  OE,
  OVERFLOW_MASK,
  PE,
  ROUNDING_SHIFT,
  UE,
  UNDERFLOW_MASK,
  UP,
  ZE,
} from './mxcsr.ts';

export interface Format {
  /** Bits of the fraction. */
  readonly fraction: number;
  readonly bias: number;
}
export const SINGLE: Format = { fraction: 23, bias: 127 };
export const DOUBLE: Format = { fraction: 52, bias: 1023 };

export const ADD = 0;
export const SUBTRACT = 1;
export const MULTIPLY = 2;
export const DIVIDE = 3;
export const SQUARE_ROOT = 4;

/** The bit pattern of the last operation's result. */
export const exactResult: BigUint64Array = new BigUint64Array(1);

const ZERO = 0;
const FINITE = 1;
const INFINITE = 2;
const QUIET_NAN = 3;
const SIGNALLING_NAN = 4;

interface Unpacked {
  readonly kind: number;
  readonly negative: boolean;
  /** Of finite values: significand and exponent, value = significand x 2^exponent. */
  readonly significand: bigint;
  readonly exponent: number;
  readonly denormal: boolean;
}

function unpack(bits: bigint, format: Format, mxcsr: number): Unpacked {
  const { fraction, bias } = format;
  const negative = bits >> BigInt(fraction) > BigInt(2 * bias + 1);
  const field = Number((bits >> BigInt(fraction)) & BigInt(2 * bias + 1));
  const low = bits & ((1n << BigInt(fraction)) - 1n);
  const exponent = Math.max(field, 1) - bias - fraction;
  const special = { negative, significand: 0n, exponent: 0, denormal: false };
  if (field === 2 * bias + 1) {
    if (low === 0n) return { kind: INFINITE, ...special };
    return { kind: low >> BigInt(fraction - 1) === 1n ? QUIET_NAN : SIGNALLING_NAN, ...special };
  }
  const denormal = field === 0 && low !== 0n;
  if (field === 0 && (low === 0n || (mxcsr & DAZ) !== 0)) return { kind: ZERO, ...special };
  const significand = denormal ? low : low | (1n << BigInt(fraction));
  return { kind: FINITE, negative, significand, exponent, denormal };
}

const isNan = ({ kind }: Unpacked): boolean => kind >= QUIET_NAN;

function signOf(negative: boolean, format: Format): bigint {
  return negative ? BigInt(2 * format.bias + 2) << BigInt(format.fraction) : 0n;
}
function infinity(negative: boolean, format: Format): bigint {
  return signOf(negative, format) | (BigInt(2 * format.bias + 1) << BigInt(format.fraction));
}
/** Turns a NaN into its quiet form. */
function quiet(bits: bigint, format: Format): bigint {
  return bits | (1n << BigInt(format.fraction - 1));
}
/** The real indefinite: the NaN of an invalid operation. */
function indefinite(format: Format): bigint {
  return quiet(infinity(true, format), format);
}

function deliver(bits: bigint, flags = 0): number {
  exactResult[0] = bits;
  return flags;
}

const bitLength = (value: bigint): number => value.toString(2).length;

/** The first `length` bits of `significand`, rounded; may come out one bit longer. */
function cut(significand: bigint, drop: number, negative: boolean, mode: number): bigint {
  const kept = significand >> BigInt(drop);
  const rest = significand - (kept << BigInt(drop));
  if (rest === 0n) return kept;
  const half = 1n << BigInt(drop - 1);
  const away =
    mode === NEAREST
      ? rest > half || (rest === half && (kept & 1n) === 1n)
      : mode === CHOP
        ? false
        : mode === (negative ? DOWN : UP);
  return away ? kept + 1n : kept;
}

/** Rounds significand x 2^exponent, which is not zero, to a format. Returns the flags. */
function round(negative: boolean, significand: bigint, exponent: number, format: Format, mxcsr: number): number {
  const mode = (mxcsr >> ROUNDING_SHIFT) & 3;
  const precision = format.fraction + 1;
  const sign = signOf(negative, format);
  // At least two bits more than the precision, so that what is dropped is never negative.
  const short = Math.max(precision + 2 - bitLength(significand), 0);
  const value = significand << BigInt(short);
  const scale = exponent - short;
  const length = bitLength(value);
  const drop = length - precision;
  const rounded = cut(value, drop, negative, mode);
  const carried = bitLength(rounded) > precision;
  const inexact = rounded << BigInt(drop) !== value ? PE : 0;
  /** Exponent of the leading bit once rounded without a limit on exponents. */
  const top = scale + length - 1 + (carried ? 1 : 0);
  const least = 1 - format.bias;
  if (top < least) {
    if ((mxcsr & UNDERFLOW_MASK) === 0) return deliver(sign, UE | inexact);
    if ((mxcsr & FTZ) !== 0) return deliver(sign, UE | PE);
    const dropMore = drop + least - (scale + length - 1);
    const denormal = cut(value, dropMore, negative, mode);
    return deliver(sign | denormal, denormal << BigInt(dropMore) === value ? 0 : UE | PE);
  }
  if (top > format.bias) {
    // Unmasked, an overflow is inexact only if its result with unlimited exponents is; masked, it always is.
    if ((mxcsr & OVERFLOW_MASK) === 0) return deliver(sign, OE | inexact);
    const toInfinity = mode === NEAREST || mode === (negative ? DOWN : UP);
    return deliver(toInfinity ? infinity(negative, format) : infinity(negative, format) - 1n, OE | PE);
  }
  const fraction = (carried ? rounded >> 1n : rounded) & ((1n << BigInt(format.fraction)) - 1n);
  return deliver(sign | (BigInt(top + format.bias) << BigInt(format.fraction)) | fraction, inexact);
}

/** The result of an operation on a NaN: the first operand's if it is one, made quiet (SDM volume 1, table 4-7). */
function fromNan(a: bigint, x: Unpacked, b: bigint, y: Unpacked, format: Format): number {
  const invalid = x.kind === SIGNALLING_NAN || y.kind === SIGNALLING_NAN ? IE : 0;
  return deliver(quiet(isNan(x) ? a : b, format), invalid);
}

function add(x: Unpacked, y: Unpacked, format: Format, mxcsr: number): number {
  const mode = (mxcsr >> ROUNDING_SHIFT) & 3;
  if (x.kind === INFINITE || y.kind === INFINITE) {
    if (x.kind === y.kind && x.negative !== y.negative) return deliver(indefinite(format), IE);
    return deliver(infinity(x.kind === INFINITE ? x.negative : y.negative, format));
  }
  const scale = Math.min(x.kind === ZERO ? y.exponent : x.exponent, y.kind === ZERO ? x.exponent : y.exponent);
  const part = (of: Unpacked): bigint => {
    const aligned = of.kind === ZERO ? 0n : of.significand << BigInt(of.exponent - scale);
    return of.negative ? -aligned : aligned;
  };
  const sum = part(x) + part(y);
  if (sum !== 0n) return round(sum < 0n, sum < 0n ? -sum : sum, scale, format, mxcsr);
  // Zeros of one sign keep it; else the sum is -0 when rounding down, +0 otherwise.
  const sameSign = x.kind === ZERO && y.kind === ZERO && x.negative === y.negative;
  return deliver(signOf(sameSign ? x.negative : mode === DOWN, format));
}

function multiply(x: Unpacked, y: Unpacked, format: Format, mxcsr: number): number {
  const negative = x.negative !== y.negative;
  if (x.kind === INFINITE || y.kind === INFINITE) {
    if (x.kind === ZERO || y.kind === ZERO) return deliver(indefinite(format), IE);
    return deliver(infinity(negative, format));
  }
  if (x.kind === ZERO || y.kind === ZERO) return deliver(signOf(negative, format));
  return round(negative, x.significand * y.significand, x.exponent + y.exponent, format, mxcsr);
}

function divide(x: Unpacked, y: Unpacked, format: Format, mxcsr: number): number {
  const negative = x.negative !== y.negative;
  if (x.kind === y.kind && x.kind !== FINITE) return deliver(indefinite(format), IE);
  if (x.kind === INFINITE) return deliver(infinity(negative, format));
  if (y.kind === INFINITE || x.kind === ZERO) return deliver(signOf(negative, format));
  if (y.kind === ZERO) return deliver(infinity(negative, format), ZE);
  // Enough quotient bits to round by; a remainder becomes one more, sticky, bit.
  const shift = 2 * format.fraction + 6;
  const dividend = x.significand << BigInt(shift);
  const quotient = dividend / y.significand;
  const sticky = quotient * y.significand === dividend ? 0n : 1n;
  return round(negative, (quotient << 1n) | sticky, x.exponent - shift - 1 - y.exponent, format, mxcsr);
}

function integerRoot(value: bigint): bigint {
  let root = 1n << BigInt((bitLength(value) >> 1) + 1);
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

function squareRoot(x: Unpacked, format: Format, mxcsr: number): number {
  if (x.kind === ZERO) return deliver(signOf(x.negative, format));
  if (x.negative) return deliver(indefinite(format), IE);
  if (x.kind === INFINITE) return deliver(infinity(false, format));
  let shift = 2 * format.fraction + 8;
  if (((x.exponent - shift) & 1) !== 0) shift++;
  const radicand = x.significand << BigInt(shift);
  const root = integerRoot(radicand);
  const sticky = root * root === radicand ? 0n : 1n;
  return round(false, (root << 1n) | sticky, (x.exponent - shift) / 2 - 1, format, mxcsr);
}

/** `a` operation `b` (of SQUARE_ROOT: of `b`) into `exactResult`. Returns the exception flags. */
export function exact(operation: number, format: Format, a: bigint, b: bigint, mxcsr: number): number {
  const y = unpack(b, format, mxcsr);
  const x = operation === SQUARE_ROOT ? y : unpack(a, format, mxcsr);
  if (isNan(x) || isNan(y)) return fromNan(operation === SQUARE_ROOT ? b : a, x, b, y, format);
  const flags = operate(operation, x, y, format, mxcsr);
  // An invalid operation or a division by zero comes before a denormal operand.
  return (x.denormal || y.denormal) && (flags & (IE | ZE)) === 0 ? flags | DE : flags;
}

function operate(operation: number, x: Unpacked, y: Unpacked, format: Format, mxcsr: number): number {
  switch (operation) {
    case ADD:
      return add(x, y, format, mxcsr);
    case SUBTRACT:
      return add(x, { ...y, negative: !y.negative }, format, mxcsr);
    case MULTIPLY:
      return multiply(x, y, format, mxcsr);
    case DIVIDE:
      return divide(x, y, format, mxcsr);
    default:
      return squareRoot(x, format, mxcsr);
  }
}

/** A double as a single, into `exactResult`. Returns the exception flags. */
export function exactNarrow(a: bigint, mxcsr: number): number {
  const x = unpack(a, DOUBLE, mxcsr);
  if (isNan(x)) {
    const payload = (a >> BigInt(DOUBLE.fraction - SINGLE.fraction)) & ((1n << BigInt(SINGLE.fraction)) - 1n);
    const bits = infinity(x.negative, SINGLE) | payload;
    return deliver(quiet(bits, SINGLE), x.kind === SIGNALLING_NAN ? IE : 0);
  }
  if (x.kind === ZERO) return deliver(signOf(x.negative, SINGLE));
  if (x.kind === INFINITE) return deliver(infinity(x.negative, SINGLE));
  return round(x.negative, x.significand, x.exponent, SINGLE, mxcsr) | (x.denormal ? DE : 0);
}
