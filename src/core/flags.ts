/** EFLAGS out of and into the lazy form of state.ts. */
import { AF, ARITHMETIC, CF, OF, PF, SF, ZF } from '../isa/eflags.ts';
import { EFLAGS_SYSTEM, FLAG_R, FLAG_X, FLAG_XOR, FLAG_Y } from './state.ts';

/** 1 if the low byte of `value` has an even number of ones. */
const EVEN_PARITY = Uint8Array.from({ length: 256 }, (_, value) => {
  let ones = 0;
  for (let bit = 0; bit < 8; bit++) ones += (value >> bit) & 1;
  return (ones & 1) ^ 1;
});

export function evenParity(value: number): number {
  return EVEN_PARITY[value & 0xff] as number;
}

/** CF PF AF ZF SF OF as an EFLAGS image. */
export function arithmeticFlags(state: Int32Array): number {
  const r = state[FLAG_R] as number;
  const x = state[FLAG_X] as number;
  const y = state[FLAG_Y] as number;
  let flags = ((x & y) | ((x | y) & ~r)) < 0 ? CF : 0;
  if (evenParity(r) !== 0) flags |= PF;
  flags |= (x ^ y ^ r) & AF;
  if (r === 0) flags |= ZF;
  if (r < 0) flags |= SF;
  if (((x ^ r) & (y ^ r)) < 0) flags |= OF;
  return flags ^ (state[FLAG_XOR] as number);
}

export function setArithmeticFlags(state: Int32Array, flags: number): void {
  state[FLAG_R] = 0;
  state[FLAG_X] = 0;
  state[FLAG_Y] = 0;
  state[FLAG_XOR] = (flags & ARITHMETIC) ^ (ZF | PF);
}

/** The whole EFLAGS register. */
export function readEflags(state: Int32Array): number {
  return arithmeticFlags(state) | (state[EFLAGS_SYSTEM] as number);
}
