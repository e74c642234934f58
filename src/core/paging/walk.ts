/**
 * The page walk (SDM 3A 4.3 two-level paging with 4 MB pages, 4.4 PAE paging with 2 MB pages and execute-disable).
 * Every access to a paging structure is guest-physical: EPT, if on, translates it. Each access that a walk really
 * makes is charged as one `pageWalkAccess`, the accessed / dirty update included.
 */
import { eventNumber } from '../../cost/event.ts';
import type { Ledger } from '../../cost/ledger.ts';
import type { MachineAddress } from '../address.ts';
import type { Cpu } from '../cpu.ts';
import type { MachineMemory } from '../memory.ts';
import { CR0, CR0_PG, CR0_WP, CR3, CR4, CR4_PAE, CR4_PGE, CR4_PSE, EFER, EFER_NXE, PDPTE } from '../state.ts';
import { ACCESS_FETCH, ACCESS_READ, ACCESS_WRITE, CAUSE_FINAL, CAUSE_WALK } from './guest-physical.ts';
import {
  CLASS_2M,
  CLASS_4K,
  CLASS_4M,
  CLASS_SHIFT,
  FLAG_DIRTY,
  FLAG_GLOBAL,
  FLAG_HOST_WRITE,
  FLAG_NO_EXECUTE,
  FLAG_USER,
  FLAG_WRITE,
  pagesOf,
} from './tlb.ts';

const WALK_ACCESS = eventNumber('pageWalkAccess');

/** Physical-address width of every modelled part, in bits; CPUID leaf 80000008 reports it. */
export const PHYSICAL_BITS = 36;
/** Bits of a PAE entry's high word that are reserved: 62 to PHYSICAL_BITS. Bit 63 is XD. */
const HIGH_RESERVED = 0x7fffffff & ~((1 << (PHYSICAL_BITS - 32)) - 1);
/** A 4 MB page's entry holds address bits 39:32 in bits 20:13 (PSE-36); those past the width, and bit 21, are reserved. */
const LARGE_4M_RESERVED = 0x3fe000 & ~(((1 << (PHYSICAL_BITS - 32)) - 1) << 13);
const LARGE_2M_RESERVED = 0x1fe000;
/** PDPTE bits that must be zero, low word (SDM 3A table 4-8). */
export const PDPTE_LOW_RESERVED = 0x1e6;
export const PDPTE_HIGH_RESERVED = HIGH_RESERVED | (0x80000000 | 0);

const PRESENT = 1;
const WRITABLE = 2;
const USER = 4;
const ACCESSED = 0x20;
const DIRTY = 0x40;
const LARGE = 0x80;
const GLOBAL = 0x100;

/** Page-fault error code bits (SDM 3A 4.7). */
export const PF_PRESENT = 1;
export const PF_WRITE = 2;
export const PF_USER = 4;
export const PF_RESERVED = 8;
export const PF_FETCH = 0x10;

/** What the current control registers make of a linear address. The translation is left in `page`, `frame`, `flags`. */
export class Walker {
  /** Linear page number and machine page number of the mapping's first 4 KB, and its TLB flags with size class. */
  page = 0;
  frame = 0;
  flags = 0;
  readonly #cpu: Cpu;
  readonly #memory: MachineMemory;
  readonly #ledger: Ledger;
  readonly #state: Int32Array;
  /** Set while probing: nothing is charged, written or raised. */
  #quiet = false;
  /** Accesses of the walk under way that are not charged yet. */
  #accesses = 0;
  /** Machine address of the entry last read. */
  #machine = 0;

  constructor(cpu: Cpu) {
    this.#cpu = cpu;
    this.#memory = cpu.memory;
    this.#ledger = cpu.ledger;
    this.#state = cpu.memory.state;
  }

  /**
   * Translates `linear` for one access: -1, or the error code of the #PF that it deserves (the caller raises it).
   * Throws VM_EXIT out of EPT. `write` and `fetch` exclude each other.
   */
  walk(linear: number, write: boolean, user: boolean, fetch: boolean): number {
    this.#accesses = 0;
    const error = this.#walk(linear >>> 0, write, user, fetch);
    if (this.#accesses !== 0) this.#ledger.charge(WALK_ACCESS, this.#accesses);
    return error;
  }

  /** Whether the access would succeed; changes no processor or memory state. */
  probe(linear: number, write: boolean, user: boolean): boolean {
    this.#quiet = true;
    const error = this.#walk(linear >>> 0, write, user, false);
    this.#quiet = false;
    return error < 0;
  }

  /** Error code, or -1. */
  #walk(linear: number, write: boolean, user: boolean, fetch: boolean): number {
    const state = this.#state;
    if ((state[CR0] & CR0_PG) === 0) {
      return this.#finish(linear, linear & 0xfffff000, CLASS_4K, FLAG_WRITE | FLAG_USER | FLAG_DIRTY, write, fetch);
    }
    return (state[CR4] & CR4_PAE) !== 0
      ? this.#walkPae(linear, write, user, fetch)
      : this.#walkTwoLevel(linear, write, user, fetch);
  }

  #walkTwoLevel(linear: number, write: boolean, user: boolean, fetch: boolean): number {
    const state = this.#state;
    const reason = (write ? PF_WRITE : 0) | (user ? PF_USER : 0);
    const directoryAt = ((state[CR3] & 0xfffff000) >>> 0) + ((linear >>> 22) << 2);
    const directory = this.#read(directoryAt, linear);
    if ((directory & PRESENT) === 0) return reason;
    if ((directory & LARGE) !== 0 && (state[CR4] & CR4_PSE) !== 0) {
      if ((directory & LARGE_4M_RESERVED) !== 0) return reason | PF_PRESENT | PF_RESERVED;
      if (!this.#allows(directory, write, user)) return reason | PF_PRESENT;
      const leaf = this.#mark(directoryAt, directory, write ? ACCESSED | DIRTY : ACCESSED, linear);
      const physical = ((directory & 0xffc00000) >>> 0) + ((directory >>> 13) & 0xff) * 0x1_0000_0000;
      return this.#finish(linear, physical, CLASS_4M, this.#leafFlags(leaf, directory), write, fetch);
    }
    const tableAt = ((directory & 0xfffff000) >>> 0) + (((linear >>> 12) & 0x3ff) << 2);
    const entry = this.#read(tableAt, linear);
    if ((entry & PRESENT) === 0) return reason;
    const both = directory & entry;
    if (!this.#allows(both, write, user)) return reason | PF_PRESENT;
    this.#mark(directoryAt, directory, ACCESSED, linear);
    const leaf = this.#mark(tableAt, entry, write ? ACCESSED | DIRTY : ACCESSED, linear);
    return this.#finish(linear, (entry & 0xfffff000) >>> 0, CLASS_4K, this.#leafFlags(leaf, both), write, fetch);
  }

  #walkPae(linear: number, write: boolean, user: boolean, fetch: boolean): number {
    const state = this.#state;
    const nxe = (state[EFER] & EFER_NXE) !== 0;
    const highReserved = nxe ? HIGH_RESERVED : PDPTE_HIGH_RESERVED;
    // The I/D bit is reported only where execute-disable is on (SDM 3A 4.7).
    const reason = (write ? PF_WRITE : 0) | (user ? PF_USER : 0) | (fetch && nxe ? PF_FETCH : 0);
    const pointer = PDPTE + 2 * (linear >>> 30);
    if ((state[pointer] & PRESENT) === 0) return reason;
    const directoryAt = paeAddress(state[pointer], state[pointer + 1]) + (((linear >>> 21) & 0x1ff) << 3);
    const directory = this.#read(directoryAt, linear);
    if ((directory & PRESENT) === 0) return reason;
    const directoryHigh = this.#readHigh();
    if ((directoryHigh & highReserved) !== 0) return reason | PF_PRESENT | PF_RESERVED;
    if ((directory & LARGE) !== 0) {
      if ((directory & LARGE_2M_RESERVED) !== 0) return reason | PF_PRESENT | PF_RESERVED;
      if (!this.#allows(directory, write, user) || (fetch && directoryHigh < 0)) return reason | PF_PRESENT;
      const leaf = this.#mark(directoryAt, directory, write ? ACCESSED | DIRTY : ACCESSED, linear);
      const flags = this.#leafFlags(leaf, directory) | (directoryHigh < 0 ? FLAG_NO_EXECUTE : 0);
      return this.#finish(linear, paeAddress(directory & 0xffe00000, directoryHigh), CLASS_2M, flags, write, fetch);
    }
    const tableAt = paeAddress(directory, directoryHigh) + (((linear >>> 12) & 0x1ff) << 3);
    const entry = this.#read(tableAt, linear);
    if ((entry & PRESENT) === 0) return reason;
    const entryHigh = this.#readHigh();
    if ((entryHigh & highReserved) !== 0) return reason | PF_PRESENT | PF_RESERVED;
    const both = directory & entry;
    const noExecute = (directoryHigh | entryHigh) < 0;
    if (!this.#allows(both, write, user) || (fetch && noExecute)) return reason | PF_PRESENT;
    this.#mark(directoryAt, directory, ACCESSED, linear);
    const leaf = this.#mark(tableAt, entry, write ? ACCESSED | DIRTY : ACCESSED, linear);
    const flags = this.#leafFlags(leaf, both) | (noExecute ? FLAG_NO_EXECUTE : 0);
    return this.#finish(linear, paeAddress(entry, entryHigh), CLASS_4K, flags, write, fetch);
  }

  /** Read/write and user/supervisor rights of the entries and-ed together (SDM 3A 4.6). */
  #allows(both: number, write: boolean, user: boolean): boolean {
    if (user) return (both & USER) !== 0 && (!write || (both & WRITABLE) !== 0);
    return !write || (both & WRITABLE) !== 0 || (this.#state[CR0] & CR0_WP) === 0;
  }

  #leafFlags(leaf: number, both: number): number {
    return (
      ((both & WRITABLE) !== 0 ? FLAG_WRITE : 0) |
      ((both & USER) !== 0 ? FLAG_USER : 0) |
      ((leaf & DIRTY) !== 0 ? FLAG_DIRTY : 0) |
      ((leaf & GLOBAL) !== 0 && (this.#state[CR4] & CR4_PGE) !== 0 ? FLAG_GLOBAL : 0)
    );
  }

  /**
   * Ends a successful walk: `base` is the guest-physical address of the mapping's first byte. Under EPT the entry
   * spans the smaller of the guest's and the EPT's mapping (SDM 3C 28.3.1, combined mappings).
   */
  #finish(linear: number, base: number, size: number, flags: number, write: boolean, fetch: boolean): number {
    const { ept } = this.#cpu.mmu;
    const pages = pagesOf(size << CLASS_SHIFT);
    const page = linear >>> 12;
    if (ept === null) {
      this.page = page & ~(pages - 1);
      this.frame = base / 4096;
      this.flags = flags | FLAG_HOST_WRITE | (size << CLASS_SHIFT);
      return -1;
    }
    const physical = base + (linear & (pages * 4096 - 1));
    const access = fetch ? ACCESS_FETCH : write ? ACCESS_WRITE : ACCESS_READ;
    if (this.#quiet) {
      const machine = ept.probe(physical, access);
      if (machine < 0) return 0;
      this.page = page;
      this.frame = Math.floor(machine / 4096);
      this.flags = flags;
      return -1;
    }
    const machine = ept.translate(physical, access, linear, CAUSE_FINAL);
    const frame = Math.floor(machine / 4096);
    // Without paging the guest's "page" is as large as EPT's; 4 MB pieces of a 2 MB EPT mapping count as 2 MB.
    const guestLarge = size !== CLASS_4K || (this.#state[CR0] & CR0_PG) === 0;
    const large = guestLarge && ept.pageBits >= 21;
    const mask = large ? 511 : 0;
    this.page = page & ~mask;
    this.frame = frame - (frame & mask);
    this.flags = flags | (ept.writable ? FLAG_HOST_WRITE : 0) | ((large ? CLASS_2M : CLASS_4K) << CLASS_SHIFT);
    return -1;
  }

  /** Sets accessed and dirty bits if they are not; returns the entry's low word as it now is. */
  #mark(at: number, entry: number, bits: number, linear: number): number {
    if ((entry & bits) === bits || this.#quiet) return entry;
    const marked = entry | bits;
    const { ept } = this.#cpu.mmu;
    let machine = at;
    if (ept === null) {
      this.#accesses += 1;
    } else {
      machine = ept.translate(at, ACCESS_WRITE, linear, CAUSE_WALK);
      this.#ledger.charge(WALK_ACCESS);
    }
    if (machine < this.#memory.size) this.#memory.write32(machine as MachineAddress, marked);
    return marked;
  }

  /** The low word of a paging-structure entry. What lies outside RAM reads as zero: not present. */
  #read(at: number, linear: number): number {
    const { ept } = this.#cpu.mmu;
    let machine = at;
    if (ept === null) {
      this.#accesses += 1;
    } else if (this.#quiet) {
      machine = ept.probe(at, ACCESS_READ);
    } else {
      // An EPT violation may end the walk at any step, so each is charged as it is made.
      machine = ept.translate(at, ACCESS_READ, linear, CAUSE_WALK);
      this.#ledger.charge(WALK_ACCESS);
    }
    this.#machine = machine;
    return machine >= 0 && machine < this.#memory.size ? this.#memory.read32(machine as MachineAddress) | 0 : 0;
  }

  /** The high word of the PAE entry whose low word has just been read: the same memory access. */
  #readHigh(): number {
    return this.#memory.read32((this.#machine + 4) as MachineAddress) | 0;
  }
}

/** Physical address in a PAE entry. */
function paeAddress(low: number, high: number): number {
  return ((low & 0xfffff000) >>> 0) + (high & ((1 << (PHYSICAL_BITS - 32)) - 1)) * 0x1_0000_0000;
}
