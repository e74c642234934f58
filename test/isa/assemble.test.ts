/** Assembler and formatter: what is assembled from the operands of a decoded instruction decodes to the same text. */
import { describe, expect, test } from 'vitest';
import { Assembler, type AssemblerOperand, target } from '../../src/isa/assemble.ts';
import { createDecoded, decode } from '../../src/isa/decode.ts';
import { format } from '../../src/isa/format.ts';
import { DECODE_OK, type Decoded } from '../../src/isa/instruction.ts';
import {
  controlRegister,
  memory,
  operandsOf,
  register8,
  register16,
  register32,
  segmentRegister,
} from '../../src/isa/operands.ts';
import { INSTRUCTIONS } from '../../src/isa/table.ts';
import { Random } from '../support/random.ts';
import { fillByteStrings, SLOT } from './byte-strings.ts';

function text(bytes: Uint8Array, code32 = true): string {
  const out = createDecoded();
  expect(decode(bytes, 0, bytes.length, code32, out)).toBe(DECODE_OK);
  expect(out.length).toBe(bytes.length);
  return format(out, 0);
}

const assemble = (mnemonic: string, ...operands: AssemblerOperand[]): Uint8Array =>
  new Assembler().emit(mnemonic, ...operands).finish();
const hex = (bytes: Uint8Array): string => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');

/** Assembles what was decoded at address 0. */
function reassemble(decoded: Decoded, code32: boolean): Uint8Array {
  const assembler = new Assembler(0, code32);
  const { instruction } = decoded;
  const operands = operandsOf(decoded).map((operand) =>
    typeof operand === 'object' && operand.kind === 'relative'
      ? target(decoded.length + operand.displacement)
      : operand,
  );
  return assembler.emit(instruction.mnemonic, ...operands).finish();
}

test.each([true, false])('operands of random instructions survive assembly (32-bit code: %s)', (code32) => {
  const natural = code32 ? 4 : 2;
  const bytes = new Uint8Array(40_000 * SLOT);
  fillByteStrings(bytes, new Random(9));
  const first = createDecoded();
  const second = createDecoded();
  const reached = new Set<string>();
  for (let at = 0; at < bytes.length; at += SLOT) {
    if (decode(bytes, at, bytes.length, code32, first) !== DECODE_OK) continue;
    const { operands, mnemonic, encoding } = first.instruction;
    // What the assembler has no syntax for: string instructions (see `string`), prefixes of no effect, operand sizes without an operand.
    if (operands.some((code) => /^[XY]/.test(code)) || first.lock || (first.rep !== 0 && encoding.prefix <= 0))
      continue;
    const sized = encoding.prefix > 0 || operands.some((code) => /v$|^eAX$|p$|a$/.test(code));
    if (first.operandSize !== natural && !sized) continue;
    if (first.addressSize !== natural && first.base < 0) continue;
    if (first.operandSize !== natural && /^(push|sldt|nop|call|jmp)f?$/.test(mnemonic)) continue;
    if (first.segmentOverride && (first.mod === 3 || first.mod < 0)) continue;
    const again = reassemble(first, code32);
    expect(decode(again, 0, again.length, code32, second)).toBe(DECODE_OK);
    expect(format(second, 0), hex(again)).toBe(format(first, 0));
    reached.add(mnemonic);
  }
  const strings = new Set(['movs', 'cmps', 'stos', 'lods', 'scas', 'ins', 'outs', 'pause']);
  const all = new Set(INSTRUCTIONS.map(({ mnemonic }) => mnemonic).filter((name) => !strings.has(name)));
  expect([...all].filter((name) => !reached.has(name))).toEqual([]);
});

test.each([
  ['01 d8', () => assemble('add', register32(0), register32(3))],
  ['83 c0 ff', () => assemble('add', register32(0), -1)],
  ['66 05 34 12', () => assemble('add', register16(0), 0x1234)],
  ['65 a1 10 00 00 00', () => assemble('mov', register32(0), memory(4, { displacement: 0x10, segment: 5 }))],
  ['8b 45 00', () => assemble('mov', register32(0), memory(4, { base: 5 }))],
  ['8b 04 24', () => assemble('mov', register32(0), memory(4, { base: 4 }))],
  ['36 8b 04 cb', () => assemble('mov', register32(0), memory(4, { base: 3, index: 1, scale: 3, segment: 2 }))],
  ['c6 03 05', () => assemble('mov', memory(1, { base: 3 }), 5)],
  ['8e d8', () => assemble('mov', segmentRegister(3), register16(0))],
  ['0f 22 d8', () => assemble('mov', controlRegister(3), register32(0))],
  ['d1 e0', () => assemble('shl', register32(0), 1)],
  ['c1 e0 05', () => assemble('shl', register32(0), 5)],
  ['d3 e0', () => assemble('shl', register32(0), register8(1))],
  ['6a ff', () => assemble('push', -1)],
  ['0f a0', () => assemble('push', segmentRegister(4))],
  ['9a 78 56 34 12 08 00', () => assemble('callf', { kind: 'far', selector: 8, offset: 0x12345678 })],
  ['ff 25 78 56 34 12', () => assemble('jmp', memory(4, { displacement: 0x12345678 }))],
  ['c8 10 00 01', () => assemble('enter', 16, 1)],
  ['f3 66 ab', () => new Assembler().string('stos', 2, 0xf3).finish()],
  [
    'f0 0f b1 0b',
    () =>
      new Assembler()
        .lock()
        .emit('cmpxchg', memory(4, { base: 3 }), register32(1))
        .finish(),
  ],
])('emits %s', (expected, make) => {
  expect(hex(make())).toBe(expected);
});

describe('labels', () => {
  test('a backward branch takes the short form when it reaches', () => {
    const assembler = new Assembler(0x1000);
    const top = assembler.bind();
    assembler.emit('dec', register32(1)).jcc(5, top).jmp(top);
    expect(hex(assembler.finish())).toBe('49 75 fd eb fb');
  });

  test('a forward branch is near and resolved at the end', () => {
    const assembler = new Assembler(0x1000);
    const done = assembler.label();
    assembler.jcc(4, done).call(done).emit('nop');
    assembler.bind(done);
    expect(hex(assembler.finish())).toBe('0f 84 06 00 00 00 e8 01 00 00 00 90');
  });

  test('a branch to an address is counted from the origin', () => {
    expect(hex(new Assembler(0xc0000000).jmp(target(0xc0100000)).finish())).toBe('e9 fb ff 0f 00');
    expect(hex(new Assembler(0x1000).jmp(target(0x1010)).finish())).toBe('eb 0e');
  });

  test('LOOP and JECXZ have a short form only, and say so when it does not reach', () => {
    const assembler = new Assembler();
    const far = assembler.label();
    assembler.emit('jecxz', far).bytes(...Array(200).fill(0x90));
    assembler.bind(far);
    expect(() => assembler.finish()).toThrow('a distance of 200');
  });

  test('an unbound label is an error', () => {
    const assembler = new Assembler();
    assembler.jmp(assembler.label());
    expect(() => assembler.finish()).toThrow('never bound');
  });
});

test.each([
  ['64 8b 44 8b f8', 'mov eax, dword ptr fs:[ebx+ecx*4-0x8]'],
  ['f3 a5', 'rep movsd'],
  ['f2 ae', 'repne scasb'],
  ['65 a4', 'movsb (gs:)'],
  ['66 98', 'cbw'],
  ['98', 'cwde'],
  ['f0 ff 00', 'lock inc dword ptr [eax]'],
  ['75 fe', 'jnz 0x0'],
  ['8d 04 c5 10 00 00 00', 'lea eax, [eax*8+0x10]'],
  ['67 8b 07', 'mov eax, dword ptr [bx]'],
  ['cd 80', 'int 0x80'],
  ['0f b6 c1', 'movzx eax, cl'],
])('%s is formatted as %s', (bytes, expected) => {
  expect(text(Uint8Array.from(bytes.split(' '), (byte) => Number.parseInt(byte, 16)))).toBe(expected);
});
