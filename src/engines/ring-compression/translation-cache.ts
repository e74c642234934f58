/**
 * The translation cache: code from the bottom up, stubs from the top down, and what is known of them: units, the
 * back-map from cache to guest addresses, callout records, the hash from guest to cache addresses. When any of
 * them is full everything is flushed. Nothing is ever moved, so an old address stays safe until the flush: an invalid unit's
 * entry becomes a continuation.
 */
import type { MachineAddress } from '../../core/address.ts';
import type { MachineMemory } from '../../core/memory.ts';
import { eventNumber } from '../../cost/event.ts';
import type { Ledger } from '../../cost/ledger.ts';
import { CALLOUT_BYTES, type Emitter } from './emitter.ts';
import { CACHE_BASE, CACHE_END, CALLOUT_GATE } from './layout.ts';
import { CALLOUT_CONTINUE, RECIPE_BOUNDARY, SITE_ENTRY } from './translate/kinds.ts';

const CHAIN = eventNumber('cacheChain');
const FLUSH = eventNumber('cacheFlush');

const UNITS = 16384;
const RECORDS = 65536;
const CALLOUTS = 32768;
const HASH = 32768;
/** Room that one unit may need at most. */
const UNIT_ROOM = 2048;
const STUB_BYTES = 8;

/** Words of a unit. */
export const U_PC = 0;
export const U_START = 1;
export const U_GUEST_LENGTH = 2;
export const U_FRAME0 = 3;
export const U_FRAME1 = 4;
export const U_LIVE = 5;
const UNIT_WORDS = 6;

/** Words of `state`. */
const TOP = 0;
const STUB_TOP = 1;
const UNIT_COUNT = 2;
const RECORD_COUNT = 3;
const CALLOUT_COUNT = 4;
const GENERATION = 5;
const IOPL = 6;

export class TranslationCache {
  readonly state: Int32Array = new Int32Array(8);
  readonly units: Int32Array = new Int32Array(UNITS * UNIT_WORDS);
  /** Back-map: cache address, guest address, recipe; by ascending cache address. */
  readonly map: Int32Array = new Int32Array(RECORDS * 3);
  /** Callout records: kind, guest address, a, b. */
  readonly callouts: Int32Array = new Int32Array(CALLOUTS * 4);
  /** Unit number + 1 by guest address of its entry; -1 where one was. */
  readonly #hash: Int32Array = new Int32Array(HASH);

  /** What `resolve` found. */
  guestPc = 0;
  recipe = 0;

  readonly #memory: MachineMemory;
  readonly #ledger: Ledger;
  readonly #machine: number;

  /** `machine`: machine address of the cache's first byte; its frames are consecutive. */
  constructor(memory: MachineMemory, ledger: Ledger, machine: number) {
    this.#memory = memory;
    this.#ledger = ledger;
    this.#machine = machine;
    this.#clear();
  }

  arrays(): readonly (readonly [string, Int32Array])[] {
    return [
      ['state', this.state],
      ['units', this.units],
      ['map', this.map],
      ['callouts', this.callouts],
      ['hash', this.#hash],
    ];
  }

  get top(): number {
    return (this.state[TOP] as number) >>> 0;
  }
  get unitCount(): number {
    return this.state[UNIT_COUNT] as number;
  }
  /** Changes at every flush. */
  get generation(): number {
    return this.state[GENERATION] as number;
  }
  /** Virtual IOPL that the translations assume; changing it needs a flush. */
  get virtualIopl(): number {
    return this.state[IOPL] as number;
  }
  set virtualIopl(value: number) {
    this.state[IOPL] = value;
  }

  #clear(): void {
    const state = this.state;
    state[TOP] = CACHE_BASE | 0;
    state[STUB_TOP] = CACHE_END | 0;
    state[UNIT_COUNT] = 0;
    state[RECORD_COUNT] = 0;
    state[CALLOUT_COUNT] = 0;
    state[GENERATION] = this.generation + 1;
    this.#hash.fill(0);
  }

  flush(): void {
    this.#ledger.charge(FLUSH);
    this.#clear();
  }

  /** False if one more unit might not fit. */
  hasRoom(): boolean {
    const state = this.state;
    return (
      ((state[STUB_TOP] as number) >>> 0) - this.top > UNIT_ROOM &&
      this.unitCount < UNITS &&
      (state[RECORD_COUNT] as number) < RECORDS - 256 &&
      (state[CALLOUT_COUNT] as number) < CALLOUTS - 64
    );
  }

  // Building.

  record(address: number, pc: number, recipe: number): void {
    const count = this.state[RECORD_COUNT] as number;
    // A sequence that emitted nothing since its last record replaces it.
    const at = count > 0 && this.map[3 * (count - 1)] === (address | 0) ? count - 1 : count;
    this.map[3 * at] = address;
    this.map[3 * at + 1] = pc;
    this.map[3 * at + 2] = recipe;
    this.state[RECORD_COUNT] = at + 1;
  }

  callout(kind: number, pc: number, a: number, b: number): number {
    const number = this.state[CALLOUT_COUNT] as number;
    this.state[CALLOUT_COUNT] = number + 1;
    this.callouts.set([kind, pc, a, b], 4 * number);
    return number;
  }

  /** A callout out of line; returns its address. */
  stub(kind: number, pc: number, a: number, b: number): number {
    const address = ((this.state[STUB_TOP] as number) >>> 0) - STUB_BYTES;
    this.state[STUB_TOP] = address;
    this.#writeCallout(address, this.callout(kind, pc, a, b));
    return address;
  }

  #writeCallout(address: number, record: number): void {
    this.write(
      address,
      Uint8Array.of(
        0x9a,
        record & 0xff,
        (record >> 8) & 0xff,
        (record >> 16) & 0xff,
        record >>> 24,
        CALLOUT_GATE & 0xff,
        CALLOUT_GATE >> 8,
      ),
    );
  }

  /** Enters a finished unit. */
  addUnit(pc: number, emitter: Emitter, guestLength: number, frame0: number, frame1: number, findable: boolean): void {
    const number = this.unitCount;
    this.state[UNIT_COUNT] = number + 1;
    this.units.set([pc, emitter.base, guestLength, frame0, frame1, findable ? 1 : 0], number * UNIT_WORDS);
    this.write(emitter.base, emitter.bytes.subarray(0, emitter.length));
    this.state[TOP] = emitter.address;
    if (findable) this.#enter(pc, number);
  }

  /** Drops the inline callout that is the last thing in the cache, so that its continuation takes its place. */
  retract(): void {
    this.state[TOP] = this.top - CALLOUT_BYTES;
    this.state[RECORD_COUNT] = (this.state[RECORD_COUNT] as number) - 1;
  }

  // Looking up.

  #slot(pc: number): number {
    return (Math.imul(pc, 0x9e3779b1) >>> 17) & (HASH - 1);
  }

  #enter(pc: number, number: number): void {
    let slot = this.#slot(pc);
    while ((this.#hash[slot] as number) > 0) slot = (slot + 1) & (HASH - 1);
    this.#hash[slot] = number + 1;
  }

  /** Cache address of the unit that begins at guest address `pc`, or -1. */
  find(pc: number): number {
    let slot = this.#slot(pc);
    for (;;) {
      const entry = this.#hash[slot] as number;
      if (entry === 0) return -1;
      if (entry > 0 && this.units[(entry - 1) * UNIT_WORDS + U_PC] === (pc | 0)) {
        return (this.units[(entry - 1) * UNIT_WORDS + U_START] as number) >>> 0;
      }
      slot = (slot + 1) & (HASH - 1);
    }
  }

  #forget(number: number): void {
    const pc = this.units[number * UNIT_WORDS + U_PC] as number;
    let slot = this.#slot(pc);
    while (this.#hash[slot] !== 0) {
      if (this.#hash[slot] === number + 1) {
        this.#hash[slot] = -1;
        return;
      }
      slot = (slot + 1) & (HASH - 1);
    }
  }

  /** Number of the unit whose code holds a cache address, or -1. */
  unitAt(address: number): number {
    let low = 0;
    let high = this.unitCount;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.units[middle * UNIT_WORDS + U_START] as number) >>> 0 <= address) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Sets `guestPc` and `recipe` for a cache address. */
  resolve(address: number): void {
    if (address >= (this.state[STUB_TOP] as number) >>> 0) {
      const start = CACHE_END - Math.ceil((CACHE_END - address) / STUB_BYTES) * STUB_BYTES;
      this.guestPc = (this.callouts[4 * this.recordOf(start) + 1] as number) >>> 0;
      this.recipe = address === start ? RECIPE_BOUNDARY : 0;
      return;
    }
    let low = 0;
    let high = this.state[RECORD_COUNT] as number;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.map[3 * middle] as number) >>> 0 <= address) low = middle + 1;
      else high = middle;
    }
    if (low === 0) throw new Error(`No translation lies at ${address.toString(16)}.`);
    this.guestPc = (this.map[3 * low - 2] as number) >>> 0;
    const recipe = this.map[3 * low - 1] as number;
    this.recipe = (this.map[3 * low - 3] as number) >>> 0 === address ? recipe : recipe & ~RECIPE_BOUNDARY;
  }

  /** Number of the callout record that the callout instruction at `address` carries, or -1 if there is none. */
  recordOf(address: number): number {
    const at = this.machine(address);
    if (this.#memory.read8(at) !== 0x9a) return -1;
    return this.#memory.read32((at + 1) as MachineAddress);
  }

  machine(address: number): MachineAddress {
    return (this.#machine + (address - CACHE_BASE)) as MachineAddress;
  }

  write(address: number, bytes: Uint8Array): void {
    this.#memory.writeBytes(this.machine(address), bytes);
  }

  /** Decodable bytes of the cache: [array, offset]. */
  get bytes(): Uint8Array {
    return this.#memory.ram;
  }

  // Patching.

  /** Replaces a callout by a jump. */
  patchJump(address: number, target: number): void {
    this.#ledger.charge(CHAIN);
    const distance = target - (address + 5);
    this.write(
      address,
      Uint8Array.of(0xe9, distance & 0xff, (distance >> 8) & 0xff, (distance >> 16) & 0xff, distance >>> 24),
    );
  }

  patchDistance(site: number, target: number): void {
    this.#ledger.charge(CHAIN);
    this.#memory.write32(this.machine(site), target - (site + 4));
  }

  /** Turns `jcc stub` before the last inline callout into its opposite, so that the taken side can follow. */
  invert(site: number): void {
    const at = (this.machine(site) - 1) as MachineAddress;
    this.#memory.write8(at, this.#memory.read8(at) ^ 1);
  }

  /** Invalidates one unit: its entry becomes a continuation. */
  invalidate(number: number): void {
    const at = number * UNIT_WORDS;
    if (this.units[at + U_LIVE] === 0) return;
    this.units[at + U_LIVE] = 0;
    this.#forget(number);
    const start = (this.units[at + U_START] as number) >>> 0;
    this.#writeCallout(start, this.callout(CALLOUT_CONTINUE, this.units[at + U_PC] as number, start, SITE_ENTRY));
  }

  /** Invalidates all units that satisfy the predicate (given the unit's words' offset). Returns how many. */
  invalidateWhere(predicate: (units: Int32Array, at: number) => boolean): number {
    let count = 0;
    const last = this.unitCount;
    for (let number = 0; number < last; number++) {
      const at = number * UNIT_WORDS;
      if (this.units[at + U_LIVE] === 0 || !predicate(this.units, at)) continue;
      // Each takes a callout record: when those run out, forget everything instead.
      if ((this.state[CALLOUT_COUNT] as number) >= CALLOUTS - 64) {
        this.flush();
        return count + 1;
      }
      this.invalidate(number);
      count++;
    }
    return count;
  }
}
