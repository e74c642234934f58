/** What the engine counts, by name; part of the snapshot. */
const NAMES = [
  'calloutContinue',
  'calloutIndirect',
  'calloutInstruction',
  'calloutEmulate',
  'calloutTracedStore',
  'calloutCheck',
  'calloutSti',
  'calloutRaise',
  'chained',
  'elided',
  'inverted',
  'unchainedExit',
  'indirectMiss',
  'cacheFlush',
  'smcInvalidation',
  'smcUnits',
  'adaptationUp',
  'adaptationDown',
  'enterDirect',
  'leaveDirect',
  'reflected',
  'deliveredInterrupt',
  'deliveredException',
  'deliveredSoftware',
  'heldInterrupt',
  'settled',
  'emulatedAccess',
  'descriptorRefresh',
  'descriptorAccess',
  'remapInvalidation',
] as const;
export type CountName = (typeof NAMES)[number];

/** Index of each counter. */
export const COUNT: Readonly<Record<CountName, number>> = Object.fromEntries(
  NAMES.map((name, index) => [name, index]),
) as Record<CountName, number>;

export class Counts {
  readonly values: Float64Array = new Float64Array(NAMES.length);

  add(counter: number, times = 1): void {
    this.values[counter] = (this.values[counter] as number) + times;
  }

  entries(): Record<string, number> {
    return Object.fromEntries(NAMES.map((name, index) => [name, this.values[index] as number]));
  }
}
