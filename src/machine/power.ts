/**
 * How a PC is reset and switched off: the fast reset and A20 gate of port 0x92 (IBM PS/2), the reset control register
 * at port 0xcf9 (Intel 440FX and later), and the ACPI fixed hardware (ACPI Specification 3.0, section 4.7) at port 0x600:
 * PM1 event and control registers and the 24-bit power management timer, which raises the SCI (interrupt input 9).
 *
 * There is no SMI: the machine is always in ACPI mode. There are no buttons and no sleep states but S5 (off).
 */
import type { DeviceClock } from './clock.ts';
import type { EventQueue } from './events.ts';
import type { BytePortDevice, MachinePortBus } from './port-bus.ts';

const FAST_PORT = 0x92;
const FAST_RESET = 0x01;
const FAST_A20 = 0x02;

export const RESET_PORT = 0xcf9;
const SYSTEM_RESET = 0x02;
const RESET_PROCESSOR = 0x04;
/** What resets the machine when written to RESET_PORT. */
export const RESET_VALUE: number = RESET_PROCESSOR | SYSTEM_RESET;

/** Ports of the PM1 status, enable and control registers (two bytes each) and of the timer (four). */
export const PM1_EVENT_PORT = 0x600;
export const PM1_CONTROL_PORT = 0x604;
export const PM_TIMER_PORT = 0x608;
const PM_PORTS = 12;
export const SCI_IRQ = 9;

const TIMER_STATUS = 0x01;
/** The enable register's bits: timer, global lock, buttons and real-time clock, of which only the timer has an event. */
const ENABLES = 0x0721;
const SCI_ENABLE = 0x01;
/** Control register, high byte: sleep type in bits 4:2, sleep enable. */
const SLEEP_TYPE = 0x1c;
const SLEEP_ENABLE = 0x20;
/** The sleep type that switches off, as the DSDT's \_S5 says. */
export const S5_TYPE = 5;
/** The timer's carry, which sets its status bit, is its bit 23 changing. */
const TIMER_HALF = 1 << 23;
const TIMER_MASK = 0xffffff;

export type PowerRequest = 'reset' | 'off';

export class Power implements BytePortDevice {
  /** What the guest has asked for, or null. */
  request: PowerRequest | null = null;
  readonly #clock: DeviceClock;
  readonly #events: EventQueue;
  readonly #setLine: (level: boolean) => void;
  readonly #requestStop: () => void;
  readonly #source: number;
  #fast = FAST_A20;
  #reset = 0;
  #enabled = 0;
  #control = 0;
  /** Half turns of the timer up to which the guest has cleared its status bit. */
  #cleared = 0;

  /**
   * `clock` counts the timer's ticks; `setLine` drives the SCI; `requestStop` makes the processor leave its run at the next
   * block boundary.
   */
  constructor(clock: DeviceClock, events: EventQueue, setLine: (level: boolean) => void, requestStop: () => void) {
    this.#clock = clock;
    this.#events = events;
    this.#setLine = setLine;
    this.#requestStop = requestStop;
    this.#source = events.register(() => this.#update());
  }

  attach(ports: MachinePortBus): void {
    ports.claimBytes(FAST_PORT, 1, this);
    ports.claimBytes(RESET_PORT, 1, this);
    ports.claimBytes(PM1_EVENT_PORT, PM_PORTS, this);
  }

  /** The guest resets the machine, by whatever chip: there is no firmware to go back to, so the run ends. */
  ask(request: PowerRequest): void {
    this.request = request;
    this.#requestStop();
  }

  readByte(port: number): number {
    if (port === FAST_PORT) return this.#fast;
    if (port === RESET_PORT) return this.#reset;
    switch (port - PM1_EVENT_PORT) {
      case 0:
        return this.#hasTurned() ? TIMER_STATUS : 0;
      case 2:
        return this.#enabled & 0xff;
      case 3:
        return this.#enabled >>> 8;
      case 4:
        return SCI_ENABLE;
      case 5:
        return this.#control;
      case 8:
      case 9:
      case 10:
        return ((this.#clock.ticks() & TIMER_MASK) >>> (8 * (port & 3))) & 0xff;
      default:
        return 0;
    }
  }

  writeByte(port: number, value: number): void {
    if (port === FAST_PORT) {
      if ((value & ~this.#fast & FAST_RESET) !== 0) this.ask('reset');
      this.#fast = value & (FAST_A20 | FAST_RESET);
      return;
    }
    if (port === RESET_PORT) {
      if ((value & ~this.#reset & RESET_PROCESSOR) !== 0) this.ask('reset');
      this.#reset = value & (SYSTEM_RESET | RESET_PROCESSOR);
      return;
    }
    switch (port - PM1_EVENT_PORT) {
      case 0:
        if ((value & TIMER_STATUS) !== 0) this.#cleared = this.#halfTurns();
        break;
      case 2:
        this.#enabled = ((this.#enabled & 0xff00) | value) & ENABLES;
        break;
      case 3:
        this.#enabled = ((this.#enabled & 0xff) | (value << 8)) & ENABLES;
        break;
      case 5:
        this.#control = value & SLEEP_TYPE;
        if ((value & SLEEP_ENABLE) !== 0 && (value & SLEEP_TYPE) >>> 2 === S5_TYPE) this.ask('off');
        break;
    }
    this.#update();
  }

  save(): number[] {
    const request = this.request === null ? 0 : this.request === 'reset' ? 1 : 2;
    return [request, this.#fast, this.#reset, this.#enabled, this.#control, this.#cleared];
  }

  load(values: readonly number[]): void {
    const [request, fast, reset, enabled, control, cleared] = values as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    this.request = request === 0 ? null : request === 1 ? 'reset' : 'off';
    this.#fast = fast;
    this.#reset = reset;
    this.#enabled = enabled;
    this.#control = control;
    this.#cleared = cleared;
  }

  /** How often the timer's bit 23 has changed. */
  #halfTurns(): number {
    return Math.floor(this.#clock.ticks() / TIMER_HALF);
  }

  #hasTurned(): boolean {
    return this.#halfTurns() > this.#cleared;
  }

  /** Drives the SCI, a level, and plans the carry that would raise it. */
  #update(): void {
    const isEnabled = (this.#enabled & TIMER_STATUS) !== 0;
    const isRaised = isEnabled && this.#hasTurned();
    this.#setLine(isRaised);
    if (!isEnabled || isRaised) this.#events.cancel(this.#source);
    else this.#events.schedule(this.#source, this.#clock.cyclesAt((this.#halfTurns() + 1) * TIMER_HALF));
  }
}
