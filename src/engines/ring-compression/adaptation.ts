/**
 * Adaptive retranslation (Adams & Agesen, ASPLOS 2006, 3.3): an instruction is innocent until its stores have hit
 * traces UP times; then its unit is translated anew with a callout in its place, which costs no fault. After DOWN
 * stores in a row that hit no trace it becomes itself again. The asymmetry keeps it from swinging.
 */
const SLOTS = 1024;
/** Trace faults after which an instruction is adapted. */
export const UP = 4;
/** Traceless stores after which an adapted instruction is reverted. */
export const DOWN = 64;
const ADAPTED = 0x40000000;

export class Adaptation {
  /** (guest address, count with ADAPTED) pairs, open addressing. */
  readonly table: Int32Array = new Int32Array(2 * SLOTS);
  readonly enabled: boolean;

  constructor(enabled: boolean) {
    this.enabled = enabled;
  }

  clear(): void {
    this.table.fill(0);
  }

  /** A store at guest address `pc` hit a trace by a fault. True: adapt it now. */
  hit(pc: number): boolean {
    if (!this.enabled) return false;
    const at = this.#slot(pc);
    if (at < 0) {
      this.clear();
      return false;
    }
    this.table[at] = pc;
    const count = (this.table[at + 1] as number) + 1;
    const adapt = count >= UP && (count & ADAPTED) === 0;
    this.table[at + 1] = adapt ? ADAPTED : count;
    return adapt;
  }

  isAdapted(pc: number): boolean {
    const at = this.#slot(pc);
    return at >= 0 && this.table[at] === (pc | 0) && ((this.table[at + 1] as number) & ADAPTED) !== 0;
  }

  /** An adapted store was carried out. True: it has hit no trace for so long that it is reverted. */
  stored(pc: number, traced: boolean): boolean {
    const at = this.#slot(pc);
    if (at < 0 || this.table[at] !== (pc | 0)) return false;
    const misses = traced ? 0 : ((this.table[at + 1] as number) & ~ADAPTED) + 1;
    const revert = misses >= DOWN;
    this.table[at + 1] = revert ? 0 : ADAPTED | misses;
    return revert;
  }

  /** Offset of the pair for `pc`, its own or an empty one; -1 if the table is full. */
  #slot(pc: number): number {
    let slot = Math.imul(pc, 0x9e3779b1) >>> 22;
    for (let probes = 0; probes < SLOTS; probes++) {
      const key = this.table[2 * slot] as number;
      if (key === (pc | 0) || key === 0) return 2 * slot;
      slot = (slot + 1) & (SLOTS - 1);
    }
    return -1;
  }
}
