/**
 * The I/O port space. A device claims ranges; a port that nobody claims reads all ones and swallows writes, as an
 * ISA bus with pull-ups does.
 */
import type { PortBus } from '../core/buses.ts';

/** A device that sees the access size. `value` and the result are zero-extended; `size` is 1, 2 or 4 bytes. */
export interface PortDevice {
  readPort(port: number, size: number): number;
  writePort(port: number, value: number, size: number): void;
}

/** An 8-bit device: wider accesses reach it as consecutive bytes, low byte at the low port, as on the ISA bus. */
export interface BytePortDevice {
  readByte(port: number): number;
  writeByte(port: number, value: number): void;
}

export class MachinePortBus implements PortBus {
  /** Device number + 1 by port, 0 = unclaimed. */
  readonly #claims = new Uint8Array(0x10000);
  readonly #devices: PortDevice[] = [];

  /** Gives ports `first` .. `first + count - 1` to a device of any width. Ports are claimed once. */
  claim(first: number, count: number, device: PortDevice): void {
    let number = this.#devices.indexOf(device) + 1;
    if (number === 0) number = this.#devices.push(device);
    for (let port = first; port < first + count; port++) {
      if (this.#claims[port] !== 0) throw new Error(`Port 0x${port.toString(16)} has two devices.`);
      this.#claims[port] = number;
    }
  }

  /**
   * Puts a device's one range of ports at `first`, or nowhere if that is null. Ports that others have claimed stay theirs.
   */
  place(device: PortDevice, first: number | null, count: number): void {
    let number = this.#devices.indexOf(device) + 1;
    if (number === 0) number = this.#devices.push(device);
    for (let port = 0; port < this.#claims.length; port++) if (this.#claims[port] === number) this.#claims[port] = 0;
    if (first === null) return;
    for (let port = first; port < first + count; port++) if (this.#claims[port] === 0) this.#claims[port] = number;
  }

  /** Gives ports to an 8-bit device. */
  claimBytes(first: number, count: number, device: BytePortDevice): void {
    this.claim(first, count, new ByteAdapter(this, device));
  }

  read(port: number, size: number): number {
    const device = this.#claims[port & 0xffff] as number;
    if (device === 0) return size === 4 ? 0xffffffff : size === 2 ? 0xffff : 0xff;
    return (this.#devices[device - 1] as PortDevice).readPort(port & 0xffff, size);
  }

  write(port: number, value: number, size: number): void {
    const device = this.#claims[port & 0xffff] as number;
    if (device !== 0) (this.#devices[device - 1] as PortDevice).writePort(port & 0xffff, value >>> 0, size);
  }
}

/** Splits wide accesses; the later bytes go through the bus because the neighbouring port may be another device's. */
class ByteAdapter implements PortDevice {
  readonly #bus: MachinePortBus;
  readonly #device: BytePortDevice;

  constructor(bus: MachinePortBus, device: BytePortDevice) {
    this.#bus = bus;
    this.#device = device;
  }

  readPort(port: number, size: number): number {
    let value = this.#device.readByte(port) & 0xff;
    for (let byte = 1; byte < size; byte++) value |= this.#bus.read(port + byte, 1) << (8 * byte);
    return value >>> 0;
  }

  writePort(port: number, value: number, size: number): void {
    this.#device.writeByte(port, value & 0xff);
    for (let byte = 1; byte < size; byte++) this.#bus.write(port + byte, (value >>> (8 * byte)) & 0xff, 1);
  }
}
