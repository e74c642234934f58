/**
 * The modelled TLB: one array of tagged entries with the profile's capacity, replaced first-in first-out. A hit
 * changes no state, so every way of running the same code sees the same misses, and hits cost nothing (SDM 3A 4.10).
 *
 * Everything lies in Int32Arrays (a snapshot is a copy of them): entries are linked into a hash chain, for look-up
 * without allocation, and into the FIFO list or the list of free entries.
 */

/** Words of one entry. */
export const TLB_TAG_WORD = 0;
/** Linear page number of the first page. */
export const TLB_PAGE = 1;
/** Machine page number of the first page. */
export const TLB_FRAME = 2;
export const TLB_FLAGS = 3;
/** Which fast tables may hold pages of this entry: bit `2 * view + write`. */
export const TLB_PROJECTED = 4;
const CHAIN = 5;
const NEXT = 6;
const PREVIOUS = 7;
/** Entry `e` starts at word `e * TLB_STRIDE`. */
export const TLB_STRIDE = 8;

/** Flags of an entry: what the guest's tables allow, and what EPT allows beneath them. */
export const FLAG_WRITE = 1;
export const FLAG_USER = 2;
export const FLAG_DIRTY = 4;
export const FLAG_GLOBAL = 8;
export const FLAG_NO_EXECUTE = 0x10;
/** The mapping beneath (EPT) allows writing; always set without EPT. */
export const FLAG_HOST_WRITE = 0x20;
/** Size class in bits 9:8: 0 for 4 KB, 1 for 2 MB, 2 for 4 MB. */
export const CLASS_SHIFT = 8;
export const CLASS_4K = 0;
export const CLASS_2M = 1;
export const CLASS_4M = 2;
const CLASS_PAGES = [1, 512, 1024] as const;

/** How many 4 KB pages an entry with these flags spans. */
export function pagesOf(flags: number): number {
  return CLASS_PAGES[(flags >>> CLASS_SHIFT) & 3] as number;
}

const HEAD = 0;
const TAIL = 1;
const FREE = 2;
/** Entries in use, then entries in use by class. */
const COUNT = 3;
const CLASS_COUNT = 4;
const META_WORDS = 8;

const NONE = -1;

export class Tlb {
  readonly capacity: number;
  readonly entries: Int32Array;
  /** Called before an entry is dropped or replaced, so that its projections go with it. */
  readonly release: (entry: number) => void;
  readonly #meta: Int32Array = new Int32Array(META_WORDS);
  readonly #buckets: Int32Array;
  readonly #shift: number;

  constructor(capacity: number, release: (entry: number) => void) {
    this.capacity = capacity;
    this.release = release;
    this.entries = new Int32Array(capacity * TLB_STRIDE);
    const bits = Math.max(1, Math.ceil(Math.log2(capacity * 2)));
    this.#buckets = new Int32Array(1 << bits);
    this.#shift = 32 - bits;
    this.clear();
  }

  /** The arrays that a snapshot saves and restores. */
  stateArrays(): Int32Array[] {
    return [this.entries, this.#meta, this.#buckets];
  }

  /** Forgets everything without telling anyone. */
  clear(): void {
    const { entries } = this;
    this.#buckets.fill(NONE);
    this.#meta.fill(0);
    this.#meta[HEAD] = NONE;
    this.#meta[TAIL] = NONE;
    this.#meta[FREE] = 0;
    for (let entry = 0; entry < this.capacity; entry++) {
      entries[entry * TLB_STRIDE + NEXT] = entry + 1 < this.capacity ? entry + 1 : NONE;
      entries[entry * TLB_STRIDE + TLB_PROJECTED] = 0;
    }
  }

  /** Entries in use. */
  get size(): number {
    return this.#meta[COUNT];
  }

  /** The oldest entry, or -1; with `next` a walk over all entries in use, oldest first. */
  get first(): number {
    return this.#meta[HEAD];
  }
  next(entry: number): number {
    return this.entries[entry * TLB_STRIDE + NEXT];
  }

  /** The entry of `tag` that covers linear page number `page`, or -1. */
  find(tag: number, page: number): number {
    const meta = this.#meta;
    let entry = this.#findClass(tag, page, CLASS_4K);
    if (entry < 0 && meta[CLASS_COUNT + CLASS_2M] !== 0) entry = this.#findClass(tag, page & ~511, CLASS_2M);
    if (entry < 0 && meta[CLASS_COUNT + CLASS_4M] !== 0) entry = this.#findClass(tag, page & ~1023, CLASS_4M);
    return entry;
  }

  #findClass(tag: number, page: number, size: number): number {
    const { entries } = this;
    let entry = this.#buckets[this.#hash(tag, page, size)];
    while (entry !== NONE) {
      const at = entry * TLB_STRIDE;
      if (
        entries[at + TLB_PAGE] === page &&
        entries[at + TLB_TAG_WORD] === tag &&
        ((entries[at + TLB_FLAGS] >>> CLASS_SHIFT) & 3) === size
      ) {
        return entry;
      }
      entry = entries[at + CHAIN];
    }
    return NONE;
  }

  #hash(tag: number, page: number, size: number): number {
    return Math.imul(page ^ (tag << 20) ^ (size << 29), 0x9e3779b1) >>> this.#shift;
  }

  /** Adds an entry (its first page and frame numbers, its flags with size class), replacing the oldest if full. */
  insert(tag: number, page: number, frame: number, flags: number): number {
    const { entries } = this;
    const meta = this.#meta;
    if (meta[FREE] === NONE) this.remove(meta[HEAD]);
    const entry = meta[FREE];
    const at = entry * TLB_STRIDE;
    meta[FREE] = entries[at + NEXT];
    entries[at + TLB_TAG_WORD] = tag;
    entries[at + TLB_PAGE] = page;
    entries[at + TLB_FRAME] = frame;
    entries[at + TLB_FLAGS] = flags;
    entries[at + TLB_PROJECTED] = 0;
    const bucket = this.#hash(tag, page, (flags >>> CLASS_SHIFT) & 3);
    entries[at + CHAIN] = this.#buckets[bucket];
    this.#buckets[bucket] = entry;
    const tail = meta[TAIL];
    entries[at + NEXT] = NONE;
    entries[at + PREVIOUS] = tail;
    if (tail === NONE) meta[HEAD] = entry;
    else entries[tail * TLB_STRIDE + NEXT] = entry;
    meta[TAIL] = entry;
    meta[COUNT]++;
    meta[CLASS_COUNT + ((flags >>> CLASS_SHIFT) & 3)]++;
    return entry;
  }

  remove(entry: number): void {
    this.release(entry);
    const { entries } = this;
    const meta = this.#meta;
    const at = entry * TLB_STRIDE;
    const size = (entries[at + TLB_FLAGS] >>> CLASS_SHIFT) & 3;
    const bucket = this.#hash(entries[at + TLB_TAG_WORD], entries[at + TLB_PAGE], size);
    let link = this.#buckets[bucket];
    if (link === entry) {
      this.#buckets[bucket] = entries[at + CHAIN];
    } else {
      while (entries[link * TLB_STRIDE + CHAIN] !== entry) link = entries[link * TLB_STRIDE + CHAIN];
      entries[link * TLB_STRIDE + CHAIN] = entries[at + CHAIN];
    }
    const next = entries[at + NEXT];
    const previous = entries[at + PREVIOUS];
    if (previous === NONE) meta[HEAD] = next;
    else entries[previous * TLB_STRIDE + NEXT] = next;
    if (next === NONE) meta[TAIL] = previous;
    else entries[next * TLB_STRIDE + PREVIOUS] = previous;
    entries[at + NEXT] = meta[FREE];
    meta[FREE] = entry;
    meta[COUNT]--;
    meta[CLASS_COUNT + size]--;
  }

  /** Drops the entries of `tag`, those with the global flag only if `includeGlobal` (SDM 3A 4.10.4.1). */
  flush(tag: number, includeGlobal: boolean): void {
    const { entries } = this;
    let entry = this.#meta[HEAD];
    while (entry !== NONE) {
      const at = entry * TLB_STRIDE;
      const next = entries[at + NEXT];
      if (entries[at + TLB_TAG_WORD] === tag && (includeGlobal || (entries[at + TLB_FLAGS] & FLAG_GLOBAL) === 0)) {
        this.remove(entry);
      }
      entry = next;
    }
  }

  flushAll(): void {
    while (this.#meta[HEAD] !== NONE) this.remove(this.#meta[HEAD]);
  }

  /** Drops every entry of `tag` that covers linear page number `page`, global ones too (SDM 3A 4.10.4.1, INVLPG). */
  flushPage(tag: number, page: number): void {
    for (let entry = this.find(tag, page); entry >= 0; entry = this.find(tag, page)) this.remove(entry);
  }
}
