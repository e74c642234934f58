/** A bench for devices: buses, an event queue whose time the test moves, 64 KB of memory, and the interrupt lines they drive. */
import { CYCLES } from '../../src/core/state.ts';
import type { BusMemory } from '../../src/machine/bus-memory.ts';
import type { DeviceClock } from '../../src/machine/clock.ts';
import { EventQueue } from '../../src/machine/events.ts';
import { MachineMmioBus } from '../../src/machine/mmio-bus.ts';
import { MachinePortBus } from '../../src/machine/port-bus.ts';

const MEMORY_BYTES = 0x10000;

export class DeviceBench {
  readonly ports = new MachinePortBus();
  readonly mmio = new MachineMmioBus();
  readonly time = new Float64Array(64);
  readonly events = new EventQueue(this.time, () => {});
  readonly ram = new Uint8Array(MEMORY_BYTES);
  readonly view = new DataView(this.ram.buffer);
  readonly lines = new Map<number, boolean>();
  /** A tick is a cycle. */
  readonly clock: DeviceClock = { ticks: () => this.time[CYCLES]!, cyclesAt: (ticks) => ticks };
  readonly memory: BusMemory = {
    readBytes: (physical, into) => into.set(this.ram.subarray(physical, physical + into.length)),
    writeBytes: (physical, data) => this.ram.set(data, physical),
  };

  setLine(irq: number, level: boolean): void {
    this.lines.set(irq, level);
  }
  line(irq: number): boolean {
    return this.lines.get(irq) ?? false;
  }
  /** Lets ticks pass. */
  pass(ticks: number): void {
    this.time[CYCLES] = this.time[CYCLES]! + ticks;
    this.events.runDue();
  }
}
