/** Programs run under ring compression end as they do natively: registers, flags, memory. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Assembler } from '../../../src/isa/assemble.ts';
import { memory, register32 } from '../../../src/isa/operands.ts';
import { both, DATA_AT, program, strays } from './guest.ts';

/** One random piece of a program: EBX holds the data page, ESP a stack; EDI counts loops. */
type Piece = (a: Assembler) => void;

const ALU = ['add', 'or', 'adc', 'sbb', 'and', 'sub', 'xor', 'cmp'];
const FREE = [0, 1, 2, 5, 6];
const anyRegister = fc.constantFrom(...FREE);
const offset = fc.integer({ min: 0, max: 60 });

const alu = fc.tuple(fc.constantFrom(...ALU), anyRegister, anyRegister).map(
  ([name, to, from]): Piece =>
    (a) =>
      a.emit(name, register32(to), register32(from)),
);
const aluMemory = fc.tuple(fc.constantFrom(...ALU), anyRegister, offset).map(
  ([name, from, at]): Piece =>
    (a) =>
      a.emit(name, memory(4, { base: 3, displacement: at }), register32(from)),
);
const constant = fc.tuple(anyRegister, fc.integer()).map(
  ([to, value]): Piece =>
    (a) =>
      a.emit('mov', register32(to), value),
);
const flagsRound: fc.Arbitrary<Piece> = fc.constant((a) => a.bytes(0x9c, 0x9d));
const pushPop = fc.tuple(anyRegister, anyRegister).map(
  ([from, to]): Piece =>
    (a) =>
      a.emit('push', register32(from)).emit('pop', register32(to)),
);
const flagsToRegister = anyRegister.map(
  (to): Piece =>
    (a) =>
      a.bytes(0x9c).emit('pop', register32(to)),
);
const interruptFlag = fc.constantFrom(0xfa, 0xfb).map(
  (byte): Piece =>
    (a) =>
      a.bytes(byte),
);
const setcc = fc.tuple(fc.integer({ min: 0, max: 15 }), fc.constantFrom(0, 1, 2)).map(
  ([condition, to]): Piece =>
    (a) =>
      a.bytes(0x0f, 0x90 + condition, 0xc0 | to),
);
/** SGDT, SIDT, SMSW, STR, SLDT into the data page. */
const probe = fc
  .tuple(fc.constantFrom([0x01, 0x43], [0x01, 0x4b], [0x01, 0x63], [0x00, 0x4b], [0x00, 0x43]), offset)
  .map(
    ([[low, modrm], at]): Piece =>
      (a) =>
        a.bytes(0x0f, low as number, modrm as number, at),
  );
const selector = fc.tuple(fc.integer({ min: 0, max: 5 }), anyRegister).map(
  ([segment, to]): Piece =>
    (a) =>
      a.bytes(0x8c, 0xc0 | (segment << 3) | to),
);
const pushSelector = fc
  .tuple(fc.constantFrom([0x0e], [0x16], [0x1e], [0x06], [0x0f, 0xa0], [0x0f, 0xa8]), anyRegister)
  .map(
    ([bytes, to]): Piece =>
      (a) =>
        a.bytes(...bytes).emit('pop', register32(to)),
  );

const simple = fc.oneof(
  alu,
  aluMemory,
  constant,
  flagsRound,
  pushPop,
  flagsToRegister,
  interruptFlag,
  setcc,
  probe,
  selector,
  pushSelector,
);
const straight = fc.array(simple, { minLength: 1, maxLength: 20 });

const skip = fc.tuple(fc.integer({ min: 0, max: 15 }), straight).map(
  ([condition, inner]): Piece =>
    (a) => {
      const over = a.label();
      a.jcc(condition, over);
      for (const piece of inner) piece(a);
      a.bind(over);
    },
);
const loop = fc.tuple(fc.integer({ min: 1, max: 5 }), straight).map(
  ([times, inner]): Piece =>
    (a) => {
      a.emit('mov', register32(7), times);
      const top = a.bind();
      for (const piece of inner) piece(a);
      a.emit('dec', register32(7)).jcc(5, top);
    },
);
const called = fc.tuple(straight, fc.boolean()).map(
  ([inner, indirect]): Piece =>
    (a) => {
      const entry = a.label();
      const over = a.label();
      a.jmp(over);
      a.bind(entry);
      for (const piece of inner) piece(a);
      a.emit('ret');
      a.bind(over);
      if (indirect) {
        a.emit('mov', register32(0), entry.address);
        a.bytes(0xff, 0xd0);
      } else a.call(entry);
    },
);
const piece = fc.oneof({ weight: 3, arbitrary: simple }, skip, loop, called);

function build(pieces: readonly Piece[]): Uint8Array {
  return program((a) => {
    a.emit('mov', register32(3), DATA_AT);
    for (const number of [...FREE, 7]) a.emit('mov', register32(number), 0x01010101 * number);
    for (const each of pieces) each(a);
  });
}

describe('random programs', () => {
  for (const variation of [[], ['nochain']] as const) {
    it(`[rc:ident] [rc:physical-flags] end as natively ${variation.join()}`, () => {
      fc.assert(
        fc.property(fc.array(piece, { minLength: 1, maxLength: 12 }), (pieces) => {
          const [expected, actual, engine] = both(build(pieces), 256, ...variation);
          expect(actual).toEqual(expected);
          expect(expected.stop.kind).toBe('marker');
          expect(strays(engine)).toEqual([0, 0]);
        }),
        { numRuns: 25 },
      );
    });
  }
});
