/** Prices of the MMX, SSE and SSE2 classes: throughput of the 128-bit register form, as for other ordinary instructions. */
import type { CostClass } from '../../isa/cost-class.ts';
import type { Priced } from '../profile.ts';
import { assumed } from '../source.ts';

type SimdClass = Extract<CostClass, `simd${string}`>;
type Cycles = Readonly<Record<SimdClass, number>>;

/** NetBurst: 64-bit units, so that a 128-bit operation takes them twice. */
export const NETBURST_SIMD: Cycles = {
  simdMove: 1,
  simdTransfer: 2,
  simdLogic: 2,
  simdInteger: 2,
  simdShift: 2,
  simdShuffle: 2,
  simdIntegerMultiply: 2,
  simdAdd: 2,
  simdMultiply: 2,
  simdDivide: 40,
  simdSquareRoot: 40,
  simdEstimate: 4,
  simdCompareFlags: 3,
  simdConvert: 4,
  simdControl: 8,
  simdMaskMove: 20,
  simdEmpty: 12,
};
/** Merom: 128-bit units, an iterative divider. */
export const MEROM_SIMD: Cycles = {
  ...NETBURST_SIMD,
  simdTransfer: 1,
  simdLogic: 1,
  simdInteger: 1,
  simdShift: 1,
  simdShuffle: 1,
  simdIntegerMultiply: 1,
  simdAdd: 1,
  simdMultiply: 1,
  simdDivide: 30,
  simdSquareRoot: 30,
  simdEstimate: 2,
  simdCompareFlags: 1,
  simdConvert: 2,
  simdMaskMove: 10,
  simdEmpty: 6,
};
/** From the radix-16 divider of Penryn on. */
export const NEHALEM_SIMD: Cycles = { ...MEROM_SIMD, simdDivide: 16, simdSquareRoot: 20, simdControl: 5 };
export const SANDY_BRIDGE_SIMD: Cycles = { ...NEHALEM_SIMD, simdEmpty: 18, simdControl: 4 };

export function simd(cycles: Cycles): Record<SimdClass, Priced> {
  const why = 'throughput on this part, about; the same under every engine';
  return Object.fromEntries(Object.entries(cycles).map(([name, value]) => [name, assumed(value, why)])) as Record<
    SimdClass,
    Priced
  >;
}
