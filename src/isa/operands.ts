/**
 * Operands as values: what the formatter prints, the assembler takes and tests compare. Registers and memory
 * references have constructors; a plain number is an immediate.
 */
import type { Decoded, OperandCode } from './instruction.ts';

export interface Register {
  readonly kind: 'register';
  readonly size: 1 | 2 | 4;
  readonly number: number;
}

/** A segment, control or debug register. */
export interface SystemRegister {
  readonly kind: 'segment' | 'control' | 'debug';
  readonly number: number;
}

/** ST(number). */
export interface StackRegister {
  readonly kind: 'stack';
  readonly number: number;
}

/** MM0-MM7 or XMM0-XMM7. */
export interface VectorRegister {
  readonly kind: 'mmx' | 'xmm';
  readonly number: number;
}

export interface MemoryReference {
  readonly kind: 'memory';
  /** Bytes accessed; 0 if the reference is only an address (LEA, INVLPG). */
  readonly size: number;
  /** Segment number 0-5, or -1: the default one of the base register. */
  readonly segment: number;
  /** Register numbers or -1; scale as a shift. */
  readonly base: number;
  readonly index: number;
  readonly scale: number;
  readonly displacement: number;
  /** 2 or 4. */
  readonly addressSize: number;
}

export interface FarPointer {
  readonly kind: 'far';
  readonly selector: number;
  readonly offset: number;
}

/** A direct branch's target, relative to the next instruction. */
export interface RelativeTarget {
  readonly kind: 'relative';
  readonly displacement: number;
}

export type OperandValue =
  | Register
  | SystemRegister
  | StackRegister
  | VectorRegister
  | MemoryReference
  | FarPointer
  | RelativeTarget
  | number;

const register = (size: 1 | 2 | 4, number: number): Register => ({ kind: 'register', size, number });
export const register8 = (number: number): Register => register(1, number);
export const register16 = (number: number): Register => register(2, number);
export const register32 = (number: number): Register => register(4, number);
export const segmentRegister = (number: number): SystemRegister => ({ kind: 'segment', number });
export const controlRegister = (number: number): SystemRegister => ({ kind: 'control', number });
export const stackRegister = (number: number): StackRegister => ({ kind: 'stack', number });
export const mmxRegister = (number: number): VectorRegister => ({ kind: 'mmx', number });
export const xmmRegister = (number: number): VectorRegister => ({ kind: 'xmm', number });
export const debugRegister = (number: number): SystemRegister => ({ kind: 'debug', number });

/** A memory reference with 32-bit addressing: `memory(4, { base: 5, displacement: -8, segment: 5 })` is `dword ptr gs:[ebp-8]`. */
export function memory(
  size: number,
  address: { base?: number; index?: number; scale?: number; displacement?: number; segment?: number },
): MemoryReference {
  const { base = -1, index = -1, scale = 0, displacement = 0, segment = -1 } = address;
  return { kind: 'memory', size, segment, base, index, scale, displacement, addressSize: 4 };
}

/** Bytes of an operand by the size letter of its code. */
export function operandBytes(code: OperandCode, operandSize: number): number {
  if (code === 'AL' || code === 'CL') return 1;
  if (code === 'AX' || code === 'DX') return 2;
  if (code === 'eAX') return operandSize;
  switch (code.slice(1)) {
    case 'b':
      return 1;
    case 'w':
      return 2;
    case 'd':
      return 4;
    case 'q':
      return 8;
    case 'dq':
      return 16;
    case 'v':
    case 'z':
    case 'bs':
      return operandSize;
    case 'p':
      return operandSize + 2;
    case 's':
      return 6;
    case 'a':
      return 2 * operandSize;
    case 't':
      return 10;
    case 'e':
      return 7 * operandSize;
    case 'f':
      return 7 * operandSize + 80;
    case 'x':
      return 512;
    default:
      return 0;
  }
}

const SEGMENT_CODES: readonly string[] = ['ES', 'CS', 'SS', 'DS', 'FS', 'GS'];
const ES = 0;
const ESI = 6;
const EDI = 7;

/** The value of operand `code` of a decoded instruction. */
export function operandValue(code: OperandCode, decoded: Decoded): OperandValue {
  const segment = SEGMENT_CODES.indexOf(code);
  if (segment >= 0) return segmentRegister(segment);
  if (code === 'ST' || code === 'STi') return stackRegister(code === 'ST' ? 0 : decoded.rm);
  const size = operandBytes(code, decoded.operandSize);
  switch (code[0]) {
    case 'G':
      return register(size as 1 | 2 | 4, decoded.reg);
    case 'Z':
      return register(size as 1 | 2 | 4, decoded.opcodeRegister);
    case 'R':
      return register(4, decoded.rm);
    case 'E':
      return decoded.mod === 3 ? register(size as 1 | 2 | 4, decoded.rm) : reference(decoded, size);
    case 'P':
      return mmxRegister(decoded.reg);
    case 'V':
      return xmmRegister(decoded.reg);
    case 'N':
      return mmxRegister(decoded.rm);
    case 'U':
      return xmmRegister(decoded.rm);
    case 'Q':
      return decoded.mod === 3 ? mmxRegister(decoded.rm) : reference(decoded, size);
    case 'W':
      return decoded.mod === 3 ? xmmRegister(decoded.rm) : reference(decoded, size);
    case 'M':
    case 'O':
      return reference(decoded, size);
    case 'X':
      return stringReference(decoded, size, decoded.segment, ESI);
    case 'Y':
      return stringReference(decoded, size, ES, EDI);
    case 'S':
      return segmentRegister(decoded.reg);
    case 'C':
      return code === 'CL' ? register(1, 1) : controlRegister(decoded.reg);
    case 'D':
      return code === 'DX' ? register(2, 2) : debugRegister(decoded.reg);
    case 'I':
      return immediateOf(code, decoded);
    case 'J':
      return { kind: 'relative', displacement: decoded.immediate };
    case 'A':
      return code === 'Ap'
        ? { kind: 'far', selector: decoded.immediate2, offset: decoded.immediate }
        : register(size as 1 | 2, 0);
    case 'e':
      return register(size as 2 | 4, 0);
    default:
      return 1;
  }
}

/** ENTER alone has two immediates: the second operand is the nesting level. */
function immediateOf(code: OperandCode, decoded: Decoded): number {
  return code === 'Ib' && decoded.instruction.semantics === 'enter' ? decoded.immediate2 : decoded.immediate;
}

/** The operands of a decoded instruction, in Intel order. */
export function operandsOf(decoded: Decoded): OperandValue[] {
  return decoded.instruction.operands.map((code) => operandValue(code, decoded));
}

function reference(decoded: Decoded, size: number): MemoryReference {
  const { segment, base, index, scale, displacement, addressSize } = decoded;
  return { kind: 'memory', size, segment, base, index, scale, displacement, addressSize };
}

function stringReference(decoded: Decoded, size: number, segment: number, base: number): MemoryReference {
  return {
    kind: 'memory',
    size,
    segment,
    base,
    index: -1,
    scale: 0,
    displacement: 0,
    addressSize: decoded.addressSize,
  };
}

/** Default segment of a reference: SS with ESP or EBP as base, else DS (SDM volume 1, table 3-5). */
export function defaultSegment(base: number): number {
  return base === 4 || base === 5 ? 2 : 3;
}
