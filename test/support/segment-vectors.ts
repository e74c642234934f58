/** Loader of the vectors that scripts/oracle-segments.mjs recorded on a real processor; the form is described there. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { brotliDecompressSync } from 'node:zlib';

export interface LdtEntry {
  /** 0 data, 1 expand-down data, 2 code. */
  readonly contents: number;
  readonly base: number;
  readonly limit: number;
  readonly big: boolean;
  /** Read-only data, execute-only code. */
  readonly restricted?: boolean;
  readonly absent?: boolean;
  readonly pages?: boolean;
}

export type Pairs = readonly (readonly [at: number, value: number])[];

/** EAX ECX EDX EBX ESP EBP ESI EDI; CS SS DS ES FS. */
export interface SegmentState {
  readonly registers: readonly number[];
  readonly eip: number;
  readonly eflags: number;
  readonly selectors: readonly number[];
}

export interface SegmentCase extends SegmentState {
  readonly codeAt: number;
  readonly code: Uint8Array;
  readonly patches: Pairs;
  readonly after: SegmentState & { readonly vector: number; readonly error: number | null; readonly changes: Pairs };
}

type Stored = [
  registers: number[],
  eip: number,
  eflags: number,
  selectors: number[],
  code: [at: number, hex: string],
  patches: Pairs,
  after: [number, number | null, number[] | null, number, number, number[] | null, Pairs],
];

export interface SegmentVectors {
  readonly processor: string;
  readonly region: number;
  readonly descriptors: Readonly<Record<string, LdtEntry>>;
  readonly cases: readonly SegmentCase[];
}

export function loadSegmentVectors(): SegmentVectors {
  const path = fileURLToPath(new URL('../vectors/segments.json.br', import.meta.url));
  const { cases, ...rest } = JSON.parse(brotliDecompressSync(readFileSync(path)).toString()) as Omit<
    SegmentVectors,
    'cases'
  > & { cases: Stored[] };
  return {
    ...rest,
    cases: cases.map(([registers, eip, eflags, selectors, [codeAt, hex], patches, after]) => ({
      registers,
      eip,
      eflags,
      selectors,
      codeAt,
      code: Buffer.from(hex, 'hex'),
      patches,
      after: {
        vector: after[0],
        error: after[1],
        registers: after[2] ?? registers,
        eip: after[3],
        eflags: after[4],
        selectors: after[5] ?? selectors,
        changes: after[6],
      },
    })),
  };
}
