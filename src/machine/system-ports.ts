/**
 * Small pieces of a PC's chip set: port 0x61 (counter 2's gate and output, the refresh toggle), port 0x80, the diagnostic
 * port that does nothing, which is why it serves as the measure of a port access, and port 0xf0, whose writing
 * takes back the interrupt that the processor's FERR# raises.
 */
import type { I8254 } from './i8254.ts';
import type { BytePortDevice, MachinePortBus } from './port-bus.ts';

const CONTROL_PORT = 0x61;
const DIAGNOSTIC_PORT = 0x80;
const FERR_PORT = 0xf0;
/** Timer ticks between memory refreshes (15 us): half a period of the toggle in port 0x61 bit 4. */
const REFRESH_TICKS = 18;

export class SystemPorts implements BytePortDevice {
  readonly #pit: I8254;
  readonly #ticks: () => number;
  readonly #setFerr: (level: boolean) => void;
  #control = 0;
  #diagnostic = 0xff;

  /** `ticks` gives the timer ticks that have passed; `setFerr` drives the coprocessor's interrupt line. */
  constructor(pit: I8254, ticks: () => number, setFerr: (level: boolean) => void) {
    this.#pit = pit;
    this.#ticks = ticks;
    this.#setFerr = setFerr;
    pit.setGate2(false);
  }

  attach(ports: MachinePortBus): void {
    ports.claimBytes(CONTROL_PORT, 1, this);
    ports.claimBytes(DIAGNOSTIC_PORT, 1, this);
    ports.claimBytes(FERR_PORT, 1, this);
  }

  readByte(port: number): number {
    if (port === DIAGNOSTIC_PORT) return this.#diagnostic;
    if (port === FERR_PORT) return 0xff;
    const refresh = Math.floor(this.#ticks() / REFRESH_TICKS) % 2 === 1 ? 0x10 : 0;
    return this.#control | refresh | (this.#pit.output2() ? 0x20 : 0);
  }

  writeByte(port: number, value: number): void {
    if (port === DIAGNOSTIC_PORT) {
      this.#diagnostic = value;
    } else if (port === FERR_PORT) {
      this.#setFerr(false);
    } else {
      this.#control = value & 0x0f;
      this.#pit.setGate2((value & 1) !== 0);
    }
  }

  save(): number[] {
    return [this.#control, this.#diagnostic];
  }

  load(values: readonly number[]): void {
    this.#control = values[0] as number;
    this.#diagnostic = values[1] as number;
  }
}
