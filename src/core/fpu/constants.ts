/** The constants of FLD1 .. FLDZ (SDM volume 2, FLD1): 64 bits and what the rounding modes need to know of the rest. */
import { BIAS, R, RC, RC_NEAREST, RC_UP, setResult, W } from './words.ts';

/** Exponent, the mantissa cut to 64 bits, and whether nearest rounds it up. In the order of D9 E8 to D9 EE. */
const CONSTANTS: readonly (readonly [exponent: number, high: number, low: number, up: boolean, exact: boolean])[] = [
  [0, 0x80000000, 0, false, true], // 1
  [1, 0xd49a784b, 0xcd1b8afe, false, false], // log2 10
  [0, 0xb8aa3b29, 0x5c17f0bb, true, false], // log2 e
  [1, 0xc90fdaa2, 0x2168c234, true, false], // pi
  [-2, 0x9a209a84, 0xfbcff798, true, false], // log10 2
  [-1, 0xb17217f7, 0xd1cf79ab, true, false], // ln 2
];

/** R = constant `number` (0: 1, 1: log2 10, 2: log2 e, 3: pi, 4: log10 2, 5: ln 2, 6: 0). All are positive. */
export function constantWords(number: number, control: number): void {
  const row = CONSTANTS[number];
  if (row === undefined) {
    setResult(0, 0, 0);
    return;
  }
  const [exponent, high, low, up, exact] = row;
  const mode = control & RC;
  setResult(BIAS + exponent, high | 0, low | 0);
  if (!exact && (mode === RC_UP || (mode === RC_NEAREST && up))) W[R] += 1;
}
