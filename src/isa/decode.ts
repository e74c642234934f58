/**
 * The decoder: bytes to a `Decoded`, without allocation. Table-driven; what it knows itself is the instruction
 * format: prefixes, ModRM and SIB, displacement, immediate (SDM volume 2A, chapter 2).
 */
import {
  DECODE_INVALID,
  DECODE_OK,
  DECODE_TOO_LONG,
  DECODE_TRUNCATED,
  type Decoded,
  type Instruction,
  type OperandCode,
} from './instruction.ts';
import {
  ABSENT,
  GROUP_FIRST,
  MODRM_CELLS,
  OPCODE_CELLS,
  PREFIX_66,
  PREFIX_F2,
  PREFIX_F3,
  PREFIX_NONE,
} from './opcode-map.ts';
import { INSTRUCTIONS, usesModrm } from './table.ts';

/** SDM volume 2A, 2.3.11: an instruction is at most 15 bytes long. */
const LONGEST = 15;

/** How each instruction goes on after its opcode. */
const NONE = 0;
const BYTE = 1;
const BYTE_SIGNED = 2;
const WORD = 3;
const FULL = 4;
const FAR = 5;
const ENTER = 6;
const OFFSET = 7;
const IMMEDIATE_FORMS: Partial<Record<OperandCode, number>> = {
  Ib: BYTE,
  Ibs: BYTE_SIGNED,
  Jb: BYTE_SIGNED,
  Iw: WORD,
  Iz: FULL,
  Jz: FULL,
  Ap: FAR,
  Ob: OFFSET,
  Ov: OFFSET,
};

function immediateForm(row: Instruction): number {
  if (row.semantics === 'enter') return ENTER;
  return row.operands.map((code) => IMMEDIATE_FORMS[code] ?? NONE).find((form) => form !== NONE) ?? NONE;
}

const FORM = Uint8Array.from(INSTRUCTIONS, immediateForm);
const HAS_MODRM = Uint8Array.from(INSTRUCTIONS, (row) => (usesModrm(row) ? 1 : 0));
const LOCKABLE = Uint8Array.from(INSTRUCTIONS, (row) => (row.lockable ? 1 : 0));
/** MOV to and from control and debug registers ignores mod: the operand is always a register (SDM volume 2, MOV). */
const REGISTER_ONLY = Uint8Array.from(INSTRUCTIONS, (row) => (row.operands.includes('Rd') ? 1 : 0));
/** String instructions that have a destination only: its segment is ES whatever the prefixes. */
const DESTINATION_ONLY = Uint8Array.from(INSTRUCTIONS, ({ operands }) =>
  operands.some((code) => code[0] === 'Y') && !operands.some((code) => code[0] === 'X') ? 1 : 0,
);

/** Prefix bytes: 1 and up; 0 for an opcode. */
const PREFIX_KIND = new Uint8Array(256);
const OVERRIDE_ES = 1;
const OPERAND_SIZE = 7;
const ADDRESS_SIZE = 8;
const LOCK = 9;
const REPEAT = 10;
[0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65].forEach((byte, segment) => {
  PREFIX_KIND[byte] = OVERRIDE_ES + segment;
});
PREFIX_KIND[0x66] = OPERAND_SIZE;
PREFIX_KIND[0x67] = ADDRESS_SIZE;
PREFIX_KIND[0xf0] = LOCK;
PREFIX_KIND[0xf2] = REPEAT;
PREFIX_KIND[0xf3] = REPEAT;

const SEGMENT_ES = 0;
const SEGMENT_SS = 2;
const SEGMENT_DS = 3;
const ESP = 4;
const EBP = 5;

/** 16-bit addressing by rm: BX+SI BX+DI BP+SI BP+DI SI DI BP BX (SDM volume 2A, table 2-1). */
const BASE_16 = Int8Array.of(3, 3, 5, 5, 6, 7, 5, 3);
const INDEX_16 = Int8Array.of(6, 7, 6, 7, -1, -1, -1, -1);

/** An empty `Decoded` to be filled by `decode`. */
export function createDecoded(): Decoded {
  return {
    instruction: INSTRUCTIONS[0]!,
    length: 0,
    operandSize: 4,
    addressSize: 4,
    lock: false,
    rep: 0,
    segment: SEGMENT_DS,
    segmentOverride: false,
    mod: -1,
    reg: 0,
    rm: 0,
    base: -1,
    index: -1,
    scale: 0,
    displacement: 0,
    displacementOffset: 0,
    displacementSize: 0,
    immediateOffset: 0,
    immediateSize: 0,
    opcodeRegister: 0,
    immediate: 0,
    immediate2: 0,
  };
}

/**
 * Decodes the instruction at `bytes[offset]`; bytes from `limit` on do not exist. `code32` is the code segment's D bit.
 * Returns a DECODE_ code. `out` is complete if that is DECODE_OK; otherwise only `out.length` means something:
 * how many bytes were looked at.
 */
export function decode(bytes: Uint8Array, offset: number, limit: number, code32: boolean, out: Decoded): number {
  // Past the end every read gives undefined, which the bit operations make 0; the length is checked at the end.
  const end = Math.min(limit, offset + LONGEST);
  let at = offset;
  let operandSize = code32 ? 4 : 2;
  let addressSize = operandSize;
  let override = -1;
  let rep = 0;
  let lock = false;
  let prefixClass = PREFIX_NONE;
  let opcode = 0;

  for (;;) {
    if (at >= end) return short(offset, limit, at, out);
    opcode = bytes[at++]!;
    const kind = PREFIX_KIND[opcode]!;
    if (kind === 0) break;
    if (kind < OPERAND_SIZE) override = kind - OVERRIDE_ES;
    else if (kind === OPERAND_SIZE) {
      operandSize = code32 ? 2 : 4;
      if (prefixClass === PREFIX_NONE) prefixClass = PREFIX_66;
    } else if (kind === ADDRESS_SIZE) addressSize = code32 ? 2 : 4;
    else if (kind === LOCK) lock = true;
    else {
      rep = opcode;
      prefixClass = opcode === 0xf3 ? PREFIX_F3 : PREFIX_F2;
    }
  }

  let map = 0;
  if (opcode === 0x0f) {
    if (at >= end) return short(offset, limit, at, out);
    opcode = bytes[at++]!;
    map = 1;
    if (opcode === 0x38) {
      if (at >= end) return short(offset, limit, at, out);
      opcode = bytes[at++]!;
      map = 2;
    }
  }

  let id = OPCODE_CELLS[(map << 10) | (prefixClass << 8) | opcode]!;
  let modrm = -1;
  if (id <= GROUP_FIRST) {
    if (at >= end) return short(offset, limit, at, out);
    modrm = bytes[at++]!;
    id = MODRM_CELLS[((GROUP_FIRST - id) << 8) | modrm]!;
  }
  if (id === ABSENT) {
    out.length = at - offset;
    return DECODE_INVALID;
  }
  if (modrm < 0 && HAS_MODRM[id] === 1) {
    if (at >= end) return short(offset, limit, at, out);
    modrm = bytes[at++]!;
  }

  let segment = SEGMENT_DS;
  let base = -1;
  let index = -1;
  let scale = 0;
  let displacementSize = 0;
  let mod = -1;
  if (modrm >= 0) {
    mod = REGISTER_ONLY[id] === 1 ? 3 : modrm >> 6;
    const rm = modrm & 7;
    out.reg = (modrm >> 3) & 7;
    out.rm = rm;
    if (mod !== 3) {
      if (addressSize === 4) {
        base = rm;
        displacementSize = mod === 2 ? 4 : mod;
        if (rm === ESP) {
          if (at >= end) return short(offset, limit, at, out);
          const sib = bytes[at++]!;
          base = sib & 7;
          index = (sib >> 3) & 7;
          scale = sib >> 6;
          if (index === ESP) {
            index = -1;
            scale = 0;
          }
        }
        if (base === EBP && mod === 0) {
          base = -1;
          displacementSize = 4;
        } else if (base === ESP || base === EBP) segment = SEGMENT_SS;
      } else {
        displacementSize = mod;
        if (mod === 0 && rm === 6) displacementSize = 2;
        else {
          base = BASE_16[rm]!;
          index = INDEX_16[rm]!;
          if (base === EBP) segment = SEGMENT_SS;
        }
      }
    }
  } else {
    out.reg = 0;
    out.rm = 0;
  }

  const form = FORM[id]!;
  if (form === OFFSET) displacementSize = addressSize;
  let displacement = 0;
  out.displacementOffset = displacementSize === 0 ? 0 : at - offset;
  if (displacementSize === 4) {
    displacement = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
  } else if (displacementSize === 1) displacement = (bytes[at]! << 24) >> 24;
  else if (displacementSize === 2) {
    displacement = bytes[at]! | (bytes[at + 1]! << 8);
    if (base >= 0) displacement = (displacement << 16) >> 16;
  }
  at += displacementSize;

  let immediate = 0;
  let immediate2 = 0;
  let immediateSize = 0;
  out.immediateOffset = at - offset;
  switch (form) {
    case BYTE:
      immediate = bytes[at]! | 0;
      immediateSize = 1;
      break;
    case BYTE_SIGNED:
      immediate = (bytes[at]! << 24) >> 24;
      immediateSize = 1;
      break;
    case WORD:
    case ENTER:
      immediate = bytes[at]! | (bytes[at + 1]! << 8);
      immediateSize = 2;
      break;
    case FULL:
    case FAR:
      immediate = bytes[at]! | (bytes[at + 1]! << 8);
      if (operandSize === 4) immediate |= (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
      else if (form === FULL) immediate = (immediate << 16) >> 16;
      immediateSize = operandSize;
      break;
    default:
      out.immediateOffset = 0;
  }
  at += immediateSize;
  if (form === FAR) {
    immediate2 = bytes[at]! | (bytes[at + 1]! << 8);
    at += 2;
  } else if (form === ENTER) immediate2 = bytes[at++]! | 0;

  if (at > end) return short(offset, limit, at, out);
  out.length = at - offset;
  if (lock && (LOCKABLE[id] === 0 || mod === 3)) return DECODE_INVALID;

  out.instruction = INSTRUCTIONS[id]!;
  out.operandSize = operandSize;
  out.addressSize = addressSize;
  out.lock = lock;
  out.rep = rep;
  out.segmentOverride = override >= 0;
  out.segment = DESTINATION_ONLY[id] === 1 ? SEGMENT_ES : override >= 0 ? override : segment;
  out.mod = mod;
  out.base = base;
  out.index = index;
  out.scale = scale;
  out.displacement = displacement;
  out.displacementSize = displacementSize;
  out.immediate = immediate;
  out.immediate2 = immediate2;
  out.immediateSize = immediateSize;
  out.opcodeRegister = opcode & 7;
  return DECODE_OK;
}

/** The instruction goes on where no byte is: because the bytes end, or because fifteen are over. */
function short(offset: number, limit: number, at: number, out: Decoded): number {
  out.length = Math.min(at, limit) - offset;
  return limit < offset + LONGEST ? DECODE_TRUNCATED : DECODE_TOO_LONG;
}

/** High half of a marker's displacement (docs/architecture.md, guest ABI). */
const MARKER_MAGIC = 0x5456;

/** The code of a marker, `0F 1F 80 <0x5456 code>` without prefixes; -1 of any other instruction. A marker ends its block. */
export function markerCode(decoded: Decoded): number {
  if (decoded.instruction.semantics !== 'nop' || decoded.length !== 7 || decoded.displacementOffset !== 3) return -1;
  if (decoded.instruction.encoding.opcode !== 0x1f || decoded.mod !== 2 || decoded.reg !== 0 || decoded.rm !== 0)
    return -1;
  return decoded.displacement >>> 16 === MARKER_MAGIC ? decoded.displacement & 0xffff : -1;
}
