/**
 * A page walk in software through the guest's own tables (SDM 3A 4.3, 4.4): what the guest believes.
 * It reads guest-physical memory, so every table address is mapped through the frame map. Results are left in
 * fields, so that a walk allocates nothing.
 */
import type { MachineAddress } from '../../core/address.ts';
import type { MachineMemory } from '../../core/memory.ts';
import { CR0_PG, CR0_WP, CR4_PAE, CR4_PGE, CR4_PSE, EFER_NXE } from '../../core/state.ts';
import { eventNumber } from '../../cost/event.ts';
import type { Ledger } from '../../cost/ledger.ts';
import type { GuestFrames } from './types.ts';

const WALK_GUEST = eventNumber('shadowWalkGuest');
const TOUCH = eventNumber('vmmTouch');

export const MODE_OFF = 0;
export const MODE_TWO_LEVEL = 1;
export const MODE_PAE = 2;

export const ENTRY_P = 1;
export const ENTRY_W = 2;
export const ENTRY_U = 4;
export const ENTRY_A = 0x20;
export const ENTRY_D = 0x40;
export const ENTRY_PS = 0x80;
export const ENTRY_G = 0x100;
/** In the high half of a PAE entry. */
export const ENTRY_NX = 0x80000000 | 0;
/** High-half bits above the 36-bit physical addresses of the modelled processors, NX excepted. */
const RESERVED_HIGH = 0x7ffffff0;
const PDPTE_RESERVED_LOW = 0x1e6;

/** Page-fault error code bits (SDM 3A 4.7). */
export const ERROR_P = 1;
export const ERROR_W = 2;
export const ERROR_U = 4;
export const ERROR_RSVD = 8;
export const ERROR_I = 16;

/** Slots of GuestWalk.context. */
const C_MODE = 0;
const C_CR3 = 1;
const C_WP = 2;
const C_NXE = 3;
const C_PSE = 4;
const C_PGE = 5;
const C_PDPTE = 8;
const CONTEXT_SLOTS = 16;

export class GuestWalk {
  /** The guest's paging registers, its four PDPTEs included: part of the snapshot. */
  readonly context: Int32Array = new Int32Array(CONTEXT_SLOTS);

  /** The walk ended at a present leaf. */
  present = false;
  /** It met a reserved bit instead. */
  reserved = false;
  /** 1: a 4 KB page; 2: a large page, or paging off. */
  level = 1;
  /** Guest frame of the 4 KB that `linear` falls in; may lie beyond guest RAM. */
  frame = 0;
  /** Rights of all levels together. */
  writable = false;
  user = false;
  noExecute = false;
  global = false;
  dirty = false;
  /** Rights of the level-2 entry alone. */
  upperWritable = false;
  upperUser = false;
  upperNoExecute = false;
  /** Guest frame of the level-1 table, if the walk reached one. */
  tableFrame = -1;

  readonly #memory: MachineMemory;
  readonly #ledger: Ledger;
  readonly #frames: GuestFrames;
  #upperAddress = -1;
  #leafAddress = -1;

  constructor(memory: MachineMemory, ledger: Ledger, frames: GuestFrames) {
    this.#memory = memory;
    this.#ledger = ledger;
    this.#frames = frames;
  }

  get mode(): number {
    return this.context[C_MODE] as number;
  }
  get cr3(): number {
    return (this.context[C_CR3] as number) >>> 0;
  }
  get writeProtect(): boolean {
    return this.context[C_WP] !== 0;
  }
  get executeDisable(): boolean {
    return this.context[C_NXE] !== 0;
  }
  get globalPages(): boolean {
    return this.context[C_PGE] !== 0;
  }
  /** Low half of PDPTE `slot` as it was when CR3 was loaded. */
  pdpteLow(slot: number): number {
    return this.context[C_PDPTE + 2 * slot] as number;
  }
  pdpteHigh(slot: number): number {
    return this.context[C_PDPTE + 2 * slot + 1] as number;
  }

  /**
   * Takes over the guest's paging registers, as its MOV to CR0, CR3 or CR4 would, PDPTE load included (SDM 3A 4.4.1).
   * False: a present PDPTE has a reserved bit (#GP(0) to the guest); nothing has changed.
   */
  load(cr3: number, cr0: number, cr4: number, efer: number): boolean {
    const context = this.context;
    const mode = (cr0 & CR0_PG) === 0 ? MODE_OFF : (cr4 & CR4_PAE) === 0 ? MODE_TWO_LEVEL : MODE_PAE;
    if (mode === MODE_PAE) {
      const table = (cr3 & ~0x1f) >>> 0;
      this.#ledger.charge(WALK_GUEST, 4);
      for (let slot = 0; slot < 4; slot++) {
        const low = this.readWord(table + 8 * slot);
        if ((low & ENTRY_P) === 0) continue;
        if ((low & PDPTE_RESERVED_LOW) !== 0 || (this.readWord(table + 8 * slot + 4) & ~0xf) !== 0) return false;
      }
      for (let slot = 0; slot < 4; slot++) {
        context[C_PDPTE + 2 * slot] = this.readWord(table + 8 * slot);
        context[C_PDPTE + 2 * slot + 1] = this.readWord(table + 8 * slot + 4);
      }
    }
    context[C_MODE] = mode;
    context[C_CR3] = cr3;
    context[C_WP] = (cr0 & CR0_WP) !== 0 ? 1 : 0;
    context[C_NXE] = (efer & EFER_NXE) !== 0 && mode === MODE_PAE ? 1 : 0;
    context[C_PSE] = (cr4 & CR4_PSE) !== 0 ? 1 : 0;
    context[C_PGE] = (cr4 & CR4_PGE) !== 0 ? 1 : 0;
    return true;
  }

  /** Word of guest-physical memory; zero (not present) where there is no RAM, as the processor's own walk has it. */
  readWord(address: number): number {
    const frame = Math.floor(address / 4096);
    if (frame >= this.#frames.guestFrames) return 0;
    return this.#memory.read32((this.#frames.machineFrame(frame) * 4096 + (address & 0xfff)) as MachineAddress) | 0;
  }

  /** Walks to `linear`. Changes no guest state; see `setAccessed`. */
  walk(linear: number): void {
    this.reserved = false;
    this.present = false;
    this.tableFrame = -1;
    this.#upperAddress = -1;
    this.#leafAddress = -1;
    switch (this.context[C_MODE]) {
      case MODE_PAE:
        this.#walkPae(linear);
        break;
      case MODE_TWO_LEVEL:
        this.#walkTwoLevel(linear);
        break;
      default:
        this.present = true;
        this.level = 2;
        this.frame = linear >>> 12;
        this.writable = this.user = this.dirty = this.upperWritable = this.upperUser = true;
        this.noExecute = this.global = this.upperNoExecute = false;
    }
  }

  /** Whether the walked translation allows the access (SDM 3A 4.6). */
  allows(write: boolean, user: boolean, fetch: boolean): boolean {
    if (!this.present) return false;
    if (user && !this.user) return false;
    if (fetch && this.noExecute) return false;
    return !write || this.writable || (!user && !this.writeProtect);
  }

  /** The error code that the walked access would have natively. */
  errorCode(write: boolean, user: boolean, fetch: boolean): number {
    return (
      (this.present || this.reserved ? ERROR_P : 0) |
      (write ? ERROR_W : 0) |
      (user ? ERROR_U : 0) |
      (this.reserved ? ERROR_RSVD : 0) |
      (fetch && this.executeDisable ? ERROR_I : 0)
    );
  }

  /** Sets A on the walked path and D at its leaf for a write, as the processor would have (SDM 3A 4.8). */
  setAccessed(write: boolean): void {
    if (this.#upperAddress >= 0) this.#setBits(this.#upperAddress, ENTRY_A);
    if (this.#leafAddress >= 0) this.#setBits(this.#leafAddress, write ? ENTRY_A | ENTRY_D : ENTRY_A);
    if (write) this.dirty = true;
  }

  #setBits(address: number, bits: number): void {
    const value = this.readWord(address);
    if ((value & bits) === bits) return;
    this.#ledger.charge(TOUCH);
    const frame = Math.floor(address / 4096);
    if (frame >= this.#frames.guestFrames) return;
    this.#memory.write32((this.#frames.machineFrame(frame) * 4096 + (address & 0xfff)) as MachineAddress, value | bits);
  }

  #walkPae(linear: number): void {
    const slot = C_PDPTE + 2 * (linear >>> 30);
    const pdpte = this.context[slot] as number;
    if ((pdpte & ENTRY_P) === 0) return;
    const nxReserved = this.context[C_NXE] === 0 ? ENTRY_NX : 0;

    this.#ledger.charge(WALK_GUEST);
    const upper = tableAddress(pdpte, this.context[slot + 1] as number) + ((linear >>> 21) & 511) * 8;
    const upperLow = this.readWord(upper);
    if ((upperLow & ENTRY_P) === 0) return;
    const upperHigh = this.readWord(upper + 4);
    if ((upperHigh & (RESERVED_HIGH | nxReserved)) !== 0) {
      this.reserved = true;
      return;
    }
    this.upperWritable = (upperLow & ENTRY_W) !== 0;
    this.upperUser = (upperLow & ENTRY_U) !== 0;
    this.upperNoExecute = (upperHigh & ENTRY_NX) !== 0;
    if ((upperLow & ENTRY_PS) !== 0) {
      if ((upperLow & 0x1fe000) !== 0) {
        this.reserved = true;
        return;
      }
      this.#leaf(upper, upperLow, 2);
      this.frame = ((tableAddress(upperLow, upperHigh) / 4096) & ~511) + ((linear >>> 12) & 511);
      return;
    }

    this.#ledger.charge(WALK_GUEST);
    this.#upperAddress = upper;
    const table = tableAddress(upperLow, upperHigh);
    this.tableFrame = table / 4096;
    const leaf = table + ((linear >>> 12) & 511) * 8;
    const low = this.readWord(leaf);
    if ((low & ENTRY_P) === 0) return;
    const high = this.readWord(leaf + 4);
    if ((high & (RESERVED_HIGH | nxReserved)) !== 0) {
      this.reserved = true;
      return;
    }
    this.#leaf(leaf, low, 1);
    this.noExecute ||= (high & ENTRY_NX) !== 0;
    this.frame = tableAddress(low, high) / 4096;
  }

  #walkTwoLevel(linear: number): void {
    this.#ledger.charge(WALK_GUEST);
    const upper = (this.cr3 & ~0xfff) + (linear >>> 22) * 4;
    const upperLow = this.readWord(upper >>> 0);
    if ((upperLow & ENTRY_P) === 0) return;
    this.upperWritable = (upperLow & ENTRY_W) !== 0;
    this.upperUser = (upperLow & ENTRY_U) !== 0;
    this.upperNoExecute = false;
    if ((upperLow & ENTRY_PS) !== 0 && this.context[C_PSE] !== 0) {
      // PSE-36 puts address bits 35:32 in bits 16:13; bits 21:17 are reserved.
      if ((upperLow & 0x3e0000) !== 0) {
        this.reserved = true;
        return;
      }
      this.#leaf(upper >>> 0, upperLow, 2);
      this.frame = (((upperLow >>> 22) << 10) | (((upperLow >>> 13) & 0xf) << 20)) + ((linear >>> 12) & 1023);
      return;
    }
    this.#ledger.charge(WALK_GUEST);
    this.#upperAddress = upper >>> 0;
    this.tableFrame = upperLow >>> 12;
    const leaf = ((upperLow & ~0xfff) >>> 0) + ((linear >>> 12) & 1023) * 4;
    const low = this.readWord(leaf);
    if ((low & ENTRY_P) === 0) return;
    this.#leaf(leaf, low, 1);
    this.frame = low >>> 12;
  }

  #leaf(address: number, low: number, level: number): void {
    this.present = true;
    this.level = level;
    this.#leafAddress = address;
    this.writable = this.upperWritable && (low & ENTRY_W) !== 0;
    this.user = this.upperUser && (low & ENTRY_U) !== 0;
    this.noExecute = this.upperNoExecute;
    this.global = (low & ENTRY_G) !== 0 && this.globalPages;
    this.dirty = (low & ENTRY_D) !== 0;
  }
}

/** Guest-physical address in a PAE entry: up to 36 bits, so not an int32. */
export function tableAddress(low: number, high: number): number {
  return ((low & ~0xfff) >>> 0) + (high & 0xf) * 0x100000000;
}
