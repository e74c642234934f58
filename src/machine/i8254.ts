/**
 * The 8254 programmable interval timer (Intel datasheet 231164): three 16-bit counters at ports 0x40..0x43, all six
 * modes, binary and BCD, counter latch and read-back. Nothing ticks: a counter's value follows from the virtual time
 * that has passed, and only counter 0 plans events, one for each rising edge of its output (interrupt input 0). Falling
 * edges in between are not planned; the output drops when it is written to and just before it rises again.
 *
 * Counter 0 and 1 have their gates tied high; counter 2's gate is bit 0 of port 0x61.
 */
import type { DeviceClock } from './clock.ts';
import type { EventQueue } from './events.ts';
import { PitCounter } from './pit-counter.ts';
import type { BytePortDevice, MachinePortBus } from './port-bus.ts';

export class I8254 implements BytePortDevice {
  readonly #clock: DeviceClock;
  readonly #events: EventQueue;
  readonly #source: number;
  readonly #counters = [new PitCounter(), new PitCounter(), new PitCounter()] as const;

  readonly #setLine: (level: boolean) => void;

  /** `setLine` drives the wire from counter 0's output. */
  constructor(clock: DeviceClock, events: EventQueue, setLine: (level: boolean) => void) {
    this.#clock = clock;
    this.#events = events;
    this.#setLine = setLine;
    this.#source = events.register(() => {
      setLine(false);
      setLine(true);
      this.#plan();
    });
  }

  attach(ports: MachinePortBus): void {
    ports.claimBytes(0x40, 4, this);
  }

  readByte(port: number): number {
    // The control port is write-only.
    if (port === 0x43) return 0xff;
    return this.#counter(port & 3).read(this.#clock.ticks());
  }

  writeByte(port: number, value: number): void {
    const now = this.#clock.ticks();
    if (port !== 0x43) {
      this.#counter(port & 3).write(value, now);
    } else if (value >>> 6 === 3) {
      this.#readBack(value, now);
      return;
    } else {
      this.#counter(value >>> 6).control(value, now);
    }
    this.#setLine(this.#counters[0].output(now));
    this.#plan();
  }

  /** Sets counter 2's gate (port 0x61 bit 0). */
  setGate2(level: boolean): void {
    this.#counters[2].setGate(level, this.#clock.ticks());
  }

  /** Level of counter 2's output (port 0x61 bit 5). */
  output2(): boolean {
    return this.#counters[2].output(this.#clock.ticks());
  }

  save(): number[] {
    return this.#counters.flatMap((counter) => counter.save());
  }

  load(values: readonly number[]): void {
    const each = values.length / 3;
    for (const [index, counter] of this.#counters.entries())
      counter.load(values.slice(index * each, (index + 1) * each));
  }

  #counter(index: number): PitCounter {
    return this.#counters[index] as PitCounter;
  }

  /** Read-back command: bits 1..3 select counters; bit 5 low latches counts, bit 4 low latches status. */
  #readBack(value: number, now: number): void {
    for (const [index, counter] of this.#counters.entries()) {
      if ((value & (2 << index)) === 0) continue;
      if ((value & 0x20) === 0) counter.latchCount(now);
      if ((value & 0x10) === 0) counter.latchStatus(now);
    }
  }

  #plan(): void {
    const edge = this.#counters[0].nextRisingEdge(this.#clock.ticks());
    if (edge === Infinity) this.#events.cancel(this.#source);
    else this.#events.schedule(this.#source, this.#clock.cyclesAt(edge));
  }
}
