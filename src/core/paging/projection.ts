/**
 * What the fast tables hold: 4 KB pieces of modelled TLB entries, and pages of an identity mapping. A projection is only a
 * shortcut to what the model says, so dropping one is always right: it comes back free of charge on demand. Tables
 * are cleared entry by entry, never by clearing all of their 32 MB, except after a restore.
 */
import { type MachineMemory, SLOW_ENTRY, TABLE_ENTRIES, VIEW_SHIFT } from '../memory.ts';
import { pagesOf, TLB_FLAGS, TLB_FRAME, TLB_PAGE, TLB_PROJECTED, TLB_STRIDE, type Tlb } from './tlb.ts';

/** Views that hold projections: supervisor and user, full and truncated. */
const VIEWS = 4;
/** Of TLB_PROJECTED: the write tables. */
const WRITE_BITS = 0xaa;
/** Identity pages remembered one by one; beyond that all of them are dropped. */
const IDENTITY_PAGES = 8192;

export class Projection {
  readonly #memory: MachineMemory;
  readonly #fast: Int32Array;
  readonly #identityPages: Int32Array = new Int32Array(IDENTITY_PAGES);
  #identityCount = 0;

  constructor(memory: MachineMemory) {
    this.#memory = memory;
    this.#fast = memory.fast;
  }

  /**
   * Enters linear page `page`, in machine frame `frame` of RAM, into the tables of `view`. `at` is the first word of
   * its TLB entry. The write table gets it if `writable` and if no decoded code lies there.
   */
  enter(entries: Int32Array, at: number, page: number, frame: number, view: number, writable: boolean): void {
    const memory = this.#memory;
    const value = (memory.ramBase + (frame - page) * 4096) | 0;
    const slot = (view << VIEW_SHIFT) + page;
    this.#fast[slot] = value;
    let bits = 1;
    if (writable && memory.codeFrames[frame] === 0) {
      this.#fast[slot + TABLE_ENTRIES] = value;
      bits = 3;
    }
    entries[at + TLB_PROJECTED] |= bits << (2 * view);
  }

  /** The same for a page of RAM while linear addresses are machine addresses: there is no TLB entry. */
  enterIdentity(page: number, view: number): void {
    if (this.#identityCount === IDENTITY_PAGES) this.#dropIdentity();
    this.#identityPages[this.#identityCount++] = page;
    const memory = this.#memory;
    const slot = (view << VIEW_SHIFT) + page;
    this.#fast[slot] = memory.ramBase;
    if (memory.codeFrames[page] === 0) this.#fast[slot + TABLE_ENTRIES] = memory.ramBase;
  }

  /** Clears everything that the TLB entry at word `at` has put into the tables. */
  drop(entries: Int32Array, at: number): void {
    const bits = entries[at + TLB_PROJECTED];
    if (bits === 0) return;
    entries[at + TLB_PROJECTED] = 0;
    const pages = pagesOf(entries[at + TLB_FLAGS]);
    for (let table = 0; table < 2 * VIEWS; table++) {
      if ((bits & (1 << table)) === 0) continue;
      const slot = ((table >>> 1) << VIEW_SHIFT) + (table & 1) * TABLE_ENTRIES + entries[at + TLB_PAGE];
      if (pages === 1) this.#fast[slot] = SLOW_ENTRY;
      else this.#fast.fill(SLOW_ENTRY, slot, slot + pages);
    }
  }

  dropAll(tlb: Tlb): void {
    for (let entry = tlb.first; entry >= 0; entry = tlb.next(entry)) this.drop(tlb.entries, entry * TLB_STRIDE);
    this.#dropIdentity();
  }

  /** Removes a machine frame from the write tables. */
  protectFrame(tlb: Tlb, frame: number): void {
    const { entries } = tlb;
    for (let entry = tlb.first; entry >= 0; entry = tlb.next(entry)) {
      const at = entry * TLB_STRIDE;
      if ((entries[at + TLB_PROJECTED] & WRITE_BITS) === 0) continue;
      const distance = frame - entries[at + TLB_FRAME];
      if (distance < 0 || distance >= pagesOf(entries[at + TLB_FLAGS])) continue;
      this.#dropWrites(entries[at + TLB_PAGE] + distance);
    }
    if (this.#identityCount !== 0) this.#dropWrites(frame);
  }

  /** After a restore nobody knows what the tables hold. */
  reset(tlb: Tlb): void {
    this.#fast.fill(SLOW_ENTRY);
    this.#identityCount = 0;
    for (let entry = 0; entry < tlb.capacity; entry++) tlb.entries[entry * TLB_STRIDE + TLB_PROJECTED] = 0;
  }

  #dropIdentity(): void {
    for (let i = 0; i < this.#identityCount; i++) {
      const page = this.#identityPages[i];
      for (let view = 0; view < VIEWS; view++) this.#fast[(view << VIEW_SHIFT) + page] = SLOW_ENTRY;
      this.#dropWrites(page);
    }
    this.#identityCount = 0;
  }

  #dropWrites(page: number): void {
    for (let view = 0; view < VIEWS; view++) {
      this.#fast[(view << VIEW_SHIFT) + TABLE_ENTRIES + page] = SLOW_ENTRY;
    }
  }
}
