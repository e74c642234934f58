/**
 * Translation of linear addresses: the modelled TLBs, their projection into the fast tables that handlers look at
 * first, and the slow paths behind a fast-table miss. A miss that hits the model refills its projection free of
 * charge; a model miss walks.
 */
import { eventNumber } from '../../cost/event.ts';
import type { MachineAddress } from '../address.ts';
import type { MemoryPort } from '../buses.ts';
import type { Cpu } from '../cpu.ts';
import { EMULATION_VIEW, STACK_ACCESS, VIEW_SHIFT, VIEW_TRUNCATED, VIEW_USER } from '../memory.ts';
import { GP, PAGE_FAULT, raise, raiseWithError, SS_FAULT, UD } from '../signals.ts';
import {
  CPL,
  CR0,
  CR0_PG,
  CR0_WP,
  CR3,
  CR4,
  CR4_PAE,
  EVENT_ADDRESS,
  FETCH_MACHINE,
  FETCH_PAGE,
  PDPTE,
  TLB_TAG,
} from '../state.ts';
import { ACCESS_READ, CAUSE_NO_LINEAR, type GuestPhysicalTranslator } from './guest-physical.ts';
import { Projection } from './projection.ts';
import {
  CLASS_SHIFT,
  FLAG_DIRTY,
  FLAG_HOST_WRITE,
  FLAG_USER,
  FLAG_WRITE,
  TLB_FLAGS,
  TLB_FRAME,
  TLB_PAGE,
  TLB_STRIDE,
  Tlb,
} from './tlb.ts';
import { PDPTE_HIGH_RESERVED, PDPTE_LOW_RESERVED, Walker } from './walk.ts';

const TLB_FLUSH = eventNumber('tlbFlush');
const TLB_FLUSH_GLOBAL = eventNumber('tlbFlushGlobal');
const TLB_INVALIDATE = eventNumber('tlbInvalidatePage');
const MMIO_ACCESS = eventNumber('mmioAccess');

export class Mmu {
  /** Target of accesses through EMULATION_VIEW. */
  port: MemoryPort | null = null;
  /** Set by VMX while EPT is on; call `controlsChanged` after setting it. */
  ept: GuestPhysicalTranslator | null = null;
  /** Limit (inclusive, linear) of the VIEW_TRUNCATED views; set once, before anything runs. */
  truncatedLimit = 0xffffffff;
  readonly data: Tlb;
  readonly fetch: Tlb;
  readonly #cpu: Cpu;
  readonly #state: Int32Array;
  readonly #fast: Int32Array;
  readonly #walker: Walker;
  readonly #ramFrames: number;
  readonly #projection: Projection;

  constructor(cpu: Cpu) {
    const { memory, ledger } = cpu;
    this.#cpu = cpu;
    this.#state = memory.state;
    this.#fast = memory.fast;
    this.#ramFrames = memory.size >>> 12;
    this.#projection = new Projection(memory);
    this.data = new Tlb(ledger.profile.tlb.data, (entry) =>
      this.#projection.drop(this.data.entries, entry * TLB_STRIDE),
    );
    this.fetch = new Tlb(ledger.profile.tlb.fetch, () => {});
    this.#walker = new Walker(cpu);
    this.#state[FETCH_PAGE] = -1;
  }

  load8(linear: number, table: number): number {
    if (table >>> VIEW_SHIFT === EMULATION_VIEW) return this.#port().load(linear >>> 0, 1) & 0xff;
    return this.#load8(this.#address(linear, 1, false, table));
  }

  load16(linear: number, table: number): number {
    if (table >>> VIEW_SHIFT === EMULATION_VIEW) return this.#port().load(linear >>> 0, 2) & 0xffff;
    if ((linear & 0xfff) > 0xffe) return this.#loadAcross(linear, 2, table);
    const machine = this.#address(linear, 2, false, table);
    const { memory } = this.#cpu;
    return machine < memory.size ? memory.read16(machine as MachineAddress) : this.#mmioLoad(machine, 2) & 0xffff;
  }

  load32(linear: number, table: number): number {
    if (table >>> VIEW_SHIFT === EMULATION_VIEW) return this.#port().load(linear >>> 0, 4) | 0;
    if ((linear & 0xfff) > 0xffc) return this.#loadAcross(linear, 4, table);
    const machine = this.#address(linear, 4, false, table);
    const { memory } = this.#cpu;
    return (machine < memory.size ? memory.read32(machine as MachineAddress) : this.#mmioLoad(machine, 4)) | 0;
  }

  store8(linear: number, value: number, table: number): void {
    if (table >>> VIEW_SHIFT === EMULATION_VIEW) this.#port().store(linear >>> 0, 1, value & 0xff);
    else this.#store8(this.#address(linear, 1, true, table), value);
  }

  store16(linear: number, value: number, table: number): void {
    if (table >>> VIEW_SHIFT === EMULATION_VIEW) {
      this.#port().store(linear >>> 0, 2, value & 0xffff);
      return;
    }
    if ((linear & 0xfff) > 0xffe) {
      this.#storeAcross(linear, value, 2, table);
      return;
    }
    const machine = this.#address(linear, 2, true, table);
    const { memory } = this.#cpu;
    if (machine < memory.size) memory.write16(machine as MachineAddress, value);
    else this.#mmioStore(machine, 2, value & 0xffff);
  }

  store32(linear: number, value: number, table: number): void {
    if (table >>> VIEW_SHIFT === EMULATION_VIEW) {
      this.#port().store(linear >>> 0, 4, value | 0);
      return;
    }
    if ((linear & 0xfff) > 0xffc) {
      this.#storeAcross(linear, value, 4, table);
      return;
    }
    const machine = this.#address(linear, 4, true, table);
    const { memory } = this.#cpu;
    if (machine < memory.size) memory.write32(machine as MachineAddress, value);
    else this.#mmioStore(machine, 4, value);
  }

  /** A read-modify-write looks once, for writing; `storeUpdated` at the same address then cannot fault. */
  loadForUpdate8(linear: number, table: number): number {
    if (table >>> VIEW_SHIFT === EMULATION_VIEW) return this.load8(linear, table);
    return this.#load8(this.#address(linear, 1, true, table));
  }
  loadForUpdate16(linear: number, table: number): number {
    this.checkWrite(linear, 2, table);
    return this.load16(linear, table);
  }
  loadForUpdate32(linear: number, table: number): number {
    const machine =
      (linear & 0xfff) <= 0xffc && table >>> VIEW_SHIFT !== EMULATION_VIEW ? this.#address(linear, 4, true, table) : -1;
    const { memory } = this.#cpu;
    if (machine >= 0 && machine < memory.size) return memory.read32(machine as MachineAddress) | 0;
    this.checkWrite(linear, 4, table);
    return this.load32(linear, table);
  }
  storeUpdated8(linear: number, value: number, table: number): void {
    this.store8(linear, value, table);
  }
  storeUpdated16(linear: number, value: number, table: number): void {
    this.store16(linear, value, table);
  }
  storeUpdated32(linear: number, value: number, table: number): void {
    this.store32(linear, value, table);
  }

  /** Raises the fault that a store of `bytes` (at most 4096) bytes at `linear` would raise; A and D bits are set. */
  checkWrite(linear: number, bytes: number, table: number): void {
    if (table >>> VIEW_SHIFT === EMULATION_VIEW) {
      this.#port().checkWrite(linear >>> 0, bytes);
      return;
    }
    this.#address(linear, bytes, true, table);
    const last = (linear + bytes - 1) | 0;
    if (((linear ^ last) & 0xfffff000) !== 0) this.#address(last & ~0xfff, 1, true, table);
  }

  /** Implicit supervisor access with no segment limit: GDT, LDT, IDT, TSS (SDM 3A 4.6). */
  systemLoad8(linear: number): number {
    return this.load8(linear, 0);
  }
  systemLoad16(linear: number): number {
    return this.load16(linear, 0);
  }
  /** Signed. */
  systemLoad32(linear: number): number {
    const entry = this.#fast[linear >>> 12];
    if ((entry & 0xfff) === 0 && (linear & 0xfff) <= 0xffc) {
      return this.#cpu.memory.view.getInt32((linear + entry) >>> 0, true);
    }
    return this.load32(linear, 0);
  }
  systemStore8(linear: number, value: number): void {
    this.store8(linear, value, 0);
  }
  systemStore16(linear: number, value: number): void {
    this.store16(linear, value, 0);
  }
  systemStore32(linear: number, value: number): void {
    this.store32(linear, value, 0);
  }

  /**
   * Machine address of the page that holds `linear`, for fetching at the current CPL; sets FETCH_PAGE (linear page
   * number) and FETCH_MACHINE. Staying in the page is free: the fetch TLB is consulted when execution enters one,
   * and after whatever may have changed the answer (`#forgetLinks`, a change of the code mode). A page outside RAM
   * holds nothing but FF bytes, whose decoding is #UD.
   */
  fetchPage(linear: number): number {
    const state = this.#state;
    const page = linear >>> 12;
    if (page === state[FETCH_PAGE]) return (state[FETCH_MACHINE] as number) >>> 0;
    const frame = this.#identity() ? page : this.#fetchFrame(linear, page);
    if (frame >= this.#ramFrames) raise(state, UD);
    state[FETCH_PAGE] = page;
    state[FETCH_MACHINE] = frame << 12;
    return frame * 4096;
  }

  #fetchFrame(linear: number, page: number): number {
    const state = this.#state;
    const user = state[CPL] === 3;
    const { entries } = this.fetch;
    let entry = this.fetch.find(state[TLB_TAG], page);
    if (entry < 0 || (user && (entries[entry * TLB_STRIDE + TLB_FLAGS] & FLAG_USER) === 0)) {
      entry = this.#refill(this.fetch, entry, linear, false, user, true);
    }
    return entries[entry * TLB_STRIDE + TLB_FRAME] + page - entries[entry * TLB_STRIDE + TLB_PAGE];
  }

  /** Machine address that `linear` translates to, or -1. Looks at the tables, not the TLB; changes and charges nothing. */
  probe(linear: number, write: boolean, user: boolean): number {
    if (this.#identity()) return linear >>> 0;
    const walker = this.#walker;
    if (!walker.probe(linear, write, user)) return -1;
    return (walker.frame + (linear >>> 12) - walker.page) * 4096 + (linear & 0xfff);
  }

  /** Loads CR3 (and the PDPTEs under PAE) and flushes what is not global, as MOV to CR3 does. May raise #GP(0). */
  setCr3(value: number): void {
    const state = this.#state;
    if ((state[CR0] & CR0_PG) !== 0 && (state[CR4] & CR4_PAE) !== 0) this.loadPdptes(value);
    state[CR3] = value;
    this.flush(false);
  }

  /** Loads the four PDPTE registers from the table at `cr3`; #GP(0) on reserved bits (SDM 3A 4.4.1). */
  loadPdptes(cr3: number = this.#state[CR3]): void {
    const state = this.#state;
    const base = (cr3 & 0xffffffe0) >>> 0;
    for (let word = 0; word < 8; word += 2) {
      const reserved =
        (this.#pdpte(base, word) & PDPTE_LOW_RESERVED) | (this.#pdpte(base, word + 1) & PDPTE_HIGH_RESERVED);
      if ((this.#pdpte(base, word) & 1) !== 0 && reserved !== 0) raiseWithError(state, GP, 0);
    }
    for (let word = 0; word < 8; word++) state[PDPTE + word] = this.#pdpte(base, word);
  }

  #pdpte(base: number, word: number): number {
    const { memory } = this.#cpu;
    const at = base + 4 * word;
    const machine = this.ept === null ? at : this.ept.translate(at, ACCESS_READ, 0, CAUSE_NO_LINEAR);
    return machine < memory.size ? memory.read32(machine as MachineAddress) | 0 : 0;
  }

  /** Flushes the current tag, global entries only if asked; charged. */
  flush(includeGlobal: boolean): void {
    this.#cpu.ledger.charge(includeGlobal ? TLB_FLUSH_GLOBAL : TLB_FLUSH);
    const tag = this.#state[TLB_TAG];
    this.data.flush(tag, includeGlobal);
    this.fetch.flush(tag, includeGlobal);
    this.#forgetLinks();
  }

  /** INVLPG: drops what covers `linear` in the current tag, global entries too; charged. */
  invalidatePage(linear: number): void {
    this.#cpu.ledger.charge(TLB_INVALIDATE);
    this.#dropPage(linear);
    this.#forgetLinks();
  }

  /** Drops all entries of `tag` (VM entry and exit without VPID, INVVPID): part of another event's price. */
  flushTag(tag: number): void {
    this.data.flush(tag, true);
    this.fetch.flush(tag, true);
    this.#forgetLinks();
  }

  flushAllTags(): void {
    this.data.flushAll();
    this.fetch.flushAll();
    this.#forgetLinks();
  }

  /**
   * To be called after TLB_TAG, `ept`, or a bit of CR0, CR4 or EFER that paging looks at has been changed by other
   * means than `System.writeControl`: what the fast tables hold was projected under the old ones. No entry is flushed.
   */
  controlsChanged(): void {
    this.#projection.dropAll(this.data);
    this.#forgetLinks();
  }

  /** Removes the write projections of a machine frame, which from now on holds decoded code. */
  protectCode(frame: number): void {
    this.#projection.protectFrame(this.data, frame);
  }

  /** The arrays of a snapshot. */
  stateArrays(): Int32Array[] {
    return [...this.data.stateArrays(), ...this.fetch.stateArrays()];
  }

  /** After the arrays and the state area have been restored: all projections are made anew, on demand. */
  afterRestore(): void {
    this.#projection.reset(this.data);
    this.#forgetLinks();
  }

  #forgetLinks(): void {
    this.#state[FETCH_PAGE] = -1;
  }

  /** True if linear addresses are machine addresses: no paging, and nothing beneath. */
  #identity(): boolean {
    return (this.#state[CR0] & CR0_PG) === 0 && this.ept === null;
  }

  #port(): MemoryPort {
    if (this.port === null) throw new Error('An access through EMULATION_VIEW needs Mmu.port to be set.');
    return this.port;
  }

  /** Machine address of the first byte of an access; refills what the fast tables lack. Unsigned, maybe outside RAM. */
  #address(linear: number, bytes: number, write: boolean, table: number): number {
    const view = table >>> VIEW_SHIFT;
    if ((view & VIEW_TRUNCATED) !== 0 && (linear >>> 0) + bytes - 1 > this.truncatedLimit) {
      raiseWithError(this.#state, (table & STACK_ACCESS) !== 0 ? SS_FAULT : GP, 0);
    }
    const page = linear >>> 12;
    if (this.#identity()) {
      if (page < this.#ramFrames && this.#withinView(page, view)) this.#projection.enterIdentity(page, view);
      return linear >>> 0;
    }
    const user = (view & VIEW_USER) !== 0;
    const { data } = this;
    const { entries } = data;
    let entry = data.find(this.#state[TLB_TAG], page);
    if (entry < 0 || !this.#permits(entries[entry * TLB_STRIDE + TLB_FLAGS], write, user)) {
      entry = this.#refill(data, entry, linear, write, user, false);
    }
    const at = entry * TLB_STRIDE;
    const frame = entries[at + TLB_FRAME] + page - entries[at + TLB_PAGE];
    if (frame < this.#ramFrames && this.#withinView(page, view)) {
      this.#projection.enter(entries, at, page, frame, view, this.#writable(entries[at + TLB_FLAGS], user));
    }
    return frame * 4096 + (linear & 0xfff);
  }

  /** A store needs the dirty bit set already; a clean entry makes it walk again, to set the bit in memory. */
  #permits(flags: number, write: boolean, user: boolean): boolean {
    if (user && (flags & FLAG_USER) === 0) return false;
    return !write || this.#writable(flags, user);
  }

  #writable(flags: number, user: boolean): boolean {
    const needed = FLAG_DIRTY | FLAG_HOST_WRITE;
    if ((flags & needed) !== needed) return false;
    return (flags & FLAG_WRITE) !== 0 || (!user && (this.#state[CR0] & CR0_WP) === 0);
  }

  /**
   * Walks for `linear` and enters the result, in place of `entry` if that is not -1. A page fault also drops what
   * the TLBs hold of the page (SDM 3A 4.10.4.1).
   */
  #refill(tlb: Tlb, entry: number, linear: number, write: boolean, user: boolean, fetch: boolean): number {
    const walker = this.#walker;
    const state = this.#state;
    const error = walker.walk(linear, write, user, fetch);
    if (error >= 0) {
      this.#dropPage(linear);
      state[EVENT_ADDRESS] = linear;
      raiseWithError(state, PAGE_FAULT, error);
    }
    if (entry >= 0) {
      const at = entry * TLB_STRIDE;
      const { entries } = tlb;
      if (
        entries[at + TLB_PAGE] === walker.page &&
        entries[at + TLB_FLAGS] >>> CLASS_SHIFT === walker.flags >>> CLASS_SHIFT
      ) {
        tlb.release(entry);
        entries[at + TLB_FRAME] = walker.frame;
        entries[at + TLB_FLAGS] = walker.flags;
        return entry;
      }
      tlb.remove(entry);
    }
    return tlb.insert(state[TLB_TAG], walker.page, walker.frame, walker.flags);
  }

  #dropPage(linear: number): void {
    const tag = this.#state[TLB_TAG];
    this.data.flushPage(tag, linear >>> 12);
    this.fetch.flushPage(tag, linear >>> 12);
  }

  #withinView(page: number, view: number): boolean {
    return (view & VIEW_TRUNCATED) === 0 || page * 4096 + 0xfff <= this.truncatedLimit;
  }

  #load8(machine: number): number {
    const { memory } = this.#cpu;
    return machine < memory.size ? memory.read8(machine as MachineAddress) : this.#mmioLoad(machine, 1) & 0xff;
  }

  #store8(machine: number, value: number): void {
    const { memory } = this.#cpu;
    if (machine < memory.size) memory.write8(machine as MachineAddress, value);
    else this.#mmioStore(machine, 1, value & 0xff);
  }

  #loadAcross(linear: number, size: number, table: number): number {
    const low = this.#address(linear, size, false, table);
    const split = 4096 - (linear & 0xfff);
    const high = this.#address(linear + split, 1, false, table);
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.#load8(i < split ? low + i : high + i - split) << (8 * i);
    return value;
  }

  /** Both pages are checked before either byte is written. */
  #storeAcross(linear: number, value: number, size: number, table: number): void {
    const low = this.#address(linear, size, true, table);
    const split = 4096 - (linear & 0xfff);
    const high = this.#address(linear + split, 1, true, table);
    for (let i = 0; i < size; i++) this.#store8(i < split ? low + i : high + i - split, value >> (8 * i));
  }

  #mmioLoad(physical: number, size: number): number {
    this.#cpu.ledger.charge(MMIO_ACCESS);
    return this.#cpu.mmio.read(physical, size);
  }

  #mmioStore(physical: number, size: number, value: number): void {
    this.#cpu.ledger.charge(MMIO_ACCESS);
    this.#cpu.mmio.write(physical, value, size);
  }
}
