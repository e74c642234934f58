/** The x87 opcode forms, D8 to DF and 9B (SDM volume 2D, A.5), the undocumented aliases that processors have among them. */
import type { OpcodeRow } from './opcodes.ts';

/** Operations by ModRM digit; of registers in DC and DE the subtractions and divisions change places. */
const ARITHMETIC = ['fadd', 'fmul', 'fcom', 'fcomp', 'fsub', 'fsubr', 'fdiv', 'fdivr'];
const REVERSED = ['fadd', 'fmul', 'fcom', 'fcomp', 'fsubr', 'fsub', 'fdivr', 'fdiv'];

const hex = (value: number): string => value.toString(16);
/** The eight ModRM bytes of a digit with a register. */
const registers = (digit: number): string => `${hex(0xc0 + 8 * digit)}-${hex(0xc7 + 8 * digit)}`;

function arithmeticRows(): OpcodeRow[] {
  return ARITHMETIC.flatMap((name, digit): OpcodeRow[] => {
    const integer = `fi${name.slice(1)}=${name}Integer`;
    const rows: OpcodeRow[] = [
      [`d8 /${digit}`, `${name}=${name}Single`, 'Md'],
      [`da /${digit}`, integer, 'Md'],
      [`dc /${digit}`, `${name}=${name}Double`, 'Mq'],
      [`de /${digit}`, integer, 'Mw'],
      [`d8 ${registers(digit)}`, name, 'ST', 'STi'],
    ];
    if (name.startsWith('fcom')) return rows;
    // The digit says which operand is subtracted from which; the mnemonic says it of the destination.
    const mnemonic = REVERSED[digit];
    rows.push([`dc ${registers(digit)}`, `${mnemonic}=${name}To`, 'STi', 'ST']);
    rows.push([`de ${registers(digit)}`, `${mnemonic}p=${name}Pop`, 'STi', 'ST']);
    return rows;
  });
}

const NO_OPERANDS: readonly (readonly [modrm: number, name: string])[] = [
  [0xd0, 'fnop'],
  [0xe0, 'fchs'],
  [0xe1, 'fabs'],
  [0xe4, 'ftst'],
  [0xe5, 'fxam'],
  [0xe8, 'fld1'],
  [0xe9, 'fldl2t'],
  [0xea, 'fldl2e'],
  [0xeb, 'fldpi'],
  [0xec, 'fldlg2'],
  [0xed, 'fldln2'],
  [0xee, 'fldz'],
  [0xf0, 'f2xm1'],
  [0xf1, 'fyl2x'],
  [0xf2, 'fptan'],
  [0xf3, 'fpatan'],
  [0xf4, 'fxtract'],
  [0xf5, 'fprem1'],
  [0xf6, 'fdecstp'],
  [0xf7, 'fincstp'],
  [0xf8, 'fprem'],
  [0xf9, 'fyl2xp1'],
  [0xfa, 'fsqrt'],
  [0xfb, 'fsincos'],
  [0xfc, 'frndint'],
  [0xfd, 'fscale'],
  [0xfe, 'fsin'],
  [0xff, 'fcos'],
];

export const FPU_OPCODES: readonly OpcodeRow[] = [
  ...arithmeticRows(),
  ['9b', 'fwait'],

  ['d9 /0', 'fld=fldSingle', 'Md'],
  ['d9 /2', 'fst=fstSingle', 'Md'],
  ['d9 /3', 'fstp=fstpSingle', 'Md'],
  ['d9 /4', 'fldenv', 'Me'],
  ['d9 /5', 'fldcw', 'Mw'],
  ['d9 /6', 'fnstenv', 'Me'],
  ['d9 /7', 'fnstcw', 'Mw'],
  ['d9 c0-c7', 'fld=fldRegister', 'STi'],
  ['d9 c8-cf', 'fxch', 'ST', 'STi'],
  ...NO_OPERANDS.map(([modrm, name]): OpcodeRow => [`d9 ${hex(modrm)}`, name]),
  ['d9 d8-df', 'fstpnce', 'STi'],

  ['da c0-c7', 'fcmovb', 'ST', 'STi'],
  ['da c8-cf', 'fcmove', 'ST', 'STi'],
  ['da d0-d7', 'fcmovbe', 'ST', 'STi'],
  ['da d8-df', 'fcmovu', 'ST', 'STi'],
  ['da e9', 'fucompp'],

  ['db /0', 'fild=fildWord', 'Md'],
  ['db /1', 'fisttp=fisttp32', 'Md'],
  ['db /2', 'fist=fist32', 'Md'],
  ['db /3', 'fistp=fistp32', 'Md'],
  ['db /5', 'fld=fldExtended', 'Mt'],
  ['db /7', 'fstp=fstpExtended', 'Mt'],
  ['db c0-c7', 'fcmovnb', 'ST', 'STi'],
  ['db c8-cf', 'fcmovne', 'ST', 'STi'],
  ['db d0-d7', 'fcmovnbe', 'ST', 'STi'],
  ['db d8-df', 'fcmovnu', 'ST', 'STi'],
  ['db e0', 'fneni=fpuObsolete'],
  ['db e1', 'fndisi=fpuObsolete'],
  ['db e2', 'fnclex'],
  ['db e3', 'fninit'],
  ['db e4', 'fnsetpm=fpuObsolete'],
  ['db e8-ef', 'fucomi', 'ST', 'STi'],
  ['db f0-f7', 'fcomi', 'ST', 'STi'],

  ['dc d0-d7', 'fcom', 'ST', 'STi'],
  ['dc d8-df', 'fcomp', 'ST', 'STi'],

  ['dd /0', 'fld=fldDouble', 'Mq'],
  ['dd /1', 'fisttp=fisttp64', 'Mq'],
  ['dd /2', 'fst=fstDouble', 'Mq'],
  ['dd /3', 'fstp=fstpDouble', 'Mq'],
  ['dd /4', 'frstor', 'Mf'],
  ['dd /6', 'fnsave', 'Mf'],
  ['dd /7', 'fnstsw', 'Mw'],
  ['dd c0-c7', 'ffree', 'STi'],
  ['dd c8-cf', 'fxch', 'ST', 'STi'],
  ['dd d0-d7', 'fst=fstRegister', 'STi'],
  ['dd d8-df', 'fstp=fstpRegister', 'STi'],
  ['dd e0-e7', 'fucom', 'ST', 'STi'],
  ['dd e8-ef', 'fucomp', 'ST', 'STi'],

  ['de d0-d7', 'fcomp', 'ST', 'STi'],
  ['de d9', 'fcompp'],

  ['df /0', 'fild=fildWord', 'Mw'],
  ['df /1', 'fisttp=fisttp16', 'Mw'],
  ['df /2', 'fist=fist16', 'Mw'],
  ['df /3', 'fistp=fistp16', 'Mw'],
  ['df /4', 'fbld', 'Mt'],
  ['df /5', 'fild=fildLong', 'Mq'],
  ['df /6', 'fbstp', 'Mt'],
  ['df /7', 'fistp=fistp64', 'Mq'],
  ['df c0-c7', 'ffreep', 'STi'],
  ['df c8-cf', 'fxch', 'ST', 'STi'],
  ['df d0-d7', 'fstp=fstpRegister', 'STi'],
  ['df d8-df', 'fstp=fstpRegister', 'STi'],
  ['df e0', 'fnstsw', 'AX'],
  ['df e8-ef', 'fucomip', 'ST', 'STi'],
  ['df f0-f7', 'fcomip', 'ST', 'STi'],

  ['np 0f ae /0', 'fxsave', 'Mx'],
  ['np 0f ae /1', 'fxrstor', 'Mx'],
];
