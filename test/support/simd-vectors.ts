/** Loader of the vectors that scripts/oracle-vectors-simd.mjs recorded on a real processor; the file format is described there. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { brotliDecompressSync } from 'node:zlib';
import { casesOf, formsOf, type SimdCase, type SimdForm, stateOf } from '../../scripts/oracle-vectors/simd-cases.mjs';
import { SIMD_OPCODES } from '../../src/isa/opcodes-simd.ts';

export interface SimdVectorHeader {
  readonly vendor: string;
  readonly processor: string;
  readonly seed: number;
  readonly statesPerForm: number;
  readonly cases: number;
  readonly forms: readonly string[];
}

export interface SimdVector {
  readonly form: SimdForm;
  readonly test: SimdCase;
  /** Exception vector, or COMPLETED. */
  readonly vector: number;
  /** Of a page fault; else 0. */
  readonly error: number;
  readonly cr2: number;
  /** State words before and after, in the order of STATE_NAMES. */
  readonly before: Uint32Array;
  readonly after: Uint32Array;
}

export const COMPLETED = 0xff;
const PAGE_FAULT = 14;
const FOLDER = process.env.TRIVISOR_SIMD_VECTORS ?? fileURLToPath(new URL('../vectors', import.meta.url));

export function loadSimdHeader(): SimdVectorHeader {
  return JSON.parse(readFileSync(`${FOLDER}/user-simd.json`, 'utf8')) as SimdVectorHeader;
}

/** All vectors, form by form in the order of the header. */
export function* loadSimdVectors(): Generator<SimdVector> {
  const { seed, statesPerForm, forms } = loadSimdHeader();
  const file = brotliDecompressSync(readFileSync(`${FOLDER}/user-simd.bin.br`));
  const starts: number[] = [];
  for (let at = 0; at < file.length; at += 4 + file.readUInt32LE(at)) starts.push(at + 4);
  let [vectors, pages, changed, values] = starts as [number, number, number, number];
  const known = new Map(formsOf(SIMD_OPCODES).map((form) => [form.name, form]));
  for (const name of forms) {
    const form = known.get(name);
    if (form === undefined)
      throw new Error(`The opcode table has no form '${name}' any more; record the vectors again.`);
    for (const test of casesOf(form, statesPerForm, seed)) {
      const vector = file[vectors++]!;
      let error = 0;
      let cr2 = 0;
      if (vector === PAGE_FAULT) {
        error = file.readUInt32LE(pages);
        cr2 = file.readUInt32LE(pages + 4);
        pages += 8;
      }
      const before = stateOf(test);
      const after = before.slice();
      for (let count = file[changed++]!; count > 0; count--) {
        after[file[changed++]!] = file.readUInt32LE(values);
        values += 4;
      }
      yield { form, test, vector, error, cr2, before, after };
    }
  }
}
