/**
 * ADD SUB MUL DIV SQRT MIN MAX on lanes (SDM volume 2; volume 1, chapters 4 and 11).
 *
 * The host's arithmetic rounds to nearest. That is the result wherever operands and result are normal, and for the other
 * modes the sign of the error tells the neighbour: of singles, whose operations a double carries to more than twice their
 * precision, and of doubles by error-free transformations (Dekker 1971: two-sum, and two-product by splitting). Anything
 * else (NaNs, infinities, denormals, results at the ends of the range) goes the exact way of `exact.ts`.
 */
import type { MachineMemory } from '../memory.ts';
import { MXCSR } from '../state.ts';
import { ADD, DIVIDE, DOUBLE, exact, exactResult, MULTIPLY, SINGLE, SQUARE_ROOT, SUBTRACT } from './exact.ts';
import { DAZ, DE, DOWN, IE, NEAREST, PE, PRECISION_MASK, ROUNDING_SHIFT, UP } from './mxcsr.ts';

const MIN = 5;

const SINGLE_LEAST = 2 ** -126;
const SINGLE_MOST = 2 ** 128 - 2 ** 104;
const DOUBLE_LEAST = 2 ** -1022;
const DOUBLE_MOST = Number.MAX_VALUE;
/** Where the errors of double products and quotients are themselves normal numbers: exponents within 400 of 0. */
const MODERATE_LEAST = 2 ** -400;
const MODERATE_MOST = 2 ** 400;
/** Beyond this the steps of a two-sum may overflow. */
const SUM_MOST = 2 ** 1020;
/** Dekker's splitter of a 53-bit significand. */
const SPLITTER = 2 ** 27 + 1;

/** The rounding error of `product` = x * y. */
function productError(x: number, y: number, product: number): number {
  const cx = SPLITTER * x;
  const xHigh = cx - (cx - x);
  const xLow = x - xHigh;
  const cy = SPLITTER * y;
  const yHigh = cy - (cy - y);
  const yLow = y - yHigh;
  return xLow * yLow - (product - xHigh * yHigh - xLow * yHigh - xHigh * yLow);
}
/** The rounding error of `sum` = x + y. */
function sumError(x: number, y: number, sum: number): number {
  const second = sum - x;
  return x - (sum - second) + (y - second);
}
const isModerate = (x: number): boolean => {
  const magnitude = Math.abs(x);
  return magnitude === 0 || (magnitude >= MODERATE_LEAST && magnitude <= MODERATE_MOST);
};

/** A result of zero that is exact and whose sign the host's mode gives. Others may be underflows. */
function isTrueZero(operation: number, mode: number, x: number, y: number, result: number): boolean {
  if (result !== 0 || mode !== NEAREST) return false;
  return operation <= SUBTRACT || operation === SQUARE_ROOT || x === 0 || (operation === MULTIPLY && y === 0);
}

/** By how much a magnitude must be moved, in units of its last place, if the truth lies on the `rest` side of it. */
function correction(mode: number, negative: boolean, rest: number): number {
  if (rest === 0) return 0;
  const isMore = rest > 0;
  if (mode === DOWN) return isMore ? 0 : negative ? 1 : -1;
  if (mode === UP) return isMore ? (negative ? -1 : 1) : 0;
  // Towards zero: only a magnitude that was rounded up moves.
  return isMore === negative ? -1 : 0;
}

/** Lane operations on state slots: `operation(number, a, b, to)` puts lane `to` and returns the exception flags. */
export interface Arithmetic {
  single(operation: number, a: number, b: number, to: number): number;
  double(operation: number, a: number, b: number, to: number): number;
}

export function createArithmetic(memory: MachineMemory): Arithmetic {
  const S = memory.state;
  const singles = new Float32Array(S.buffer, S.byteOffset, S.length);
  const doubles = new Float64Array(S.buffer, S.byteOffset, S.length >> 1);

  /** Normal or zero. */
  const isPlainSingle = (bits: number): boolean =>
    ((bits & 0x7f800000) - 0x00800000) >>> 0 < 0x7f000000 || bits << 1 === 0;
  const isPlainDouble = (low: number, high: number): boolean =>
    ((high & 0x7ff00000) - 0x00100000) >>> 0 < 0x7fe00000 || (high << 1 === 0 && low === 0);

  function exactSingle(operation: number, a: number, b: number, to: number): number {
    const flags = exact(operation, SINGLE, BigInt(S[a] >>> 0), BigInt(S[b] >>> 0), S[MXCSR]);
    S[to] = Number(exactResult[0]) | 0;
    return flags;
  }
  function bitsOfDouble(slot: number): bigint {
    return (BigInt(S[slot + 1] >>> 0) << 32n) | BigInt(S[slot] >>> 0);
  }
  function exactDouble(operation: number, a: number, b: number, to: number): number {
    const flags = exact(operation, DOUBLE, bitsOfDouble(a), bitsOfDouble(b), S[MXCSR]);
    const bits = exactResult[0] as bigint;
    S[to] = Number(bits & 0xffffffffn) | 0;
    S[to + 1] = Number(bits >> 32n) | 0;
    return flags;
  }

  /** MIN and MAX: the second operand if either is a NaN (which is invalid) or both are zeros (SDM volume 2, MINPS). */
  function extreme(operation: number, x: number, y: number): boolean {
    return operation === MIN ? x < y : x > y;
  }
  function extremeSingle(operation: number, a: number, b: number, to: number): number {
    const denormals = (S[MXCSR] & DAZ) !== 0;
    let first = S[a];
    let second = S[b];
    let flags = 0;
    if ((first & 0x7f800000) === 0 && first << 1 !== 0) {
      if (denormals) first &= 0x80000000;
      else flags = DE;
    }
    if ((second & 0x7f800000) === 0 && second << 1 !== 0) {
      if (denormals) second &= 0x80000000;
      else flags = DE;
    }
    const x = singles[a];
    const y = singles[b];
    if (Number.isNaN(x) || Number.isNaN(y)) {
      S[to] = second;
      return IE;
    }
    // Flushed denormals compare as zeros; unflushed ones as themselves.
    const isFirst = extreme(operation, first << 1 === 0 ? 0 : x, second << 1 === 0 ? 0 : y);
    S[to] = isFirst ? first : second;
    return flags;
  }
  function extremeDouble(operation: number, a: number, b: number, to: number): number {
    const denormals = (S[MXCSR] & DAZ) !== 0;
    let flags = 0;
    let x = doubles[a >> 1];
    let y = doubles[b >> 1];
    const isTiny = (value: number): boolean => Math.abs(value) < DOUBLE_LEAST && value !== 0;
    const tinyX = isTiny(x);
    const tinyY = isTiny(y);
    if (tinyX || tinyY) flags = DE;
    if (denormals) {
      flags = 0;
      if (tinyX) x = 0;
      if (tinyY) y = 0;
    }
    const invalid = Number.isNaN(x) || Number.isNaN(y);
    const isFirst = !invalid && extreme(operation, x, y);
    const from = isFirst ? a : b;
    const flush = denormals && (isFirst ? tinyX : tinyY);
    const low = flush ? 0 : S[from];
    const high = flush ? S[from + 1] & 0x80000000 : S[from + 1];
    S[to] = low;
    S[to + 1] = high;
    return invalid ? IE : flags;
  }

  function single(operation: number, a: number, b: number, to: number): number {
    if (operation >= MIN) return extremeSingle(operation, a, b, to);
    if (!isPlainSingle(S[b]) || (operation !== SQUARE_ROOT && !isPlainSingle(S[a]))) {
      return exactSingle(operation, a, b, to);
    }
    const x = singles[a];
    const y = singles[b];
    let wide: number;
    switch (operation) {
      case ADD:
        wide = x + y;
        break;
      case SUBTRACT:
        wide = x - y;
        break;
      case MULTIPLY:
        wide = x * y;
        break;
      case DIVIDE:
        wide = x / y;
        break;
      default:
        wide = Math.sqrt(y);
    }
    const result = Math.fround(wide);
    const magnitude = Math.abs(result);
    const mxcsr = S[MXCSR];
    const mode = (mxcsr >> ROUNDING_SHIFT) & 3;
    if (!(magnitude > SINGLE_LEAST && magnitude < SINGLE_MOST)) {
      if (!isTrueZero(operation, mode, x, y, result)) return exactSingle(operation, a, b, to);
      singles[to] = result;
      return 0;
    }
    if (mode === NEAREST && (mxcsr & (PE | PRECISION_MASK)) === (PE | PRECISION_MASK)) {
      singles[to] = result;
      return 0;
    }
    let rest: number;
    switch (operation) {
      case ADD:
        rest = wide !== result ? wide - result : sumError(x, y, wide);
        break;
      case SUBTRACT:
        rest = wide !== result ? wide - result : sumError(x, -y, wide);
        break;
      case MULTIPLY:
        rest = wide - result;
        break;
      case DIVIDE:
        rest = y > 0 ? x - result * y : result * y - x;
        break;
      default:
        rest = y - result * result;
    }
    singles[to] = result;
    if (rest === 0) return 0;
    if (mode !== NEAREST) S[to] += correction(mode, result < 0, rest);
    return PE;
  }

  function double(operation: number, a: number, b: number, to: number): number {
    if (operation >= MIN) return extremeDouble(operation, a, b, to);
    if (!isPlainDouble(S[b], S[b + 1]) || (operation !== SQUARE_ROOT && !isPlainDouble(S[a], S[a + 1]))) {
      return exactDouble(operation, a, b, to);
    }
    const x = doubles[a >> 1];
    const y = doubles[b >> 1];
    let result: number;
    switch (operation) {
      case ADD:
        result = x + y;
        break;
      case SUBTRACT:
        result = x - y;
        break;
      case MULTIPLY:
        result = x * y;
        break;
      case DIVIDE:
        result = x / y;
        break;
      default:
        result = Math.sqrt(y);
    }
    const magnitude = Math.abs(result);
    const mxcsr = S[MXCSR];
    const mode = (mxcsr >> ROUNDING_SHIFT) & 3;
    if (!(magnitude > DOUBLE_LEAST && magnitude < DOUBLE_MOST)) {
      if (!isTrueZero(operation, mode, x, y, result)) return exactDouble(operation, a, b, to);
      doubles[to >> 1] = result;
      return 0;
    }
    if (mode === NEAREST && (mxcsr & (PE | PRECISION_MASK)) === (PE | PRECISION_MASK)) {
      doubles[to >> 1] = result;
      return 0;
    }
    let rest: number;
    if (operation <= SUBTRACT) {
      if (!(Math.abs(x) < SUM_MOST && Math.abs(y) < SUM_MOST)) return exactDouble(operation, a, b, to);
      rest = sumError(x, operation === ADD ? y : -y, result);
    } else if (!isModerate(y) || (operation !== SQUARE_ROOT && !isModerate(x))) return exactDouble(operation, a, b, to);
    else if (operation === MULTIPLY) rest = productError(x, y, result);
    else {
      // What the result times the divisor, or itself, leaves of the dividend: a difference of near numbers, hence exact.
      const factor = operation === DIVIDE ? y : result;
      const product = result * factor;
      const left = (operation === DIVIDE ? x : y) - product - productError(result, factor, product);
      rest = factor > 0 ? left : -left;
    }
    doubles[to >> 1] = result;
    if (rest === 0) return 0;
    if (mode !== NEAREST) {
      const step = correction(mode, result < 0, rest);
      const low = S[to];
      S[to] = low + step;
      if (step > 0 && low === -1) S[to + 1] += 1;
      if (step < 0 && low === 0) S[to + 1] -= 1;
    }
    return PE;
  }

  return { single, double };
}
