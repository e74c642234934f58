/** Loader of the x87 vectors: the cases by their seed, and what scripts/oracle-vectors-x87.mjs recorded of each. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliDecompressSync } from 'node:zlib';
import { type X87Case, x87Cases } from '../../scripts/oracle-vectors/x87-cases.mjs';

const FOLDER = process.env.TRIVISOR_X87_VECTORS ?? fileURLToPath(new URL('../vectors', import.meta.url));
const COLUMNS = ['words', 'mask', 'registers', 'flags', 'eax', 'stores'] as const;
const ENVIRONMENT_BYTES = 28;

export interface X87Header {
  readonly vendor: string;
  readonly processor: string;
  readonly seed: number;
  readonly statesPerForm: number;
  readonly forms: number;
  readonly cases: number;
}

export interface X87Vector {
  readonly test: X87Case;
  readonly control: number;
  readonly status: number;
  readonly tag: number;
  /** Physical registers R0-R7 after it, ten bytes each; null if it did not change. */
  readonly registers: readonly (Uint8Array | null)[];
  readonly eflags: number;
  readonly eax: number;
  readonly window: Uint8Array;
}

export function loadX87Header(): X87Header {
  return JSON.parse(readFileSync(join(FOLDER, 'user-x87.json'), 'utf8')) as X87Header;
}

/** Physical registers of an FNSAVE image in the 32-bit format. */
export function physicalRegisters(image: Uint8Array): Uint8Array[] {
  const top = (image[5]! >> 3) & 7;
  return Array.from({ length: 8 }, (_, register) => {
    const at = ENVIRONMENT_BYTES + 10 * ((register - top) & 7);
    return image.slice(at, at + 10);
  });
}

export function* loadX87Vectors(): Generator<X87Vector> {
  const { seed, statesPerForm } = loadX87Header();
  const file = brotliDecompressSync(readFileSync(join(FOLDER, 'user-x87.bin.br')));
  const columns: Record<string, { bytes: Buffer; at: number }> = {};
  let start = 0;
  for (const name of COLUMNS) {
    const length = file.readUInt32LE(start);
    columns[name] = { bytes: file.subarray(start + 4, start + 4 + length), at: 0 };
    start += 4 + length;
  }
  const take = (name: string, count: number): Buffer => {
    const column = columns[name]!;
    column.at += count;
    return column.bytes.subarray(column.at - count, column.at);
  };
  for (const test of x87Cases(statesPerForm, seed)) {
    const words = take('words', 6);
    const mask = take('mask', 1)[0]!;
    const registers = Array.from({ length: 8 }, (_, register) =>
      (mask >> register) & 1 ? new Uint8Array(take('registers', 10)) : null,
    );
    const eflags = test.eflags ^ take('flags', 2).readUInt16LE(0);
    const eax = take('eax', 1)[0] === 0 ? test.eax : take('eax', 4).readUInt32LE(0);
    const window = test.window.slice();
    for (let left = take('stores', 2).readUInt16LE(0); left > 0; left--) {
      const store = take('stores', 3);
      window[store.readUInt16LE(0)] = store[2]!;
    }
    yield {
      test,
      control: words.readUInt16LE(0),
      status: words.readUInt16LE(2),
      tag: words.readUInt16LE(4),
      registers,
      eflags,
      eax,
      window,
    };
  }
}
