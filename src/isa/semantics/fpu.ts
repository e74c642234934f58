/**
 * x87. What an instruction does with the register stack is a procedure (core/procedures/fpu.ts); what is said here is the order
 * of things: #NM and a pending #MF before anything else, then memory, which may fault, then state.
 */
import type { Builder, Meaning } from './builder.ts';

/** Sizes of memory operands. */
const DOUBLE = 8;
const EXTENDED = 10;

function ready<V>(b: Builder<V>): void {
  b.perform('fpuReady');
}
function at<V>(b: Builder<V>): void {
  if (b.isMemory(0)) b.perform('fpuAtOperand', b.address(), b.immediate(), b.effectiveAddress(), b.memorySegment());
  else b.perform('fpuAt', b.address(), b.immediate());
}

/** An instruction on registers alone: a procedure, its leading arguments, and i of ST(i) if it has one. */
function onRegisters(procedure: string, ...args: readonly number[]): Meaning {
  return (b) => {
    ready(b);
    at(b);
    b.perform(procedure, ...args.map((value) => b.constant(value)));
  };
}

type Fetch = <V>(b: Builder<V>) => void;
const single: Fetch = (b) => b.perform('fpuFromSingle', b.read(0));
const integer: Fetch = (b) => b.perform('fpuFromInteger', b.read(0));
function wide(procedure: string, bytes: number): Fetch {
  return (b) => b.perform(procedure, b.operandLinear(bytes, false), b.operandTable());
}
const double = wide('fpuFromDouble', DOUBLE);

function load(fetch: Fetch, push: string): Meaning {
  return (b) => {
    ready(b);
    fetch(b);
    at(b);
    b.perform(push);
  };
}

/** `to(procedure, bytes)`: ST(0) converted and stored; the status and the pop follow once the store has been made. */
function store(procedure: string, bytes: number, pops: number, width = false): Meaning {
  return (b) => {
    ready(b);
    const linear = b.operandLinear(bytes, true);
    const size = width ? [b.constant(bytes)] : [];
    b.perform(procedure, linear, b.operandTable(), ...size);
    at(b);
    b.perform('fpuStored', b.constant(pops));
  };
}

/** FADD .. FDIVR, FCOM, FCOMP by their digit: with memory, or of ST(0) and ST(i) to ST(0), to ST(i), to ST(i) with a pop. */
const DIGITS = ['fadd', 'fmul', 'fcom', 'fcomp', 'fsub', 'fsubr', 'fdiv', 'fdivr'];

function withMemory(digit: number, fetch: Fetch): Meaning {
  return (b) => {
    ready(b);
    fetch(b);
    at(b);
    b.perform('fpuOperateMemory', b.constant(digit));
  };
}
function withRegister(digit: number, toRegister: boolean, pops: number): Meaning {
  return (b) => {
    ready(b);
    at(b);
    const i = b.rmField();
    b.perform('fpuOperate', b.constant(digit), i, toRegister ? i : b.constant(0), b.constant(pops));
  };
}
function comparison(procedure: string, quiet: number, pops: number): Meaning {
  return (b) => {
    ready(b);
    at(b);
    b.perform(procedure, b.rmField(), b.constant(quiet), b.constant(pops));
  };
}
/** FCOMPP and FUCOMPP compare with ST(1). */
function comparisonOfTwo(quiet: number): Meaning {
  return onRegisters('fpuCompare', 1, quiet, 2);
}
function withStackRegister(procedure: string, pops?: number): Meaning {
  return (b) => {
    ready(b);
    at(b);
    b.perform(procedure, b.rmField(), ...(pops === undefined ? [] : [b.constant(pops)]));
  };
}

const arithmeticForms: Record<string, Meaning> = {};
DIGITS.forEach((name, digit) => {
  arithmeticForms[`${name}Single`] = withMemory(digit, single);
  arithmeticForms[`${name}Double`] = withMemory(digit, double);
  arithmeticForms[`${name}Integer`] = withMemory(digit, integer);
  if (name.startsWith('fcom')) return;
  arithmeticForms[name] = withRegister(digit, false, 0);
  arithmeticForms[`${name}To`] = withRegister(digit, true, 0);
  arithmeticForms[`${name}Pop`] = withRegister(digit, true, 1);
});

/** FCMOVcc: Jcc's condition that each tests (B, E, BE, U and their opposites). */
const CONDITIONS: Readonly<Record<string, number>> = {
  fcmovb: 2,
  fcmovnb: 3,
  fcmove: 4,
  fcmovne: 5,
  fcmovbe: 6,
  fcmovnbe: 7,
  fcmovu: 10,
  fcmovnu: 11,
};
const conditionalMoves = Object.fromEntries(
  Object.entries(CONDITIONS).map(([name, condition]): [string, Meaning] => [
    name,
    (b) => {
      ready(b);
      at(b);
      b.perform('fpuMoveIf', b.condition(condition), b.rmField());
    },
  ]),
);

/** The environment and state images, whose layout depends on the operand size. */
function image(procedure: string, extra: number, write: boolean, waits: boolean): Meaning {
  return (b) => {
    b.perform(waits ? 'fpuReady' : 'fpuPresent');
    const linear = b.operandLinear(7 * b.operandSize + extra, write);
    b.perform(procedure, linear, b.operandTable(), b.constant(b.operandSize));
  };
}
function extendedImage(procedure: string, write: boolean): Meaning {
  return (b) => {
    b.perform('fpuPresent');
    b.perform(procedure, b.operandLinear(512, write), b.operandTable());
  };
}

const CONSTANTS = ['fld1', 'fldl2t', 'fldl2e', 'fldpi', 'fldlg2', 'fldln2', 'fldz'];

export const fpu: Readonly<Record<string, Meaning>> = {
  ...arithmeticForms,
  ...conditionalMoves,
  ...Object.fromEntries(CONSTANTS.map((name, number) => [name, onRegisters('fpuLoadConstant', number)])),
  fldSingle: load(single, 'fpuPushReal'),
  fldDouble: load(double, 'fpuPushReal'),
  fldExtended: load(wide('fpuFromExtended', EXTENDED), 'fpuPush'),
  fildWord: load(integer, 'fpuPush'),
  fildLong: load(wide('fpuFromInteger64', DOUBLE), 'fpuPush'),
  fbld: load(wide('fpuFromBcd', EXTENDED), 'fpuPush'),
  fldRegister: withStackRegister('fpuLoadRegister'),
  fstSingle: store('fpuToSingle', 4, 0),
  fstpSingle: store('fpuToSingle', 4, 1),
  fstDouble: store('fpuToDouble', 8, 0),
  fstpDouble: store('fpuToDouble', 8, 1),
  fstpExtended: store('fpuToExtended', 10, 1),
  fist16: store('fpuToInteger', 2, 0, true),
  fistp16: store('fpuToInteger', 2, 1, true),
  fist32: store('fpuToInteger', 4, 0, true),
  fistp32: store('fpuToInteger', 4, 1, true),
  fistp64: store('fpuToInteger', 8, 1, true),
  fisttp16: store('fpuToTruncated', 2, 1, true),
  fisttp32: store('fpuToTruncated', 4, 1, true),
  fisttp64: store('fpuToTruncated', 8, 1, true),
  fbstp: store('fpuToBcd', 10, 1),
  fstRegister: withStackRegister('fpuStoreRegister', 0),
  fstpRegister: withStackRegister('fpuStoreRegister', 1),
  fstpnce: withStackRegister('fpuStoreUnchecked'),
  fxch: withStackRegister('fpuExchange'),
  ffree: withStackRegister('fpuFree', 0),
  ffreep: withStackRegister('fpuFree', 1),
  fcom: comparison('fpuCompare', 0, 0),
  fcomp: comparison('fpuCompare', 0, 1),
  fcompp: comparisonOfTwo(0),
  fucom: comparison('fpuCompare', 1, 0),
  fucomp: comparison('fpuCompare', 1, 1),
  fucompp: comparisonOfTwo(1),
  fcomi: comparison('fpuCompareFlags', 0, 0),
  fcomip: comparison('fpuCompareFlags', 0, 1),
  fucomi: comparison('fpuCompareFlags', 1, 0),
  fucomip: comparison('fpuCompareFlags', 1, 1),
  ftst: onRegisters('fpuTest'),
  fxam: onRegisters('fpuExamine'),
  fchs: onRegisters('fpuSign', 0x8000, 0x8000),
  fabs: onRegisters('fpuSign', 0, 0),
  fsqrt: onRegisters('fpuSquareRoot'),
  frndint: onRegisters('fpuRoundInteger'),
  fscale: onRegisters('fpuScale'),
  fxtract: onRegisters('fpuExtract'),
  fprem: onRegisters('fpuRemainder', 0),
  fprem1: onRegisters('fpuRemainder', 1),
  f2xm1: onRegisters('fpuExponential'),
  fyl2x: onRegisters('fpuTwo', 0),
  fyl2xp1: onRegisters('fpuTwo', 1),
  fpatan: onRegisters('fpuTwo', 2),
  fsin: onRegisters('fpuSine', 0),
  fcos: onRegisters('fpuSine', 1),
  fsincos: onRegisters('fpuSinePair', 0),
  fptan: onRegisters('fpuSinePair', 1),
  fdecstp: onRegisters('fpuRotate', 7),
  fincstp: onRegisters('fpuRotate', 1),
  fnop: onRegisters('fpuNothing'),
  fwait: (b) => b.perform('fpuWait'),
  fninit: (b) => {
    b.perform('fpuPresent');
    b.perform('fpuInitialize');
  },
  fnclex: (b) => {
    b.perform('fpuPresent');
    b.perform('fpuClear');
  },
  // FNENI, FNDISI, FNSETPM: of the 8087 and 80287, nothing since.
  fpuObsolete: (b) => b.perform('fpuPresent'),
  fnstcw: (b) => {
    b.perform('fpuPresent');
    b.write(0, b.call('fpuControl'));
  },
  fnstsw: (b) => {
    b.perform('fpuPresent');
    b.write(0, b.call('fpuStatus'));
  },
  fldcw: (b) => {
    ready(b);
    b.perform('fpuLoadControl', b.read(0));
  },
  fnstenv: image('fpuStoreEnvironment', 0, true, false),
  fldenv: image('fpuLoadEnvironment', 0, false, true),
  fnsave: image('fpuSave', 80, true, false),
  frstor: image('fpuRestore', 80, false, true),
  fxsave: extendedImage('fpuExtendedSave', true),
  fxrstor: extendedImage('fpuExtendedRestore', false),
};
