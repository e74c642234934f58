/** Disassembly in Intel syntax, for explanations and traces. */
import type { Decoded } from './instruction.ts';
import { defaultSegment, type MemoryReference, type OperandValue, operandsOf } from './operands.ts';
import { registerName, SEGMENT_REGISTERS } from './registers.ts';

/** Mnemonics that name their operand size: 16-bit and 32-bit form. */
const SIZED_NAMES: Readonly<Record<string, readonly [word: string, doubleword: string]>> = {
  cbw: ['cbw', 'cwde'],
  cwd: ['cwd', 'cdq'],
  pusha: ['pusha', 'pushad'],
  popa: ['popa', 'popad'],
  pushf: ['pushf', 'pushfd'],
  popf: ['popf', 'popfd'],
  iret: ['iret', 'iretd'],
};
const STRING_SUFFIX: Readonly<Record<number, string>> = { 1: 'b', 2: 'w', 4: 'd' };
const SIZE_NAMES: Readonly<Record<number, string>> = {
  1: 'byte',
  2: 'word',
  4: 'dword',
  6: 'fword',
  8: 'qword',
  10: 'tbyte',
  16: 'xmmword',
};

/** The mnemonic with its size where Intel's name has one: movsd, cwde, pushfd, jcxz. */
export function sizedMnemonic(decoded: Decoded): string {
  const { mnemonic, operands } = decoded.instruction;
  const sized = SIZED_NAMES[mnemonic];
  if (sized !== undefined) return sized[decoded.operandSize === 2 ? 0 : 1];
  if (mnemonic === 'jecxz') return decoded.addressSize === 2 ? 'jcxz' : 'jecxz';
  const stringOperand = operands.find((code) => code[0] === 'X' || code[0] === 'Y');
  if (stringOperand === undefined) return mnemonic;
  return mnemonic + STRING_SUFFIX[stringOperand[1] === 'b' ? 1 : decoded.operandSize];
}

function hex(value: number): string {
  return `0x${(value >>> 0).toString(16)}`;
}

function signed(value: number): string {
  return value < 0 ? `-0x${(-value).toString(16)}` : `+0x${value.toString(16)}`;
}

function formatMemory(operand: MemoryReference): string {
  const { size, segment, base, index, scale, displacement } = operand;
  const width = operand.addressSize === 2 ? 2 : 4;
  const terms: string[] = [];
  if (base >= 0) terms.push(registerName(base, width));
  if (index >= 0) terms.push(registerName(index, width) + (scale === 0 ? '' : `*${1 << scale}`));
  let inner = terms.join('+');
  if (inner === '') inner = hex(displacement);
  else if (displacement !== 0) inner += signed(displacement);
  const prefix = segment < 0 || segment === defaultSegment(base) ? '' : `${SEGMENT_REGISTERS[segment]}:`;
  const name = SIZE_NAMES[size];
  return `${name === undefined ? '' : `${name} ptr `}${prefix}[${inner}]`;
}

/** Text of one operand; `next` is the address of the following instruction, within its code segment. */
export function formatOperand(operand: OperandValue, next: number): string {
  if (typeof operand === 'number') return hex(operand);
  switch (operand.kind) {
    case 'register':
      return registerName(operand.number, operand.size);
    case 'segment':
      return SEGMENT_REGISTERS[operand.number]!;
    case 'control':
      return `cr${operand.number}`;
    case 'debug':
      return `dr${operand.number}`;
    case 'stack':
      return `st(${operand.number})`;
    case 'mmx':
      return `mm${operand.number}`;
    case 'xmm':
      return `xmm${operand.number}`;
    case 'memory':
      return formatMemory(operand);
    case 'far':
      return `${hex(operand.selector)}:${hex(operand.offset)}`;
    case 'relative':
      return hex(next + operand.displacement);
  }
}

/** The instruction as text. `address` is its offset in the code segment, from which branch targets are counted. */
export function format(decoded: Decoded, address: number): string {
  const { repeat, mnemonic } = decoded.instruction;
  const mask = decoded.operandSize === 2 ? 0xffff : -1;
  const next = address + decoded.length;
  let text = decoded.lock ? 'lock ' : '';
  if (decoded.rep !== 0 && repeat !== 'none') {
    text += repeat === 'rep' ? 'rep ' : decoded.rep === 0xf3 ? 'repe ' : 'repne ';
  }
  text += sizedMnemonic(decoded);
  // A string instruction's operands are fixed, but for the source's segment.
  if (decoded.instruction.operands.some((code) => code[0] === 'X' || code[0] === 'Y')) {
    return decoded.segmentOverride ? `${text} (${SEGMENT_REGISTERS[decoded.segment]}:)` : text;
  }
  if (mnemonic === 'xlat' && decoded.segmentOverride) return `${text} (${SEGMENT_REGISTERS[decoded.segment]}:)`;
  const operands = operandsOf(decoded).map((operand) =>
    typeof operand === 'object' && operand.kind === 'relative'
      ? hex((next + operand.displacement) & mask)
      : formatOperand(operand, next),
  );
  return operands.length === 0 ? text : `${text} ${operands.join(', ')}`;
}
