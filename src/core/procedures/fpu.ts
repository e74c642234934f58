/**
 * What the x87 instructions do to the register stack: operands, stack faults, tags, exceptions and their masked
 * responses (SDM volume 1, chapter 8). The arithmetic itself is in `core/fpu`.
 */
import { CF, PF, ZF } from '../../isa/eflags.ts';
import type { Cpu } from '../cpu.ts';
import { setArithmeticFlags } from '../flags.ts';
import { add, divide, exchangeOperands, multiply, squareRoot } from '../fpu/arithmetic.ts';
import { compare, examine, UNORDERED } from '../fpu/compare.ts';
import { constantWords } from '../fpu/constants.ts';
import * as convert from '../fpu/convert.ts';
import { extract, QUOTIENT, remainder, roundInteger, SIGNIFICAND, scale } from '../fpu/functions.ts';
import {
  arctangent,
  cosine,
  exponential,
  logarithm,
  logarithmPlusOne,
  SECOND,
  sine,
  sineCosine,
  tangent,
} from '../fpu/transcendental.ts';
import {
  A,
  B,
  B_DENORMAL,
  BUSY,
  C0,
  C1,
  C2,
  C3,
  CONDITION,
  DE,
  ES,
  EXCEPTIONS,
  HIGH,
  IE,
  LOW,
  MAX_EXPONENT,
  OE,
  PE,
  R,
  RC,
  SE,
  SF,
  SIGN,
  setResult,
  TOP,
  TOP_SHIFT,
  UE,
  W,
  ZE,
} from '../fpu/words.ts';
import { STACK_ACCESS, TABLE_ENTRIES } from '../memory.ts';
import { MF, NM, raise } from '../signals.ts';
import {
  CR0,
  CR0_EM,
  CR0_MP,
  CR0_NE,
  CR0_TS,
  CS,
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
  SELECTOR,
  segmentSlot,
} from '../state.ts';

/** Exceptions found before an operation: unmasked ones leave every operand as it was. */
const BEFORE = IE | DE | ZE;
const UNDERFLOW = IE | SF;
const OVERFLOW = IE | SF | C1;
const CS_SELECTOR = segmentSlot(CS) + SELECTOR;
/** Operations by the digit that encodes them: /2 and /3 compare. */
const MULTIPLY = 1;
const COMPARE = 2;
const COMPARE_POP = 3;
const SUBTRACT = 4;
const SUBTRACT_REVERSED = 5;
const DIVIDE_REVERSED = 7;

export function fpuProcedures(cpu: Cpu) {
  const { state: S, fast: F, view: D } = cpu.memory;
  const { mmu } = cpu;
  /** 0: opcode of the instruction under way. 1: status word bits that its store has found. */
  const pending = new Int32Array(2);

  const physical = (i: number): number => ((S[FPU_STATUS] >>> TOP_SHIFT) + i) & 7;
  const slotOf = (i: number): number => FPU_REGISTERS + FPU_REGISTER_WORDS * physical(i);
  const isEmpty = (i: number): boolean => ((S[FPU_TAG] >> physical(i)) & 1) === 0;

  function fetch(place: number, i: number): void {
    const slot = slotOf(i);
    W[place + LOW] = S[slot];
    W[place + HIGH] = S[slot + 1];
    W[place + SE] = S[slot + 2];
  }
  /** ST(i) = the words at `place`, and its tag. */
  function put(i: number, place: number): void {
    const slot = slotOf(i);
    S[slot] = W[place + LOW];
    S[slot + 1] = W[place + HIGH];
    S[slot + 2] = W[place + SE];
    S[FPU_TAG] |= 1 << physical(i);
  }
  function setTop(top: number): void {
    S[FPU_STATUS] = (S[FPU_STATUS] & ~TOP) | ((top & 7) << TOP_SHIFT);
  }
  function pop(): void {
    S[FPU_TAG] &= ~(1 << physical(0));
    setTop(physical(1));
  }
  function push(place: number): void {
    setTop(physical(7));
    put(0, place);
  }

  function post(flags: number): void {
    S[FPU_STATUS] = (S[FPU_STATUS] & ~C1) | flags | ES | BUSY;
    // The opcode is kept of instructions with an unmasked exception only (SDM volume 1, 8.1.9.1).
    S[FPU_OPCODE] = pending[0];
  }
  /** Records what an operation found. False if an unmasked exception forbids its result. */
  function accept(flags: number): boolean {
    const unmasked = flags & ~S[FPU_CONTROL] & EXCEPTIONS;
    if (unmasked === 0) {
      S[FPU_STATUS] = (S[FPU_STATUS] & ~C1) | flags;
      return true;
    }
    if ((unmasked & BEFORE) === 0) {
      post(flags);
      return true;
    }
    post(flags & ((flags & SF) !== 0 ? OVERFLOW : BEFORE));
    return false;
  }
  function indefinite(): void {
    setResult(SIGN | MAX_EXPONENT, 0xc0000000 | 0, 0);
  }
  /** An operand is empty: the indefinite goes where the result would have gone. */
  function underflow(destination: number, pops: number): void {
    if (!accept(UNDERFLOW)) return;
    indefinite();
    put(destination, R);
    for (let left = pops; left > 0; left--) pop();
  }
  /** A push found its register in use. */
  function pushOverflow(): void {
    if (!accept(OVERFLOW)) return;
    indefinite();
    push(R);
  }

  function notReady(): void {
    if ((S[CR0] & (CR0_EM | CR0_TS)) !== 0) raise(S, NM);
    pendingError();
  }
  /** An unmasked exception waits: #MF, or FERR# to whoever listens (SDM volume 1, 8.7). */
  function pendingError(): void {
    if ((S[FPU_STATUS] & ES) === 0) return;
    if ((S[CR0] & CR0_NE) !== 0) raise(S, MF);
    cpu.onFerr();
  }

  const fastRead = (linear: number, table: number, bytes: number): number => {
    const entry = F[(table & ~STACK_ACCESS) + (linear >>> 12)];
    return (entry & 0xfff) + (linear & 0xfff) <= 4096 - bytes ? (linear + entry) | 0 : -1;
  };
  function load32(linear: number, table: number): number {
    const host = fastRead(linear, table, 4);
    return host !== -1 ? D.getInt32(host, true) : mmu.load32(linear, table);
  }
  function store32(linear: number, value: number, table: number): void {
    const entry = F[(table & ~STACK_ACCESS) + TABLE_ENTRIES + (linear >>> 12)];
    if ((entry & 0xfff) + (linear & 0xfff) <= 4092) D.setInt32((linear + entry) | 0, value, true);
    else mmu.store32(linear, value, table);
  }
  /** Stores words of OUT; a store of several cannot fault half-way. */
  function storeOut(linear: number, table: number, bytes: number): void {
    if (bytes === 8) {
      const entry = F[(table & ~STACK_ACCESS) + TABLE_ENTRIES + (linear >>> 12)];
      if ((entry & 0xfff) + (linear & 0xfff) <= 4088) {
        D.setInt32((linear + entry) | 0, W[convert.OUT], true);
        D.setInt32((linear + entry + 4) | 0, W[convert.OUT + 1], true);
        return;
      }
    }
    if (bytes > 4) mmu.checkWrite(linear, bytes, table);
    if (bytes === 2) mmu.store16(linear, W[convert.OUT], table);
    else store32(linear, W[convert.OUT], table);
    if (bytes >= 8) store32((linear + 4) | 0, W[convert.OUT + 1], table);
    if (bytes === 10) mmu.store16((linear + 8) | 0, W[convert.OUT + 2], table);
  }

  /** R = the operation of A with B, A being ST(0). */
  function operate(digit: number): number {
    const control = S[FPU_CONTROL];
    switch (digit) {
      case 0:
        return add(control, 0);
      case MULTIPLY:
        return multiply(control);
      case SUBTRACT:
        return add(control, SIGN);
      case SUBTRACT_REVERSED:
        exchangeOperands();
        return add(control, SIGN);
      case DIVIDE_REVERSED:
        exchangeOperands();
        return divide(control);
      default:
        return divide(control);
    }
  }
  /** Compares A with B into C0, C2, C3; an unmasked exception forbids the pops only. */
  function compareOperands(quiet: boolean, pops: number): void {
    const result = compare(quiet);
    const accepted = accept(result & ~CONDITION);
    S[FPU_STATUS] = (S[FPU_STATUS] & ~CONDITION) | (result & CONDITION);
    if (!accepted) return;
    for (let left = pops; left > 0; left--) pop();
  }
  function compareUnderflow(pops: number): void {
    const accepted = accept(UNDERFLOW);
    S[FPU_STATUS] = (S[FPU_STATUS] & ~CONDITION) | UNORDERED;
    if (!accepted) return;
    for (let left = pops; left > 0; left--) pop();
  }
  function setComparison(result: number): void {
    let flags = 0;
    if ((result & C0) !== 0) flags |= CF;
    if ((result & C2) !== 0) flags |= PF;
    if ((result & C3) !== 0) flags |= ZF;
    setArithmeticFlags(S, flags);
  }

  /** Remembers what the conversion of ST(0) for a store has found. True if memory gets the value. */
  function converted(flags: number): boolean {
    pending[1] = flags;
    return (flags & ~S[FPU_CONTROL] & (BEFORE | OE | UE)) === 0;
  }
  /** For stores: A = ST(0), or the masked response to an empty one is due. */
  function storeOperand(): boolean {
    fetch(A, 0);
    return !isEmpty(0);
  }

  function storeInteger(linear: number, table: number, bytes: number, control: number): void {
    if (!storeOperand()) {
      convert.integerIndefinite(8 * bytes);
      if (!converted(UNDERFLOW)) return;
    } else if (!converted(convert.toInteger(8 * bytes, control))) return;
    storeOut(linear, table, bytes);
  }

  function unary(operation: (control: number) => number): void {
    if (isEmpty(0)) {
      underflow(0, 0);
      return;
    }
    fetch(A, 0);
    const flags = operation(S[FPU_CONTROL]);
    if ((flags & C2) !== 0 || accept(flags)) {
      if ((flags & C2) !== 0) return;
      put(0, R);
    }
  }

  return {
    /** To be called by every waiting instruction before anything else. */
    fpuReady(): void {
      if ((S[CR0] & (CR0_EM | CR0_TS)) !== 0 || (S[FPU_STATUS] & ES) !== 0) notReady();
    },
    /** The same for control instructions that do not look at pending exceptions. */
    fpuPresent(): void {
      if ((S[CR0] & (CR0_EM | CR0_TS)) !== 0) raise(S, NM);
    },
    fpuWait(): void {
      if ((S[CR0] & (CR0_MP | CR0_TS)) === (CR0_MP | CR0_TS)) raise(S, NM);
      pendingError();
    },
    /** The instruction's address and opcode become the last ones; so does its memory operand. */
    fpuAt(address: number, opcode: number): void {
      S[FPU_IP] = address;
      S[FPU_CS] = S[CS_SELECTOR] & 0xffff;
      pending[0] = opcode;
    },
    fpuAtOperand(address: number, opcode: number, offset: number, segment: number): void {
      S[FPU_IP] = address;
      S[FPU_CS] = S[CS_SELECTOR] & 0xffff;
      S[FPU_DP] = offset;
      S[FPU_DS] = S[segmentSlot(segment) + SELECTOR] & 0xffff;
      pending[0] = opcode;
    },

    fpuFromSingle: convert.fromSingle,
    fpuFromInteger: convert.fromInteger,
    fpuFromDouble(linear: number, table: number): void {
      const host = fastRead(linear, table, 8);
      if (host !== -1) convert.fromDouble(D.getInt32(host + 4, true), D.getInt32(host, true));
      else {
        const low = mmu.load32(linear, table);
        convert.fromDouble(mmu.load32((linear + 4) | 0, table), low);
      }
    },
    fpuFromInteger64(linear: number, table: number): void {
      const low = load32(linear, table);
      convert.fromInteger64(load32((linear + 4) | 0, table), low);
    },
    fpuFromBcd(linear: number, table: number): void {
      const low = load32(linear, table);
      const high = load32((linear + 4) | 0, table);
      convert.fromBcd(mmu.load16((linear + 8) | 0, table), high, low);
    },
    fpuFromExtended(linear: number, table: number): void {
      const low = load32(linear, table);
      const high = load32((linear + 4) | 0, table);
      W[B + SE] = mmu.load16((linear + 8) | 0, table);
      W[B + LOW] = low;
      W[B + HIGH] = high;
    },
    /** Pushes B as it is. */
    fpuPush(): void {
      if (!isEmpty(7)) {
        pushOverflow();
        return;
      }
      S[FPU_STATUS] &= ~C1;
      push(B);
    },
    /** Pushes B, which came from a single or double. */
    fpuPushReal(): void {
      if (!isEmpty(7)) {
        pushOverflow();
        return;
      }
      // A denormal is loaded even if its exception is not masked: it has become normal.
      const flags = convert.loaded();
      if (accept(flags) || (flags & IE) === 0) push(R);
    },
    fpuLoadRegister(i: number): void {
      if (isEmpty(i)) {
        if (!accept(UNDERFLOW)) return;
        indefinite();
        push(R);
        return;
      }
      if (!isEmpty(7)) {
        pushOverflow();
        return;
      }
      S[FPU_STATUS] &= ~C1;
      fetch(B, i);
      push(B);
    },
    fpuLoadConstant(number: number): void {
      if (!isEmpty(7)) {
        pushOverflow();
        return;
      }
      S[FPU_STATUS] &= ~C1;
      constantWords(number, S[FPU_CONTROL]);
      push(R);
    },

    /** ST(0) op B, to ST(0); or their comparison. */
    fpuOperateMemory(digit: number): void {
      const pops = digit === COMPARE_POP ? 1 : 0;
      if (isEmpty(0)) {
        if (digit === COMPARE || digit === COMPARE_POP) compareUnderflow(pops);
        else underflow(0, 0);
        return;
      }
      fetch(A, 0);
      if (digit === COMPARE || digit === COMPARE_POP) compareOperands(false, pops);
      else if (accept(operate(digit))) put(0, R);
    },
    /** ST(0) op ST(i), to ST(`destination`). */
    fpuOperate(digit: number, i: number, destination: number, pops: number): void {
      if (isEmpty(0) || isEmpty(i)) {
        underflow(destination, pops);
        return;
      }
      fetch(A, 0);
      fetch(B, i);
      W[B_DENORMAL] = 0;
      if (!accept(operate(digit))) return;
      put(destination, R);
      if (pops !== 0) pop();
    },
    fpuCompare(i: number, quiet: number, pops: number): void {
      if (isEmpty(0) || isEmpty(i)) {
        compareUnderflow(pops);
        return;
      }
      fetch(A, 0);
      fetch(B, i);
      W[B_DENORMAL] = 0;
      compareOperands(quiet !== 0, pops);
    },
    /** FCOMI and kin: to EFLAGS. */
    fpuCompareFlags(i: number, quiet: number, pops: number): void {
      if (isEmpty(0) || isEmpty(i)) {
        setComparison(UNORDERED);
        if (accept(UNDERFLOW) && pops !== 0) pop();
        return;
      }
      fetch(A, 0);
      fetch(B, i);
      W[B_DENORMAL] = 0;
      const result = compare(quiet !== 0);
      setComparison(result);
      if (accept(result & ~CONDITION) && pops !== 0) pop();
    },
    fpuTest(): void {
      if (isEmpty(0)) {
        compareUnderflow(0);
        return;
      }
      fetch(A, 0);
      W[B + LOW] = 0;
      W[B + HIGH] = 0;
      W[B + SE] = 0;
      W[B_DENORMAL] = 0;
      compareOperands(false, 0);
    },
    fpuExamine(): void {
      const slot = slotOf(0);
      const condition = isEmpty(0)
        ? C3 | C0 | ((S[slot + 2] & SIGN) !== 0 ? C1 : 0)
        : examine(S[slot + 2], S[slot + 1], S[slot]);
      S[FPU_STATUS] = (S[FPU_STATUS] & ~CONDITION) | condition;
    },
    /** FCHS and FABS change the sign of anything, NaNs too. */
    fpuSign(keep: number, flip: number): void {
      if (isEmpty(0)) {
        underflow(0, 0);
        return;
      }
      S[FPU_STATUS] &= ~C1;
      const slot = slotOf(0) + 2;
      S[slot] = (S[slot] & (keep | MAX_EXPONENT)) ^ flip;
    },

    fpuToSingle(linear: number, table: number): void {
      if (!storeOperand()) {
        convert.indefiniteSingle();
        if (!converted(UNDERFLOW)) return;
      } else if (!converted(convert.toSingle(S[FPU_CONTROL]))) return;
      storeOut(linear, table, 4);
    },
    fpuToDouble(linear: number, table: number): void {
      if (!storeOperand()) {
        convert.indefiniteDouble();
        if (!converted(UNDERFLOW)) return;
      } else if (!converted(convert.toDouble(S[FPU_CONTROL]))) return;
      storeOut(linear, table, 8);
    },
    fpuToInteger: (linear: number, table: number, bytes: number): void =>
      storeInteger(linear, table, bytes, S[FPU_CONTROL]),
    fpuToTruncated: (linear: number, table: number, bytes: number): void =>
      storeInteger(linear, table, bytes, S[FPU_CONTROL] | RC),
    fpuToBcd(linear: number, table: number): void {
      if (!storeOperand()) {
        convert.bcdIndefinite();
        if (!converted(UNDERFLOW)) return;
      } else if (!converted(convert.toBcd(S[FPU_CONTROL]))) return;
      storeOut(linear, table, 10);
    },
    fpuToExtended(linear: number, table: number): void {
      if (!storeOperand()) {
        if (!converted(UNDERFLOW)) return;
        W[A + LOW] = 0;
        W[A + HIGH] = 0xc0000000 | 0;
        W[A + SE] = SIGN | MAX_EXPONENT;
      } else pending[1] = 0;
      W[convert.OUT] = W[A + LOW];
      W[convert.OUT + 1] = W[A + HIGH];
      W[convert.OUT + 2] = W[A + SE];
      storeOut(linear, table, 10);
    },
    /** The status of the store just made, and its pop. */
    fpuStored(pops: number): void {
      const flags = pending[1];
      const stored = (flags & ~S[FPU_CONTROL] & (BEFORE | OE | UE)) === 0;
      accept(stored ? flags : flags & (OE | UE) ? flags & ~(PE | C1) : flags);
      if (stored && pops !== 0) pop();
    },
    fpuStoreRegister(i: number, pops: number): void {
      if (isEmpty(0)) {
        underflow(i, pops);
        return;
      }
      S[FPU_STATUS] &= ~C1;
      fetch(B, 0);
      put(i, B);
      if (pops !== 0) pop();
    },
    /** D9 D8 (FSTPNCE): an empty ST(0) is no fault and is not stored, but popped. */
    fpuStoreUnchecked(i: number): void {
      S[FPU_STATUS] &= ~C1;
      if (!isEmpty(0)) {
        fetch(B, 0);
        put(i, B);
      }
      pop();
    },
    fpuExchange(i: number): void {
      const first = isEmpty(0);
      const second = isEmpty(i);
      if (first || second) {
        if (!accept(UNDERFLOW)) return;
        indefinite();
        if (first) put(0, R);
        if (second) put(i, R);
      } else S[FPU_STATUS] &= ~C1;
      fetch(A, 0);
      fetch(B, i);
      put(0, B);
      put(i, A);
    },
    fpuMoveIf(condition: number, i: number): void {
      if (isEmpty(0) || isEmpty(i)) {
        underflow(0, 0);
        return;
      }
      if (condition === 0) return;
      fetch(B, i);
      put(0, B);
    },
    fpuFree(i: number, pops: number): void {
      S[FPU_STATUS] &= ~C1;
      S[FPU_TAG] &= ~(1 << physical(i));
      if (pops !== 0) pop();
    },
    fpuRotate(by: number): void {
      setTop(physical(by));
      S[FPU_STATUS] &= ~C1;
    },

    fpuSquareRoot: (): void => unary(squareRoot),
    fpuRoundInteger: (): void => unary(roundInteger),
    fpuExponential: (): void => unary(exponential),
    fpuScale(): void {
      if (isEmpty(0) || isEmpty(1)) {
        underflow(0, 0);
        return;
      }
      fetch(A, 0);
      fetch(B, 1);
      if (accept(scale(S[FPU_CONTROL]))) put(0, R);
    },
    fpuRemainder(nearest: number): void {
      if (isEmpty(0) || isEmpty(1)) {
        S[FPU_STATUS] &= ~C2;
        underflow(0, 0);
        return;
      }
      fetch(A, 0);
      fetch(B, 1);
      const result = remainder(nearest !== 0, S[FPU_CONTROL]);
      // C1 is a bit of the quotient here, and only a quotient changes C0 and C3.
      S[FPU_STATUS] &= ~C2;
      if (!accept(result & ~(CONDITION | QUOTIENT))) return;
      put(0, R);
      if ((result & QUOTIENT) !== 0) S[FPU_STATUS] = (S[FPU_STATUS] & ~CONDITION) | (result & CONDITION);
    },
    fpuExtract(): void {
      if (isEmpty(0) || !isEmpty(7)) {
        if (!accept(isEmpty(0) ? UNDERFLOW : OVERFLOW)) return;
        indefinite();
        put(0, R);
        push(R);
        return;
      }
      fetch(A, 0);
      if (!accept(extract())) return;
      put(0, R);
      push(SIGNIFICAND);
    },
    /** FYL2X, FYL2XP1, FPATAN: of ST(1) and ST(0), to ST(1), which becomes ST(0). */
    fpuTwo(which: number): void {
      if (isEmpty(0) || isEmpty(1)) {
        underflow(1, 1);
        return;
      }
      fetch(A, 0);
      fetch(B, 1);
      W[B_DENORMAL] = 0;
      const control = S[FPU_CONTROL];
      const flags = which === 0 ? logarithm(control) : which === 1 ? logarithmPlusOne(control) : arctangent(control);
      if (!accept(flags)) return;
      put(1, R);
      pop();
    },
    /** FSIN, FCOS: an argument out of range sets C2 and stays. */
    fpuSine(isCosine: number): void {
      if (isEmpty(0)) {
        S[FPU_STATUS] &= ~C2;
        underflow(0, 0);
        return;
      }
      fetch(A, 0);
      const control = S[FPU_CONTROL];
      const flags = isCosine !== 0 ? cosine(control) : sine(control);
      S[FPU_STATUS] = (S[FPU_STATUS] & ~(C1 | C2)) | (flags & C2);
      if ((flags & C2) !== 0) return;
      if (accept(flags)) put(0, R);
    },
    /** FSINCOS (sine in place, cosine pushed), FPTAN (tangent in place, 1 pushed). */
    fpuSinePair(isTangent: number): void {
      if (isEmpty(0) || !isEmpty(7)) {
        S[FPU_STATUS] &= ~C2;
        if (!accept(isEmpty(0) ? UNDERFLOW : OVERFLOW)) return;
        indefinite();
        put(0, R);
        push(R);
        return;
      }
      fetch(A, 0);
      const control = S[FPU_CONTROL];
      const flags = isTangent !== 0 ? tangent(control) : sineCosine(control);
      S[FPU_STATUS] = (S[FPU_STATUS] & ~(C1 | C2)) | (flags & C2);
      if ((flags & C2) !== 0) return;
      if (!accept(flags)) return;
      put(0, R);
      push(SECOND);
    },

    fpuNothing(): void {},
    fpuClear(): void {
      S[FPU_STATUS] &= ~(EXCEPTIONS | SF | ES | BUSY);
    },
    fpuStatus: (): number => S[FPU_STATUS],
    fpuControl: (): number => S[FPU_CONTROL],
    fpuLoadControl(value: number): void {
      S[FPU_CONTROL] = (value & 0x1f3f) | 0x40;
      fpuSummarize(S);
    },
  };
}

/** ES and B follow from the flags and the masks, after a load of either. */
export function fpuSummarize(S: Int32Array): void {
  if ((S[FPU_STATUS] & ~S[FPU_CONTROL] & EXCEPTIONS) !== 0) S[FPU_STATUS] |= ES | BUSY;
  else S[FPU_STATUS] &= ~(ES | BUSY);
}
