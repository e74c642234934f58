/**
 * The instruction table: every opcode form of `opcodes.ts` with the properties of its properties. What the decoder,
 * the formatter, the assembler, the interpreter, the translators and the cost model know of instructions is here.
 */
import { CF, OF, PF, SF, ZF } from './eflags.ts';
import type { Encoding, Instruction, OperandCode } from './instruction.ts';
import { CONDITIONS, OPCODES, type OpcodeRow } from './opcodes.ts';
import { PROPERTIES } from './properties.ts';

/** EFLAGS bits that a condition tests, by the condition's number divided by two (SDM volume 1, appendix B). */
const CONDITION_FLAGS = [OF, CF, ZF, CF | ZF, SF, PF, SF | OF, SF | OF | ZF];
const CONDITIONAL = /^(j|set|cmov)(.*)=(jcc|setcc|cmovcc)$/;
/** Meanings with a shift count: a count of 0 leaves the flags, and only a count of 1 defines OF. */
const SHIFTS: ReadonlySet<string> = new Set(['rol', 'ror', 'rcl', 'rcr', 'shl', 'shr', 'sar', 'shld', 'shrd']);
const MANDATORY: Readonly<Record<string, number>> = { np: 0, '66': 0x66, f3: 0xf3, f2: 0xf2 };

function parseEncoding(text: string): Encoding {
  const parts: string[] = text.split(' ');
  let prefix = -1;
  if (parts.length > 1 && MANDATORY[parts[0]!] !== undefined) prefix = MANDATORY[parts.shift()!]!;
  let map = 0;
  for (const lead of ['0f', '38']) {
    if (parts[0] !== lead || parts.length === 1) break;
    parts.shift();
    map++;
  }
  const opcode = parts.shift()!;
  const rest = parts.shift();
  const extension = rest?.startsWith('/') ? Number(rest.slice(1)) : -1;
  const [first, last] = rest !== undefined && extension < 0 ? rest.split('-') : [];
  return {
    prefix,
    map,
    opcode: Number.parseInt(opcode, 16),
    register: opcode.endsWith('+r'),
    extension,
    modrmFirst: first === undefined ? -1 : Number.parseInt(first, 16),
    modrmLast: first === undefined ? -1 : Number.parseInt(last ?? first, 16),
  };
}

function instruction([encodingText, name, ...operands]: OpcodeRow, id: number): Instruction {
  const [mnemonic, semantics] = name.includes('=') ? (name.split('=') as [string, string]) : [name, name];
  const properties = PROPERTIES[semantics];
  if (properties === undefined) throw new Error(`No meaning '${semantics}' for opcode ${encodingText}`);
  const conditionName = CONDITIONAL.exec(name)?.[2];
  const condition = conditionName === undefined ? -1 : CONDITIONS.indexOf(conditionName as (typeof CONDITIONS)[number]);
  let flagsRead = properties.read ?? 0;
  const flagsWritten = properties.written ?? 0;
  let flagsUndefined = properties.undefined ?? 0;
  if (condition >= 0) flagsRead |= CONDITION_FLAGS[condition >> 1]!;
  if (SHIFTS.has(semantics) && operands.at(-1) !== '1') {
    flagsUndefined |= OF;
    flagsRead |= flagsWritten | flagsUndefined;
  }
  return {
    id,
    mnemonic,
    semantics,
    condition,
    operands,
    encoding: parseEncoding(encodingText),
    flagsRead,
    flagsWritten,
    flagsUndefined,
    ends: properties.ends ?? 'no',
    privilege: properties.privilege ?? 'user',
    sensitive: properties.sensitive ?? false,
    // A register destination with LOCK is #UD (SDM volume 2, LOCK): only forms that can write memory are lockable.
    lockable: (properties.lockable ?? false) && isMemoryOperand(operands[0]),
    repeat: properties.repeat ?? 'none',
    cost: properties.cost,
  };
}

function isMemoryOperand(code: OperandCode | undefined): boolean {
  return code !== undefined && (code.startsWith('E') || code.startsWith('M')) && code !== 'ES';
}

export const INSTRUCTIONS: readonly Instruction[] = OPCODES.map(instruction);

/** True if the operand stands in ModRM: a form with such an operand, an extension or a fixed ModRM has the byte. */
export function usesModrm(row: Instruction): boolean {
  return row.encoding.extension >= 0 || row.encoding.modrmFirst >= 0 || row.operands.some(isModrmOperand);
}

function isModrmOperand(code: OperandCode): boolean {
  return /^[EGMRSCDPQNVWU][a-z]?q?$/.test(code);
}
