/**
 * What handlers of MMX, SSE and SSE2 call: readiness, memory operands, and the floating-point operations with their
 * exceptions. Lanes of a result are put into the registers only when no unmasked exception forbids it.
 */
import { CF, PF, ZF } from '../../isa/eflags.ts';
import type { Cpu } from '../cpu.ts';
import { setArithmeticFlags } from '../flags.ts';
import { STACK_ACCESS, TABLE_ENTRIES } from '../memory.ts';
import { GP, MF, NM, raise, raiseWithError, UD, XM } from '../signals.ts';
import {
  CR0,
  CR0_EM,
  CR0_NE,
  CR0_TS,
  CR4,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  FPU_STATUS,
  FPU_TAG,
  MXCSR,
  SIMD_OPERAND,
  SIMD_RESULT,
} from '../state.ts';
import { createArithmetic } from './arithmetic.ts';
import { createConversions, IS_EQUAL, IS_LESS, isQuietPredicate, satisfies, UNORDERED } from './convert.ts';
import { ADD, SUBTRACT } from './exact.ts';
import { integerProcedures } from './integer.ts';
import { BEFORE, FLAGS, MASK_SHIFT, MXCSR_BITS } from './mxcsr.ts';

/** x87 status word: TOP, and the summary of unmasked exceptions. */
const TOP = 0x3800;
const ERROR_SUMMARY = 0x80;
const ALL_VALID = 0xff;
const MMX_EXPONENT = 0xffff;
const XMM_BYTES = 16;

export function simdProcedures(cpu: Cpu) {
  const { memory, mmu } = cpu;
  const { state: S, fast: F, view: D } = memory;
  const arithmetic = createArithmetic(memory);
  const conversions = createConversions(memory);

  /** Host offset of an access that needs no slow path, or -1. */
  function readPlace(linear: number, bytes: number, table: number): number {
    const entry = F[(table & ~STACK_ACCESS) + (linear >>> 12)];
    return (entry & 0xfff) + (linear & 0xfff) <= 4096 - bytes ? (linear + entry) | 0 : -1;
  }
  function load16(to: number, linear: number, table: number): void {
    const host = readPlace(linear, XMM_BYTES, table);
    if (host !== -1) {
      S[to] = D.getInt32(host, true);
      S[to + 1] = D.getInt32(host + 4, true);
      S[to + 2] = D.getInt32(host + 8, true);
      S[to + 3] = D.getInt32(host + 12, true);
      return;
    }
    const a = mmu.load32(linear, table);
    const b = mmu.load32((linear + 4) | 0, table);
    const c = mmu.load32((linear + 8) | 0, table);
    S[to + 3] = mmu.load32((linear + 12) | 0, table);
    S[to] = a;
    S[to + 1] = b;
    S[to + 2] = c;
  }
  function load8(to: number, linear: number, table: number): void {
    const host = readPlace(linear, 8, table);
    if (host !== -1) {
      S[to] = D.getInt32(host, true);
      S[to + 1] = D.getInt32(host + 4, true);
      return;
    }
    const low = mmu.load32(linear, table);
    S[to + 1] = mmu.load32((linear + 4) | 0, table);
    S[to] = low;
  }
  /** Stores words; the whole range is checked before the first is written. */
  function store(from: number, words: number, linear: number, table: number): void {
    const bytes = 4 * words;
    const entry = F[(table & ~STACK_ACCESS) + TABLE_ENTRIES + (linear >>> 12)];
    if ((entry & 0xfff) + (linear & 0xfff) <= 4096 - bytes) {
      const host = (linear + entry) | 0;
      for (let i = 0; i < words; i++) D.setInt32(host + 4 * i, S[from + i], true);
      return;
    }
    mmu.checkWrite(linear, bytes, table);
    for (let i = 0; i < words; i++) mmu.store32((linear + 4 * i) | 0, S[from + i], table);
  }
  function requireAlignment(linear: number): void {
    if ((linear & (XMM_BYTES - 1)) !== 0) raiseWithError(S, GP, 0);
  }

  /** Records what an operation has found. An unmasked exception is #XM, or #UD if the system takes none (CR4.OSXMMEXCPT). */
  function settle(found: number): void {
    if (found === 0) return;
    const unmasked = found & ~(S[MXCSR] >> MASK_SHIFT) & FLAGS;
    if (unmasked === 0) {
      S[MXCSR] |= found;
      return;
    }
    // With an unmasked exception before the operation, what the operation itself would find is not reported.
    S[MXCSR] |= (unmasked & BEFORE) !== 0 ? found & BEFORE : found;
    raise(S, (S[CR4] & CR4_OSXMMEXCPT) !== 0 ? XM : UD);
  }
  /** Moves words of the result to a register. */
  function commit(d: number, words: number): void {
    for (let i = 0; i < words; i++) S[d + i] = S[SIMD_RESULT + i];
  }
  function putMask(word: number, words: number, holds: boolean): void {
    for (let i = 0; i < words; i++) S[word + i] = holds ? -1 : 0;
  }
  function setOrder(found: number): void {
    const flags = found === UNORDERED ? ZF | PF | CF : found === IS_LESS ? CF : found === IS_EQUAL ? ZF : 0;
    setArithmeticFlags(S, flags);
  }
  function integersOfSingles(d: number, s: number, truncate: number, lanes: number): void {
    let found = 0;
    for (let i = 0; i < lanes; i++) found |= conversions.singleToInteger(s + i, truncate, SIMD_RESULT + i);
    settle(found);
    commit(d, lanes);
  }
  function integersOfDoubles(d: number, s: number, truncate: number): void {
    const low = conversions.doubleToInteger(s, truncate, SIMD_RESULT);
    settle(low | conversions.doubleToInteger(s + 2, truncate, SIMD_RESULT + 1));
    commit(d, 2);
  }
  function singlesOfIntegers(d: number, s: number, lanes: number): void {
    let found = 0;
    for (let i = 0; i < lanes; i++) found |= conversions.integerToSingle(S[s + i], SIMD_RESULT + i);
    settle(found);
    commit(d, lanes);
  }
  function doublesOfIntegers(d: number, s: number): void {
    const high = S[s + 1];
    conversions.integerToDouble(S[s], d);
    conversions.integerToDouble(high, d + 2);
  }

  return {
    ...integerProcedures(memory),

    sseNotReady(): void {
      if ((S[CR0] & CR0_EM) !== 0 || (S[CR4] & CR4_OSFXSR) === 0) raise(S, UD);
      raise(S, NM);
    },
    mmxReady(): void {
      if ((S[CR0] & CR0_EM) !== 0) raise(S, UD);
      if ((S[CR0] & CR0_TS) !== 0) raise(S, NM);
      if ((S[FPU_STATUS] & ERROR_SUMMARY) === 0) return;
      if ((S[CR0] & CR0_NE) !== 0) raise(S, MF);
      cpu.onFerr();
    },
    mmxUse(): void {
      S[FPU_STATUS] &= ~TOP;
      S[FPU_TAG] = ALL_VALID;
    },
    mmxWrite(slot: number): void {
      S[FPU_STATUS] &= ~TOP;
      S[FPU_TAG] = ALL_VALID;
      S[slot + 2] = MMX_EXPONENT;
    },
    /** All tags empty; TOP 0 as after any MMX instruction. */
    emms(): void {
      S[FPU_STATUS] &= ~TOP;
      S[FPU_TAG] = 0;
    },

    /** A memory operand put where lane operations find it; each returns that slot. */
    simdOperand16(linear: number, table: number): number {
      requireAlignment(linear);
      load16(SIMD_OPERAND, linear, table);
      return SIMD_OPERAND;
    },
    simdOperand8(linear: number, table: number): number {
      load8(SIMD_OPERAND, linear, table);
      return SIMD_OPERAND;
    },
    simdOperand4(linear: number, table: number): number {
      const host = readPlace(linear, 4, table);
      S[SIMD_OPERAND] = host !== -1 ? D.getInt32(host, true) : mmu.load32(linear, table);
      return SIMD_OPERAND;
    },
    simdLoad16: load16,
    simdLoadAligned(to: number, linear: number, table: number): void {
      requireAlignment(linear);
      load16(to, linear, table);
    },
    simdLoad8: load8,
    simdStore16: (from: number, linear: number, table: number): void => store(from, 4, linear, table),
    simdStoreAligned(from: number, linear: number, table: number): void {
      requireAlignment(linear);
      store(from, 4, linear, table);
    },
    simdStore8: (from: number, linear: number, table: number): void => store(from, 2, linear, table),
    /** Stores the bytes whose mask byte has its sign set; faults as a store of all would (SDM volume 2, MASKMOVDQU: may). */
    maskMove(from: number, mask: number, words: number, linear: number, table: number): void {
      mmu.checkWrite(linear, 4 * words, table);
      for (let i = 0; i < 4 * words; i++) {
        const shift = 8 * (i & 3);
        if ((S[mask + (i >> 2)] & (0x80 << shift)) === 0) continue;
        mmu.store8((linear + i) | 0, (S[from + (i >> 2)] >>> shift) & 0xff, table);
      }
    },

    simdArithmeticSingle(operation: number, d: number, s: number, lanes: number): void {
      let found = 0;
      for (let i = 0; i < lanes; i++) found |= arithmetic.single(operation, d + i, s + i, SIMD_RESULT + i);
      settle(found);
      commit(d, lanes);
    },
    simdArithmeticDouble(operation: number, d: number, s: number, lanes: number): void {
      let found = 0;
      for (let i = 0; i < 2 * lanes; i += 2) found |= arithmetic.double(operation, d + i, s + i, SIMD_RESULT + i);
      settle(found);
      commit(d, 2 * lanes);
    },
    /** Lanes of the first operand by pairs, then those of the second (HADDPS). */
    simdHorizontalSingle(operation: number, d: number, s: number): void {
      let found = arithmetic.single(operation, d, d + 1, SIMD_RESULT);
      found |= arithmetic.single(operation, d + 2, d + 3, SIMD_RESULT + 1);
      found |= arithmetic.single(operation, s, s + 1, SIMD_RESULT + 2);
      settle(found | arithmetic.single(operation, s + 2, s + 3, SIMD_RESULT + 3));
      commit(d, 4);
    },
    simdHorizontalDouble(operation: number, d: number, s: number): void {
      const low = arithmetic.double(operation, d, d + 2, SIMD_RESULT);
      settle(low | arithmetic.double(operation, s, s + 2, SIMD_RESULT + 2));
      commit(d, 4);
    },
    /** Even lanes are subtracted, odd ones added. */
    addsubps(d: number, s: number): void {
      let found = 0;
      for (let i = 0; i < 4; i++) {
        found |= arithmetic.single((i & 1) === 0 ? SUBTRACT : ADD, d + i, s + i, SIMD_RESULT + i);
      }
      settle(found);
      commit(d, 4);
    },
    addsubpd(d: number, s: number): void {
      const low = arithmetic.double(SUBTRACT, d, s, SIMD_RESULT);
      settle(low | arithmetic.double(ADD, d + 2, s + 2, SIMD_RESULT + 2));
      commit(d, 4);
    },
    simdCompareSingle(predicate: number, d: number, s: number, lanes: number): void {
      const quiet = isQuietPredicate(predicate);
      let found = 0;
      for (let i = 0; i < lanes; i++) {
        const order = conversions.orderSingles(d + i, s + i, quiet);
        found |= conversions.orderFlags[0];
        putMask(SIMD_RESULT + i, 1, satisfies(predicate, order));
      }
      settle(found);
      commit(d, lanes);
    },
    simdCompareDouble(predicate: number, d: number, s: number, lanes: number): void {
      const quiet = isQuietPredicate(predicate);
      let found = 0;
      for (let i = 0; i < 2 * lanes; i += 2) {
        const order = conversions.orderDoubles(d + i, s + i, quiet);
        found |= conversions.orderFlags[0];
        putMask(SIMD_RESULT + i, 2, satisfies(predicate, order));
      }
      settle(found);
      commit(d, 2 * lanes);
    },
    simdOrderSingle(quiet: number, a: number, b: number): void {
      const order = conversions.orderSingles(a, b, quiet !== 0);
      settle(conversions.orderFlags[0]);
      setOrder(order);
    },
    simdOrderDouble(quiet: number, a: number, b: number): void {
      const order = conversions.orderDoubles(a, b, quiet !== 0);
      settle(conversions.orderFlags[0]);
      setOrder(order);
    },
    simdReciprocal(d: number, s: number, lanes: number): void {
      for (let i = 0; i < lanes; i++) conversions.reciprocal(s + i, d + i);
    },
    simdReciprocalRoot(d: number, s: number, lanes: number): void {
      for (let i = 0; i < lanes; i++) conversions.reciprocalRoot(s + i, d + i);
    },

    cvtsi2ss(d: number, value: number): void {
      settle(conversions.integerToSingle(value, SIMD_RESULT));
      commit(d, 1);
    },
    cvtsi2sd: (d: number, value: number): void => conversions.integerToDouble(value, d),
    cvtpi2ps: (d: number, s: number): void => singlesOfIntegers(d, s, 2),
    cvtdq2ps: (d: number, s: number): void => singlesOfIntegers(d, s, 4),
    cvtpi2pd: doublesOfIntegers,
    cvtdq2pd: doublesOfIntegers,
    simdIntegerOfSingle(s: number, truncate: number): number {
      settle(conversions.singleToInteger(s, truncate, SIMD_RESULT));
      return S[SIMD_RESULT];
    },
    simdIntegerOfDouble(s: number, truncate: number): number {
      settle(conversions.doubleToInteger(s, truncate, SIMD_RESULT));
      return S[SIMD_RESULT];
    },
    simdIntegersOfSingles2: (d: number, s: number, truncate: number): void => integersOfSingles(d, s, truncate, 2),
    simdIntegersOfSingles4: (d: number, s: number, truncate: number): void => integersOfSingles(d, s, truncate, 4),
    simdIntegersOfDoubles: integersOfDoubles,
    cvtpd2dq(d: number, s: number, truncate: number): void {
      integersOfDoubles(d, s, truncate);
      S[d + 2] = 0;
      S[d + 3] = 0;
    },
    simdDoublesOfSingles(d: number, s: number, lanes: number): void {
      let found = 0;
      for (let i = 0; i < lanes; i++) found |= conversions.singleToDouble(s + i, SIMD_RESULT + 2 * i);
      settle(found);
      commit(d, 2 * lanes);
    },
    cvtpd2ps(d: number, s: number): void {
      const low = conversions.doubleToSingle(s, SIMD_RESULT);
      settle(low | conversions.doubleToSingle(s + 2, SIMD_RESULT + 1));
      commit(d, 2);
      S[d + 2] = 0;
      S[d + 3] = 0;
    },
    cvtsd2ss(d: number, s: number): void {
      settle(conversions.doubleToSingle(s, SIMD_RESULT));
      commit(d, 1);
    },

    loadMxcsr(value: number): void {
      if ((value & ~MXCSR_BITS) !== 0) raiseWithError(S, GP, 0);
      S[MXCSR] = value;
    },
    mxcsr: (): number => S[MXCSR],
  };
}
