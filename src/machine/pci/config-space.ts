/**
 * The configuration space of one PCI function (PCI Local Bus Specification 2.3, chapter 6): a type 0 header whose
 * registers are writable where the mask says, and base address registers that place the function's ports and memory.
 */

/** A range of addresses that a base address register places. */
export interface BaseAddress {
  readonly space: 'io' | 'memory';
  /** A power of two, at least 4 (I/O) or 16 (memory). */
  readonly bytes: number;
  /** The range begins at `base` now, or is decoded nowhere (null). */
  readonly place: (base: number | null) => void;
}

export interface Identity {
  readonly vendor: number;
  readonly device: number;
  readonly subsystemVendor?: number;
  readonly subsystem?: number;
  readonly revision?: number;
  /** Class, subclass, programming interface: 24 bits. */
  readonly classCode: number;
  /** 1-4 for INTA# to INTD#, 0 for none. */
  readonly interruptPin?: number;
  /** Bit 7: several functions. */
  readonly headerType?: number;
}

export const COMMAND = 0x04;
export const COMMAND_IO = 1;
export const COMMAND_MEMORY = 2;
export const COMMAND_MASTER = 4;
export const COMMAND_INTERRUPT_DISABLE = 0x400;
const STATUS = 0x06;
export const STATUS_INTERRUPT = 0x08;
const STATUS_CAPABILITIES = 0x10;
const BAR0 = 0x10;
const BARS = 6;
const CAPABILITIES = 0x34;
const INTERRUPT_LINE = 0x3c;
const INTERRUPT_PIN = 0x3d;
const BYTES = 256;
const NOWHERE = -1;

export class ConfigSpace {
  readonly #bytes = new Uint8Array(BYTES);
  readonly #view = new DataView(this.#bytes.buffer);
  /** Bits that a write changes. */
  readonly #writable = new Uint8Array(BYTES);
  readonly #bars: (BaseAddress | undefined)[] = new Array(BARS).fill(undefined);
  /** Where each range is decoded, or NOWHERE. */
  readonly #placed = new Array<number>(BARS).fill(NOWHERE);
  #lastCapability = 0;
  /** Called after each write that may have changed COMMAND. */
  onCommand: () => void = () => {};

  constructor(identity: Identity) {
    const view = this.#view;
    view.setUint16(0x00, identity.vendor, true);
    view.setUint16(0x02, identity.device, true);
    view.setUint32(0x08, ((identity.classCode << 8) | (identity.revision ?? 0)) >>> 0, true);
    view.setUint8(0x0e, identity.headerType ?? 0);
    view.setUint16(0x2c, identity.subsystemVendor ?? 0, true);
    view.setUint16(0x2e, identity.subsystem ?? 0, true);
    view.setUint8(INTERRUPT_PIN, identity.interruptPin ?? 0);
    this.#allow(COMMAND, COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER | COMMAND_INTERRUPT_DISABLE, 2);
    this.#allow(0x0c, 0xffff, 2);
    this.#allow(INTERRUPT_LINE, 0xff, 1);
  }

  get command(): number {
    return this.#view.getUint16(COMMAND, true);
  }

  /** Adds base address register `index`, decoded nowhere until software places it and enables its space. */
  addBar(index: number, bar: BaseAddress): void {
    const at = BAR0 + 4 * index;
    this.#bars[index] = bar;
    this.#view.setUint32(at, bar.space === 'io' ? 1 : 0, true);
    this.#allow(at, ~(bar.bytes - 1) & (bar.space === 'io' ? 0xfffffffc : 0xfffffff0), 4);
  }

  /** Adds a capability of these bytes (its identifier first; the link, the second byte, is filled in); returns its offset. */
  addCapability(at: number, bytes: readonly number[]): number {
    this.#bytes.set(bytes, at);
    this.#bytes[this.#lastCapability === 0 ? CAPABILITIES : this.#lastCapability + 1] = at;
    this.#lastCapability = at;
    this.#view.setUint16(STATUS, this.#view.getUint16(STATUS, true) | STATUS_CAPABILITIES, true);
    return at;
  }

  /** Makes bits of a register writable by software, and gives it a value at reset. */
  setRegister(at: number, value: number, writable: number, size: number): void {
    for (let i = 0; i < size; i++) this.#bytes[at + i] = value >>> (8 * i);
    this.#allow(at, writable, size);
  }

  setStatus(bit: number, on: boolean): void {
    const status = this.#view.getUint16(STATUS, true);
    this.#view.setUint16(STATUS, on ? status | bit : status & ~bit, true);
  }

  /** Zero-extended. */
  read(at: number, size: number): number {
    let value = 0;
    for (let i = 0; i < size; i++) value |= (this.#bytes[at + i] ?? 0xff) << (8 * i);
    return value >>> 0;
  }

  write(at: number, value: number, size: number): void {
    for (let i = 0; i < size && at + i < BYTES; i++) {
      const mask = this.#writable[at + i] as number;
      const byte = (value >>> (8 * i)) & 0xff;
      this.#bytes[at + i] = ((this.#bytes[at + i] as number) & ~mask) | (byte & mask);
    }
    if (at < BAR0 + 4 * BARS) this.#decode();
    if (at < COMMAND + 2) this.onCommand();
  }

  save(): number[] {
    return [...this.#bytes];
  }

  load(values: readonly number[]): void {
    this.#bytes.set(values);
    this.#decode();
  }

  #allow(at: number, bits: number, size: number): void {
    for (let i = 0; i < size; i++) this.#writable[at + i] = bits >>> (8 * i);
  }

  /** Places each range where its register says, if its space is enabled. A base of 0 means not placed yet. */
  #decode(): void {
    const { command } = this;
    this.#bars.forEach((bar, index) => {
      if (bar === undefined) return;
      const enabled = (command & (bar.space === 'io' ? COMMAND_IO : COMMAND_MEMORY)) !== 0;
      const base = (this.#view.getUint32(BAR0 + 4 * index, true) & ~(bar.bytes - 1)) >>> 0;
      const place = enabled && base !== 0 ? base : NOWHERE;
      if (place === this.#placed[index]) return;
      this.#placed[index] = place;
      bar.place(place === NOWHERE ? null : place);
    });
  }
}
