/** After a store to a guest page table: bringing the shadow entries of the stored-to guest entries up to date. */
import { eventNumber } from '../../cost/event.ts';
import type { Ledger } from '../../cost/ledger.ts';
import { COUNT_EAGER, type ShadowCounts } from './counts.ts';
import {
  ENTRY_A,
  ENTRY_D,
  ENTRY_G,
  ENTRY_NX,
  ENTRY_P,
  ENTRY_U,
  ENTRY_W,
  type GuestWalk,
  tableAddress,
} from './guest-walk.ts';
import {
  ROLE_LEVEL,
  ROLE_NO_WP,
  ROLE_NXE,
  ROLE_PGE,
  ROLE_QUADRANT_SHIFT,
  ROLE_TOP,
  ROLE_TWO_LEVEL,
  type ShadowTables,
} from './shadow-tables.ts';
import type { GuestFrames } from './types.ts';

const READ_ENTRY = eventNumber('shadowReadEntry');
const WALK_GUEST = eventNumber('shadowWalkGuest');
const SLOTS = 512;

export interface EntryUpdateParts {
  readonly tables: ShadowTables;
  readonly guest: GuestWalk;
  readonly ledger: Ledger;
  readonly frames: GuestFrames;
  readonly traces: Uint8Array;
  /** [0] is set when a translation is dropped that the processor may still hold. */
  readonly stale: Uint8Array;
  readonly counts: ShadowCounts;
  /** First slot of the VMM's own entries in tables that carry them. */
  readonly firstVmmSlot: number;
}

export class EntryUpdate {
  readonly #p: EntryUpdateParts;

  constructor(parts: EntryUpdateParts) {
    this.#p = parts;
  }

  /** Revalidates the entries that bytes offset .. offset+size-1 touch. True if a present shadow entry was or is there. */
  entries(table: number, offset: number, size: number): boolean {
    const role = this.#p.tables.role[table] as number;
    let useful = false;
    const twoLevel = (role & ROLE_TWO_LEVEL) !== 0;
    const shift = twoLevel ? 2 : 3;
    const quadrant = (role >>> ROLE_QUADRANT_SHIFT) & 3;
    const last = Math.min(offset + size - 1, 0xfff) >>> shift;
    for (let index = offset >>> shift; index <= last; index++) {
      if ((role & ROLE_LEVEL) === 1) {
        if (twoLevel && index >>> 9 !== quadrant) continue;
        useful = this.#updateLeaf(table, role, index) || useful;
      } else if (!twoLevel) useful = this.#dropUpper(table, role, index) || useful;
      else if (index >>> 8 === quadrant) {
        useful = this.#dropUpper(table, role, 2 * (index & 255)) || useful;
        useful = this.#dropUpper(table, role, 2 * (index & 255) + 1) || useful;
      }
    }
    return useful;
  }

  /** Level 2: the child is looked up again at the next fault. */
  #dropUpper(table: number, role: number, slot: number): boolean {
    const entry = table * SLOTS + slot;
    // The VMM's own entries are not the guest's to change.
    if ((role & ROLE_TOP) !== 0 && slot >= this.#p.firstVmmSlot) return true;
    this.#p.ledger.charge(READ_ENTRY);
    if (this.#p.tables.target(entry) < 0) return false;
    this.#p.tables.clear(entry);
    this.#p.stale[0] = 1;
    return true;
  }

  /** Level 1: eager validation, if the guest's entry has its A bit (else the first access must fault to set it). */
  #updateLeaf(table: number, role: number, index: number): boolean {
    const tables = this.#p.tables;
    const entry = table * SLOTS + (index & 511);
    const twoLevel = (role & ROLE_TWO_LEVEL) !== 0;
    const address = (tables.guestFrame[table] as number) * 4096 + index * (twoLevel ? 4 : 8);
    this.#p.ledger.charge(WALK_GUEST);
    const low = this.#p.guest.readWord(address);
    const high = twoLevel ? 0 : this.#p.guest.readWord(address + 4);
    const frame = tableAddress(low, high) / 4096;
    const old = tables.low(entry);
    const valid =
      (low & (ENTRY_P | ENTRY_A)) === (ENTRY_P | ENTRY_A) &&
      frame < this.#p.frames.guestFrames &&
      (high & 0x7ffffff0) === 0 &&
      (high >= 0 || (role & ROLE_NXE) !== 0) &&
      (role & ROLE_NO_WP) === 0;
    if (!valid) {
      if ((old & ENTRY_P) === 0) return false;
      if (tables.clear(entry)) this.#p.stale[0] = 1;
      return true;
    }
    const writable = (low & (ENTRY_W | ENTRY_D)) === (ENTRY_W | ENTRY_D) && this.#p.traces[frame] === 0;
    const flags =
      ENTRY_P |
      ENTRY_A |
      (low & ENTRY_U) |
      (writable ? ENTRY_W | ENTRY_D : 0) |
      ((role & ROLE_PGE) !== 0 ? low & ENTRY_G : 0);
    const machine = this.#p.frames.machineFrame(frame);
    if (old !== ((machine << 12) | flags | 0) || tables.high(entry) !== (high & ENTRY_NX)) {
      if ((old & ENTRY_W) !== 0) this.#p.stale[0] = 1;
      tables.setLeaf(entry, frame, machine, flags, high & ENTRY_NX);
      this.#p.counts.add(COUNT_EAGER);
    }
    return true;
  }
}
