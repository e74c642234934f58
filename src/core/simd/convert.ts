/** Conversions of lanes, comparisons and estimates (SDM volume 2, CVT.., CMP.., COMIS., RCP.., RSQRT..). */
import type { MachineMemory } from '../memory.ts';
import { MXCSR } from '../state.ts';
import { exactNarrow, exactResult } from './exact.ts';
import { CHOP, DAZ, DE, DOWN, IE, NEAREST, PE, ROUNDING_SHIFT, UP } from './mxcsr.ts';

/** What a conversion to an integer gives for a NaN or a value out of range. */
const INTEGER_INDEFINITE = 0x80000000 | 0;
const SINGLE_INDEFINITE = 0xffc00000 | 0;
const SINGLE_QUIET = 0x00400000;
const DOUBLE_QUIET = 0x00080000;
const DOUBLE_LEAST = 2 ** -1022;
const SINGLE_LEAST = 2 ** -126;
const SINGLE_MOST = 2 ** 128 - 2 ** 104;

/** Predicates of CMPPS, bits 1:0 (SDM volume 2, CMPPS, table 3-1); bit 2 negates. */
const EQUAL = 0;
const LESS = 1;
const LESS_OR_EQUAL = 2;

/** What `order` finds. */
export const UNORDERED = 3;
export const IS_LESS = 1;
export const IS_EQUAL = 2;
export const IS_GREATER = 0;

const isTinySingle = (bits: number): boolean => (bits & 0x7f800000) === 0 && bits << 1 !== 0;
const isSignalling = (bits: number, quietBit: number): boolean => (bits & quietBit) === 0;

/** A value rounded to a whole number; exact for whatever fits an int32. */
function toWhole(value: number, mode: number): number {
  const whole = Math.trunc(value);
  if (whole === value || mode === CHOP) return whole;
  const part = Math.abs(value - whole);
  const away = value < 0 ? -1 : 1;
  if (mode === NEAREST) return part > 0.5 || (part === 0.5 && (whole & 1) !== 0) ? whole + away : whole;
  return mode === (value < 0 ? DOWN : UP) ? whole + away : whole;
}

export interface Conversions {
  /** Each converts to slot `to` and returns the exception flags. */
  singleToInteger(a: number, truncate: number, to: number): number;
  doubleToInteger(a: number, truncate: number, to: number): number;
  singleToDouble(a: number, to: number): number;
  doubleToSingle(a: number, to: number): number;
  integerToSingle(value: number, to: number): number;
  integerToDouble(value: number, to: number): void;
  /** Compares lanes: IS_LESS .. UNORDERED, with the flags in `orderFlags[0]`; quiet NaNs are invalid unless `quiet`. */
  orderSingles(a: number, b: number, quiet: boolean): number;
  orderDoubles(a: number, b: number, quiet: boolean): number;
  readonly orderFlags: Int32Array;
  /** Estimates raise nothing. */
  reciprocal(a: number, to: number): void;
  reciprocalRoot(a: number, to: number): void;
}

export function createConversions(memory: MachineMemory): Conversions {
  const S = memory.state;
  const singles = new Float32Array(S.buffer, S.byteOffset, S.length);
  const doubles = new Float64Array(S.buffer, S.byteOffset, S.length >> 1);
  const orderFlags = new Int32Array(1);

  const modeOf = (truncate: number): number => (truncate !== 0 ? CHOP : (S[MXCSR] >> ROUNDING_SHIFT) & 3);
  function toInteger(value: number, truncate: number, to: number): number {
    const whole = toWhole(value, modeOf(truncate));
    // NaNs fail both comparisons.
    if (!(whole >= -0x80000000 && whole <= 0x7fffffff)) {
      S[to] = INTEGER_INDEFINITE;
      return IE;
    }
    S[to] = whole;
    return whole === value ? 0 : PE;
  }
  const flushes = (): boolean => (S[MXCSR] & DAZ) !== 0;

  /** 12 significant bits of 1/x: rounded to nearest, an error of at most 2^-13 where 1.5 x 2^-12 is allowed. */
  function estimate(value: number, to: number): void {
    singles[to] = value;
    S[to] = (S[to] + 0x800) & 0xfffff000;
  }
  /** Puts the estimate of a NaN, infinity or zero; false if `a` is none of them. Denormals count as zeros. */
  function specialEstimate(a: number, to: number): boolean {
    const bits = S[a];
    const field = bits & 0x7f800000;
    if (field === 0) S[to] = (bits & 0x80000000) | 0x7f800000;
    else if (field !== 0x7f800000) return false;
    else if (bits << 9 !== 0) S[to] = bits | SINGLE_QUIET;
    else S[to] = bits & 0x80000000;
    return true;
  }

  function order(x: number, y: number): number {
    return x < y ? IS_LESS : x === y ? IS_EQUAL : IS_GREATER;
  }

  return {
    orderFlags,
    singleToInteger(a, truncate, to) {
      return toInteger(flushes() && isTinySingle(S[a]) ? 0 : singles[a], truncate, to);
    },
    doubleToInteger(a, truncate, to) {
      const value = doubles[a >> 1];
      return toInteger(flushes() && Math.abs(value) < DOUBLE_LEAST ? 0 : value, truncate, to);
    },
    singleToDouble(a, to) {
      const bits = S[a];
      if ((bits & 0x7f800000) === 0x7f800000 && bits << 9 !== 0) {
        const quieted = bits | SINGLE_QUIET;
        S[to] = quieted << 29;
        S[to + 1] = (quieted & 0x80000000) | 0x7ff00000 | ((quieted & 0x7fffff) >>> 3);
        return isSignalling(bits, SINGLE_QUIET) ? IE : 0;
      }
      if (!isTinySingle(bits)) {
        doubles[to >> 1] = singles[a];
        return 0;
      }
      if (flushes()) {
        S[to] = 0;
        S[to + 1] = bits & 0x80000000;
        return 0;
      }
      doubles[to >> 1] = singles[a];
      return DE;
    },
    doubleToSingle(a, to) {
      const value = doubles[a >> 1];
      const result = Math.fround(value);
      const magnitude = Math.abs(result);
      const mode = (S[MXCSR] >> ROUNDING_SHIFT) & 3;
      if (mode === NEAREST && magnitude > SINGLE_LEAST && magnitude < SINGLE_MOST) {
        singles[to] = result;
        return result === value ? 0 : PE;
      }
      const flags = exactNarrow((BigInt(S[a + 1] >>> 0) << 32n) | BigInt(S[a] >>> 0), S[MXCSR]);
      S[to] = Number(exactResult[0]) | 0;
      return flags;
    },
    integerToSingle(value, to) {
      const result = Math.fround(value);
      singles[to] = result;
      if (result === value) return 0;
      const mode = (S[MXCSR] >> ROUNDING_SHIFT) & 3;
      const isMore = value > result;
      // Neighbours in the direction of the mode; magnitudes have the order of their bit patterns.
      if (mode === UP && isMore) S[to] += value < 0 ? -1 : 1;
      else if (mode === DOWN && !isMore) S[to] += value < 0 ? 1 : -1;
      else if (mode === CHOP && isMore === value < 0) S[to] -= 1;
      return PE;
    },
    integerToDouble(value, to) {
      doubles[to >> 1] = value;
    },
    orderSingles(a, b, quiet) {
      const first = S[a];
      const second = S[b];
      let x = singles[a];
      let y = singles[b];
      orderFlags[0] = 0;
      if (Number.isNaN(x) || Number.isNaN(y)) {
        const signals =
          !quiet ||
          (Number.isNaN(x) && isSignalling(first, SINGLE_QUIET)) ||
          (Number.isNaN(y) && isSignalling(second, SINGLE_QUIET));
        orderFlags[0] = signals ? IE : 0;
        return UNORDERED;
      }
      const tinyX = isTinySingle(first);
      const tinyY = isTinySingle(second);
      if (tinyX || tinyY) {
        if (flushes()) {
          if (tinyX) x = 0;
          if (tinyY) y = 0;
        } else orderFlags[0] = DE;
      }
      return order(x, y);
    },
    orderDoubles(a, b, quiet) {
      let x = doubles[a >> 1];
      let y = doubles[b >> 1];
      orderFlags[0] = 0;
      if (Number.isNaN(x) || Number.isNaN(y)) {
        const signals =
          !quiet ||
          (Number.isNaN(x) && isSignalling(S[a + 1], DOUBLE_QUIET)) ||
          (Number.isNaN(y) && isSignalling(S[b + 1], DOUBLE_QUIET));
        orderFlags[0] = signals ? IE : 0;
        return UNORDERED;
      }
      const tinyX = Math.abs(x) < DOUBLE_LEAST && x !== 0;
      const tinyY = Math.abs(y) < DOUBLE_LEAST && y !== 0;
      if (tinyX || tinyY) {
        if (flushes()) {
          if (tinyX) x = 0;
          if (tinyY) y = 0;
        } else orderFlags[0] = DE;
      }
      return order(x, y);
    },
    reciprocal(a, to) {
      if (specialEstimate(a, to)) return;
      const value = 1 / singles[a];
      // Tiny results become zeros.
      if (Math.abs(value) < SINGLE_LEAST) S[to] = S[a] & 0x80000000;
      else estimate(value, to);
    },
    reciprocalRoot(a, to) {
      const bits = S[a];
      if ((bits & 0x7f800000) === 0 || (bits & 0x7fffffff) > 0x7f800000) specialEstimate(a, to);
      else if (bits < 0) S[to] = SINGLE_INDEFINITE;
      else if (bits === 0x7f800000) S[to] = 0;
      else estimate(1 / Math.sqrt(singles[a]), to);
    },
  };
}

/** Whether CMPPS with this predicate is silent about quiet NaNs: EQ UNORD NEQ ORD. */
export function isQuietPredicate(predicate: number): boolean {
  const kind = predicate & 3;
  return kind === EQUAL || kind === UNORDERED;
}
/** Whether what `order` found satisfies the predicate. */
export function satisfies(predicate: number, found: number): boolean {
  const kind = predicate & 3;
  const holds =
    kind === EQUAL
      ? found === IS_EQUAL
      : kind === LESS
        ? found === IS_LESS
        : kind === LESS_OR_EQUAL
          ? found === IS_LESS || found === IS_EQUAL
          : found === UNORDERED;
  return (predicate & 4) !== 0 ? !holds : holds;
}
