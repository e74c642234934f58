/**
 * The first serial port: a 16550 UART at 0x3f8, interrupt input 4 (National Semiconductor PC16550D datasheet).
 * What the guest transmits is the machine's console. Sending takes no time: the transmitter is always empty again when
 * the guest looks, so output costs the guest its port accesses and nothing else. Input is given by the host
 * before or between runs; at most 16 bytes wait in the receiver, the rest behind it.
 */
import type { BytePortDevice, MachinePortBus } from './port-bus.ts';

const BASE = 0x3f8;
/** Line status: data ready; transmitter holding register empty and transmitter empty. */
const DATA_READY = 0x01;
const TRANSMITTER_EMPTY = 0x60;
/** Modem status with a terminal attached: CTS, DSR, DCD. */
const MODEM_READY = 0xb0;
const LOOPBACK = 0x10;
/** OUT2 gates the interrupt line on a PC's serial port. */
const OUT2 = 0x08;

export class Ns16550 implements BytePortDevice {
  readonly #setLine: (level: boolean) => void;
  #interruptEnable = 0;
  #fifoControl = 0;
  #lineControl = 0;
  #modemControl = 0;
  #scratch = 0;
  #divisor = 12;
  /** The transmitter-empty interrupt is pending: set by becoming empty or enabled, cleared by reading IIR. */
  #emptyPending = 0;
  #input: number[] = [];
  #output: number[] = [];

  /** `setLine` drives the chip's interrupt output. */
  constructor(setLine: (level: boolean) => void) {
    this.#setLine = setLine;
  }

  attach(ports: MachinePortBus): void {
    ports.claimBytes(BASE, 8, this);
  }

  /** Gives the guest input to receive. */
  receive(bytes: Uint8Array): void {
    this.#input.push(...bytes);
    this.#update();
  }

  /** Everything transmitted so far, each byte one character (Latin-1); or all from the byte numbered `start` on. */
  text(start = 0): string {
    let text = '';
    // In pieces, because a call takes a limited number of arguments.
    for (let at = start; at < this.#output.length; at += 4096) {
      text += String.fromCharCode(...this.#output.slice(at, at + 4096));
    }
    return text;
  }

  /** Adds to the console what does not come through the port: a hypervisor's console call. */
  print(bytes: Uint8Array): void {
    for (const byte of bytes) this.#output.push(byte);
  }

  readByte(port: number): number {
    const divisorLatch = (this.#lineControl & 0x80) !== 0;
    switch (port - BASE) {
      case 0:
        return divisorLatch ? this.#divisor & 0xff : this.#receiveByte();
      case 1:
        return divisorLatch ? this.#divisor >>> 8 : this.#interruptEnable;
      case 2:
        return this.#identify();
      case 3:
        return this.#lineControl;
      case 4:
        return this.#modemControl;
      case 5:
        return TRANSMITTER_EMPTY | (this.#input.length > 0 ? DATA_READY : 0);
      case 6:
        return this.#modemStatus();
      default:
        return this.#scratch;
    }
  }

  writeByte(port: number, value: number): void {
    const divisorLatch = (this.#lineControl & 0x80) !== 0;
    switch (port - BASE) {
      case 0:
        if (divisorLatch) this.#divisor = (this.#divisor & 0xff00) | value;
        else this.#transmit(value);
        break;
      case 1:
        if (divisorLatch) this.#divisor = (this.#divisor & 0xff) | (value << 8);
        else this.#enable(value);
        break;
      case 2:
        this.#fifoControl = value & 0xc9;
        if ((value & 0x02) !== 0) this.#input = this.#input.slice(16);
        break;
      case 3:
        this.#lineControl = value;
        break;
      case 4:
        this.#modemControl = value & 0x1f;
        break;
      case 7:
        this.#scratch = value;
        break;
    }
    this.#update();
  }

  save(): number[] {
    return [
      this.#interruptEnable,
      this.#fifoControl,
      this.#lineControl,
      this.#modemControl,
      this.#scratch,
      this.#divisor,
      this.#emptyPending,
      this.#input.length,
      ...this.#input,
      ...this.#output,
    ];
  }

  load(values: readonly number[]): void {
    let at = 0;
    const next = (): number => values[at++] as number;
    this.#interruptEnable = next();
    this.#fifoControl = next();
    this.#lineControl = next();
    this.#modemControl = next();
    this.#scratch = next();
    this.#divisor = next();
    this.#emptyPending = next();
    const waiting = next();
    this.#input = values.slice(at, at + waiting);
    this.#output = values.slice(at + waiting);
  }

  #transmit(value: number): void {
    if ((this.#modemControl & LOOPBACK) !== 0) this.#input.push(value);
    else this.#output.push(value);
    this.#emptyPending = 1;
  }

  #receiveByte(): number {
    const value = this.#input.shift() ?? 0;
    this.#update();
    return value;
  }

  #enable(value: number): void {
    // Enabling the transmitter interrupt while the transmitter is empty raises it at once.
    if ((value & ~this.#interruptEnable & 0x02) !== 0) this.#emptyPending = 1;
    this.#interruptEnable = value & 0x0f;
  }

  /** The interrupt identification code of the most urgent source, 1 for none. */
  #cause(): number {
    if ((this.#interruptEnable & 0x01) !== 0 && this.#input.length > 0) return 0x04;
    if ((this.#interruptEnable & 0x02) !== 0 && this.#emptyPending !== 0) return 0x02;
    return 0x01;
  }

  #identify(): number {
    const cause = this.#cause();
    // Reading the register answers the transmitter interrupt, if that is what it reports.
    if (cause === 0x02) {
      this.#emptyPending = 0;
      this.#update();
    }
    return cause | ((this.#fifoControl & 1) !== 0 ? 0xc0 : 0);
  }

  /** In loopback the modem inputs follow the modem outputs. */
  #modemStatus(): number {
    if ((this.#modemControl & LOOPBACK) === 0) return MODEM_READY;
    const control = this.#modemControl;
    return ((control & 2) << 3) | ((control & 1) << 5) | ((control & 4) << 4) | ((control & 8) << 4);
  }

  #update(): void {
    this.#setLine(this.#cause() !== 0x01 && (this.#modemControl & (OUT2 | LOOPBACK)) === OUT2);
  }
}
