/**
 * A split virtqueue as the device sees it (Virtual I/O Device 1.1, section 2.6): descriptors, the ring of what the driver offers,
 * the ring of what the device has used. Neither indirect descriptors nor event indices are offered.
 */
import type { BusMemory } from '../bus-memory.ts';
import { BusWords } from '../bus-memory.ts';

/** Most entries of a queue. */
export const QUEUE_SIZE = 256;
const DESCRIPTOR_BYTES = 16;
const NEXT = 1;
const WRITE = 2;
const NO_INTERRUPT = 1;

export interface Buffer {
  readonly physical: number;
  readonly bytes: number;
}

/** One request: what the device reads, then what it writes. */
export interface Chain {
  readonly head: number;
  readonly readable: readonly Buffer[];
  readonly writable: readonly Buffer[];
}

export class VirtQueue {
  size: number = QUEUE_SIZE;
  enabled = false;
  /** Guest-physical addresses of the three parts. */
  descriptors = 0;
  available = 0;
  used = 0;
  #taken = 0;
  #given = 0;
  readonly #memory: () => BusMemory;

  constructor(memory: () => BusMemory) {
    this.#memory = memory;
  }

  reset(): void {
    this.size = QUEUE_SIZE;
    this.enabled = false;
    this.descriptors = 0;
    this.available = 0;
    this.used = 0;
    this.#taken = 0;
    this.#given = 0;
  }

  /** The next request, or null. A chain that is longer than the queue is cut off there. */
  take(): Chain | null {
    if (!this.enabled) return null;
    const words = new BusWords(this.#memory());
    if (words.u16(this.available + 2) === this.#taken) return null;
    const head = words.u16(this.available + 4 + 2 * (this.#taken % this.size));
    this.#taken = (this.#taken + 1) & 0xffff;
    const readable: Buffer[] = [];
    const writable: Buffer[] = [];
    let index = head;
    for (let left = this.size; left > 0; left--) {
      const at = this.descriptors + (index % this.size) * DESCRIPTOR_BYTES;
      const flags = words.u16(at + 12);
      const buffer = { physical: words.address(at), bytes: words.u32(at + 8) };
      ((flags & WRITE) !== 0 ? writable : readable).push(buffer);
      if ((flags & NEXT) === 0) break;
      index = words.u16(at + 14);
    }
    return { head, readable, writable };
  }

  /** Gives a request back, `written` bytes of it filled; true if the driver wants an interrupt for it. */
  give(chain: Chain, written: number): boolean {
    const words = new BusWords(this.#memory());
    const at = this.used + 4 + 8 * (this.#given % this.size);
    words.set32(at, chain.head);
    words.set32(at + 4, written);
    this.#given = (this.#given + 1) & 0xffff;
    words.set16(this.used + 2, this.#given);
    return (words.u16(this.available) & NO_INTERRUPT) === 0;
  }

  /** All readable bytes of a request. */
  gather(buffers: readonly Buffer[]): Uint8Array {
    const memory = this.#memory();
    const data = new Uint8Array(buffers.reduce((sum, { bytes }) => sum + bytes, 0));
    let at = 0;
    for (const { physical, bytes } of buffers) {
      memory.readBytes(physical, data.subarray(at, at + bytes));
      at += bytes;
    }
    return data;
  }

  /** Writes `data` over the buffers in order; returns how many bytes found room. */
  scatter(buffers: readonly Buffer[], data: Uint8Array): number {
    const memory = this.#memory();
    let at = 0;
    for (const { physical, bytes } of buffers) {
      const part = data.subarray(at, at + bytes);
      if (part.length > 0) memory.writeBytes(physical, part);
      at += part.length;
    }
    return at;
  }

  save(): number[] {
    return [this.size, this.enabled ? 1 : 0, this.descriptors, this.available, this.used, this.#taken, this.#given];
  }

  load(values: readonly number[]): void {
    const [size = 0, enabled = 0, descriptors = 0, available = 0, used = 0, taken = 0, given = 0] = values;
    this.size = size;
    this.enabled = enabled !== 0;
    this.descriptors = descriptors;
    this.available = available;
    this.used = used;
    this.#taken = taken;
    this.#given = given;
  }
}
export const QUEUE_STATE_NUMBERS = 7;
