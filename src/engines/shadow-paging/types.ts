/**
 * What shadow paging needs from an engine, and what it tells it. The use:
 *
 *   const shadow = new ShadowPaging({ memory, ledger, frames, tables, tableFrames, hooks });
 *   const root = shadow.activate(cr3, cr0, cr4, efer);      // guest's values; root goes into the real CR3
 *   switch (shadow.handlePageFault(linear, errorCode)) {    // at every real page fault of the guest
 *     case 'hidden': resume the guest at the same instruction;
 *     case 'true': deliver #PF to the guest with error code shadow.faultError and CR2 = linear;
 *     case 'traced': emulate the instruction through a GuestPort, which reports its stores to shadow.stored();
 *     case 'mmio': emulate it against a device at guest-physical address shadow.faultPhysical;
 *     case 'reserved': the guest's tables allow the access, but the VMM lies there: emulate it through a GuestPort;
 *   }
 *   shadow.invalidatePage(linear);                          // guest INVLPG
 */

import type { MachineMemory } from '../../core/memory.ts';
import type { Ledger } from '../../cost/ledger.ts';

/** Where guest-physical memory lies. `FrameMap` is one. */
export interface GuestFrames {
  /** Frames of guest RAM, from guest-physical 0 up. */
  readonly guestFrames: number;
  /** Machine frame number of a guest frame below `guestFrames`. */
  machineFrame(guestFrame: number): number;
}

/** What one real page fault was. */
export type FaultKind = 'hidden' | 'true' | 'traced' | 'mmio' | 'reserved';

/** Why stores to a guest frame must be seen: bits, several may hold at once. */
export const TRACE_PAGE_TABLE = 1;
/** A descriptor table of the guest's (GDT, LDT) lies in the frame. */
export const TRACE_DESCRIPTORS = 2;
/** Guest code in the frame has been translated. */
export const TRACE_CODE = 4;

export interface ShadowHooks {
  /** Makes the processor forget its cached translation of one page, charging what that costs the VMM. */
  invalidatePage(linear: number): void;
  /** Makes the processor forget all the guest's cached translations, global ones included, charging it. */
  flush(): void;
  /** Stores reached a frame traced for a reason other than TRACE_PAGE_TABLE. Called after the store. */
  tracedStore(kinds: number, guestPhysical: number, size: number): void;
}

export interface ShadowOptions {
  readonly memory: MachineMemory;
  readonly ledger: Ledger;
  readonly frames: GuestFrames;
  /** Machine address of the first of `tableFrames` consecutive VMM frames that become shadow tables. */
  readonly tables: number;
  /** How many; at least 16. The VMM reclaims when they run out. */
  readonly tableFrames: number;
  readonly hooks: ShadowHooks;
  /**
   * The VMM's own range at the top of every address space, if it has one there (ring-compression's top 4 MB).
   * `fill` writes level-2 entries `firstSlot` .. 511 into each new shadow table that maps 3-4 GB; shadow paging never
   * touches those slots again, and every root has such a table even where the guest's own slot 3 is not present.
   */
  readonly top?: { readonly firstSlot: number; fill(table: number): void };
  /**
   * Consecutive stores into a level-1 (level-2) guest table that change no present shadow entry, with no fault through it
   * in between, after which the frame is taken to be no page table any more. Infinity: never. Default 16 (3).
   */
  readonly floodLimit?: { readonly level1: number; readonly level2: number };
}
