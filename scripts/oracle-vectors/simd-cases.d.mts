export const WINDOW_BYTES: number;
export const READ_ONLY_PAGE: number;
export const DATA_PAGE: number;
export const CODE_START: number;
export const WINDOW: number;
export const STATE_NAMES: readonly string[];

export interface SimdForm {
  readonly name: string;
  readonly mnemonic: string;
}

export interface SimdCase {
  readonly bytes: readonly number[];
  /** EAX ECX EDX EBX ESP EBP ESI EDI. */
  readonly registers: readonly number[];
  readonly eflags: number;
  readonly mxcsr: number;
  readonly control: number;
  readonly status: number;
  /** x87 tag word with two bits a register. */
  readonly tag: number;
  readonly xmm: readonly (readonly number[])[];
  /** Physical x87 registers. */
  readonly mm: readonly { readonly words: readonly number[]; readonly exponent: number }[];
  readonly memory: Uint8Array;
}

export function formsOf(rows: readonly (readonly string[])[]): SimdForm[];
export function casesOf(form: SimdForm, states: number, seed: number): Generator<SimdCase>;
/** The state before the instruction, in the order of STATE_NAMES. */
export function stateOf(test: SimdCase): Uint32Array;
