/**
 * Copies of a machine's whole state. What can affect the guest or the cycle count lies in machine RAM, in typed arrays
 * registered by name, or behind a save/load pair registered by name; a snapshot copies all three and a hash covers
 * all three, so a part that is forgotten shows up as two runs from one snapshot that differ.
 */
import { StateHash } from './state-hash.ts';

const PAGE_WORDS = 1024;

export type StateArray = Uint8Array | Uint16Array | Int32Array | Uint32Array | Float64Array;

/** A machine's state at one moment. Independent of the machine: it may be restored any number of times. */
export interface Snapshot {
  readonly ram: Uint8Array;
  readonly arrays: ReadonlyMap<string, StateArray>;
  readonly values: ReadonlyMap<string, readonly number[]>;
}

interface SavedState {
  readonly save: () => readonly number[];
  readonly load: (values: readonly number[]) => void;
}

export class SnapshotRegistry {
  readonly #ram: Uint8Array;
  readonly #write: (at: number, data: Uint8Array) => void;
  readonly #arrays = new Map<string, StateArray>();
  readonly #states = new Map<string, SavedState>();
  readonly #restored: (() => void)[] = [];

  /** `ram` is machine RAM, a whole number of pages; `write` stores into it and tells whoever derived something from it. */
  constructor(ram: Uint8Array, write: (at: number, data: Uint8Array) => void) {
    this.#ram = ram;
    this.#write = write;
  }

  /** Adds an array that keeps its identity and length for the machine's life. */
  register(name: string, array: StateArray): void {
    this.#claim(name);
    this.#arrays.set(name, array);
  }

  /** Adds state that is kept in other forms: `save` gives it as numbers, `load` takes them back. */
  registerState(name: string, save: () => readonly number[], load: (values: readonly number[]) => void): void {
    this.#claim(name);
    this.#states.set(name, { save, load });
  }

  /** Adds work to do after a restore, in order: rebuilding what is only a projection of registered state. */
  onRestored(action: () => void): void {
    this.#restored.push(action);
  }

  take(): Snapshot {
    const arrays = new Map<string, StateArray>();
    for (const [name, array] of this.#arrays) arrays.set(name, array.slice());
    const values = new Map<string, readonly number[]>();
    for (const [name, state] of this.#states) values.set(name, [...state.save()]);
    return { ram: this.#ram.slice(), arrays, values };
  }

  /** Throws if the snapshot was taken of a machine with other parts. */
  restore(snapshot: Snapshot): void {
    if (snapshot.ram.length !== this.#ram.length) {
      throw new Error(`The snapshot has ${snapshot.ram.length} bytes of RAM, the machine ${this.#ram.length}.`);
    }
    this.#restoreRam(snapshot.ram);
    for (const [name, array] of this.#arrays) array.set(part(snapshot.arrays, name));
    for (const [name, state] of this.#states) state.load(part(snapshot.values, name));
    for (const action of this.#restored) action();
  }

  /** 16 hexadecimal digits over RAM and all registered state, in the order of registration. */
  hash(): string {
    const hash = new StateHash();
    hash.bytes(this.#ram);
    for (const array of this.#arrays.values()) {
      hash.bytes(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
    }
    for (const state of this.#states.values()) {
      const numbers = Float64Array.from(state.save());
      hash.bytes(new Uint8Array(numbers.buffer));
    }
    return hash.digest();
  }

  /**
   * Writes only the pages that differ, so that decoded code in all others stays good: short cells of the compute workloads
   * ran at 87 instead of 47 MIPS.
   */
  #restoreRam(saved: Uint8Array): void {
    const before = new Int32Array(saved.buffer, saved.byteOffset, saved.length >>> 2);
    const now = new Int32Array(this.#ram.buffer, this.#ram.byteOffset, this.#ram.length >>> 2);
    for (let page = 0; page < now.length; page += PAGE_WORDS) {
      const end = page + PAGE_WORDS;
      let at = page;
      while (at < end && before[at] === now[at]) at++;
      if (at < end) this.#write(page << 2, saved.subarray(page << 2, end << 2));
    }
  }

  #claim(name: string): void {
    if (this.#arrays.has(name) || this.#states.has(name))
      throw new Error(`Two parts of the machine are called '${name}'.`);
  }
}

function part<T>(parts: ReadonlyMap<string, T>, name: string): T {
  const found = parts.get(name);
  if (found === undefined) throw new Error(`The snapshot has no '${name}'; it is of another kind of machine.`);
  return found;
}
