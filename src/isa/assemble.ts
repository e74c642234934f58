/**
 * A small assembler: it picks the shortest row of the instruction table that takes the given operands and emits its bytes.
 * The binary translator and the tests use it.
 */
import type { Instruction, OperandCode } from './instruction.ts';
import { CONDITIONS } from './opcodes.ts';
import { defaultSegment, type MemoryReference, type OperandValue, operandBytes } from './operands.ts';
import { INSTRUCTIONS, usesModrm } from './table.ts';

/** A place in the code; made by `Assembler.label`, placed by `Assembler.bind`. */
export interface Label {
  readonly kind: 'label';
  /** Address, or -1 while it is not bound. */
  address: number;
}

/** A direct branch to an address that is known. */
export interface AbsoluteTarget {
  readonly kind: 'absolute';
  readonly address: number;
}

export type AssemblerOperand = Exclude<OperandValue, { kind: 'relative' }> | Label | AbsoluteTarget;

interface FixUp {
  readonly label: Label;
  /** Offset of the displacement in the buffer. */
  readonly at: number;
  readonly size: number;
}

const PREFIX_SEGMENT = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];
const LONGEST = 15;
const ESP = 4;
const EBP = 5;

const rowsByMnemonic: ReadonlyMap<string, readonly Instruction[]> = (() => {
  const map = new Map<string, Instruction[]>();
  for (const row of INSTRUCTIONS) {
    const rows = map.get(row.mnemonic);
    if (rows === undefined) map.set(row.mnemonic, [row]);
    else rows.push(row);
  }
  return map;
})();

const SEGMENT_CODES: readonly string[] = ['ES', 'CS', 'SS', 'DS', 'FS', 'GS'];
const fits8 = (value: number): boolean => value >= -0x80 && value <= 0x7f;

/** Whether an operand can stand where the table says `code`, at this operand size. */
function accepts(code: OperandCode, operand: AssemblerOperand, operandSize: number): boolean {
  if (typeof operand === 'number') return acceptsNumber(code, operand);
  switch (operand.kind) {
    case 'register':
      return acceptsRegister(code, operand.number, operand.size, operandSize);
    case 'segment':
      return code === 'Sw' || SEGMENT_CODES.indexOf(code) === operand.number;
    case 'control':
      return code === 'Cd';
    case 'debug':
      return code === 'Dd';
    case 'stack':
      return code === 'STi' || (code === 'ST' && operand.number === 0);
    case 'mmx':
      return /^[PQN][dq]$/.test(code);
    case 'xmm':
      return /^[VWU](d|q|dq)$/.test(code);
    case 'memory':
      return acceptsMemory(code, operand, operandSize);
    case 'far':
      return code === 'Ap';
    default:
      return code === 'Jb' || code === 'Jz';
  }
}

function acceptsNumber(code: OperandCode, value: number): boolean {
  if (code === '1') return value === 1;
  if (code === 'Ib') return value >= -0x80 && value <= 0xff;
  if (code === 'Ibs') return fits8(value | 0);
  if (code === 'Iw') return value >= 0 && value <= 0xffff;
  return code === 'Iz';
}

function acceptsRegister(code: OperandCode, number: number, size: number, operandSize: number): boolean {
  if (code === 'AL' || code === 'AX' || code === 'eAX') return number === 0 && size === operandBytes(code, operandSize);
  if (code === 'CL') return number === 1 && size === 1;
  if (code === 'DX') return number === 2 && size === 2;
  return /^[EGZR][bwdv]$/.test(code) && size === operandBytes(code, operandSize);
}

function acceptsMemory(code: OperandCode, operand: MemoryReference, operandSize: number): boolean {
  if (code[0] === 'O' && (operand.base >= 0 || operand.index >= 0)) return false;
  if (code === 'M' || code === 'Ms') return true;
  return /^[EMOQW]([bwdvqpatefx]|dq)$/.test(code) && operand.size === operandBytes(code, operandSize);
}

export class Assembler {
  /** Address of the first byte: what branches to absolute targets are counted from. */
  readonly origin: number;
  readonly code32: boolean;
  private buffer = new Uint8Array(256);
  private used = 0;
  private fixUps: FixUp[] = [];

  constructor(origin = 0, code32 = true) {
    this.origin = origin >>> 0;
    this.code32 = code32;
  }

  /** Bytes emitted so far. */
  get length(): number {
    return this.used;
  }

  /** Address of the next byte. */
  get address(): number {
    return (this.origin + this.used) >>> 0;
  }

  /** Emits raw bytes: data, or instructions copied unchanged. */
  bytes(...values: readonly number[]): this {
    this.reserve(values.length);
    for (const value of values) this.buffer[this.used++] = value;
    return this;
  }

  /** Emits `length` bytes of `source` from `offset`. */
  copy(source: Uint8Array, offset: number, length: number): this {
    this.reserve(length);
    this.buffer.set(source.subarray(offset, offset + length), this.used);
    this.used += length;
    return this;
  }

  /** Emits a little-endian number of `size` bytes. */
  value(value: number, size: number): this {
    this.reserve(size);
    for (let i = 0; i < size; i++) this.buffer[this.used++] = value >> (8 * i);
    return this;
  }

  /** Pads with one-byte NOPs to a multiple of `boundary` (a power of two). */
  align(boundary: number): this {
    while ((this.address & (boundary - 1)) !== 0) this.bytes(0x90);
    return this;
  }

  label(): Label {
    return { kind: 'label', address: -1 };
  }

  /** Places a label here; without an argument, a new one. */
  bind(label: Label = this.label()): Label {
    if (label.address >= 0) throw new Error(`Label is already bound to 0x${label.address.toString(16)}`);
    label.address = this.address;
    return label;
  }

  /** The LOCK prefix of the next instruction. */
  lock(): this {
    return this.bytes(0xf0);
  }

  /** A string instruction on elements of `size` bytes; `prefix` 0xf3 (REP, REPE), 0xf2 (REPNE) or 0; `segment` of the source or -1. */
  string(mnemonic: string, size: 1 | 2 | 4, prefix = 0, segment = -1): this {
    const row = rowsByMnemonic.get(mnemonic)?.find(({ operands }) => {
      const code = operands.find((operand) => /^[XY]/.test(operand));
      return code !== undefined && (code[1] === 'b') === (size === 1);
    });
    if (row === undefined) throw new Error(`Expected a string instruction, got '${mnemonic}'`);
    if (prefix !== 0) this.bytes(prefix);
    if (segment >= 0) this.bytes(PREFIX_SEGMENT[segment]!);
    if (size !== 1 && (size === 4) !== this.code32) this.bytes(0x66);
    return this.bytes(row.encoding.opcode);
  }

  /** Emits one instruction in its shortest form; `emit('mov', register32(0), memory(4, { base: 3 }))`. Branches to labels that are not bound yet take the near form. */
  emit(mnemonic: string, ...operands: readonly AssemblerOperand[]): this {
    const rows = rowsByMnemonic.get(mnemonic);
    if (rows === undefined) throw new Error(`Expected a mnemonic of the instruction table, got '${mnemonic}'`);
    const natural = this.code32 ? 4 : 2;
    let best: Uint8Array | null = null;
    let bestFixUp: FixUp | null = null;
    for (const row of rows) {
      const operandSize = this.operandSizeOf(row, operands, natural);
      if (row.operands.length !== operands.length) continue;
      if (!row.operands.every((code, i) => accepts(code, operands[i]!, operandSize))) continue;
      const attempt = new Encoder(this.address, this.code32);
      if (!attempt.encode(row, operands, operandSize)) continue;
      if (best !== null && attempt.used >= best.length) continue;
      best = attempt.bytes.subarray(0, attempt.used);
      bestFixUp =
        attempt.label === null
          ? null
          : { label: attempt.label, at: this.used + attempt.labelAt, size: attempt.labelSize };
    }
    if (best === null) throw new Error(`No form of '${mnemonic}' takes ${JSON.stringify(operands)}`);
    this.copy(best, 0, best.length);
    if (bestFixUp !== null) this.fixUps.push(bestFixUp);
    return this;
  }

  jmp(target: Label | AbsoluteTarget): this {
    return this.emit('jmp', target);
  }

  call(target: Label | AbsoluteTarget): this {
    return this.emit('call', target);
  }

  /** A conditional jump by condition number (SDM volume 2D, B.1.4.7). */
  jcc(condition: number, target: Label | AbsoluteTarget): this {
    return this.emit(`j${CONDITIONS[condition]}`, target);
  }

  /** The code, all labels resolved. Throws if one was used and never bound, or lies too far for its form. */
  finish(): Uint8Array {
    for (const { label, at, size } of this.fixUps) {
      if (label.address < 0) throw new Error(`A label used at 0x${(this.origin + at).toString(16)} was never bound`);
      const displacement = (label.address - (this.origin + at + size)) | 0;
      if (size === 1 && !fits8(displacement)) {
        throw new Error(`Expected a label within a signed byte, got a distance of ${displacement}`);
      }
      for (let i = 0; i < size; i++) this.buffer[at + i] = displacement >> (8 * i);
    }
    this.fixUps = [];
    return this.buffer.slice(0, this.used);
  }

  /** The operand size that a row would run with: that of its first v operand; without one, the mode's. */
  private operandSizeOf(row: Instruction, operands: readonly AssemblerOperand[], natural: number): number {
    for (let i = 0; i < row.operands.length; i++) {
      const code = row.operands[i]!;
      const operand = operands[i];
      if (typeof operand !== 'object' || !(code === 'eAX' || /^[EGZO]v$/.test(code))) {
        if (typeof operand === 'object' && operand.kind === 'memory' && code === 'Mp') return operand.size - 2;
        if (typeof operand === 'object' && operand.kind === 'memory' && code === 'Ma') return operand.size / 2;
        if (typeof operand === 'object' && operand.kind === 'memory' && code === 'Me') return operand.size / 7;
        if (typeof operand === 'object' && operand.kind === 'memory' && code === 'Mf') return (operand.size - 80) / 7;
        continue;
      }
      if (operand.kind === 'register' && operand.size !== 1) return operand.size;
      if (operand.kind === 'memory' && (operand.size === 2 || operand.size === 4)) return operand.size;
    }
    return natural;
  }

  private reserve(count: number): void {
    if (this.used + count <= this.buffer.length) return;
    const larger = new Uint8Array(Math.max(this.buffer.length * 2, this.used + count));
    larger.set(this.buffer);
    this.buffer = larger;
  }
}

/** A direct branch's target at a known address (an offset in the code segment). */
export function target(address: number): AbsoluteTarget {
  return { kind: 'absolute', address: address >>> 0 };
}

/** One attempt to encode one row. */
class Encoder {
  readonly bytes = new Uint8Array(LONGEST + 8);
  used = 0;
  label: Label | null = null;
  labelAt = 0;
  labelSize = 0;
  private readonly address: number;
  private readonly code32: boolean;

  constructor(address: number, code32: boolean) {
    this.address = address;
    this.code32 = code32;
  }

  /** False if the row cannot reach the branch target. */
  encode(row: Instruction, operands: readonly AssemblerOperand[], operandSize: number): boolean {
    const { encoding } = row;
    const reference = operands.find(
      (operand): operand is MemoryReference => typeof operand === 'object' && operand.kind === 'memory',
    );
    if (reference !== undefined) {
      const segment = reference.segment;
      if (segment >= 0 && segment !== defaultSegment(reference.base)) this.put(PREFIX_SEGMENT[segment]!);
      if ((reference.addressSize === 4) !== this.code32) this.put(0x67);
    }
    const sized = encoding.prefix < 0 && row.operands.some((code) => /v$|z$|^eAX$|p$|a$|^Ibs$|^M[ef]$/.test(code));
    if (sized && (operandSize === 4) !== this.code32) this.put(0x66);
    if (encoding.prefix > 0) this.put(encoding.prefix);
    if (encoding.map > 0) this.put(0x0f);
    if (encoding.map === 2) this.put(0x38);
    const inOpcode = row.operands.findIndex((code) => code[0] === 'Z');
    this.put(encoding.opcode + (inOpcode < 0 ? 0 : numberOf(operands[inOpcode]!)));
    if (usesModrm(row)) this.modrm(row, operands);
    for (let i = 0; i < operands.length; i++) {
      if (!this.tail(row.operands[i]!, operands[i]!, operandSize)) return false;
    }
    return true;
  }

  private modrm(row: Instruction, operands: readonly AssemblerOperand[]): void {
    let reg = Math.max(row.encoding.extension, 0);
    let rm: AssemblerOperand | undefined;
    row.operands.forEach((code, i) => {
      if (/^[GSCDPV][a-z]q?$/.test(code)) reg = numberOf(operands[i]!);
      if (/^[EMRQWNU][a-z]?q?$/.test(code)) rm = operands[i]!;
    });
    if (row.encoding.modrmFirst >= 0) {
      const inModrm = row.operands.indexOf('STi');
      this.put(row.encoding.modrmFirst + (inModrm < 0 ? 0 : numberOf(operands[inModrm]!)));
    } else if (typeof rm === 'object' && rm.kind === 'memory') {
      if (rm.addressSize === 2) this.memory16(reg, rm);
      else this.memory32(reg, rm);
    } else this.put(0xc0 | (reg << 3) | (rm === undefined ? 0 : numberOf(rm)));
  }

  private memory32(reg: number, { base, index, scale, displacement }: MemoryReference): void {
    if (index === ESP) throw new Error('Expected an index register, got esp');
    // EBP as base always takes a displacement: its place without one means "no base".
    const mod = base < 0 ? 0 : displacement === 0 && base !== EBP ? 0 : fits8(displacement) ? 1 : 2;
    const sib = index >= 0 || base === ESP;
    this.put((mod << 6) | (reg << 3) | (sib ? ESP : base < 0 ? EBP : base));
    if (sib) this.put((scale << 6) | ((index < 0 ? ESP : index) << 3) | (base < 0 ? EBP : base));
    if (base < 0) this.number(displacement, 4);
    else if (mod > 0) this.number(displacement, mod === 1 ? 1 : 4);
  }

  private memory16(reg: number, { base, index, displacement }: MemoryReference): void {
    const forms = ['3,6', '3,7', '5,6', '5,7', '6,-1', '7,-1', '5,-1', '3,-1'];
    const rm = base < 0 ? 6 : forms.indexOf(`${base},${index}`);
    if (rm < 0) throw new Error(`No 16-bit addressing form has base ${base} and index ${index}`);
    const value = (displacement << 16) >> 16;
    const mod = base < 0 ? 0 : value === 0 && rm !== 6 ? 0 : fits8(value) ? 1 : 2;
    this.put((mod << 6) | (reg << 3) | rm);
    if (base < 0 || mod === 2) this.number(value, 2);
    else if (mod === 1) this.number(value, 1);
  }

  /** What follows ModRM: immediates, offsets, branch displacements. */
  private tail(code: OperandCode, operand: AssemblerOperand, operandSize: number): boolean {
    if (typeof operand === 'number') {
      if (code === 'Ib' || code === 'Ibs') this.number(operand, 1);
      else if (code === 'Iw') this.number(operand, 2);
      else if (code === 'Iz') this.number(operand, operandSize);
      return true;
    }
    if (operand.kind === 'far') {
      this.number(operand.offset, operandSize);
      this.number(operand.selector, 2);
    } else if (operand.kind === 'memory' && code[0] === 'O') this.number(operand.displacement, operand.addressSize);
    else if (operand.kind === 'label' || operand.kind === 'absolute') return this.branch(code, operand, operandSize);
    return true;
  }

  private branch(code: OperandCode, to: Label | AbsoluteTarget, operandSize: number): boolean {
    const size = code === 'Jb' ? 1 : operandSize;
    const displacement = (to.address - (this.address + this.used + size)) | 0;
    const open = to.kind === 'label' && to.address < 0;
    if (open) {
      // LOOP and JECXZ have the short form only; of the others the near form is certain to reach.
      if (size === 1 && this.bytes[0]! >> 4 === 7) return false;
      if (size === 1 && this.bytes[0] === 0xeb) return false;
      this.label = to;
      this.labelAt = this.used;
      this.labelSize = size;
      this.number(0, size);
      return true;
    }
    if (size === 1 && !fits8(displacement)) return false;
    this.number(displacement, size);
    return true;
  }

  private put(byte: number): void {
    this.bytes[this.used++] = byte;
  }

  private number(value: number, size: number): void {
    for (let i = 0; i < size; i++) this.put((value >> (8 * i)) & 0xff);
  }
}

function numberOf(operand: AssemblerOperand): number {
  return typeof operand === 'object' && 'number' in operand ? operand.number : 0;
}
