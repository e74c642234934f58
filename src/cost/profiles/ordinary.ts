/**
 * Instructions that no virtualization technique touches: they cost the same under every engine, so only their sum
 * matters, as the denominator. They are priced at their throughput on the part, not their latency.
 */
import type { CostClass } from '../../isa/cost-class.ts';
import type { Priced } from '../profile.ts';
import { assumed, derived } from '../source.ts';

const SINGLE: readonly CostClass[] = [
  'alu',
  'lea',
  'mov',
  'cmov',
  'setcc',
  'bswap',
  'nop',
  'branch',
  'jump',
  'push',
  'pop',
  'leave',
  'cld',
  'hlt',
  'vmx',
  'intN',
  'memoryRead',
];

/** One cycle each for the simple classes; a marker is free, so that a region of interest is exact. */
export function ordinary(): Record<(typeof SINGLE)[number] | 'marker' | 'memoryWrite', Priced> {
  const why = 'throughput of a simple instruction, the same under every engine';
  const priced: Partial<Record<CostClass, Priced>> = {
    marker: assumed(0, 'a measuring device: must not be seen in what it measures'),
  };
  priced.memoryWrite = derived(0, 'native store 1 (Adams & Agesen 2006, figure 4, native column) - mov 1');
  for (const name of SINGLE) priced[name] = assumed(1, why);
  priced.vmx = assumed(0, 'the work of a VMX instruction is charged as vmEntry, vmExit, vmread or vmwrite');
  priced.intN = assumed(0, 'the work of INT n is charged as softwareInterruptEntry');
  priced.hlt = assumed(1, 'halted time is charged as idle');
  return priced as Record<CostClass, Priced>;
}
