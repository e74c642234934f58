/** What the x87 instructions of one meaning have in common (see `properties.ts`). */
import { AF, CF, OF, PF, SF, ZF } from './eflags.ts';
import type { Properties } from './properties.ts';

/** FCOMI sets ZF PF CF and clears the others (SDM volume 2, FCOMI). */
const compareFlags: Properties = { cost: 'fpuCompare', written: ZF | PF | CF | OF | SF | AF };
const move: Properties = { cost: 'fpuMove' };
const store: Properties = { cost: 'fpuStore' };
const addition: Properties = { cost: 'fpuAdd' };
const multiplication: Properties = { cost: 'fpuMultiply' };
const division: Properties = { cost: 'fpuDivide' };
const compare: Properties = { cost: 'fpuCompare' };
const control: Properties = { cost: 'fpuControl' };
const state: Properties = { cost: 'fpuState' };
const transcendental: Properties = { cost: 'fpuTranscendental' };
const remainder: Properties = { cost: 'fpuRemainder' };
const decimal: Properties = { cost: 'fpuDecimal' };
const conditional = (read: number): Properties => ({ cost: 'fpuConditionalMove', read });

const same = (names: readonly string[], properties: Properties): Record<string, Properties> =>
  Object.fromEntries(names.map((name) => [name, properties]));
const forms = (names: readonly string[], properties: Properties): Record<string, Properties> =>
  same(
    names.flatMap((name) => ['', 'Single', 'Double', 'Integer', 'To', 'Pop'].map((form) => name + form)),
    properties,
  );

export const FPU_PROPERTIES: Readonly<Record<string, Properties>> = {
  ...forms(['fadd', 'fsub', 'fsubr'], addition),
  ...forms(['fmul'], multiplication),
  ...forms(['fdiv', 'fdivr'], division),
  ...same(['fcom', 'fcomSingle', 'fcomDouble', 'fcomInteger'], compare),
  ...same(['fcomp', 'fcompSingle', 'fcompDouble', 'fcompInteger'], compare),
  ...same(['fcompp', 'fucom', 'fucomp', 'fucompp', 'ftst', 'fxam'], compare),
  ...same(['fcomi', 'fcomip', 'fucomi', 'fucomip'], compareFlags),
  ...same(['fldSingle', 'fldDouble', 'fldExtended', 'fldRegister', 'fildWord', 'fildLong'], move),
  ...same(['fld1', 'fldl2t', 'fldl2e', 'fldpi', 'fldlg2', 'fldln2', 'fldz'], move),
  ...same(['fxch', 'ffree', 'ffreep', 'fchs', 'fabs', 'fincstp', 'fdecstp', 'fnop'], move),
  ...same(['fstRegister', 'fstpRegister', 'fstpnce'], move),
  ...same(['fstSingle', 'fstpSingle', 'fstDouble', 'fstpDouble', 'fstpExtended'], store),
  ...same(['fist16', 'fistp16', 'fist32', 'fistp32', 'fistp64'], store),
  ...same(['fisttp16', 'fisttp32', 'fisttp64'], store),
  ...same(['fbld', 'fbstp'], decimal),
  fcmovb: conditional(CF),
  fcmovnb: conditional(CF),
  fcmove: conditional(ZF),
  fcmovne: conditional(ZF),
  fcmovbe: conditional(CF | ZF),
  fcmovnbe: conditional(CF | ZF),
  fcmovu: conditional(PF),
  fcmovnu: conditional(PF),
  fsqrt: { cost: 'fpuSquareRoot' },
  ...same(['frndint', 'fscale', 'fxtract'], { cost: 'fpuRound' }),
  ...same(['fprem', 'fprem1'], remainder),
  ...same(['f2xm1', 'fyl2x', 'fyl2xp1', 'fsin', 'fcos', 'fsincos', 'fptan', 'fpatan'], transcendental),
  ...same(['fwait', 'fnstcw', 'fnstsw', 'fldcw', 'fnclex', 'fpuObsolete'], control),
  ...same(['fninit', 'fnstenv', 'fldenv', 'fnsave', 'frstor', 'fxsave', 'fxrstor'], state),
};
