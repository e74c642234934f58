/**
 * Shadow descriptor tables: the host GDT and LDT mirror the guest's, so that segment loads in direct execution and
 * most in translated code are the processor's own work. A mirrored descriptor has DPL 0 raised to 1 and its limit cut below the VMM.
 * One that the guest has not accessed yet is mirrored as not present: its first load faults, and the VMM sets the accessed bit in the
 * guest's table. So its P bit in the answer of a LAR in user code is wrong until then. Guest tables are traced; the VMM's own entries lie in the last GDT slots.
 *
 * Not mirrored: gates and system descriptors; a far call through a guest call gate comes to the VMM as #GP.
 */
import type { MachineAddress } from '../../core/address.ts';
import type { MachineMemory } from '../../core/memory.ts';
import { eventNumber } from '../../cost/event.ts';
import type { Ledger } from '../../cost/ledger.ts';
import type { ShadowPaging } from '../shadow-paging/shadow-paging.ts';
import { TRACE_DESCRIPTORS } from '../shadow-paging/types.ts';
import type { GuestMemory } from './guest-memory.ts';
import { FIRST_VMM_ENTRY, GUEST_LIMIT } from './layout.ts';
import { V_GDTR_BASE, V_GDTR_LIMIT, V_LDT_BASE, V_LDT_LIMIT, V_LDTR } from './vcpu.ts';

const TOUCH = eventNumber('vmmTouch');
const PAGES = 17;
const NO_FRAME = -1;

/** High word bits of a descriptor (SDM 3A 3.4.5). */
const CODE_OR_DATA = 0x1000;
const CODE = 0x800;
/** Conforming for code, expand-down for data. */
const CONFORMING = 0x400;
const ACCESSED = 0x100;
const PRESENT = 0x8000;
const BIG = 0x400000;
const GRANULARITY = 0x800000;
const DPL_SHIFT = 13;

/** Base address of a descriptor. */
export function descriptorBase(low: number, high: number): number {
  return ((low >>> 16) | ((high & 0xff) << 16) | (high & 0xff000000)) >>> 0;
}
/** Limit in bytes, granularity applied. */
export function descriptorLimit(low: number, high: number): number {
  const raw = (low & 0xffff) | (high & 0xf0000);
  return (high & GRANULARITY) !== 0 ? ((raw << 12) | 0xfff) >>> 0 : raw;
}
/** Access rights in the layout of the RIGHTS slots. */
export function descriptorRights(high: number): number {
  return (high >>> 8) & 0xf0ff;
}

/** What the processor gets in place of a guest descriptor: [low, high], zeros if it may not have it. */
export function shadowDescriptor(low: number, high: number): readonly [number, number] {
  if ((high & CODE_OR_DATA) === 0) return [0, 0];
  const code = (high & CODE) !== 0;
  let shadowHigh = high | ACCESSED;
  const conforming = code && (high & CONFORMING) !== 0;
  if (!conforming && ((high >>> DPL_SHIFT) & 3) === 0) shadowHigh |= 1 << DPL_SHIFT;
  const base = descriptorBase(low, high);
  let shadowLow = low;
  // Expand-down segments reach to the top, and a base may lie there: those get a segment of which no byte is valid.
  if (!code && ((high & CONFORMING) !== 0 || base > GUEST_LIMIT)) {
    return [(low & ~0xffff) | 0xffff, shadowHigh | CONFORMING | GRANULARITY | BIG | 0xf0000];
  }
  if (base > GUEST_LIMIT) return [0, 0];
  const room = GUEST_LIMIT - base;
  if (descriptorLimit(low, high) > room) {
    const limit = (high & GRANULARITY) !== 0 ? (room + 1) / 4096 - 1 : room;
    const raw = Math.max(0, Math.floor(limit));
    shadowLow = (low & ~0xffff) | (raw & 0xffff);
    shadowHigh = (shadowHigh & ~0xf0000) | (raw & 0xf0000);
  }
  return [shadowLow | 0, shadowHigh | 0];
}

export class ShadowDescriptors {
  /** Guest frames of the pages of GDT, then of LDT: what is traced. */
  readonly frames: Int32Array = new Int32Array(2 * PAGES).fill(NO_FRAME);

  readonly #memory: MachineMemory;
  readonly #ledger: Ledger;
  readonly #guest: GuestMemory;
  readonly #shadow: ShadowPaging;
  readonly #v: Int32Array;
  /** Machine addresses of the host GDT and the shadow LDT. */
  readonly #tables: readonly [number, number];

  constructor(
    memory: MachineMemory,
    ledger: Ledger,
    guest: GuestMemory,
    shadow: ShadowPaging,
    v: Int32Array,
    tables: readonly [number, number],
  ) {
    this.#memory = memory;
    this.#ledger = ledger;
    this.#guest = guest;
    this.#shadow = shadow;
    this.#v = v;
    this.#tables = tables;
  }

  /** The guest has loaded a table register (0: GDT, 1: LDT): mirror the whole table and trace it. */
  reload(table: 0 | 1): void {
    const [base, limit] = this.#extent(table);
    const entries = limit < 7 ? 0 : Math.min((limit + 1) >>> 3, table === 0 ? FIRST_VMM_ENTRY : 8192);
    this.#traceTable(table, base, limit);
    const last = table === 0 ? FIRST_VMM_ENTRY : 8192;
    for (let index = 0; index < last; index++) {
      if (index < entries) this.#mirror(table, index, base);
      else this.#put(table, index, 0, 0);
    }
    this.#ledger.charge(TOUCH, entries);
  }

  /** The address space has changed: a table whose pages now lie elsewhere is another table. */
  recheck(): void {
    for (const table of [0, 1] as const) {
      const [base, limit] = this.#extent(table);
      if (limit >= 7 && this.#moved(table, base, limit)) this.reload(table);
    }
  }

  /** A store reached a traced descriptor page. */
  stored(physical: number, size: number): void {
    const frame = Math.floor(physical / 4096);
    for (let slot = 0; slot < 2 * PAGES; slot++) {
      if (this.frames[slot] !== frame) continue;
      const table = slot < PAGES ? 0 : 1;
      const [base, limit] = this.#extent(table);
      const page = ((base & ~0xfff) >>> 0) + (slot % PAGES) * 4096;
      const from = page + (physical & 0xfff) - base;
      for (let index = from >> 3; index <= (from + size - 1) >> 3; index++) {
        if (index < 0 || index * 8 + 7 > limit || (table === 0 && index >= FIRST_VMM_ENTRY)) continue;
        this.#mirror(table, index, base);
        this.#ledger.charge(TOUCH, 2);
      }
    }
  }

  /** Mirrors one selector's descriptor anew (its page was not mapped before, say). True if that changed it. */
  refresh(selector: number): boolean {
    const table = (selector & 4) === 0 ? 0 : 1;
    const index = selector >>> 3;
    const [base, limit] = this.#extent(table);
    if (index * 8 + 7 > limit || (table === 0 && index >= FIRST_VMM_ENTRY)) return false;
    this.#traceTable(table, base, limit);
    return this.#mirror(table, index, base);
  }

  /** Whether `selector` names a present code or data segment that is mirrored as not present because it was never accessed. */
  isUnaccessed(selector: number): boolean {
    const found = this.peek(selector);
    return found !== null && (found[1] & (CODE_OR_DATA | PRESENT | ACCESSED)) === (CODE_OR_DATA | PRESENT);
  }

  /** The guest's own descriptor, or null outside its table. Charges nothing. */
  peek(selector: number): readonly [low: number, high: number] | null {
    const [base, limit] = this.#extent((selector & 4) === 0 ? 0 : 1);
    if ((selector & ~3) === 0 || (selector | 7) > limit) return null;
    const at = (base + (selector & ~7)) >>> 0;
    return [this.#guest.peek32(at), this.#guest.peek32((at + 4) >>> 0)];
  }

  #extent(table: 0 | 1): readonly [base: number, limit: number] {
    const v = this.#v;
    if (table === 0) return [(v[V_GDTR_BASE] as number) >>> 0, (v[V_GDTR_LIMIT] as number) >>> 0];
    if ((v[V_LDTR] as number) < 4) return [0, 0];
    return [(v[V_LDT_BASE] as number) >>> 0, Math.min((v[V_LDT_LIMIT] as number) >>> 0, 0xffff)];
  }

  #mirror(table: 0 | 1, index: number, base: number): boolean {
    const at = (base + 8 * index) >>> 0;
    const guestHigh = this.#guest.peek32((at + 4) >>> 0);
    const [low, high] = shadowDescriptor(this.#guest.peek32(at), guestHigh);
    return this.#put(table, index, low, (guestHigh & ACCESSED) === 0 ? high & ~PRESENT : high);
  }

  #put(table: 0 | 1, index: number, low: number, high: number): boolean {
    const at = (this.#tables[table] + 8 * index) as MachineAddress;
    const second = (at + 4) as MachineAddress;
    if ((this.#memory.read32(at) | 0) === low && (this.#memory.read32(second) | 0) === high) return false;
    this.#memory.write32(at, low);
    this.#memory.write32(second, high);
    return true;
  }

  #frameOf(page: number): number {
    const { quiet } = this.#guest;
    quiet.walk(page >>> 0);
    return quiet.present && this.#guest.machine(quiet.frame * 4096) >= 0 ? quiet.frame : NO_FRAME;
  }

  #moved(table: 0 | 1, base: number, limit: number): boolean {
    const first = (base & ~0xfff) >>> 0;
    for (let page = 0; first + page * 4096 <= base + limit; page++) {
      if (this.frames[table * PAGES + page] !== this.#frameOf(first + page * 4096)) return true;
    }
    return false;
  }

  #traceTable(table: 0 | 1, base: number, limit: number): void {
    const old = [...this.frames];
    for (let page = 0; page < PAGES; page++) {
      const linear = ((base & ~0xfff) >>> 0) + page * 4096;
      this.frames[table * PAGES + page] = limit >= 7 && linear <= base + limit ? this.#frameOf(linear) : NO_FRAME;
    }
    for (const frame of old) {
      if (frame !== NO_FRAME && !this.frames.includes(frame)) this.#shadow.untrace(frame, TRACE_DESCRIPTORS);
    }
    for (const frame of this.frames) if (frame !== NO_FRAME) this.#shadow.trace(frame, TRACE_DESCRIPTORS);
  }
}
