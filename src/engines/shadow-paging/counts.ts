/** What shadow paging counts. The names are those of the engines' exact counters. */
const NAMES = [
  'hiddenFault',
  'trueFault',
  'tracedStoreFault',
  'mmioFault',
  'reservedFault',
  'shadowStore',
  'eagerValidate',
  'shadowTable',
  'shadowReclaim',
  'floodDrop',
  'traceDowngrade',
  'rootSwitch',
  'rootNew',
] as const;

export const COUNT_HIDDEN = 0;
export const COUNT_TRUE = 1;
export const COUNT_TRACED = 2;
export const COUNT_MMIO = 3;
export const COUNT_RESERVED = 4;
export const COUNT_STORE = 5;
export const COUNT_EAGER = 6;
export const COUNT_TABLE = 7;
export const COUNT_RECLAIM = 8;
export const COUNT_FLOOD = 9;
export const COUNT_DOWNGRADE = 10;
export const COUNT_SWITCH = 11;
export const COUNT_NEW_ROOT = 12;

export class ShadowCounts {
  /** By COUNT_*; part of the snapshot. */
  readonly values: Float64Array = new Float64Array(NAMES.length);

  add(counter: number, times = 1): void {
    this.values[counter] = (this.values[counter] as number) + times;
  }

  byName(): Record<string, number> {
    const result: Record<string, number> = {};
    for (const [index, name] of NAMES.entries()) result[name] = this.values[index] as number;
    return result;
  }
}
