/**
 * The guest's own view of descriptors, at its virtual privilege: reads and checks of its tables, and what goes into the
 * real segment registers for it.
 */

import type { Cpu } from '../../core/cpu.ts';
import { GP, NP, raiseWithError, SS_FAULT } from '../../core/signals.ts';
import {
  BASE,
  CPL,
  CS,
  DS,
  ES,
  FS,
  GS,
  LIMIT,
  RIGHTS,
  RIGHTS_UNUSABLE,
  SELECTOR,
  SS,
  segmentSlot,
} from '../../core/state.ts';
import { eventNumber } from '../../cost/event.ts';
import type { GuestMemory } from './guest-memory.ts';
import { CACHE_CS, ESCAPE_GS } from './layout.ts';
import { descriptorBase, descriptorLimit, descriptorRights, shadowDescriptor } from './shadow-descriptors.ts';
import {
  V_CPL,
  V_CS,
  V_DIRECT,
  V_GDTR_BASE,
  V_GDTR_LIMIT,
  V_GS,
  V_GS_BASE,
  V_GS_LIMIT,
  V_GS_RIGHTS,
  V_LDT_BASE,
  V_LDT_LIMIT,
  V_LDTR,
  V_SS,
} from './vcpu.ts';

const ACCESSED = 0x100;
const TOUCH = eventNumber('vmmTouch');
/** Flat 32-bit code and data of DPL 1, accessed. */
const CACHE_CODE_RIGHTS = 0xc0bb;
const ESCAPE_RIGHTS = 0xc0b3;

export const isCode = (high: number): boolean => (high & 0x1800) === 0x1800;
export const isData = (high: number): boolean => (high & 0x1800) === 0x1000;
export const isWritable = (high: number): boolean => isData(high) && (high & 0x200) !== 0;
export const isReadable = (high: number): boolean => isData(high) || (isCode(high) && (high & 0x200) !== 0);
export const isConforming = (high: number): boolean => isCode(high) && (high & 0x400) !== 0;
export const isPresent = (high: number): boolean => (high & 0x8000) !== 0;
export const dplOf = (high: number): number => (high >>> 13) & 3;

export class Segments {
  /** The descriptor that `read` found. */
  low = 0;
  high = 0;

  /** Guest-linear address of that descriptor. */
  #at = 0;
  readonly #cpu: Cpu;
  readonly #guest: GuestMemory;
  readonly #v: Int32Array;

  constructor(cpu: Cpu, guest: GuestMemory, v: Int32Array) {
    this.#cpu = cpu;
    this.#guest = guest;
    this.#v = v;
  }

  /** Reads the guest's descriptor into `low`, `high`. False if it lies outside its table. */
  find(selector: number): boolean {
    const v = this.#v;
    const local = (selector & 4) !== 0;
    if (local && (v[V_LDTR] as number) < 4) return false;
    const base = (local ? v[V_LDT_BASE] : v[V_GDTR_BASE]) as number;
    const limit = (local ? v[V_LDT_LIMIT] : v[V_GDTR_LIMIT]) as number;
    if ((selector | 7) >>> 0 > limit >>> 0) return false;
    this.#cpu.ledger.charge(TOUCH);
    const at = (base + (selector & ~7)) >>> 0;
    this.#at = at;
    const before = this.#guest.user;
    this.#guest.user = false;
    try {
      this.low = this.#guest.load(at, 4) | 0;
      this.high = this.#guest.load((at + 4) >>> 0, 4) | 0;
    } finally {
      this.#guest.user = before;
    }
    return true;
  }

  /** As `find`; a null selector or one outside its table is an exception with the selector as error code. */
  read(selector: number, vector: number = GP, external = 0): void {
    if ((selector & ~3) === 0) this.refuse(vector, external);
    if (!this.find(selector)) this.refuse(vector, (selector & ~3) | external);
  }

  /**
   * Sets the accessed bit of the descriptor just read in the guest's table, if it is clear, as every load of it does
   * (SDM 3A 3.4.5.1). The store is the guest's: it may fault and is reported to traces.
   */
  markAccessed(at: number = this.#at, high: number = this.high): void {
    if ((high & ACCESSED) !== 0) return;
    const before = this.#guest.user;
    this.#guest.user = false;
    try {
      this.#guest.store((at + 5) >>> 0, 1, ((high >>> 8) & 0xff) | 1);
    } finally {
      this.#guest.user = before;
    }
  }

  /** Guest-linear address of the descriptor just read. */
  get address(): number {
    return this.#at;
  }

  refuse(vector: number, error: number): never {
    return raiseWithError(this.#cpu.memory.state, vector, error);
  }

  /** Loads a data segment register on the guest's behalf, with the checks of its privilege (SDM volume 2, MOV). */
  load(segment: number, selector: number): void {
    const v = this.#v;
    const cpl = v[V_CPL] as number;
    const rpl = selector & 3;
    if (segment === SS) {
      this.read(selector);
      if (rpl !== cpl || dplOf(this.high) !== cpl || !isWritable(this.high)) this.refuse(GP, selector & ~3);
      if (!isPresent(this.high)) this.refuse(SS_FAULT, selector & ~3);
      this.markAccessed();
      v[V_SS] = selector;
      this.place(SS, cpl === 0 ? selector | 1 : selector);
      return;
    }
    if ((selector & ~3) === 0) {
      this.clear(segment, selector);
      return;
    }
    this.read(selector);
    if (!isReadable(this.high)) this.refuse(GP, selector & ~3);
    if (!isConforming(this.high) && dplOf(this.high) < Math.max(rpl, cpl)) this.refuse(GP, selector & ~3);
    if (!isPresent(this.high)) this.refuse(NP, selector & ~3);
    this.markAccessed();
    this.place(segment, selector);
  }

  /** Null selector. */
  clear(segment: number, selector = 0): void {
    this.#put(segment, selector, 0, 0, RIGHTS_UNUSABLE);
  }

  /** Puts the shadow of the descriptor just read into a real segment register. GS goes to the vcpu block in kernel mode. */
  place(segment: number, selector: number): void {
    const [low, high] = shadowDescriptor(this.low, this.high);
    this.#put(segment, selector, descriptorBase(low, high), descriptorLimit(low, high), descriptorRights(high));
  }

  #put(segment: number, selector: number, base: number, limit: number, rights: number): void {
    const v = this.#v;
    if (segment === GS && v[V_DIRECT] === 0) {
      v[V_GS] = selector;
      v[V_GS_BASE] = base;
      v[V_GS_LIMIT] = limit;
      v[V_GS_RIGHTS] = rights;
      return;
    }
    this.#cpu.segmentation.setSegment(segment, selector, base, limit, rights);
  }

  /** Real CS, GS and CPL for translated code. The guest's GS moves to the vcpu block. */
  enterCache(): void {
    const { state } = this.#cpu.memory;
    const v = this.#v;
    if (v[V_DIRECT] !== 0) {
      const gs = segmentSlot(GS);
      v[V_GS] = state[gs + SELECTOR] as number;
      v[V_GS_BASE] = state[gs + BASE] as number;
      v[V_GS_LIMIT] = state[gs + LIMIT] as number;
      v[V_GS_RIGHTS] = state[gs + RIGHTS] as number;
      v[V_DIRECT] = 0;
    }
    this.#cpu.segmentation.setSegment(CS, CACHE_CS, 0, 0xffffffff, CACHE_CODE_RIGHTS);
    this.#cpu.segmentation.setSegment(GS, ESCAPE_GS, 0, 0xffffffff, ESCAPE_RIGHTS);
    state[CPL] = 1;
    v[V_CPL] = 0;
    this.#cpu.updateMode();
  }

  /** Real CS, SS, GS and CPL for direct execution at CPL 3; the descriptors are those of the checked return. */
  enterDirect(cs: number, csLow: number, csHigh: number, ss: number, ssLow: number, ssHigh: number): void {
    const { state } = this.#cpu.memory;
    const v = this.#v;
    v[V_DIRECT] = 1;
    v[V_CPL] = 3;
    v[V_CS] = cs;
    v[V_SS] = ss;
    this.low = csLow;
    this.high = csHigh;
    this.place(CS, cs);
    this.low = ssLow;
    this.high = ssHigh;
    this.place(SS, ss);
    this.#cpu.segmentation.setSegment(
      GS,
      v[V_GS] as number,
      v[V_GS_BASE] as number,
      v[V_GS_LIMIT] as number,
      v[V_GS_RIGHTS] as number,
    );
    state[CPL] = 3;
    // A data segment that CPL 3 may not use does not survive the way out (SDM volume 2, IRET).
    for (const segment of [ES, DS, FS, GS]) {
      const rights = state[segmentSlot(segment) + RIGHTS] as number;
      const conforming = (rights & 0xc) === 0xc;
      if ((rights & RIGHTS_UNUSABLE) === 0 && !conforming && ((rights >>> 5) & 3) < 3) this.clear(segment);
    }
    this.#cpu.updateMode();
  }
}
