/**
 * The decoder against iced-x86, an independent one, on random byte strings in 32-bit and 16-bit code: validity,
 * length, mnemonic and operands. TRIVISOR_DECODE_STRINGS sets how many strings per code size.
 */
import { Decoder, DecoderOptions, Instruction as IcedInstruction, Mnemonic, OpKind, Register } from 'iced-x86';
import { expect, test } from 'vitest';
import { ABSENT_INSTRUCTIONS } from '../../src/isa/absent.ts';
import { createDecoded, decode } from '../../src/isa/decode.ts';
import { sizedMnemonic } from '../../src/isa/format.ts';
import { DECODE_OK, type Decoded } from '../../src/isa/instruction.ts';
import { type OperandValue, operandsOf } from '../../src/isa/operands.ts';
import { registerName, SEGMENT_REGISTERS } from '../../src/isa/registers.ts';
import { INSTRUCTIONS } from '../../src/isa/table.ts';
import { Random } from '../support/random.ts';
import { fillByteStrings, SLOT } from './byte-strings.ts';
import { DIFFERENCES, ICED_NAMES } from './iced-names.ts';

const STRINGS = Number(process.env.TRIVISOR_DECODE_STRINGS ?? 100_000);
const INVALID = '(invalid)';

function icedMnemonic(instruction: IcedInstruction): string {
  return instruction.mnemonic === Mnemonic.INVALID ? INVALID : Mnemonic[instruction.mnemonic]!.toLowerCase();
}

function isKnownDifference(iced: string, ours: string): boolean {
  return DIFFERENCES.some((difference) => difference.ours === ours && difference.iced.includes(iced));
}

function icedRegister(register: Register): string {
  return register === Register.None ? '' : Register[register]!.toLowerCase();
}

/** One text for an operand, from either decoder. Sizes of memory operands are left out: iced names them its own way. */
function ourOperand(operand: OperandValue, decoded: Decoded): string {
  if (typeof operand === 'number') return `${operand & operandMask(decoded)}`;
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
      return `st${operand.number}`;
    case 'mmx':
      return `mm${operand.number}`;
    case 'xmm':
      return `xmm${operand.number}`;
    case 'far':
      return `${operand.selector}:${operand.offset >>> 0}`;
    case 'relative':
      return `to ${(operand.displacement + decoded.length) & (decoded.operandSize === 2 ? 0xffff : -1)}`;
    case 'memory': {
      const width = operand.addressSize as 2 | 4;
      const base = operand.base < 0 ? '' : registerName(operand.base, width);
      const index = operand.index < 0 ? '' : registerName(operand.index, width);
      const mask = width === 2 ? 0xffff : -1;
      return `${SEGMENT_REGISTERS[operand.segment]}:${base}+${index}*${operand.scale}+${operand.displacement & mask}`;
    }
  }
}

const operandMask = (decoded: Decoded): number => (decoded.operandSize === 2 ? 0xffff : -1);

const EXPLICIT_SEGMENT: Partial<Record<OpKind, readonly [base: string, segment: string]>> = {
  [OpKind.MemorySegSI]: ['si', ''],
  [OpKind.MemorySegESI]: ['esi', ''],
  [OpKind.MemoryESDI]: ['di', 'es'],
  [OpKind.MemoryESEDI]: ['edi', 'es'],
};

function icedOperand(instruction: IcedInstruction, position: number, decoded: Decoded, address: number): string {
  const kind = instruction.opKind(position);
  const string = EXPLICIT_SEGMENT[kind];
  if (string !== undefined) return `${string[1] || icedRegister(instruction.memorySegment)}:${string[0]}+*0+0`;
  switch (kind) {
    case OpKind.Register:
      return icedRegister(instruction.opRegister(position));
    case OpKind.NearBranch16:
      return `to ${(instruction.nearBranch16 - address) & 0xffff}`;
    case OpKind.NearBranch32:
      return `to ${(instruction.nearBranch32 - address) | 0}`;
    case OpKind.FarBranch16:
      return `${instruction.farBranchSelector}:${instruction.farBranch16}`;
    case OpKind.FarBranch32:
      return `${instruction.farBranchSelector}:${instruction.farBranch32}`;
    case OpKind.Memory: {
      const base = icedRegister(instruction.memoryBase);
      const index = icedRegister(instruction.memoryIndex);
      const mask = decoded.addressSize === 2 ? 0xffffn : 0xffff_ffffn;
      const displacement = Number(instruction.memoryDisplacement & mask) | 0;
      const scale = index === '' ? 0 : Math.log2(instruction.memoryIndexScale);
      return `${icedRegister(instruction.memorySegment)}:${base}+${index}*${scale}+${displacement}`;
    }
    default:
      return `${Number(BigInt.asIntN(32, instruction.immediate(position))) & operandMask(decoded)}`;
  }
}

/** Operands that iced lists and the SDM's opcode map leaves implicit, or the other way round. */
const OTHER_OPERANDS: ReadonlySet<string> = new Set(['xlat', 'nop', 'maskmovq', 'maskmovdqu']);
/**
 * A selector or status word in a register: iced names the register by operand size, the opcode map (Ew) by what counts.
 * BSWAP with a 16-bit operand size is undefined (SDM volume 2, BSWAP).
 */
const REGISTER_SIZE_OPEN: ReadonlySet<string> = new Set([
  'sldt',
  'str',
  'lldt',
  'ltr',
  'verr',
  'verw',
  'smsw',
  'lmsw',
  'lar',
  'lsl',
  'arpl',
  'mov',
  'bswap',
  'pinsrw',
]);

const WIDE_REGISTER = /\be([a-d]x|[sb]p|[sd]i)\b/g;

function compareOperands(theirs: IcedInstruction, ours: Decoded, at: number): string | null {
  const { mnemonic } = ours.instruction;
  if (OTHER_OPERANDS.has(mnemonic)) return null;
  const values = operandsOf(ours);
  const mine = values.map((operand) => ourOperand(operand, ours)).join(', ');
  const other = Array.from({ length: theirs.opCount }, (_, i) => icedOperand(theirs, i, ours, at)).join(', ');
  const sameText = REGISTER_SIZE_OPEN.has(mnemonic)
    ? mine.replaceAll(WIDE_REGISTER, '$1') === other.replaceAll(WIDE_REGISTER, '$1')
    : mine === other;
  return sameText ? null : `${mnemonic}: iced ${other}, ours ${mine}`;
}

function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
}

/** ABSENT_INSTRUCTIONS as a predicate on the opcode that a byte string starts with, prefixes skipped. */
interface AbsentRange {
  readonly lead: readonly number[];
  readonly first: number;
  readonly last: number;
  readonly digits: readonly [number, number] | null;
}

function absentRange(text: string): AbsentRange {
  const parts = text.replace(/^(np|66|f3|f2) (?=0f)/, '').split(' ');
  const digitText = parts.at(-1)!.startsWith('/') ? parts.pop()! : null;
  const digits = digitText?.match(/\d/g)?.map(Number);
  const [first, last] = parts
    .pop()!
    .split('-')
    .map((part) => Number.parseInt(part, 16));
  return {
    lead: parts.map((part) => Number.parseInt(part, 16)),
    first: first!,
    last: last ?? first!,
    digits: digits === undefined ? null : [digits[0]!, digits.at(-1)!],
  };
}

const ABSENT_RANGES = ABSENT_INSTRUCTIONS.flatMap(({ opcodes }) => opcodes.map(absentRange));
const PREFIX_BYTES = new Set([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3]);

function isListedAbsent(bytes: Uint8Array): boolean {
  let start = 0;
  while (PREFIX_BYTES.has(bytes[start]!)) start++;
  return ABSENT_RANGES.some(({ lead, first, last, digits }) => {
    if (lead.some((byte, i) => bytes[start + i] !== byte)) return false;
    const byte = bytes[start + lead.length]!;
    if (byte < first || byte > last) return false;
    const reg = (bytes[start + lead.length + 1]! >> 3) & 7;
    return digits === null || (reg >= digits[0] && reg <= digits[1]);
  });
}

/** iced's names of what the table has. */
const PRESENT = new Set(INSTRUCTIONS.map(({ mnemonic }) => ICED_NAMES[mnemonic] ?? mnemonic));

interface Outcome {
  readonly seen: Set<number>;
  /** First example of each kind of problem. */
  readonly problems: Map<string, string>;
  valid: number;
}

function compareAll(bits: 16 | 32): Outcome {
  const bytes = new Uint8Array(STRINGS * SLOT);
  fillByteStrings(bytes, new Random(0x7215 + bits));
  const decoder = new Decoder(bits, bytes, DecoderOptions.None);
  const theirs = new IcedInstruction();
  const ours = createDecoded();
  const outcome: Outcome = { seen: new Set(), problems: new Map(), valid: 0 };
  for (let at = 0; at < bytes.length; at += SLOT) {
    decoder.position = at;
    decoder.ip = BigInt(at & 0xff00);
    decoder.decodeOut(theirs);
    const text = bytes.subarray(at, at + SLOT);
    const report = (problem: string): void => {
      if (!outcome.problems.has(problem)) outcome.problems.set(problem, hex(text));
    };
    const iced = icedMnemonic(theirs);
    if (decode(bytes, at, bytes.length, bits === 32, ours) !== DECODE_OK) {
      if (iced !== INVALID && !isListedAbsent(text)) report(`${iced} is neither present nor listed as absent`);
      if (PRESENT.has(iced)) report(`${iced} is in the table but was not decoded`);
      continue;
    }
    outcome.valid++;
    outcome.seen.add(ours.instruction.id);
    const name = sizedMnemonic(ours);
    if (iced !== name && iced !== ICED_NAMES[name]) {
      if (!isKnownDifference(iced, name)) report(`iced ${iced}, ours ${name}`);
      continue;
    }
    if (theirs.length !== ours.length) report(`${name}: iced's length ${theirs.length}, ours ${ours.length}`);
    if (theirs.hasLockPrefix !== ours.lock) report(`${name}: lock`);
    const operandProblem = compareOperands(theirs, ours, at & 0xff00);
    if (operandProblem !== null) {
      if (!outcome.problems.has(`${name} operands`))
        outcome.problems.set(`${name} operands`, `${operandProblem}: ${hex(text)}`);
    }
  }
  return outcome;
}

const outcomes = { 32: compareAll(32), 16: compareAll(16) };

test.each([32, 16] as const)(`agrees with iced-x86 on ${STRINGS} random strings of %i-bit code`, (bits) => {
  expect(Object.fromEntries(outcomes[bits].problems)).toEqual({});
  expect(outcomes[bits].valid).toBeGreaterThan(STRINGS / 2);
});

test.each([32, 16] as const)('the random strings of %i-bit code reach every row of the table', (bits) => {
  const missed = INSTRUCTIONS.filter(({ id }) => !outcomes[bits].seen.has(id));
  expect(missed.map(({ mnemonic, operands }) => `${mnemonic} ${operands.join()}`)).toEqual([]);
});
