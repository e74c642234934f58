/**
 * PCI bus 0 and configuration mechanism 1 (PCI Local Bus Specification 2.3, 3.2.2.3.2): an address register at port 0xcf8, which
 * takes doublewords only, and a data window at 0xcfc.
 */
import type { MachinePortBus, PortDevice } from '../port-bus.ts';
import type { ConfigSpace } from './config-space.ts';

const ADDRESS = 0xcf8;
const DATA = 0xcfc;
const ENABLE = 0x80000000;

export class PciBus implements PortDevice {
  /** By device * 8 + function. */
  readonly #functions = new Map<number, ConfigSpace>();
  #address = 0;

  attach(ports: MachinePortBus): void {
    ports.claim(ADDRESS, 1, this);
    ports.claim(DATA, 4, this);
  }

  add(device: number, fn: number, config: ConfigSpace): void {
    this.#functions.set(device * 8 + fn, config);
  }

  readPort(port: number, size: number): number {
    const nobody = size === 4 ? 0xffffffff : size === 2 ? 0xffff : 0xff;
    if (port === ADDRESS) return size === 4 ? this.#address : nobody;
    return this.#selected()?.read(this.#register(port), size) ?? nobody;
  }

  writePort(port: number, value: number, size: number): void {
    if (port === ADDRESS) {
      if (size === 4) this.#address = (value & 0x80fffffc) >>> 0;
      return;
    }
    this.#selected()?.write(this.#register(port), value, size);
  }

  save(): number[] {
    return [this.#address, ...[...this.#functions.values()].flatMap((config) => config.save())];
  }

  load(values: readonly number[]): void {
    this.#address = values[0] as number;
    let at = 1;
    for (const config of this.#functions.values()) {
      config.load(values.slice(at, at + 256));
      at += 256;
    }
  }

  #register(port: number): number {
    return (this.#address & 0xfc) + (port - DATA);
  }

  /** The function that the address register names; only bus 0 exists. */
  #selected(): ConfigSpace | undefined {
    if (this.#address < ENABLE || ((this.#address >>> 16) & 0xff) !== 0) return undefined;
    return this.#functions.get((this.#address >>> 8) & 0xff);
  }
}
