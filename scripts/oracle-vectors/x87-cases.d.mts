export const IMAGE_BYTES: number;
export const WINDOW_BYTES: number;

export interface X87Form {
  /** Its bytes in hexadecimal, those of i = 0. */
  readonly name: string;
  readonly bytes: readonly number[];
  readonly stack: boolean;
  readonly operand: string;
  readonly transcendental: boolean;
}

export interface X87Case {
  readonly form: X87Form;
  readonly bytes: readonly number[];
  /** FNSAVE image, 32-bit protected format. */
  readonly image: Uint8Array;
  readonly window: Uint8Array;
  readonly eflags: number;
  readonly eax: number;
}

export function forms(): X87Form[];
export function pointerBytes(form: X87Form): (offset: number) => boolean;
export function x87Cases(states: number, seed: number): Generator<X87Case>;
