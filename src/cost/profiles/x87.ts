/** Prices of the x87 classes: throughput on the part, as for other ordinary instructions. */
import type { CostClass } from '../../isa/cost-class.ts';
import type { Priced } from '../profile.ts';
import { assumed } from '../source.ts';

export type X87Class = Extract<CostClass, `fpu${string}`>;

/** Stand-ins until a part's table is given. */
export function x87(): Record<X87Class, Priced> {
  const why = 'throughput on this part, about; the same under every engine';
  return {
    fpuMove: assumed(1, why),
    fpuConditionalMove: assumed(3, why),
    fpuStore: assumed(1, why),
    fpuAdd: assumed(1, why),
    fpuMultiply: assumed(1, why),
    fpuDivide: assumed(20, why),
    fpuSquareRoot: assumed(20, why),
    fpuCompare: assumed(1, why),
    fpuControl: assumed(2, why),
    fpuRound: assumed(20, why),
    fpuRemainder: assumed(30, why),
    fpuDecimal: assumed(100, why),
    fpuTranscendental: assumed(100, why),
    fpuState: assumed(100, why),
  };
}
