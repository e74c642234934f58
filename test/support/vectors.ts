/** Loader of the vectors that scripts/oracle-vectors.mjs recorded on a real processor; the file format is described there. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { AF, CF, OF } from '../../src/isa/eflags.ts';
import type { Decoded } from '../../src/isa/instruction.ts';
import { operandBytes } from '../../src/isa/operands.ts';
import { Random } from './random.ts';

export interface VectorHeader {
  readonly vendor: string;
  readonly processor: string;
  readonly forms: number;
  readonly cases: number;
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

/** As fillMemory of scripts/oracle-vectors/random.mjs. */
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

/** All vectors of a file, one by one. */
export function* loadVectors(name: string): Generator<Vector> {
  const { windowBytes } = loadVectorHeader(name);
  const file = gunzipSync(readFileSync(pathOf(`${name}.bin.gz`)));
  let at = 0;
  const byte = (): number => file[at++]!;
  const word = (): number => {
    at += 4;
    return file.readUInt32LE(at - 4);
  };
  const patch = (memory: Uint8Array): void => {
    for (let count = byte(); count > 0; count--) {
      const offset = byte();
      memory[offset] = byte();
    }
  };
  while (at < file.length) {
    const length = byte();
    const bytes = file.subarray(at, at + length);
    at += length;
    const registers = Int32Array.from({ length: 8 }, word);
    const eflags = word();
    const memory = new Uint8Array(windowBytes);
    fillMemory(memory, word());
    patch(memory);
    const vector = byte();
    const error = vector === PAGE_FAULT ? word() : 0;
    const cr2 = vector === PAGE_FAULT ? word() : 0;
    const eip = word();
    const eflagsAfter = word();
    const mask = byte();
    const registersAfter = registers.map((value, number) => ((mask >> number) & 1 ? word() : value));
    const memoryAfter = memory.slice();
    patch(memoryAfter);
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
