/**
 * The pool of shadow tables: real PAE tables in VMM frames of machine memory, found by the guest table they
 * shadow, linked both ways. A present entry of a table is on exactly one list: a leaf on the list of the guest frame
 * it maps (the backmap, so that a new trace can downgrade every mapping of a frame), any other on its child's list of
 * parents (so that a table can be freed). The lists are intrusive, one link per entry, so nothing is allocated.
 */
import type { MachineAddress } from '../../core/address.ts';
import type { MachineMemory } from '../../core/memory.ts';
import { eventNumber } from '../../cost/event.ts';
import type { Ledger } from '../../cost/ledger.ts';
import { ENTRY_P, ENTRY_W } from './guest-walk.ts';

const WRITE_ENTRY = eventNumber('shadowWriteEntry');
const READ_ENTRY = eventNumber('shadowReadEntry');
const HASH = eventNumber('vmmHash');
const CLEAR_PAGE = eventNumber('vmmClearPage');

/** Roles: two shadows of one guest table differ in these bits and are different tables. */
export const ROLE_LEVEL = 3;
/** Maps consecutive guest frames (a large guest page, or paging off) rather than a guest table. */
export const ROLE_DIRECT = 4;
export const ROLE_TWO_LEVEL = 8;
/** Which part of a 4-byte-entry guest table: a shadow table covers half of a level-1, a quarter of a level-2 one. */
export const ROLE_QUADRANT_SHIFT = 4;
export const ROLE_GLOBAL = 0x40;
/** Carries the VMM's own entries at its end. */
export const ROLE_TOP = 0x80;
/** Guest CR0.WP = 0: leaves carry the rights of all levels, and a supervisor's write may map a read-only page. */
export const ROLE_NO_WP = 0x100;
export const ROLE_UPPER_W = 0x200;
export const ROLE_UPPER_U = 0x400;
export const ROLE_NXE = 0x800;
export const ROLE_PGE = 0x1000;
/** A root's CR3 bits 11:5. */
export const ROLE_CR3_SHIFT = 16;

const SLOTS = 512;
const HASH_SIZE = 1024;
const NONE = -1;

export class ShadowTables {
  readonly count: number;
  /** By table: guest frame shadowed, role, hash chain, in use, referenced since the clock hand passed, useless stores. */
  readonly guestFrame: Int32Array;
  readonly role: Int32Array;
  readonly uselessStores: Int32Array;
  /** By guest frame: the first leaf entry that maps it. */
  readonly backmap: Int32Array;
  readonly #hashNext: Int32Array;
  readonly #used: Uint8Array;
  readonly #referenced: Uint8Array;
  readonly #hash: Int32Array = new Int32Array(HASH_SIZE).fill(NONE);
  readonly #parents: Int32Array;
  /** By entry (table * 512 + slot): neighbours on its list, and what it points at. */
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #target: Int32Array;
  /** Clock hand, tables in use, and the current root (NONE before the first). */
  readonly #scalars: Int32Array = new Int32Array([0, 0, NONE]);
  readonly #memory: MachineMemory;
  readonly #ledger: Ledger;
  readonly #base: number;

  constructor(memory: MachineMemory, ledger: Ledger, base: number, count: number, guestFrames: number) {
    this.#memory = memory;
    this.#ledger = ledger;
    this.#base = base;
    this.count = count;
    this.guestFrame = new Int32Array(count);
    this.role = new Int32Array(count);
    this.uselessStores = new Int32Array(count);
    this.#hashNext = new Int32Array(count).fill(NONE);
    this.#used = new Uint8Array(count);
    this.#referenced = new Uint8Array(count);
    this.#parents = new Int32Array(count).fill(NONE);
    this.backmap = new Int32Array(guestFrames).fill(NONE);
    this.#next = new Int32Array(count * SLOTS).fill(NONE);
    this.#previous = new Int32Array(count * SLOTS).fill(NONE);
    this.#target = new Int32Array(count * SLOTS).fill(NONE);
  }

  /** All state, for the snapshot. */
  arrays(): readonly (readonly [string, Int32Array | Uint8Array])[] {
    return [
      ['frame', this.guestFrame],
      ['role', this.role],
      ['useless', this.uselessStores],
      ['backmap', this.backmap],
      ['hashNext', this.#hashNext],
      ['used', this.#used],
      ['referenced', this.#referenced],
      ['hash', this.#hash],
      ['parents', this.#parents],
      ['next', this.#next],
      ['previous', this.#previous],
      ['target', this.#target],
      ['scalars', this.#scalars],
    ];
  }

  get inUse(): number {
    return this.#scalars[1] as number;
  }
  get root(): number {
    return this.#scalars[2] as number;
  }
  set root(table: number) {
    this.#scalars[2] = table;
  }

  /** Machine address of a table. */
  address(table: number): number {
    return this.#base + table * 4096;
  }
  low(entry: number): number {
    return this.#memory.read32((this.#base + entry * 8) as MachineAddress) | 0;
  }
  high(entry: number): number {
    return this.#memory.read32((this.#base + entry * 8 + 4) as MachineAddress) | 0;
  }
  /** Child table of a linked entry, guest frame of a leaf; -1 if not present. */
  target(entry: number): number {
    return this.#target[entry] as number;
  }
  hasParents(table: number): boolean {
    return this.#parents[table] !== NONE;
  }

  /** The table that shadows `guestFrame` in `role`, or -1. */
  find(guestFrame: number, role: number): number {
    this.#ledger.charge(HASH);
    let table = this.#hash[guestFrame & (HASH_SIZE - 1)] as number;
    while (table !== NONE && (this.guestFrame[table] !== guestFrame || this.role[table] !== role)) {
      table = this.#hashNext[table] as number;
    }
    if (table !== NONE) this.#referenced[table] = 1;
    return table;
  }

  /** First table in any role for `guestFrame`'s chain after `table` (-1 starts), or -1. Direct tables are not met. */
  nextShadow(guestFrame: number, table: number): number {
    let at = (table === NONE ? this.#hash[guestFrame & (HASH_SIZE - 1)] : this.#hashNext[table]) as number;
    while (at !== NONE && (this.guestFrame[at] !== guestFrame || ((this.role[at] as number) & ROLE_DIRECT) !== 0)) {
      at = this.#hashNext[at] as number;
    }
    return at;
  }

  /** Takes a free table, cleared, for `guestFrame` in `role`; -1 if all are in use. */
  allocate(guestFrame: number, role: number): number {
    if (this.inUse === this.count) return NONE;
    let table = this.#scalars[0] as number;
    while (this.#used[table] !== 0) table = table + 1 === this.count ? 0 : table + 1;
    this.#ledger.charge(CLEAR_PAGE);
    const address = this.address(table);
    this.#memory.ram.fill(0, address, address + 4096);
    this.#used[table] = 1;
    this.#referenced[table] = 1;
    this.#scalars[1] = this.inUse + 1;
    this.guestFrame[table] = guestFrame;
    this.role[table] = role;
    this.uselessStores[table] = 0;
    const bucket = guestFrame & (HASH_SIZE - 1);
    this.#hashNext[table] = this.#hash[bucket] as number;
    this.#hash[bucket] = table;
    return table;
  }

  /** A table to give up: the clock's choice among those that are not the current root or linked into it. */
  victim(): number {
    for (;;) {
      const table = this.#scalars[0] as number;
      this.#scalars[0] = table + 1 === this.count ? 0 : table + 1;
      if (this.#used[table] === 0 || table === this.root || this.inRoot(table)) continue;
      if (this.#referenced[table] === 0) return table;
      this.#referenced[table] = 0;
    }
  }

  touch(table: number): void {
    this.#referenced[table] = 1;
  }

  /** Whether the current root points at `table`: it is in use whatever the stores to its guest frame look like. */
  inRoot(table: number): boolean {
    const root = this.root;
    if (root === NONE) return false;
    for (let slot = 0; slot < 4; slot++) if (this.#target[root * SLOTS + slot] === table) return true;
    return false;
  }

  /** Frees a table: unlinks every entry of it and every entry that points at it. */
  free(table: number): void {
    while (this.hasParents(table)) this.clear(this.#parents[table] as number);
    for (let entry = table * SLOTS; entry < table * SLOTS + SLOTS; entry++) {
      if (this.#target[entry] !== NONE) this.clear(entry);
    }
    const bucket = (this.guestFrame[table] as number) & (HASH_SIZE - 1);
    if (this.#hash[bucket] === table) this.#hash[bucket] = this.#hashNext[table] as number;
    else {
      let at = this.#hash[bucket] as number;
      while (this.#hashNext[at] !== table) at = this.#hashNext[at] as number;
      this.#hashNext[at] = this.#hashNext[table] as number;
    }
    this.#used[table] = 0;
    this.#scalars[1] = this.inUse - 1;
  }

  /** Makes an entry not present. True if it was a writable leaf (a translation the processor may still hold). */
  clear(entry: number): boolean {
    const writable = (this.low(entry) & (ENTRY_P | ENTRY_W)) === (ENTRY_P | ENTRY_W);
    this.#unlink(entry);
    this.#write(entry, 0, 0);
    return writable && this.#isLeaf(entry);
  }

  /** Points an entry at a child table. */
  setChild(entry: number, child: number, flags: number, flagsHigh: number): void {
    if (this.#target[entry] !== child) {
      this.#unlink(entry);
      this.#link(entry, child, this.#parents);
    }
    this.#write(entry, this.address(child) | flags, flagsHigh);
  }

  /** Maps a guest frame, lying in `machineFrame`, at a leaf entry. */
  setLeaf(entry: number, guestFrame: number, machineFrame: number, flags: number, flagsHigh: number): void {
    if (this.#target[entry] !== guestFrame) {
      this.#unlink(entry);
      this.#link(entry, guestFrame, this.backmap);
    }
    this.#write(entry, (machineFrame << 12) | flags, flagsHigh);
  }

  /** Takes write access from every leaf that maps a guest frame. Returns how many had it. */
  downgrade(guestFrame: number): number {
    let changed = 0;
    let entry = this.backmap[guestFrame] as number;
    while (entry !== NONE) {
      this.#ledger.charge(READ_ENTRY);
      const low = this.low(entry);
      if ((low & ENTRY_W) !== 0) {
        this.#write(entry, low & ~ENTRY_W, this.high(entry));
        changed++;
      }
      entry = this.#next[entry] as number;
    }
    return changed;
  }

  #isLeaf(entry: number): boolean {
    return ((this.role[Math.floor(entry / SLOTS)] as number) & ROLE_LEVEL) === 1;
  }

  #write(entry: number, low: number, high: number): void {
    this.#ledger.charge(WRITE_ENTRY);
    const at = this.#base + entry * 8;
    this.#memory.write32((at + 4) as MachineAddress, high);
    this.#memory.write32(at as MachineAddress, low);
  }

  #link(entry: number, target: number, heads: Int32Array): void {
    const first = heads[target] as number;
    this.#target[entry] = target;
    this.#previous[entry] = NONE;
    this.#next[entry] = first;
    if (first !== NONE) this.#previous[first] = entry;
    heads[target] = entry;
  }

  #unlink(entry: number): void {
    const target = this.#target[entry] as number;
    if (target === NONE) return;
    const heads = this.#isLeaf(entry) ? this.backmap : this.#parents;
    const next = this.#next[entry] as number;
    const previous = this.#previous[entry] as number;
    if (next !== NONE) this.#previous[next] = previous;
    if (previous !== NONE) this.#next[previous] = next;
    else heads[target] = next;
    this.#target[entry] = NONE;
  }
}
