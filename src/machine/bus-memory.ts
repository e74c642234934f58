/**
 * Guest-physical memory as a bus master sees it. A transfer that leaves RAM is cut off there, as it would be by a master abort.
 */
import type { MachineAddress } from '../core/address.ts';
import type { MachineMemory } from '../core/memory.ts';

export interface BusMemory {
  /** Fills `into` from guest-physical memory. */
  readBytes(physical: number, into: Uint8Array): void;
  writeBytes(physical: number, data: Uint8Array): void;
}

/** Little-endian words of guest-physical memory, one at a time: descriptors and rings. */
export class BusWords {
  readonly #memory: BusMemory;
  readonly #bytes = new Uint8Array(8);
  readonly #view = new DataView(this.#bytes.buffer);

  constructor(memory: BusMemory) {
    this.#memory = memory;
  }
  u16(physical: number): number {
    this.#memory.readBytes(physical, this.#bytes.subarray(0, 2));
    return this.#view.getUint16(0, true);
  }
  u32(physical: number): number {
    this.#memory.readBytes(physical, this.#bytes.subarray(0, 4));
    return this.#view.getUint32(0, true);
  }
  /** A 64-bit address; beyond 2^53 it is beyond all memory anyway. */
  address(physical: number): number {
    return this.u32(physical) + this.u32(physical + 4) * 0x100000000;
  }
  set16(physical: number, value: number): void {
    this.#view.setUint16(0, value, true);
    this.#memory.writeBytes(physical, this.#bytes.subarray(0, 2));
  }
  set32(physical: number, value: number): void {
    this.#view.setUint32(0, value, true);
    this.#memory.writeBytes(physical, this.#bytes.subarray(0, 4));
  }
}

/** Guest RAM that lies where the guest thinks: the machine of an engine without a VMM. */
export class IdentityMemory implements BusMemory {
  readonly #memory: MachineMemory;
  readonly #bytes: number;

  constructor(memory: MachineMemory, ramBytes: number) {
    this.#memory = memory;
    this.#bytes = ramBytes;
  }

  readBytes(physical: number, into: Uint8Array): void {
    const length = Math.max(0, Math.min(into.length, this.#bytes - physical));
    into.set(this.#memory.ram.subarray(physical, physical + length));
    into.fill(0xff, length);
  }

  writeBytes(physical: number, data: Uint8Array): void {
    const length = Math.max(0, Math.min(data.length, this.#bytes - physical));
    if (length > 0) this.#memory.writeBytes(physical as MachineAddress, data.subarray(0, length));
  }
}
