/** What iced-x86 calls differently, and where it rightly decodes differently. */

/** iced's names of the same instruction. */
export const ICED_NAMES: Readonly<Record<string, string>> = {
  callf: 'call',
  fwait: 'wait',
  jmpf: 'jmp',
  xlat: 'xlatb',
  pusha: 'pushaw',
  popa: 'popaw',
  jz: 'je',
  jnz: 'jne',
  setz: 'sete',
  setnz: 'setne',
  cmovz: 'cmove',
  cmovnz: 'cmovne',
};

/** A difference that is right: iced knows an extension that a processor without it decodes as something older. */
export interface Difference {
  readonly iced: readonly string[];
  readonly ours: string;
  readonly manual: string;
}

export const DIFFERENCES: readonly Difference[] = [
  {
    iced: ['tzcnt'],
    ours: 'bsf',
    manual: 'SDM volume 2, TZCNT: a processor without BMI1 ignores F3 and executes BSF',
  },
  {
    iced: ['lzcnt'],
    ours: 'bsr',
    manual: 'SDM volume 2, LZCNT: a processor without it ignores F3 and executes BSR',
  },
  {
    iced: ['wbnoinvd'],
    ours: 'wbinvd',
    manual: 'SDM volume 2, WBNOINVD: a processor without it ignores F3 and executes WBINVD',
  },
  {
    iced: ['prefetchnta', 'prefetcht0', 'prefetcht1', 'prefetcht2', 'prefetchit0', 'prefetchit1', 'reservednop'],
    ours: 'nop',
    manual: 'SDM volume 2D, table A-3: 0F 18 - 0F 1F are hints and reserved NOPs',
  },
  {
    iced: [
      'cldemote',
      'endbr32',
      'endbr64',
      'rdsspd',
      'bndmk',
      'bndcl',
      'bndcu',
      'bndcn',
      'bndmov',
      'bndldx',
      'bndstx',
    ],
    ours: 'nop',
    manual:
      'SDM volume 1, 18.3 and volume 2, CLDEMOTE: encoded among the reserved NOPs so that older processors skip them',
  },
];
