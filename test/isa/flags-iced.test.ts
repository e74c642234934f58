/** Flag effects in the instruction table against those that iced-x86 knows. */
import { Decoder, DecoderOptions, Instruction as IcedInstruction, RflagsBits } from 'iced-x86';
import { expect, test } from 'vitest';
import { createDecoded, decode } from '../../src/isa/decode.ts';
import { AF, ARITHMETIC, CF, DF, IF, OF, PF, SF, ZF } from '../../src/isa/eflags.ts';
import { DECODE_OK, type Instruction } from '../../src/isa/instruction.ts';
import { Random } from '../support/random.ts';
import { fillByteStrings, SLOT } from './byte-strings.ts';

const BITS: readonly (readonly [iced: number, ours: number])[] = [
  [RflagsBits.OF, OF],
  [RflagsBits.SF, SF],
  [RflagsBits.ZF, ZF],
  [RflagsBits.AF, AF],
  [RflagsBits.CF, CF],
  [RflagsBits.PF, PF],
  [RflagsBits.DF, DF],
  [RflagsBits.IF, IF],
];
const KNOWN = ARITHMETIC | DF | IF;

/** Where the table says something else on purpose. */
const OTHERWISE: ReadonlySet<string> = new Set([
  // One row for all counts, which decide what is written and what undefined; vectors.test.ts looks closer.
  ...['rol', 'ror', 'rcl', 'rcr', 'shl', 'shr', 'sar', 'shld', 'shrd'],
  // A repetition of none leaves the flags, which therefore count as read.
  ...['cmps', 'scas'],
  // iced counts CF of BSF and BSR as cleared (AMD); the SDM leaves it undefined.
  ...['bsf', 'bsr'],
  // iced gives no flags read by POPF and IRET, which keep what they may not change, nor IF cleared through a gate.
  ...['popf', 'iret', 'int', 'int3', 'into'],
]);

function image(flags: number): number {
  return BITS.reduce((sum, [iced, ours]) => sum | ((flags & iced) !== 0 ? ours : 0), 0);
}

function compare(row: Instruction, theirs: IcedInstruction): string[] {
  const pairs: readonly (readonly [string, number, number])[] = [
    ['written', row.flagsWritten, theirs.rflagsWritten | theirs.rflagsCleared | theirs.rflagsSet],
    ['undefined', row.flagsUndefined, theirs.rflagsUndefined],
    ['read', row.flagsRead, theirs.rflagsRead],
  ];
  return pairs
    .filter(([, ours, iced]) => (ours & KNOWN) !== image(iced))
    .map(
      ([what, ours, iced]) =>
        `${row.mnemonic} ${what}: ${(ours & KNOWN).toString(16)}, iced ${image(iced).toString(16)}`,
    );
}

test('flags read, written and undefined are those that iced-x86 knows', () => {
  const bytes = new Uint8Array(60_000 * SLOT);
  fillByteStrings(bytes, new Random(77));
  const decoder = new Decoder(32, bytes, DecoderOptions.None);
  const theirs = new IcedInstruction();
  const ours = createDecoded();
  const problems = new Set<string>();
  const compared = new Set<number>();
  for (let at = 0; at < bytes.length; at += SLOT) {
    decoder.position = at;
    decoder.decodeOut(theirs);
    if (decode(bytes, at, bytes.length, true, ours) !== DECODE_OK) continue;
    if (OTHERWISE.has(ours.instruction.semantics)) continue;
    compared.add(ours.instruction.id);
    for (const problem of compare(ours.instruction, theirs)) problems.add(problem);
  }
  expect([...problems]).toEqual([]);
  expect(compared.size).toBeGreaterThan(300);
});
