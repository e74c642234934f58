/** What the decoder must say besides mnemonic and operands: ends of the bytes, the length limit, LOCK, markers. */
import { describe, expect, test } from 'vitest';
import { createDecoded, decode, markerCode } from '../../src/isa/decode.ts';
import {
  DECODE_INVALID,
  DECODE_OK,
  DECODE_TOO_LONG,
  DECODE_TRUNCATED,
  type Decoded,
} from '../../src/isa/instruction.ts';
import { PROPERTIES } from '../../src/isa/properties.ts';
import { MEANINGS } from '../../src/isa/semantics/index.ts';
import { INSTRUCTIONS } from '../../src/isa/table.ts';
import { Random } from '../support/random.ts';
import { fillByteStrings, SLOT } from './byte-strings.ts';

const out = createDecoded();

function status(text: string, code32 = true): number {
  const bytes = Uint8Array.from(text.split(' '), (byte) => Number.parseInt(byte, 16));
  return decode(bytes, 0, bytes.length, code32, out);
}

function decoded(text: string, code32 = true): Decoded {
  expect(status(text, code32)).toBe(DECODE_OK);
  return { ...out };
}

test('an instruction cut anywhere is truncated, never something else', () => {
  const bytes = new Uint8Array(20_000 * SLOT);
  fillByteStrings(bytes, new Random(5));
  let checked = 0;
  for (let at = 0; at < bytes.length; at += SLOT) {
    if (decode(bytes, at, bytes.length, true, out) !== DECODE_OK) continue;
    const { length } = out;
    for (let limit = at; limit < at + length; limit++) {
      checked++;
      if (decode(bytes, at, limit, true, out) !== DECODE_TRUNCATED) expect.fail(`at ${at}, limit ${limit - at}`);
    }
  }
  expect(checked).toBeGreaterThan(20_000);
});

describe('the limit of 15 bytes', () => {
  const prefixes = (count: number): string => Array(count).fill('66').join(' ');

  test('14 prefixes and an opcode are an instruction', () => {
    expect(decoded(`${prefixes(14)} 90`).length).toBe(15);
  });

  test('15 prefixes and an opcode are too long', () => {
    expect(status(`${prefixes(15)} 90`)).toBe(DECODE_TOO_LONG);
  });

  test('an immediate that crosses the limit is too long', () => {
    expect(status(`${prefixes(10)} 81 c0 11 22 33 44`)).toBe(DECODE_OK);
    expect(status(`${prefixes(12)} 81 c0 11 22 33 44`)).toBe(DECODE_TOO_LONG);
  });
});

describe('LOCK', () => {
  test('is accepted with a memory destination', () => {
    expect(decoded('f0 01 03').lock).toBe(true);
    expect(decoded('f0 0f c7 0b').instruction.mnemonic).toBe('cmpxchg8b');
  });

  test.each([
    ['a register destination', 'f0 01 c3'],
    ['a memory source', 'f0 03 03'],
    ['CMP', 'f0 39 03'],
    ['BT', 'f0 0f a3 03'],
    ['MOV', 'f0 89 03'],
    ['an instruction without operands', 'f0 90'],
  ])('with %s is #UD', (_, bytes) => {
    expect(status(bytes)).toBe(DECODE_INVALID);
  });
});

describe('prefixes', () => {
  test('the last segment override counts', () => {
    expect(decoded('64 2e 65 8b 03')).toMatchObject({ segment: 5, segmentOverride: true });
  });

  test('the destination of a string instruction is in ES whatever the prefix', () => {
    expect(decoded('64 aa').segment).toBe(0);
    expect(decoded('64 a4').segment).toBe(4);
  });

  test('66 and 67 toggle the sizes of the code segment', () => {
    expect(decoded('66 67 8b 07')).toMatchObject({ operandSize: 2, addressSize: 2, base: 3, index: -1 });
    expect(decoded('66 67 8b 03', false)).toMatchObject({ operandSize: 4, addressSize: 4, base: 3 });
    expect(decoded('66 66 90')).toMatchObject({ operandSize: 2 });
  });

  test('F3 90 is PAUSE; F2 90 and 66 90 are NOP', () => {
    expect(decoded('f3 90').instruction.mnemonic).toBe('pause');
    expect(decoded('f2 90').instruction.mnemonic).toBe('nop');
    expect(decoded('66 90').instruction.mnemonic).toBe('nop');
  });
});

test('a lone 16-bit displacement is zero-extended, one with a register sign-extended', () => {
  expect(decoded('67 8b 06 00 80')).toMatchObject({ base: -1, displacement: 0x8000 });
  expect(decoded('67 8b 87 00 80')).toMatchObject({ base: 3, displacement: -0x8000 });
  expect(decoded('67 a1 00 80')).toMatchObject({ base: -1, displacement: 0x8000, mod: -1 });
});

test('places of displacement and immediate are where a translator must patch', () => {
  expect(decoded('66 81 84 8b 44 33 22 11 88 77')).toMatchObject({
    displacementOffset: 4,
    displacementSize: 4,
    displacement: 0x11223344,
    immediateOffset: 8,
    immediateSize: 2,
    immediate: 0x7788,
  });
  expect(decoded('9a 44 33 22 11 08 00')).toMatchObject({ immediate: 0x11223344, immediate2: 8, immediateSize: 4 });
  expect(decoded('c8 10 80 03')).toMatchObject({ immediate: 0x8010, immediate2: 3, immediateSize: 2 });
});

test.each([
  ['MOV CS', '8e c8'],
  ['MOV from segment register 6', '8c f0'],
  ['MOV CR1', '0f 20 c8'],
  ['MOV CR8', '0f 22 c0'.replace('c0', 'c8')],
  ['LEA of a register', '8d c0'],
  ['BOUND of a register', '62 c0'],
  ['LES of a register', 'c4 c0'],
  ['FF /7', 'ff ff'],
  ['POP /1', '8f c8'],
])('%s is #UD', (_, bytes) => {
  expect(status(`${bytes} 00 00 00 00`)).toBe(DECODE_INVALID);
});

describe('markers', () => {
  test('0F 1F 80 with the magic in the high half is one', () => {
    expect(markerCode(decoded('0f 1f 80 03 00 56 54'))).toBe(3);
  });

  test.each([
    ['another displacement', '0f 1f 80 03 00 00 00'],
    ['another base', '0f 1f 81 03 00 56 54'],
    ['a prefix', '66 0f 1f 80 03 00 56 54'],
    ['another hint', '0f 1e 80 03 00 56 54'],
    ['another instruction', '8b 80 03 00 56 54'],
  ])('%s is none', (_, bytes) => {
    expect(markerCode(decoded(bytes))).toBe(-1);
  });
});

describe('the table', () => {
  test('ids are dense and in order', () => {
    expect(INSTRUCTIONS.every(({ id }, i) => id === i)).toBe(true);
  });

  test('uses every meaning', () => {
    const used = new Set(INSTRUCTIONS.map(({ semantics }) => semantics));
    expect(Object.keys(PROPERTIES).filter((name) => !used.has(name))).toEqual([]);
  });

  test('has a meaning for every row', () => {
    expect(INSTRUCTIONS.filter(({ semantics }) => MEANINGS[semantics] === undefined)).toEqual([]);
  });

  test("marks Robin and Irvine's seventeen", () => {
    // Robin and Irvine 2000, table 1; IRET and the other software interrupts added.
    const listed = [
      ...['sgdt', 'sidt', 'sldt', 'smsw', 'pushf', 'popf', 'lar', 'lsl', 'verr', 'verw', 'popSegment', 'pushSegment'],
      ...['farCall', 'farJump', 'int', 'farRet', 'str', 'movSegmentLoad', 'movSegmentStore', 'int3', 'into', 'iret'],
    ];
    const marked = new Set(INSTRUCTIONS.filter(({ sensitive }) => sensitive).map(({ semantics }) => semantics));
    expect([...marked].sort()).toEqual(listed.sort());
  });
});
