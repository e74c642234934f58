/**
 * Segments: the checked path of data accesses, descriptor reads, and loads of the data segment registers
 * (SDM 3A chapter 5). Code and stack segments change only through far transfers, IRET and event delivery, which use the
 * descriptor in `low` / `high` and commit it with `commit`.
 */
import { VM } from '../isa/eflags.ts';
import type { Cpu } from './cpu.ts';
import { GP, NP, raiseWithError, SS_FAULT } from './signals.ts';
import {
  BASE,
  CPL,
  CR0,
  CR0_PE,
  CS,
  EFLAGS_SYSTEM,
  GDTR_BASE,
  GDTR_LIMIT,
  LDTR,
  LIMIT,
  RIGHTS,
  RIGHTS_DB,
  RIGHTS_G,
  RIGHTS_P,
  RIGHTS_S,
  RIGHTS_UNUSABLE,
  SELECTOR,
  SS,
  segmentSlot,
} from './state.ts';

/** Bits of a code or data descriptor's type. */
export const TYPE_CODE = 8;
/** Code: conforming. Data: expand-down. */
export const TYPE_CONFORMING = 4;
const TYPE_EXPAND_DOWN = 4;
/** Code: readable. Data: writable. */
export const TYPE_READ_WRITE = 2;

/** Bits of a descriptor's high doubleword. */
const HIGH_ACCESSED = 0x100;
const HIGH_GRANULARITY = 0x800000;
/** What of `high >>> 8` are access rights: type, S, DPL, P, AVL, D/B, G. */
const RIGHTS_MASK = 0xd0ff;

/** Rights of segments in virtual-8086 mode (SDM 3B 20.2): writable data, DPL 3. */
const V86_RIGHTS = 0xf3;
/** Present, accessed, writable data, DPL 0. */
const REAL_DATA_RIGHTS = 0x93;

export function privilegeOf(rights: number): number {
  return (rights >>> 5) & 3;
}
export function isCode(rights: number): boolean {
  return (rights & (RIGHTS_S | TYPE_CODE)) === (RIGHTS_S | TYPE_CODE);
}
export function isConforming(rights: number): boolean {
  return (rights & TYPE_CONFORMING) !== 0;
}
export function isWritableData(rights: number): boolean {
  return (rights & (RIGHTS_S | TYPE_CODE | TYPE_READ_WRITE)) === (RIGHTS_S | TYPE_READ_WRITE);
}

export class Segmentation {
  /** The descriptor last read, and its linear address. */
  low = 0;
  high = 0;
  address = 0;
  /** Bit 0 of every error code raised here: EXT, set while an event external to the program is delivered. */
  external = 0;
  readonly #cpu: Cpu;
  readonly #state: Int32Array;

  constructor(cpu: Cpu) {
    this.#cpu = cpu;
    this.#state = cpu.memory.state;
  }

  /**
   * Linear address of `size` bytes at `offset` in a segment of odd shape, after the type and limit checks
   * (SDM 3A 5.3, 5.5). Raises #GP(0), for SS #SS(0).
   */
  linear(segment: number, offset: number, size: number, write: boolean): number {
    const state = this.#state;
    const slot = segmentSlot(segment);
    const rights = state[slot + RIGHTS];
    if (!this.#typeAllows(rights, write) || !withinLimit(state[slot + LIMIT], rights, offset, size)) {
      raiseWithError(state, segment === SS ? SS_FAULT : GP, 0);
    }
    return (state[slot + BASE] + offset) | 0;
  }

  #typeAllows(rights: number, write: boolean): boolean {
    const state = this.#state;
    if ((rights & RIGHTS_UNUSABLE) !== 0) return false;
    // Real and virtual-8086 mode check limits only.
    if ((state[CR0] & CR0_PE) === 0 || (state[EFLAGS_SYSTEM] & VM) !== 0) return true;
    const code = (rights & TYPE_CODE) !== 0;
    return write ? !code && (rights & TYPE_READ_WRITE) !== 0 : !code || (rights & TYPE_READ_WRITE) !== 0;
  }

  /**
   * MOV, POP, LDS ... to ES, SS, DS, FS or GS (SDM 2B MOV, 3A 5.6, 5.7): all checks, then the accessed bit, then the
   * register. Raises #GP, #NP or #SS with the selector, or #PF.
   */
  load(segment: number, selector: number): void {
    const state = this.#state;
    selector &= 0xffff;
    if ((state[CR0] & CR0_PE) === 0 || (state[EFLAGS_SYSTEM] & VM) !== 0) {
      this.loadReal(segment, selector);
    } else if (segment === SS) {
      this.#loadStack(selector);
    } else {
      this.#loadData(segment, selector);
    }
    this.#cpu.updateMode();
  }

  /**
   * Real and virtual-8086 mode: base from the selector. Real mode keeps limit, granularity and D/B, which is how "unreal
   * mode" comes about, and makes a data segment writable again, whatever descriptor protected mode had loaded.
   */
  loadReal(segment: number, selector: number): void {
    const state = this.#state;
    const slot = segmentSlot(segment);
    if ((state[EFLAGS_SYSTEM] & VM) !== 0) {
      this.loadVirtual8086(segment, selector);
      return;
    }
    state[slot + SELECTOR] = selector;
    state[slot + BASE] = selector << 4;
    if (segment !== CS) state[slot + RIGHTS] = (state[slot + RIGHTS] & (RIGHTS_DB | RIGHTS_G)) | REAL_DATA_RIGHTS;
  }

  /** A segment register as virtual-8086 mode has it (SDM 3B 20.2.1). */
  loadVirtual8086(segment: number, selector: number): void {
    this.setSegment(segment, selector, selector << 4, 0xffff, V86_RIGHTS);
  }

  #loadStack(selector: number): void {
    const state = this.#state;
    const cpl = state[CPL];
    if ((selector & 0xfffc) === 0) raiseWithError(state, GP, 0);
    this.readDescriptor(selector, GP);
    const rights = this.rights();
    if ((selector & 3) !== cpl || !isWritableData(rights) || privilegeOf(rights) !== cpl) {
      raiseWithError(state, GP, selector & 0xfffc);
    }
    if ((rights & RIGHTS_P) === 0) raiseWithError(state, SS_FAULT, selector & 0xfffc);
    this.markAccessed();
    this.commit(SS, selector);
  }

  #loadData(segment: number, selector: number): void {
    const state = this.#state;
    if ((selector & 0xfffc) === 0) {
      this.setNull(segment, selector);
      return;
    }
    this.readDescriptor(selector, GP);
    const rights = this.rights();
    const readable = (rights & RIGHTS_S) !== 0 && (rights & (TYPE_CODE | TYPE_READ_WRITE)) !== TYPE_CODE;
    const dpl = privilegeOf(rights);
    const exempt = isCode(rights) && isConforming(rights);
    if (!readable || (!exempt && ((selector & 3) > dpl || state[CPL] > dpl))) {
      raiseWithError(state, GP, selector & 0xfffc);
    }
    if ((rights & RIGHTS_P) === 0) raiseWithError(state, NP, selector & 0xfffc);
    this.markAccessed();
    this.commit(segment, selector);
  }

  /** Loads a register as given, without checks and without `Cpu.updateMode`. */
  setSegment(segment: number, selector: number, base: number, limit: number, rights: number): void {
    const state = this.#state;
    const slot = segmentSlot(segment);
    state[slot + SELECTOR] = selector;
    state[slot + BASE] = base;
    state[slot + LIMIT] = limit;
    state[slot + RIGHTS] = rights;
  }

  /** A null selector: every access through it faults. */
  setNull(segment: number, selector: number): void {
    this.setSegment(segment, selector, 0, 0, RIGHTS_UNUSABLE);
  }

  /** Reads the descriptor of `selector` into `low`, `high`; raises `errorVector`(selector) outside its table. */
  readDescriptor(selector: number, errorVector: number = GP): void {
    if (!this.tryReadDescriptor(selector)) {
      raiseWithError(this.#state, errorVector, (selector & 0xfffc) | this.external);
    }
  }

  /** The same, but false outside the table. The read itself may raise #PF. */
  tryReadDescriptor(selector: number): boolean {
    const state = this.#state;
    const local = (selector & 4) !== 0;
    const ldt = segmentSlot(LDTR);
    if (local && (state[ldt + RIGHTS] & RIGHTS_UNUSABLE) !== 0) return false;
    const limit = (local ? state[ldt + LIMIT] : state[GDTR_LIMIT]) >>> 0;
    if ((selector & 0xfff8) + 7 > limit) return false;
    this.address = ((local ? state[ldt + BASE] : state[GDTR_BASE]) + (selector & 0xfff8)) | 0;
    this.low = this.#cpu.mmu.systemLoad32(this.address);
    this.high = this.#cpu.mmu.systemLoad32((this.address + 4) | 0);
    return true;
  }

  /** Access rights of the descriptor last read, in the form of RIGHTS. */
  rights(): number {
    return (this.high >>> 8) & RIGHTS_MASK;
  }
  base(): number {
    return (this.high & 0xff000000) | ((this.high & 0xff) << 16) | (this.low >>> 16);
  }
  /** In bytes, inclusive; int32. */
  limit(): number {
    const raw = (this.high & 0xf0000) | (this.low & 0xffff);
    return (this.high & HIGH_GRANULARITY) !== 0 ? (raw << 12) | 0xfff : raw;
  }

  /** Sets the accessed bit of the code or data descriptor last read, in memory, if it is clear. May raise #PF. */
  markAccessed(): void {
    if ((this.high & HIGH_ACCESSED) !== 0) return;
    this.#cpu.mmu.systemStore8((this.address + 5) | 0, ((this.high >>> 8) & 0xff) | 1);
    this.high |= HIGH_ACCESSED;
  }

  /** Loads a segment register from the descriptor last read. */
  commit(segment: number, selector: number): void {
    this.setSegment(segment, selector, this.base(), this.limit(), this.rights());
  }
}

/** SDM 3A 5.3: the limit check, expand-down segments included. `limit` and `offset` as unsigned. */
export function withinLimit(limit: number, rights: number, offset: number, size: number): boolean {
  const first = offset >>> 0;
  const last = first + size - 1;
  if ((rights & (RIGHTS_S | TYPE_CODE | TYPE_EXPAND_DOWN)) === (RIGHTS_S | TYPE_EXPAND_DOWN)) {
    return first > limit >>> 0 && last <= ((rights & RIGHTS_DB) !== 0 ? 0xffffffff : 0xffff);
  }
  // A 4 GB segment lets an access wrap, as in the flat case that is not checked at all.
  return limit === -1 || last <= limit >>> 0;
}
