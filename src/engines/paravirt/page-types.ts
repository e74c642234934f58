/**
 * Direct paging's bookkeeping: the guest's page tables are the ones the processor walks, so every frame has one type at a
 * time and counts of what refers to it. The rule that everything rests on: a frame that is a page table (or holds
 * descriptors) has no writable mapping, and a frame with a writable mapping is no page table. A frame changes its type only when
 * nothing refers to it as its old one. (Xen's mm.c states the same rules; public/xen.h, mmuext_op.)
 *
 * Types nest: taking a frame as a level-3 table takes the level-2 tables in it, these the level-1 tables, these
 * the frames they map. Dropping the last reference undoes it the same way. Nothing here is preempted.
 */

import type { MachineAddress } from '../../core/address.ts';
import type { MachineMemory } from '../../core/memory.ts';
import { eventNumber } from '../../cost/event.ts';
import type { Ledger } from '../../cost/ledger.ts';
import { DescriptorCheck } from './descriptor.ts';
import { EINVAL } from './errno.ts';
import { HOLE_SLOT, PTE_PRESENT, PTE_WRITE } from './layout.ts';

const VALIDATE = eventNumber('directValidateEntry');
const WRITE = eventNumber('directWriteEntry');
const TOUCH = eventNumber('vmmTouch');

/** Types. */
export const TYPE_NONE = 0;
export const TYPE_L1 = 1;
export const TYPE_L2 = 2;
export const TYPE_L3 = 3;
export const TYPE_DESCRIPTORS = 4;
export const TYPE_WRITABLE = 5;

/** Flags. */
/** The domain may refer to the frame. */
export const FRAME_OWNED = 1;
/** mmuext_op PIN holds one reference to its type. */
export const FRAME_PINNED = 2;
/** A level-2 table whose top slots are the hypervisor's: it may stand in slot 3 of one level-3 table only. */
export const FRAME_XEN_L2 = 4;

/** Entry bits that a guest may not set, low word: PAT or PSE, global (and cache control in a level-2 entry). */
export const L1_REFUSED = 0x180;
const L2_REFUSED = 0x198;
/** All but present and the ignored bits is reserved in a PAE level-3 entry (SDM 3A table 4-8). */
const L3_REFUSED = 0x1fe;
/** A scan of a table for what is present reads it by cache lines of eight entries. */
const SCAN_TOUCHES = 64;

export interface PageTypeHooks {
  /** Flushes the guest's cached translations. */
  flushTlb(): void;
  /** Counts whole flushes: a frame whose last use is older than the last flush needs none. */
  tlbClock(): number;
  /** Writes the hypervisor's entries into slots HOLE_SLOT .. 511 of a new level-2 table at machine address `table`. */
  fillHole(table: number): void;
}

export class PageTypes {
  /** By machine frame. All are part of the snapshot. */
  readonly types: Uint8Array;
  readonly flags: Uint8Array;
  readonly typeCounts: Int32Array;
  /** References of any kind: to the type, as read-only mapping, and one for being allocated. */
  readonly totalCounts: Int32Array;
  /** TLB_CLOCK when the last reference to the frame's type was dropped. */
  readonly stamps: Int32Array;
  /** Frames whose type was established and undone, by type; for the counters. */
  readonly validated: Float64Array = new Float64Array(6);
  readonly #memory: MachineMemory;
  readonly #ledger: Ledger;
  readonly #hooks: PageTypeHooks;
  readonly #descriptor = new DescriptorCheck();

  constructor(memory: MachineMemory, ledger: Ledger, hooks: PageTypeHooks) {
    const frames = memory.size >>> 12;
    this.types = new Uint8Array(frames);
    this.flags = new Uint8Array(frames);
    this.typeCounts = new Int32Array(frames);
    this.totalCounts = new Int32Array(frames);
    this.stamps = new Int32Array(frames);
    this.#memory = memory;
    this.#ledger = ledger;
    this.#hooks = hooks;
  }

  /** Gives a frame to the domain. */
  allocate(frame: number): void {
    this.flags[frame] = FRAME_OWNED;
    this.totalCounts[frame] = 1;
  }

  owned(frame: number): boolean {
    return frame < this.flags.length && (this.flags[frame] & FRAME_OWNED) !== 0;
  }

  /** Takes a plain reference; false if the frame is not the domain's. */
  getPage(frame: number): boolean {
    if (!this.owned(frame)) return false;
    this.totalCounts[frame]++;
    return true;
  }

  putPage(frame: number): void {
    this.totalCounts[frame]--;
  }

  /** Takes a reference to the frame as `type`, establishing the type if it has none. 0, or EINVAL and nothing changed. */
  getPageAndType(frame: number, type: number, xenL2 = false): number {
    if (!this.getPage(frame)) return EINVAL;
    const error = this.#getType(frame, type, xenL2);
    if (error !== 0) this.putPage(frame);
    return error;
  }

  putPageAndType(frame: number): void {
    this.#putType(frame);
    this.putPage(frame);
  }

  #getType(frame: number, type: number, xenL2: boolean): number {
    if (this.typeCounts[frame] !== 0) {
      const isXenL2 = (this.flags[frame] & FRAME_XEN_L2) !== 0;
      if (this.types[frame] !== type || (type === TYPE_L2 && isXenL2 !== xenL2)) return EINVAL;
      this.typeCounts[frame]++;
      return 0;
    }
    const old = this.types[frame];
    // A stale writable translation of what becomes a page table would be a hole; so would a stale walk of an old table.
    if (old !== TYPE_NONE && old !== type && this.stamps[frame] === this.#hooks.tlbClock()) this.#hooks.flushTlb();
    this.types[frame] = type;
    this.typeCounts[frame] = 1;
    if (xenL2) this.flags[frame] |= FRAME_XEN_L2;
    else this.flags[frame] &= ~FRAME_XEN_L2;
    const error = this.#establish(frame, type, xenL2);
    if (error !== 0) {
      this.typeCounts[frame] = 0;
      this.types[frame] = TYPE_NONE;
      this.flags[frame] &= ~FRAME_XEN_L2;
      return error;
    }
    this.validated[type]++;
    return 0;
  }

  #putType(frame: number): void {
    if (--this.typeCounts[frame] !== 0) return;
    const type = this.types[frame];
    if (type >= TYPE_L1 && type <= TYPE_L3) this.#release(frame, type, 512);
    this.stamps[frame] = this.#hooks.tlbClock();
  }

  #establish(frame: number, type: number, xenL2: boolean): number {
    switch (type) {
      case TYPE_L1:
        return this.#establishTable(frame, type, 512);
      case TYPE_L2:
        return this.#establishL2(frame, xenL2);
      case TYPE_L3:
        return this.#establishL3(frame);
      case TYPE_DESCRIPTORS:
        return this.#establishDescriptors(frame);
      default:
        return 0;
    }
  }

  /** Takes what the first `entries` entries refer to; on an error gives back what it took. */
  #establishTable(frame: number, type: number, entries: number): number {
    this.#ledger.charge(TOUCH, SCAN_TOUCHES);
    const table = frame * 4096;
    for (let index = 0; index < entries; index++) {
      const low = this.#low(table + 8 * index);
      if ((low & PTE_PRESENT) === 0) continue;
      const error = this.getEntry(type, low, this.#low(table + 8 * index + 4), index);
      if (error !== 0) {
        this.#release(frame, type, index);
        return error;
      }
    }
    return 0;
  }

  #establishL2(frame: number, xenL2: boolean): number {
    const error = this.#establishTable(frame, TYPE_L2, xenL2 ? HOLE_SLOT : 512);
    if (error === 0 && xenL2) {
      this.#hooks.fillHole(frame * 4096);
      this.#ledger.charge(WRITE, 512 - HOLE_SLOT);
    }
    return error;
  }

  /** The fourth level-2 table carries the hypervisor's mappings: it must be there, and be this level-3 table's alone. */
  #establishL3(frame: number): number {
    const table = frame * 4096;
    if ((this.#low(table + 24) & PTE_PRESENT) === 0) return EINVAL;
    const error = this.#establishTable(frame, TYPE_L3, 4);
    if (error !== 0) return error;
    if (this.typeCounts[this.#low(table + 24) >>> 12] === 1) return 0;
    this.#release(frame, TYPE_L3, 4);
    return EINVAL;
  }

  #establishDescriptors(frame: number): number {
    this.#ledger.charge(TOUCH, SCAN_TOUCHES);
    const page = frame * 4096;
    for (let at = page; at < page + 4096; at += 8) {
      const low = this.#low(at);
      const high = this.#low(at + 4);
      if ((low | high) === 0) continue;
      this.#ledger.charge(VALIDATE);
      if (!this.#descriptor.accept(low, high)) return EINVAL;
      if (this.#descriptor.low !== low) this.#memory.write32(at as MachineAddress, this.#descriptor.low);
      if (this.#descriptor.high !== high) this.#memory.write32((at + 4) as MachineAddress, this.#descriptor.high);
    }
    return 0;
  }

  /** Gives back what the first `entries` entries of a table refer to. */
  #release(frame: number, type: number, entries: number): void {
    const table = frame * 4096;
    const last = type === TYPE_L3 ? 4 : (this.flags[frame] & FRAME_XEN_L2) !== 0 ? HOLE_SLOT : 512;
    this.#ledger.charge(TOUCH, SCAN_TOUCHES);
    for (let index = 0; index < Math.min(entries, last); index++) {
      const low = this.#low(table + 8 * index);
      if ((low & PTE_PRESENT) !== 0) this.putEntry(type, low);
    }
  }

  /** Checks one present entry of a table of `type` and takes the reference it stands for. 0 or EINVAL. */
  getEntry(type: number, low: number, high: number, slot: number): number {
    this.#ledger.charge(VALIDATE);
    if (high !== 0) return EINVAL;
    const frame = low >>> 12;
    switch (type) {
      case TYPE_L1:
        if ((low & L1_REFUSED) !== 0) return EINVAL;
        if ((low & PTE_WRITE) !== 0) return this.getPageAndType(frame, TYPE_WRITABLE);
        return this.getPage(frame) ? 0 : EINVAL;
      case TYPE_L2:
        if ((low & L2_REFUSED) !== 0) return EINVAL;
        return this.getPageAndType(frame, TYPE_L1);
      default:
        if ((low & L3_REFUSED) !== 0) return EINVAL;
        return this.getPageAndType(frame, TYPE_L2, slot === 3);
    }
  }

  /** Gives back the reference of one present entry. */
  putEntry(type: number, low: number): void {
    this.#ledger.charge(TOUCH);
    const frame = low >>> 12;
    if (type === TYPE_L1 && (low & PTE_WRITE) === 0) this.putPage(frame);
    else this.putPageAndType(frame);
  }

  /** mmuext_op PIN_Ln_TABLE. 0 or EINVAL. */
  pin(frame: number, type: number): number {
    if (this.owned(frame) && (this.flags[frame] & FRAME_PINNED) !== 0) return EINVAL;
    const error = this.getPageAndType(frame, type);
    if (error === 0) this.flags[frame] |= FRAME_PINNED;
    return error;
  }

  /** mmuext_op UNPIN_TABLE. 0 or EINVAL. */
  unpin(frame: number): number {
    if (!this.owned(frame) || (this.flags[frame] & FRAME_PINNED) === 0) return EINVAL;
    this.flags[frame] &= ~FRAME_PINNED;
    this.putPageAndType(frame);
    return 0;
  }

  #low(at: number): number {
    return this.#memory.read32(at as MachineAddress) | 0;
  }
}
