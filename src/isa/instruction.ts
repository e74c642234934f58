/**
 * What one row of the instruction table says. Everything that knows instructions (decoder, formatter,
 * assembler, interpreter, compiler, binary translator, cost model) reads it here.
 */
import type { CostClass } from './cost-class.ts';

/**
 * Operand codes in the SDM's notation (volume 2D, A.2): E = ModRM r/m, G = ModRM reg, Z = register in the
 * opcode's low three bits, I = immediate, J = relative branch, M = memory only, R = ModRM rm register only, S = segment register
 * in ModRM reg, C / D = control / debug register in ModRM reg, O = offset without ModRM, A = far pointer,
 * X / Y = string source / destination; b = byte, w = word, v = 16 or 32 by operand size, z = immediate of
 * that size, d = doubleword, q = quadword, p = far pointer in memory, s = pseudo-descriptor; Ibs = byte sign-extended to the operand size.
 * x87: ST = ST(0), STi = ST(i) with i in ModRM rm, t = ten bytes, e = environment, f = environment and registers; x = the 512 bytes of FXSAVE.
 * MMX: P = register in ModRM reg, Q = ModRM r/m, N = ModRM rm register only; XMM: V, W, U likewise; dq = sixteen bytes.
 * AL AX eAX DX CL 1 ES CS SS DS FS GS stand for themselves.
 */
export type OperandCode =
  | 'Eb'
  | 'Ew'
  | 'Ev'
  | 'Ed'
  | 'Gb'
  | 'Gw'
  | 'Gv'
  | 'Gd'
  | 'Zb'
  | 'Zv'
  | 'Zd'
  | 'Ib'
  | 'Ibs'
  | 'Iw'
  | 'Iz'
  | 'Jb'
  | 'Jz'
  | 'M'
  | 'Mb'
  | 'Mw'
  | 'Md'
  | 'Mq'
  | 'Mp'
  | 'Ms'
  | 'Ma'
  | 'Mt'
  | 'Me'
  | 'Mf'
  | 'Mx'
  | 'Mdq'
  | 'Pq'
  | 'Qd'
  | 'Qq'
  | 'Nq'
  | 'Vdq'
  | 'Wd'
  | 'Wq'
  | 'Wdq'
  | 'Udq'
  | 'ST'
  | 'STi'
  | 'Rd'
  | 'Sw'
  | 'Cd'
  | 'Dd'
  | 'Ob'
  | 'Ov'
  | 'Ap'
  | 'Xb'
  | 'Xv'
  | 'Yb'
  | 'Yv'
  | 'AL'
  | 'AX'
  | 'eAX'
  | 'DX'
  | 'CL'
  | '1'
  | 'ES'
  | 'CS'
  | 'SS'
  | 'DS'
  | 'FS'
  | 'GS';

/** Who may execute it: anyone, CPL 0 only, CPL <= IOPL, or CPL <= IOPL or the I/O bitmap. */
export type Privilege = 'user' | 'cpl0' | 'iopl' | 'io';

/**
 * Whether an instruction ends a block (the architecture's block, see docs/architecture.md): 'transfer' writes
 * EIP; 'system' can change IF or the mode, reads time, touches ports, control registers or MSRs, halts, or is a marker.
 */
export type BlockEnd = 'no' | 'transfer' | 'system';

/** Where in the opcode maps a row stands (SDM volume 2D, appendix A). */
export interface Encoding {
  /** Mandatory prefix 0x66, 0xf2 or 0xf3; 0 if none of the three may be there; -1 if they only modify. */
  readonly prefix: number;
  /** 0: one byte; 1: 0F; 2: 0F 38. */
  readonly map: number;
  /** The opcode byte; the first of eight if `register`. */
  readonly opcode: number;
  /** True if the opcode's low three bits are a register number (+r). */
  readonly register: boolean;
  /** ModRM reg field that extends the opcode, or -1. */
  readonly extension: number;
  /** First and last whole ModRM byte that extends the opcode (0F 01 C1), or -1. */
  readonly modrmFirst: number;
  readonly modrmLast: number;
}

export interface Instruction {
  /** Dense index into the table. */
  readonly id: number;
  /** Intel mnemonic, lower case, condition included: 'add', 'jnz', 'cmovb'. */
  readonly mnemonic: string;
  /** Name of the meaning in isa/semantics: 'add', 'jcc', 'cmovcc'. Rows share meanings. */
  readonly semantics: string;
  /** Condition number 0-15 of jcc, setcc, cmovcc; else -1. */
  readonly condition: number;
  readonly operands: readonly OperandCode[];
  readonly encoding: Encoding;
  /** EFLAGS bits that the outcome depends on; among them those that it may leave as they were (a shift by 0, REP CMPS with ECX = 0). */
  readonly flagsRead: number;
  /** EFLAGS bits that get a defined value. */
  readonly flagsWritten: number;
  /** EFLAGS bits that get an undefined value: for some operands at least. May overlap flagsWritten (OF of a shift by CL). */
  readonly flagsUndefined: number;
  readonly ends: BlockEnd;
  readonly privilege: Privilege;
  /** Robin & Irvine's property: behaves differently outside ring 0 without trapping. */
  readonly sensitive: boolean;
  readonly lockable: boolean;
  /** 'rep': MOVS STOS LODS INS OUTS; 'repe': CMPS SCAS. */
  readonly repeat: 'none' | 'rep' | 'repe';
  readonly cost: CostClass;
}

/** One decoded instruction. The decoder fills a caller's object: no allocation per instruction. */
export interface Decoded {
  instruction: Instruction;
  /** Bytes, prefixes included: 1-15. */
  length: number;
  /** Of v operands: 2 or 4. */
  operandSize: number;
  /** 2 or 4. */
  addressSize: number;
  lock: boolean;
  /** 0, 0xf2 or 0xf3: the last repeat prefix. */
  rep: number;
  /**
   * Effective segment of the memory operand (default or override), 0-5 as in core/state.ts. Of string instructions: the
   * source's, or ES if there is only a destination, which no prefix overrides. XLAT: that of its table.
   */
  segment: number;
  /** True if a segment-override prefix was given. */
  segmentOverride: boolean;
  /** ModRM fields; mod is 3 if there is no memory operand, -1 if there is no ModRM byte. */
  mod: number;
  reg: number;
  rm: number;
  /**
   * Memory operand: base and index register numbers or -1, scale as a shift, displacement as int32. Also filled for O
   * operands (base = index = -1). A 16-bit displacement is zero-extended if it stands alone; with a register in
   * 16-bit addressing the sum wraps at 64 KB.
   */
  base: number;
  index: number;
  scale: number;
  displacement: number;
  /**
   * Byte offset in the instruction and size of the displacement and of the immediate (0 if absent): what a relocating
   * translator patches. The immediate2 that follows (far selector, ENTER's level) is not counted.
   */
  displacementOffset: number;
  displacementSize: number;
  immediateOffset: number;
  immediateSize: number;
  /** Register number in the opcode's low three bits (Z operands). */
  opcodeRegister: number;
  /** Immediate, branch displacement or far offset: int32, sign-extended from its encoded size (Ib, Iw and 16-bit far offsets zero-extended). */
  immediate: number;
  /** Far pointer's selector; ENTER's level. */
  immediate2: number;
}

/** What the decoder says of a byte string. */
export const DECODE_OK = 0;
/** Not an instruction, or one that this processor does not have: #UD. */
export const DECODE_INVALID = 1;
/** The bytes end before the instruction does. */
export const DECODE_TRUNCATED = 2;
/** Longer than 15 bytes: #GP(0). */
export const DECODE_TOO_LONG = 3;
