/**
 * What the instructions of one meaning have in common: flags, block end, privilege, sensitivity, cost.
 * Keyed by the name of the meaning in `isa/semantics`. Flag effects follow SDM volume 1, appendix A.1 (the
 * EFLAGS cross-reference) and the volume 2 page of each instruction.
 */
import type { CostClass } from './cost-class.ts';
import { AC, AF, ARITHMETIC, CF, DF, ID, IF, IOPL, NT, OF, PF, RF, SF, TF, VIF, VIP, VM, ZF } from './eflags.ts';
import type { BlockEnd, Privilege } from './instruction.ts';
import { FPU_PROPERTIES } from './properties-fpu.ts';
import { SIMD_PROPERTIES } from './properties-simd.ts';

export interface Properties {
  readonly cost: CostClass;
  readonly read?: number;
  readonly written?: number;
  readonly undefined?: number;
  readonly ends?: BlockEnd;
  readonly privilege?: Privilege;
  readonly sensitive?: boolean;
  readonly lockable?: boolean;
  readonly repeat?: 'rep' | 'repe';
}

const LOGIC = CF | PF | ZF | SF | OF;
const NOT_CARRY = PF | AF | ZF | SF | OF;
const IMAGE = ARITHMETIC | TF | IF | DF | IOPL | NT | AC | ID;
/** What a transfer through a gate clears (SDM volume 3A, 6.12.1). */
const GATE = TF | IF | NT | RF | VM;

const add: Properties = { cost: 'alu', written: ARITHMETIC, lockable: true };
const logic: Properties = { cost: 'alu', written: LOGIC, undefined: AF, lockable: true };
const count: Properties = { cost: 'alu', written: NOT_CARRY, lockable: true };
const rotate: Properties = { cost: 'shift', written: CF | OF };
const rotateCarry: Properties = { cost: 'shift', read: CF, written: CF | OF };
const shift: Properties = { cost: 'shift', written: LOGIC, undefined: AF };
const multiply: Properties = { cost: 'mul', written: CF | OF, undefined: PF | AF | ZF | SF };
const divide: Properties = { cost: 'div', undefined: ARITHMETIC };
const bitTest: Properties = { cost: 'bit', written: CF, undefined: PF | AF | SF | OF };
const bitChange: Properties = { ...bitTest, lockable: true };
const bitScan: Properties = { cost: 'bit', written: ZF, undefined: CF | PF | AF | SF | OF };
const bcdAdjust: Properties = { cost: 'bcd', read: CF | AF, written: CF | PF | AF | ZF | SF, undefined: OF };
const asciiAdjust: Properties = { cost: 'bcd', read: AF, written: CF | AF, undefined: PF | ZF | SF | OF };
const asciiScale: Properties = { cost: 'bcd', written: PF | ZF | SF, undefined: CF | AF | OF };
const carry: Properties = { cost: 'alu', written: CF };
const branch: Properties = { cost: 'branch', ends: 'transfer' };
const farTransfer: Properties = { cost: 'farTransfer', ends: 'transfer', sensitive: true };
const segmentLoad: Properties = { cost: 'segmentLoad', ends: 'system' };
const probe: Properties = { cost: 'descriptorProbe', written: ZF, sensitive: true };
const tableStore: Properties = { cost: 'tableStore', sensitive: true };
const tableLoad: Properties = { cost: 'tableLoad', ends: 'system', privilege: 'cpl0' };
const string: Properties = { cost: 'string', read: DF, repeat: 'rep' };
/** With ECX = 0 a repeated comparison leaves the flags: they count as read. */
const stringCompare: Properties = { cost: 'string', read: DF | ARITHMETIC, written: ARITHMETIC, repeat: 'repe' };
const port: Properties = { cost: 'port', ends: 'system', privilege: 'io' };
const stringPort: Properties = { ...port, read: DF, repeat: 'rep' };
const control: Properties = { cost: 'controlRead', ends: 'system', privilege: 'cpl0', undefined: ARITHMETIC };
const debug: Properties = { cost: 'debugRegister', ends: 'system', privilege: 'cpl0', undefined: ARITHMETIC };
const cache: Properties = { cost: 'cacheControl', ends: 'system', privilege: 'cpl0' };
const privileged: Properties = { cost: 'msr', ends: 'system', privilege: 'cpl0' };
/**
 * 'user': outside VMX operation these are #UD, and in non-root operation they exit, before CPL is looked at
 * (SDM volume 3C, chapter 30), so the procedure itself checks CPL last.
 */
const vmx: Properties = { cost: 'vmx', ends: 'system', written: ARITHMETIC };

export const PROPERTIES: Readonly<Record<string, Properties>> = {
  add,
  or: logic,
  adc: { ...add, read: CF },
  sbb: { ...add, read: CF },
  and: logic,
  sub: add,
  xor: logic,
  cmp: { cost: 'alu', written: ARITHMETIC },
  test: { cost: 'alu', written: LOGIC, undefined: AF },
  mov: { cost: 'mov' },
  movzx: { cost: 'mov' },
  movsx: { cost: 'mov' },
  lea: { cost: 'lea' },
  inc: count,
  dec: count,
  not: { cost: 'alu', lockable: true },
  neg: add,
  mul: multiply,
  imul1: multiply,
  imul2: multiply,
  imul3: multiply,
  div: divide,
  idiv: divide,
  rol: rotate,
  ror: rotate,
  rcl: rotateCarry,
  rcr: rotateCarry,
  shl: shift,
  shr: shift,
  sar: shift,
  shld: shift,
  shrd: shift,
  bt: bitTest,
  bts: bitChange,
  btr: bitChange,
  btc: bitChange,
  bsf: bitScan,
  bsr: bitScan,
  bswap: { cost: 'bswap' },
  xadd: { cost: 'xchg', written: ARITHMETIC, lockable: true },
  cmpxchg: { cost: 'xchg', written: ARITHMETIC, lockable: true },
  cmpxchg8b: { cost: 'xchg', written: ZF, lockable: true },
  xchg: { cost: 'xchg', lockable: true },
  cmovcc: { cost: 'cmov' },
  setcc: { cost: 'setcc' },
  jcc: branch,
  jmp: { cost: 'jump', ends: 'transfer' },
  jmpIndirect: { cost: 'indirect', ends: 'transfer' },
  call: { cost: 'call', ends: 'transfer' },
  callIndirect: { cost: 'indirect', ends: 'transfer' },
  ret: { cost: 'ret', ends: 'transfer' },
  // A transfer through a task gate or TSS reads and writes NT.
  farJump: { ...farTransfer, read: NT, written: NT },
  farCall: { ...farTransfer, read: NT, written: NT },
  farRet: farTransfer,
  loop: branch,
  loope: { ...branch, read: ZF },
  loopne: { ...branch, read: ZF },
  jecxz: branch,
  push: { cost: 'push' },
  pop: { cost: 'pop' },
  pusha: { cost: 'pusha' },
  popa: { cost: 'pusha' },
  // Below IOPL these neither trap nor show the real IF: the classic holes of the architecture.
  pushf: { cost: 'pushf', read: IMAGE | RF | VM | VIF | VIP, sensitive: true },
  popf: { cost: 'popf', read: IMAGE, written: IMAGE, ends: 'system', sensitive: true },
  enter: { cost: 'enter' },
  leave: { cost: 'leave' },
  cbw: { cost: 'alu' },
  cwd: { cost: 'alu' },
  lahf: { cost: 'flagsTransfer', read: CF | PF | AF | ZF | SF },
  sahf: { cost: 'flagsTransfer', written: CF | PF | AF | ZF | SF },
  clc: carry,
  stc: carry,
  cmc: { ...carry, read: CF },
  cld: { cost: 'cld', written: DF },
  std: { cost: 'cld', written: DF },
  xlat: { cost: 'mov' },
  daa: bcdAdjust,
  das: bcdAdjust,
  aaa: asciiAdjust,
  aas: asciiAdjust,
  aam: asciiScale,
  aad: asciiScale,
  bound: { cost: 'alu' },
  arpl: { cost: 'descriptorProbe', written: ZF },
  movs: string,
  cmps: stringCompare,
  stos: string,
  lods: string,
  scas: stringCompare,
  ins: stringPort,
  outs: stringPort,
  in: port,
  out: port,
  int3: { cost: 'intN', written: GATE, ends: 'transfer', sensitive: true },
  int: { cost: 'intN', written: GATE, ends: 'transfer', sensitive: true },
  into: { cost: 'intN', read: OF, written: GATE, ends: 'transfer', sensitive: true },
  iret: { cost: 'iret', read: IMAGE, written: IMAGE | RF | VM | VIF | VIP, ends: 'transfer', sensitive: true },
  nop: { cost: 'nop' },
  clflush: { cost: 'cacheControl' },
  fence: { cost: 'cacheControl' },
  pause: { cost: 'nop' },
  ud2: { cost: 'nop', ends: 'transfer' },
  hlt: { cost: 'hlt', ends: 'system', privilege: 'cpl0' },
  cli: { cost: 'cli', written: IF | VIF, ends: 'system', privilege: 'iopl' },
  sti: { cost: 'sti', written: IF | VIF, ends: 'system', privilege: 'iopl' },
  lgdt: tableLoad,
  lidt: tableLoad,
  sgdt: tableStore,
  sidt: tableStore,
  lldt: tableLoad,
  ltr: tableLoad,
  sldt: tableStore,
  str: tableStore,
  smsw: { ...tableStore, ends: 'system' },
  lmsw: { cost: 'controlWrite', ends: 'system', privilege: 'cpl0' },
  clts: { cost: 'clts', ends: 'system', privilege: 'cpl0' },
  lar: probe,
  lsl: probe,
  verr: probe,
  verw: probe,
  // Not on Robin & Irvine's list: loading a selector of the wrong privilege traps.
  loadFar: segmentLoad,
  invlpg: { cost: 'invlpg', ends: 'system', privilege: 'cpl0' },
  invd: cache,
  wbinvd: cache,
  // RDTSC, RDPMC and CPUID can be made to trap (CR4.TSD, CR4.PCE) or not at all, which a VMM must know; the 2000 list leaves them out.
  rdtsc: { cost: 'rdtsc', ends: 'system' },
  rdpmc: { cost: 'rdpmc', ends: 'system' },
  rdmsr: privileged,
  wrmsr: privileged,
  cpuid: { cost: 'cpuid', ends: 'system' },
  sysenter: { cost: 'sysenter', written: IF | VM | RF, ends: 'transfer' },
  sysexit: { cost: 'sysexit', ends: 'transfer', privilege: 'cpl0' },
  movSegmentLoad: { ...segmentLoad, sensitive: true },
  movSegmentStore: { cost: 'segmentStore', sensitive: true },
  pushSegment: { cost: 'push', sensitive: true },
  popSegment: { ...segmentLoad, sensitive: true },
  readControl: control,
  writeControl: { ...control, cost: 'controlWrite' },
  readDebug: debug,
  writeDebug: debug,
  vmcall: vmx,
  vmlaunch: vmx,
  vmresume: vmx,
  vmxoff: vmx,
  vmxon: vmx,
  vmptrld: vmx,
  vmptrst: vmx,
  vmclear: vmx,
  vmread: vmx,
  vmwrite: vmx,
  invept: vmx,
  invvpid: vmx,
  ...FPU_PROPERTIES,
  ...SIMD_PROPERTIES,
};
