/**
 * The images of x87 (and SSE) state in memory: FNSTENV FLDENV FNSAVE FRSTOR in their four layouts (SDM volume 1, 8.1.10)
 * and FXSAVE FXRSTOR (volume 1, 10.5.1). An image that faults changes nothing.
 */
import { VM } from '../../isa/eflags.ts';
import type { Cpu } from '../cpu.ts';
import { kindOf, NORMAL, ZERO } from '../fpu/classify.ts';
import { TOP_SHIFT } from '../fpu/words.ts';
import { GP, raiseWithError } from '../signals.ts';
import {
  CR0,
  CR0_PE,
  CR4,
  CR4_OSFXSR,
  EFLAGS_SYSTEM,
  FPU_CONTROL,
  FPU_CS,
  FPU_DP,
  FPU_DS,
  FPU_IP,
  FPU_OPCODE,
  FPU_REGISTER_WORDS,
  FPU_REGISTERS,
  FPU_STATUS,
  FPU_TAG,
  MXCSR,
  XMM,
} from '../state.ts';
import { fpuSummarize } from './fpu.ts';

const MXCSR_BITS = 0xffff;
const FXSAVE_BYTES = 512;
/** Where FXSAVE puts MXCSR, ST0 and XMM0. */
const FX_MXCSR = 24;
const FX_REGISTERS = 32;
const FX_XMM = 160;
const XMM_STATE_WORDS = 32;

export function fpuImageProcedures(cpu: Cpu) {
  const { state: S } = cpu.memory;
  const { mmu } = cpu;
  /** An image on its way: 28 words are an environment and eight registers; FXRSTOR reads up to 72. */
  const words = new Int32Array(FXSAVE_BYTES / 4);

  const top = (): number => (S[FPU_STATUS] >>> TOP_SHIFT) & 7;
  const slotOf = (i: number): number => FPU_REGISTERS + FPU_REGISTER_WORDS * ((top() + i) & 7);
  const isReal = (): boolean => (S[CR0] & CR0_PE) === 0 || (S[EFLAGS_SYSTEM] & VM) !== 0;

  /** The tag word with two bits a register: 0 valid, 1 zero, 2 special, 3 empty. */
  function fullTag(): number {
    let tag = 0;
    for (let register = 7; register >= 0; register--) {
      const slot = FPU_REGISTERS + FPU_REGISTER_WORDS * register;
      let two = 3;
      if (((S[FPU_TAG] >> register) & 1) !== 0) {
        const kind = kindOf(S[slot + 2], S[slot + 1], S[slot]);
        two = kind === ZERO ? 1 : kind === NORMAL ? 0 : 2;
      }
      tag = (tag << 2) | two;
    }
    return tag;
  }
  function abridged(tag: number): number {
    let result = 0;
    for (let register = 0; register < 8; register++) if (((tag >> (2 * register)) & 3) !== 3) result |= 1 << register;
    return result;
  }

  function storeEnvironment(linear: number, table: number, size: number): void {
    words[0] = S[FPU_CONTROL];
    words[1] = S[FPU_STATUS];
    words[2] = fullTag();
    if (isReal()) {
      const ip = (S[FPU_CS] << 4) + S[FPU_IP];
      const dp = (S[FPU_DS] << 4) + S[FPU_DP];
      words[3] = ip & 0xffff;
      words[4] = size === 4 ? ((ip >>> 16) << 12) | S[FPU_OPCODE] : ((ip >>> 4) & 0xf000) | S[FPU_OPCODE];
      words[5] = dp & 0xffff;
      words[6] = size === 4 ? (dp >>> 16) << 12 : (dp >>> 4) & 0xf000;
    } else {
      words[3] = S[FPU_IP];
      words[4] = size === 4 ? S[FPU_CS] | (S[FPU_OPCODE] << 16) : S[FPU_CS];
      words[5] = S[FPU_DP];
      words[6] = S[FPU_DS];
    }
    for (let word = 0; word < 7; word++) {
      if (size === 2) mmu.store16((linear + 2 * word) | 0, words[word], table);
      else {
        // The upper halves that hold nothing are ones.
        const ones = word < 3 || (word === 6 && !isReal()) || (isReal() && (word === 3 || word === 5));
        mmu.store32((linear + 4 * word) | 0, ones ? words[word] | 0xffff0000 : words[word], table);
      }
    }
  }
  function readEnvironment(linear: number, table: number, size: number): void {
    for (let word = 0; word < 7; word++) {
      words[word] =
        size === 2 ? mmu.load16((linear + 2 * word) | 0, table) : mmu.load32((linear + 4 * word) | 0, table);
    }
  }
  function takeEnvironment(size: number): void {
    S[FPU_CONTROL] = (words[0] & 0x1f3f) | 0x40;
    S[FPU_STATUS] = words[1] & 0xffff;
    S[FPU_TAG] = abridged(words[2]);
    if (isReal()) {
      const high = (word: number): number => (size === 4 ? (word & 0x0ffff000) << 4 : (word & 0xf000) << 4);
      S[FPU_OPCODE] = words[4] & 0x7ff;
      S[FPU_IP] = (words[3] & 0xffff) | high(words[4]);
      S[FPU_CS] = 0;
      S[FPU_DP] = (words[5] & 0xffff) | high(words[6]);
      S[FPU_DS] = 0;
    } else {
      S[FPU_IP] = words[3];
      S[FPU_CS] = words[4] & 0xffff;
      // The 16-bit format has no opcode.
      S[FPU_OPCODE] = size === 4 ? (words[4] >>> 16) & 0x7ff : 0;
      S[FPU_DP] = words[5];
      S[FPU_DS] = words[6] & 0xffff;
    }
    fpuSummarize(S);
  }
  function initialize(): void {
    S[FPU_CONTROL] = 0x37f;
    S[FPU_STATUS] = 0;
    S[FPU_TAG] = 0;
    S[FPU_OPCODE] = 0;
    S[FPU_IP] = 0;
    S[FPU_CS] = 0;
    S[FPU_DP] = 0;
    S[FPU_DS] = 0;
  }
  function requireAlignment(linear: number): void {
    if ((linear & 15) !== 0) raiseWithError(S, GP, 0);
  }

  return {
    fpuInitialize: initialize,
    /** FNSTENV masks all exceptions once the environment is stored. */
    fpuStoreEnvironment(linear: number, table: number, size: number): void {
      mmu.checkWrite(linear, 7 * size, table);
      storeEnvironment(linear, table, size);
      S[FPU_CONTROL] |= 0x3f;
      fpuSummarize(S);
    },
    fpuLoadEnvironment(linear: number, table: number, size: number): void {
      readEnvironment(linear, table, size);
      takeEnvironment(size);
    },
    /** The environment, then ST(0) to ST(7); then as FNINIT. */
    fpuSave(linear: number, table: number, size: number): void {
      mmu.checkWrite(linear, 7 * size + 80, table);
      storeEnvironment(linear, table, size);
      for (let i = 0; i < 8; i++) {
        const at = (linear + 7 * size + 10 * i) | 0;
        const slot = slotOf(i);
        mmu.store32(at, S[slot], table);
        mmu.store32((at + 4) | 0, S[slot + 1], table);
        mmu.store16((at + 8) | 0, S[slot + 2], table);
      }
      initialize();
    },
    fpuRestore(linear: number, table: number, size: number): void {
      for (let i = 0; i < 8; i++) {
        const at = (linear + 7 * size + 10 * i) | 0;
        words[8 + 3 * i] = mmu.load32(at, table);
        words[9 + 3 * i] = mmu.load32((at + 4) | 0, table);
        words[10 + 3 * i] = mmu.load16((at + 8) | 0, table);
      }
      readEnvironment(linear, table, size);
      takeEnvironment(size);
      for (let i = 0; i < 8; i++) S.set(words.subarray(8 + 3 * i, 11 + 3 * i), slotOf(i));
    },
    /** Registers are in the order of the stack, tags in that of the registers. XMM and MXCSR if the system uses them (CR4.OSFXSR). */
    fpuExtendedSave(linear: number, table: number): void {
      requireAlignment(linear);
      mmu.checkWrite(linear, FXSAVE_BYTES, table);
      const put = (offset: number, value: number): void => mmu.store32((linear + offset) | 0, value, table);
      put(0, (S[FPU_CONTROL] & 0xffff) | (S[FPU_STATUS] << 16));
      put(4, S[FPU_TAG] | (S[FPU_OPCODE] << 16));
      put(8, S[FPU_IP]);
      put(12, S[FPU_CS]);
      put(16, S[FPU_DP]);
      put(20, S[FPU_DS]);
      for (let i = 0; i < 8; i++) {
        const slot = slotOf(i);
        put(FX_REGISTERS + 16 * i, S[slot]);
        put(FX_REGISTERS + 16 * i + 4, S[slot + 1]);
        put(FX_REGISTERS + 16 * i + 8, S[slot + 2] & 0xffff);
        put(FX_REGISTERS + 16 * i + 12, 0);
      }
      if ((S[CR4] & CR4_OSFXSR) === 0) return;
      put(FX_MXCSR, S[MXCSR]);
      put(FX_MXCSR + 4, MXCSR_BITS);
      for (let word = 0; word < XMM_STATE_WORDS; word++) put(FX_XMM + 4 * word, S[XMM + word]);
    },
    fpuExtendedRestore(linear: number, table: number): void {
      requireAlignment(linear);
      const sse = (S[CR4] & CR4_OSFXSR) !== 0;
      const count = (sse ? FX_XMM + 4 * XMM_STATE_WORDS : FX_XMM) / 4;
      // The whole image must be there, whatever of it is used.
      mmu.load8((linear + FXSAVE_BYTES - 1) | 0, table);
      for (let word = 0; word < count; word++) words[word] = mmu.load32((linear + 4 * word) | 0, table);
      if (sse && (words[FX_MXCSR / 4] & ~MXCSR_BITS) !== 0) raiseWithError(S, GP, 0);
      S[FPU_CONTROL] = (words[0] & 0x1f3f) | 0x40;
      S[FPU_STATUS] = words[0] >>> 16;
      S[FPU_TAG] = words[1] & 0xff;
      S[FPU_OPCODE] = (words[1] >>> 16) & 0x7ff;
      S[FPU_IP] = words[2];
      S[FPU_CS] = words[3] & 0xffff;
      S[FPU_DP] = words[4];
      S[FPU_DS] = words[5] & 0xffff;
      for (let i = 0; i < 8; i++) {
        const slot = slotOf(i);
        const at = FX_REGISTERS / 4 + 4 * i;
        S[slot] = words[at];
        S[slot + 1] = words[at + 1];
        S[slot + 2] = words[at + 2] & 0xffff;
      }
      fpuSummarize(S);
      if (!sse) return;
      S[MXCSR] = words[FX_MXCSR / 4];
      for (let word = 0; word < XMM_STATE_WORDS; word++) S[XMM + word] = words[FX_XMM / 4 + word];
    },
  };
}
