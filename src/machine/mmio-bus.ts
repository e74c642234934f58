/**
 * Device registers in the physical address space: whatever lies outside RAM. An address that no device claims reads
 * all ones and swallows writes, as PCI does after a master abort.
 */
import type { MmioBus } from '../core/buses.ts';

/** A memory-mapped device. `offset` is relative to its range; `size` is 1, 2 or 4 bytes; values are zero-extended. */
export interface MmioDevice {
  readRegister(offset: number, size: number): number;
  writeRegister(offset: number, value: number, size: number): void;
}

interface Range {
  readonly first: number;
  readonly end: number;
  readonly device: MmioDevice;
}

export class MachineMmioBus implements MmioBus {
  readonly #ranges: Range[] = [];

  /** Gives `bytes` of physical address space from `first` on to a device. */
  claim(first: number, bytes: number, device: MmioDevice): void {
    const end = first + bytes;
    if (this.#ranges.some((range) => first < range.end && range.first < end)) {
      throw new Error(`Physical address 0x${first.toString(16)} has two devices.`);
    }
    this.#ranges.push({ first, end, device });
  }

  /**
   * Puts a device's one range at `first`, or nowhere if that is null. It may cover others' addresses, where it answers
   * first: the processor's own registers, which do not reach the bus.
   */
  place(device: MmioDevice, first: number | null, bytes: number): void {
    const before = this.#ranges.findIndex((range) => range.device === device);
    if (before >= 0) this.#ranges.splice(before, 1);
    if (first !== null) this.#ranges.unshift({ first, end: first + bytes, device });
  }

  /** Whether a device answers at this physical address. */
  claims(physical: number): boolean {
    return this.#find(physical >>> 0) !== undefined;
  }

  read(physical: number, size: number): number {
    const range = this.#find(physical >>> 0);
    if (range === undefined) return size === 4 ? 0xffffffff : size === 2 ? 0xffff : 0xff;
    return range.device.readRegister((physical >>> 0) - range.first, size) >>> 0;
  }

  write(physical: number, value: number, size: number): void {
    const range = this.#find(physical >>> 0);
    range?.device.writeRegister((physical >>> 0) - range.first, value >>> 0, size);
  }

  #find(physical: number): Range | undefined {
    return this.#ranges.find((range) => physical >= range.first && physical < range.end);
  }
}
