/**
 * Prices of the x87 classes: throughput on the part, as for other ordinary instructions. No published table was at hand, so
 * every one is an assumption. A class spans instructions that differ; the price is meant for what compiled code uses
 * most (double precision).
 */
import type { CostClass } from '../../isa/cost-class.ts';
import type { Priced } from '../profile.ts';
import { assumed } from '../source.ts';

export type X87Class = Extract<CostClass, `fpu${string}`>;

const WHY = 'throughput on this part, about; the same under every engine';

/** Core 2, Nehalem and Sandy Bridge: one simple operation a cycle. */
export function x87(): Record<X87Class, Priced> {
  return {
    fpuMove: assumed(1, WHY),
    fpuConditionalMove: assumed(2, WHY),
    fpuStore: assumed(1, WHY),
    fpuAdd: assumed(1, WHY),
    fpuMultiply: assumed(1, WHY),
    fpuDivide: assumed(20, WHY),
    fpuSquareRoot: assumed(20, WHY),
    fpuCompare: assumed(1, WHY),
    fpuControl: assumed(2, WHY),
    fpuRound: assumed(20, WHY),
    fpuRemainder: assumed(25, WHY),
    fpuDecimal: assumed(150, 'micro-coded, with a division per digit'),
    fpuTranscendental: assumed(80, 'micro-coded: 40 to 120 by function and operand'),
    fpuState: assumed(80, 'FXSAVE, FNSAVE and kin: a hundred bytes to 512, micro-coded'),
  };
}

/** Prescott. */
export function x87NetBurst(): Record<X87Class, Priced> {
  return {
    ...x87(),
    fpuMultiply: assumed(2, WHY),
    fpuDivide: assumed(40, WHY),
    fpuSquareRoot: assumed(40, WHY),
    fpuConditionalMove: assumed(4, WHY),
    fpuControl: assumed(10, 'FLDCW, FNSTSW: micro-coded on this part'),
    fpuDecimal: assumed(300, 'micro-coded, with a division per digit'),
    fpuTranscendental: assumed(130, 'micro-coded, on a long pipeline'),
    fpuState: assumed(150, 'FXSAVE, FNSAVE and kin: a hundred bytes to 512, micro-coded'),
  };
}
