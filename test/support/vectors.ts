/** Loader of the vectors that scripts/oracle-vectors.mjs recorded on a real processor; the file format is described there. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { brotliDecompressSync } from 'node:zlib';
import { AF, CF, OF } from '../../src/isa/eflags.ts';
import type { Decoded } from '../../src/isa/instruction.ts';
import { operandBytes } from '../../src/isa/operands.ts';
import { Random } from './random.ts';

export interface VectorHeader {
  readonly vendor: string;
  readonly processor: string;
  readonly forms: number;
  readonly cases: number;
  readonly seed: number;
  /** Linear addresses of the instruction and of the memory window. */
  readonly codeStart: number;
  readonly window: number;
  readonly windowBytes: number;
}

export interface Vector {
  readonly bytes: Uint8Array;
  /** EAX ECX EDX EBX ESP EBP ESI EDI before and after. */
  readonly registers: Int32Array;
  readonly registersAfter: Int32Array;
  readonly eflags: number;
  readonly eflagsAfter: number;
  /** The memory window before and after. */
  readonly memory: Uint8Array;
  readonly memoryAfter: Uint8Array;
  /** Exception vector, or COMPLETED. */
  readonly vector: number;
  /** Of a page fault; else 0. */
  readonly error: number;
  readonly cr2: number;
  /** Where execution goes on; of a fault, the instruction. */
  readonly eip: number;
}

export const COMPLETED = 0xff;
const PAGE_FAULT = 14;

const CORNERS = [0, 1, 2, -1, -2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000];

/** As caseSeed, fillRegisters and fillMemory of scripts/oracle-vectors/random.mjs. */
function caseSeed(seed: number, number: number): number {
  return (Math.imul(number + 1, 0x9e3779b1) ^ Math.imul(seed, 0x85ebca6b)) >>> 0 || 1;
}
function fillRegisters(seed: number): Int32Array {
  const random = new Random(seed);
  return Int32Array.from({ length: 8 }, () => {
    const kind = random.below(4);
    if (kind === 0) return random.pick(CORNERS);
    if (kind === 1) return random.pick(CORNERS) + random.below(7) - 3;
    return random.next();
  });
}
function fillMemory(memory: Uint8Array, seed: number): void {
  const random = new Random(seed);
  for (let at = 0; at < memory.length; at += 4) {
    const word = random.next();
    const value = (word & 3) === 0 ? CORNERS[(word >>> 8) % CORNERS.length]! : word;
    for (let i = 0; i < 4; i++) memory[at + i] = value >>> (8 * i);
  }
}

export function loadVectorHeader(name: string): VectorHeader {
  return JSON.parse(readFileSync(pathOf(`${name}.json`), 'utf8')) as VectorHeader;
}

function pathOf(file: string): string {
  return fileURLToPath(new URL(`../vectors/${file}`, import.meta.url));
}

/** Reads one column from its start. */
class Column {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }
  byte(): number {
    return this.#bytes[this.#at++]!;
  }
  half(): number {
    this.#at += 2;
    return this.#bytes.readUInt16LE(this.#at - 2);
  }
  word(): number {
    this.#at += 4;
    return this.#bytes.readUInt32LE(this.#at - 4);
  }
  take(length: number): Uint8Array {
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
  /** `values` with those of the mask's that come next. */
  over(values: Int32Array): Int32Array {
    const mask = this.byte();
    return values.map((value, number) => ((mask >> number) & 1 ? this.word() : value));
  }
  /** Puts the bytes that come next into `memory`. */
  patch(memory: Uint8Array): void {
    for (let count = this.byte(); count > 0; count--) {
      const offset = this.byte();
      memory[offset] = this.byte();
    }
  }
}

function columnsOf(name: string): () => Column {
  const file = brotliDecompressSync(readFileSync(pathOf(`${name}.bin.br`)));
  let at = 0;
  return () => {
    const length = file.readUInt32LE(at);
    at += 4 + length;
    return new Column(file.subarray(at - length, at));
  };
}

/** All vectors of a file, one by one. */
export function* loadVectors(name: string): Generator<Vector> {
  const { windowBytes, cases, seed, codeStart } = loadVectorHeader(name);
  const next = columnsOf(name);
  const columns = {
    number: next(),
    code: next(),
    given: next(),
    eflags: next(),
    patches: next(),
    vector: next(),
    page: next(),
    eip: next(),
    flags: next(),
    changed: next(),
    stores: next(),
  };
  let number = -1;
  for (let left = cases; left > 0; left--) {
    number += columns.number.word();
    const mine = caseSeed(seed, number);
    const bytes = columns.code.take(columns.code.byte());
    const registers = columns.given.over(fillRegisters(mine));
    const eflags = columns.eflags.half();
    const memory = new Uint8Array(windowBytes);
    fillMemory(memory, mine);
    columns.patches.patch(memory);
    const vector = columns.vector.byte();
    const error = vector === PAGE_FAULT ? columns.page.word() : 0;
    const cr2 = vector === PAGE_FAULT ? columns.page.word() : 0;
    const eip = (columns.eip.word() + codeStart) >>> 0;
    const eflagsAfter = columns.flags.word() ^ eflags;
    const registersAfter = columns.changed.over(registers);
    const memoryAfter = memory.slice();
    columns.stores.patch(memoryAfter);
    yield { bytes, registers, registersAfter, eflags, eflagsAfter, memory, memoryAfter, vector, error, cr2, eip };
  }
}

/** Meanings whose flags depend on a count; the operand that holds it. */
const COUNT_OPERAND: Readonly<Record<string, number>> = {
  rol: 1,
  ror: 1,
  rcl: 1,
  rcr: 1,
  shl: 1,
  shr: 1,
  sar: 1,
  shld: 2,
  shrd: 2,
};

/**
 * EFLAGS that a decoded instruction leaves undefined for this count in CL (SDM volume 2, the shift and rotate pages):
 * none for 0, OF and AF but for 1, CF of SHL and SHR by the operand's size or more. Other instructions: as the table says.
 */
export function undefinedFlags(decoded: Decoded, cl: number): number {
  const { semantics, operands, flagsUndefined } = decoded.instruction;
  const position = COUNT_OPERAND[semantics];
  if (position === undefined) return flagsUndefined;
  const code = operands[position];
  const count = (code === '1' ? 1 : code === 'CL' ? cl : decoded.immediate) & 31;
  if (count === 0) return 0;
  const isShift = semantics[0] === 's';
  let flags = count === 1 ? 0 : OF;
  if (isShift) flags |= AF;
  const bits = 8 * operandBytes(operands[0]!, decoded.operandSize);
  if ((semantics === 'shl' || semantics === 'shr') && count >= bits) flags |= CF;
  // A double shift by more than the operand's size leaves the result undefined too, and is not among the vectors.
  return flags;
}
