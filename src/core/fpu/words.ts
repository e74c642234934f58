/**
 * Bits of the x87 control and status words (SDM volume 1, 8.1.3, 8.1.5), and the words that the arithmetic works on.
 *
 * Operands and results of the arithmetic are fixed places of one module-wide array, so that no operation allocates: three
 * words as in `state.ts` (mantissa low, mantissa high, sign and exponent). Nothing in it outlives an instruction.
 */

/** Exception flags of the status word, masks of the control word. */
export const IE = 1;
export const DE = 2;
export const ZE = 4;
export const OE = 8;
export const UE = 0x10;
export const PE = 0x20;
export const EXCEPTIONS = 0x3f;
export const SF = 0x40;
export const ES = 0x80;
export const C0 = 0x100;
/** Rounded up; of a stack fault: overflow. */
export const C1 = 0x200;
export const C2 = 0x400;
export const C3 = 0x4000;
export const CONDITION = C0 | C1 | C2 | C3;
export const BUSY = 0x8000;
export const TOP_SHIFT = 11;
export const TOP = 7 << TOP_SHIFT;

/** Precision control. */
export const PC = 0x300;
export const PC_SINGLE = 0;
export const PC_DOUBLE = 0x200;
export const PC_EXTENDED = 0x300;
/** Rounding control. */
export const RC = 0xc00;
export const RC_NEAREST = 0;
export const RC_DOWN = 0x400;
export const RC_UP = 0x800;

export const SIGN = 0x8000;
export const MAX_EXPONENT = 0x7fff;
export const BIAS = 0x3fff;
/** What an unmasked overflow or underflow adds to or takes from the exponent (SDM volume 1, 8.5.4, 8.5.5). */
export const WRAP = 24576;

export const W: Int32Array = new Int32Array(48);
/** Places of W: first and second operand, result, and a significand of 96 bits being rounded. */
export const A = 0;
export const B = 4;
export const R = 8;
export const X = 12;
/** Words of a place. */
export const LOW = 0;
export const HIGH = 1;
export const SE = 2;
/** Of A and B, once `normalize` has been there: the exponent that goes with a normalized mantissa, 0 or less for denormals. */
export const EXPONENT = 3;
/** Of X: the 32 bits below the mantissa, of which the last also stands for anything beneath. */
export const EXTRA = 2;
/** DE if operand B came from memory as a denormal of a narrower format, whose extended form is normal. */
export const B_DENORMAL = 16;

export const MSB = 0x80000000 | 0;

export function setResult(se: number, high: number, low: number): void {
  W[R + LOW] = low;
  W[R + HIGH] = high;
  W[R + SE] = se;
}
