/** What the hypervisor did, counted. Arrays, so that a snapshot has them. */
export const COUNT_UPCALL = 0;
export const COUNT_WRITABLE_TABLE = 1;
export const COUNT_FORCED_CPUID = 2;
export const COUNT_FAILSAFE = 3;
export const COUNT_LDT_PAGE = 4;
export const COUNT_CONTINUATION = 5;
export const COUNT_MULTICALL_ENTRY = 6;
export const COUNT_MMU_UPDATE_ENTRY = 7;
export const COUNT_TLB_FLUSH = 8;
export const COUNT_TIMER = 9;
const COUNTS: readonly string[] = [
  'upcall',
  'writable page table',
  'forced cpuid',
  'failsafe callback',
  'LDT page mapped',
  'continuation',
  'multicall entry',
  'mmu_update entry',
  'TLB flush',
  'timer expired',
];
const TYPE_NAMES: readonly string[] = ['none', 'L1', 'L2', 'L3', 'descriptors', 'writable'];

export class Counters {
  readonly counts: Float64Array = new Float64Array(COUNTS.length);
  readonly hypercalls: Float64Array = new Float64Array(64);
  readonly bounces: Float64Array = new Float64Array(256);
  /** Privileged instructions emulated, by index of `emulationNames`. */
  readonly emulations: Float64Array = new Float64Array(16);

  count(which: number, times = 1): void {
    this.counts[which] += times;
  }

  /** All that are not zero, by name. */
  report(
    hypercallNames: readonly (string | undefined)[],
    emulationNames: readonly string[],
    validated: Float64Array,
  ): Record<string, number> {
    const report: Record<string, number> = {};
    const add = (name: string, value: number): void => {
      if (value !== 0) report[name] = value;
    };
    for (const [number, value] of this.hypercalls.entries())
      add(`hypercall ${hypercallNames[number] ?? number}`, value);
    for (const [vector, value] of this.bounces.entries()) add(`bounce ${vector}`, value);
    for (const [index, value] of this.emulations.entries()) add(`emulated ${emulationNames[index]}`, value);
    for (const [index, value] of this.counts.entries()) add(COUNTS[index] as string, value);
    for (const [type, value] of validated.entries()) add(`frame becomes ${TYPE_NAMES[type]}`, value);
    return report;
  }
}
