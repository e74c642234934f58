/**
 * The debug-exit port, 0xf4 (QEMU's isa-debug-exit): a write ends the run and its value is the guest's verdict, so one
 * image reports the same way here and on QEMU.
 */
import type { MachinePortBus, PortDevice } from './port-bus.ts';

const PORT = 0xf4;

export class DebugExit implements PortDevice {
  /** The value written, or null while the guest has not asked to exit. */
  status: number | null = null;
  readonly #requestStop: () => void;

  /** `requestStop` makes the processor leave its run at the next block boundary. */
  constructor(requestStop: () => void) {
    this.#requestStop = requestStop;
  }

  attach(ports: MachinePortBus): void {
    ports.claim(PORT, 4, this);
  }

  readPort(): number {
    return 0;
  }

  writePort(port: number, value: number): void {
    if (port !== PORT) return;
    this.status = value;
    this.#requestStop();
  }

  save(): number[] {
    return this.status === null ? [] : [this.status];
  }

  load(values: readonly number[]): void {
    this.status = values[0] ?? null;
  }
}
