/**
 * The hypervisor's copies from and to the guest (Xen's copy_from_guest, copy_to_guest): by guest-linear address, under the
 * current page tables, with the guest kernel's rights, and only below the hypervisor's hole. What fails is -EFAULT to the
 * hypercall that asked. Each call is charged as one touch: the structures are small.
 */

import type { MachineAddress } from '../../core/address.ts';
import type { Cpu } from '../../core/cpu.ts';
import { eventNumber } from '../../cost/event.ts';
import { HYPERVISOR_START } from './layout.ts';

const TOUCH = eventNumber('vmmTouch');

export class GuestMemory {
  /** What the last `copyIn` read, as 32-bit words. */
  readonly words: Int32Array = new Int32Array(64);
  readonly #cpu: Cpu;

  constructor(cpu: Cpu) {
    this.#cpu = cpu;
  }

  /** Whether the guest may name these `bytes` bytes at all. */
  accessible(linear: number, bytes: number): boolean {
    return (linear >>> 0) + bytes <= HYPERVISOR_START;
  }

  /** Reads `count` words into `words` from `linear` on. */
  copyIn(linear: number, count: number, at = 0): boolean {
    this.#cpu.ledger.charge(TOUCH);
    if (!this.accessible(linear, 4 * count)) return false;
    for (let index = 0; index < count; index++) {
      const address = (linear >>> 0) + 4 * index;
      const machine = this.#locate(address, 4, false);
      if (machine < -1) return false;
      this.words[at + index] =
        machine >= 0
          ? this.#cpu.memory.read32(machine as MachineAddress)
          : this.#byte(address) |
            (this.#byte(address + 1) << 8) |
            (this.#byte(address + 2) << 16) |
            (this.#byte(address + 3) << 24);
    }
    return true;
  }

  /** Writes one word. */
  store32(linear: number, value: number): boolean {
    return this.store(linear, value, 4);
  }

  /** Writes the low `size` (1, 2, 4) bytes of `value`. */
  store(linear: number, value: number, size: number): boolean {
    if (!this.accessible(linear, size)) return false;
    const machine = this.#locate(linear >>> 0, size, true);
    if (machine < -1) return false;
    const { memory } = this.#cpu;
    if (machine >= 0) {
      if (size === 4) memory.write32(machine as MachineAddress, value);
      else if (size === 2) memory.write16(machine as MachineAddress, value);
      else memory.write8(machine as MachineAddress, value);
      return true;
    }
    for (let byte = 0; byte < size; byte++) {
      const at = this.#cpu.mmu.probe((linear >>> 0) + byte, true, false);
      memory.write8(at as MachineAddress, value >>> (8 * byte));
    }
    return true;
  }

  /** A 64-bit number as two words. */
  store64(linear: number, value: number): boolean {
    return (
      this.store32(linear, value % 0x1_0000_0000) && this.store32((linear >>> 0) + 4, Math.floor(value / 0x1_0000_0000))
    );
  }

  /** Writes bytes. */
  copyOut(linear: number, data: Uint8Array): boolean {
    this.#cpu.ledger.charge(TOUCH);
    if (!this.accessible(linear, data.length)) return false;
    for (const [index, byte] of data.entries()) {
      if (!this.store((linear >>> 0) + index, byte, 1)) return false;
    }
    return true;
  }

  /** Reads `bytes` bytes as Latin-1 text, or null. */
  text(linear: number, bytes: number): string | null {
    this.#cpu.ledger.charge(TOUCH);
    if (!this.accessible(linear, bytes)) return null;
    let text = '';
    for (let index = 0; index < bytes; index++) {
      const machine = this.#cpu.mmu.probe((linear >>> 0) + index, false, false);
      if (machine < 0) return null;
      text += String.fromCharCode(this.#cpu.memory.read8(machine as MachineAddress));
    }
    return text;
  }

  /** One byte, or -1. */
  load8(linear: number): number {
    const machine = this.#cpu.mmu.probe(linear >>> 0, false, false);
    return machine < 0 ? -1 : this.#cpu.memory.read8(machine as MachineAddress);
  }

  /** Machine address of an access; -1: mapped, but across two pages; -2: not mapped. */
  #locate(linear: number, size: number, write: boolean): number {
    const { mmu } = this.#cpu;
    const machine = mmu.probe(linear, write, false);
    if (machine < 0) return -2;
    if ((linear & 0xfff) + size <= 4096) return machine;
    return mmu.probe(linear + size - 1, write, false) < 0 ? -2 : -1;
  }

  #byte(linear: number): number {
    return this.load8(linear) & 0xff;
  }
}
