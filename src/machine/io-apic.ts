/**
 * The I/O APIC, an Intel 82093AA (datasheet 290566): 24 interrupt inputs, each with an entry that says as what message its
 * interrupt goes to which local APIC. Registers are reached through an index and a data window.
 *
 * An edge on a masked input is lost, as the data sheet has it (section 3.2.4, bit 16).
 */
import { EXTINT, FIXED, LOWEST_PRIORITY, type LocalApic, NMI } from './local-apic.ts';
import type { MachineMmioBus, MmioDevice } from './mmio-bus.ts';

/** Where the registers lie, physical. */
export const IO_APIC_BASE = 0xfec00000;
const BYTES = 0x1000;
const INDEX = 0x00;
const WINDOW = 0x10;

const ID = 0;
const VERSION = 1;
const ARBITRATION = 2;
const TABLE = 0x10;
export const IO_APIC_INPUTS = 24;
/** Version 11H, highest entry 23. */
const VERSION_VALUE = ((IO_APIC_INPUTS - 1) << 16) | 0x11;

/** The low word of a redirection entry. */
const LOGICAL = 0x800;
const ACTIVE_LOW = 0x2000;
const REMOTE_IRR = 0x4000;
const LEVEL = 0x8000;
const MASKED = 0x10000;
const WRITABLE = 0x1afff;

export class IoApic implements MmioDevice {
  readonly #local: LocalApic;
  readonly #low = new Int32Array(IO_APIC_INPUTS).fill(MASKED);
  readonly #high = new Int32Array(IO_APIC_INPUTS);
  /** Electrical levels of the inputs, a bit each; the last eight are for PCI's wires, which are high when idle. */
  #lines = 0xff0000;
  #index = 0;
  #id = 0;

  constructor(local: LocalApic) {
    this.#local = local;
  }

  attach(mmio: MachineMmioBus): void {
    mmio.claim(IO_APIC_BASE, BYTES, this);
  }

  /** Drives an input. */
  setLine(input: number, level: boolean): void {
    const before = this.#asserted(input);
    this.#lines = level ? this.#lines | (1 << input) : this.#lines & ~(1 << input);
    const asserted = this.#asserted(input);
    if (asserted === before) return;
    const entry = this.#low[input] as number;
    if (deliveryMode(entry) === EXTINT) this.#passExternal();
    else if ((entry & LEVEL) !== 0 && deliveryMode(entry) !== NMI) this.#requestLevel(input);
    else if (asserted && (entry & MASKED) === 0) this.#deliver(input, false);
  }

  /** The local APIC has ended a level-triggered interrupt: one that is still asserted is delivered again. */
  endOfInterrupt(vector: number): void {
    for (let input = 0; input < IO_APIC_INPUTS; input++) {
      const entry = this.#low[input] as number;
      if ((entry & REMOTE_IRR) === 0 || (entry & 0xff) !== vector) continue;
      this.#low[input] = entry & ~REMOTE_IRR;
      this.#requestLevel(input);
    }
  }

  readRegister(offset: number, size: number): number {
    const register = offset & ~3;
    const value = register === INDEX ? this.#index : register === WINDOW ? this.#read() : 0;
    const part = value >>> (8 * (offset & 3));
    return size === 4 ? part : size === 2 ? part & 0xffff : part & 0xff;
  }

  /** The index is a byte; the window takes double words. */
  writeRegister(offset: number, value: number, size: number): void {
    if (offset === INDEX) this.#index = value & 0xff;
    else if (offset === WINDOW && size === 4) this.#write(value | 0);
  }

  save(): number[] {
    return [...this.#low, ...this.#high, this.#lines, this.#index, this.#id];
  }

  load(values: readonly number[]): void {
    this.#low.set(values.slice(0, IO_APIC_INPUTS));
    this.#high.set(values.slice(IO_APIC_INPUTS, 2 * IO_APIC_INPUTS));
    const [lines, index, id] = values.slice(2 * IO_APIC_INPUTS) as [number, number, number];
    this.#lines = lines;
    this.#index = index;
    this.#id = id;
  }

  #read(): number {
    if (this.#index === ID || this.#index === ARBITRATION) return this.#id;
    if (this.#index === VERSION) return VERSION_VALUE;
    const input = (this.#index - TABLE) >> 1;
    if (input < 0 || input >= IO_APIC_INPUTS) return 0;
    return ((this.#index & 1) === 0 ? this.#low : this.#high)[input] as number;
  }

  #write(value: number): void {
    if (this.#index === ID) this.#id = value & 0x0f000000;
    const input = (this.#index - TABLE) >> 1;
    if (input < 0 || input >= IO_APIC_INPUTS) return;
    if ((this.#index & 1) !== 0) {
      this.#high[input] = value & 0xff000000;
      return;
    }
    // Remote IRR is read-only; an entry made edge-triggered has none.
    const remote = (value & LEVEL) !== 0 ? (this.#low[input] as number) & REMOTE_IRR : 0;
    this.#low[input] = (value & WRITABLE) | remote;
    this.#passExternal();
    this.#requestLevel(input);
  }

  #asserted(input: number): boolean {
    const activeLow = ((this.#low[input] as number) & ACTIVE_LOW) !== 0;
    return (((this.#lines >>> input) & 1) !== 0) !== activeLow;
  }

  /** A level-triggered input asks whenever it is asserted, unmasked, and its last interrupt has been ended. */
  #requestLevel(input: number): void {
    const entry = this.#low[input] as number;
    const mode = deliveryMode(entry);
    if ((entry & (LEVEL | MASKED | REMOTE_IRR)) !== LEVEL || (mode !== FIXED && mode !== LOWEST_PRIORITY)) return;
    if (!this.#asserted(input)) return;
    // Set before the message goes out: its interrupt may end at once.
    this.#low[input] = entry | REMOTE_IRR;
    if (!this.#deliver(input, true)) this.#low[input] = entry;
  }

  /** Sends an input's message. False: no local APIC takes it. */
  #deliver(input: number, level: boolean): boolean {
    const entry = this.#low[input] as number;
    if (!this.#local.matches((this.#high[input] as number) >>> 24, (entry & LOGICAL) !== 0)) return false;
    return this.#local.accept(deliveryMode(entry), entry & 0xff, level);
  }

  /** Inputs in ExtINT mode, behind which an 8259 pair stands, ask for its acknowledge cycle as long as they are asserted. */
  #passExternal(): void {
    let asks = false;
    for (let input = 0; input < IO_APIC_INPUTS; input++) {
      const entry = this.#low[input] as number;
      if (deliveryMode(entry) !== EXTINT || (entry & MASKED) !== 0 || !this.#asserted(input)) continue;
      if (this.#local.matches((this.#high[input] as number) >>> 24, (entry & LOGICAL) !== 0)) asks = true;
    }
    this.#local.setExternal(asks);
  }
}

function deliveryMode(entry: number): number {
  return (entry >>> 8) & 7;
}
