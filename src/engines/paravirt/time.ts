/**
 * The guest's time: system time in nanoseconds since boot, which is virtual time, all VMM work included; the conversion
 * record in the shared page (public/xen.h, vcpu_time_info); and the timers that raise VIRQ_TIMER. The TSC is not
 * trapped: RDTSC reads virtual time in every ring.
 */
import type { MachineAddress } from '../../core/address.ts';
import type { Cpu } from '../../core/cpu.ts';
import { CYCLES, HOST_INTR, TSC_BASE } from '../../core/state.ts';
import { cyclesAt, ticksAt } from '../../machine/clock.ts';
import type { EventQueue } from '../../machine/events.ts';
import { TIME_MUL, TIME_SHIFT, TIME_SYSTEM, TIME_TSC, TIME_VERSION, WALL_CLOCK } from './shared-info.ts';
import { PERIOD } from './vcpu.ts';

/** Nanoseconds in a millisecond: conversions go by milliseconds, whose products are exact in a double. */
const NANOSECONDS = 1e6;
/** Wall-clock time of every boot, in seconds since 1970: 1 January 2000. The host's date is none of the guest's. */
const BOOT_DATE = 946_684_800;
/** The tick that a domain begins with, in ns. */
const DEFAULT_PERIOD = 10_000_000;

export class SystemTime {
  /** Called at a boundary when a timer has run out. */
  onTimer: () => void = () => {};
  /** Called when sched_op poll has waited long enough. */
  onPollLimit: () => void = () => {};
  readonly #cpu: Cpu;
  readonly #events: EventQueue;
  readonly #shared: number;
  readonly #times: Float64Array;
  readonly #singleShot: number;
  readonly #periodic: number;
  readonly #poll: number;

  /** `shared`: machine address of the shared page; `times`: the vcpu's Float64 slots. */
  constructor(cpu: Cpu, events: EventQueue, shared: number, times: Float64Array) {
    this.#cpu = cpu;
    this.#events = events;
    this.#shared = shared;
    this.#times = times;
    this.#singleShot = events.register(() => this.#expired());
    this.#periodic = events.register((due) => {
      this.setPeriodic(this.#times[PERIOD] as number, due);
      this.#expired();
    });
    this.#poll = events.register(() => {
      this.onPollLimit();
      this.#interrupt();
    });
  }

  /** System time now, in ns. */
  get now(): number {
    return this.#nanoseconds(this.#cpu.memory.time[CYCLES] as number);
  }

  /** System time begins: the tick that every domain starts with, and the first record. */
  start(): void {
    this.setPeriodic(DEFAULT_PERIOD);
    this.#cpu.memory.write32((this.#shared + WALL_CLOCK) as MachineAddress, 2);
    this.#cpu.memory.write32((this.#shared + WALL_CLOCK + 4) as MachineAddress, BOOT_DATE);
    this.publish();
  }

  /** The one-shot timer: system time in ns, or 0 to stop it. A time that is past expires at the next boundary. */
  setSingleShot(nanoseconds: number): void {
    if (nanoseconds === 0) this.#events.cancel(this.#singleShot);
    else this.#events.schedule(this.#singleShot, this.#cycles(nanoseconds));
  }

  /** The periodic timer, from `from` cycles on; 0 stops it. */
  setPeriodic(nanoseconds: number, from: number = this.#cpu.memory.time[CYCLES] as number): void {
    this.#times[PERIOD] = nanoseconds;
    if (nanoseconds === 0) this.#events.cancel(this.#periodic);
    else this.#events.schedule(this.#periodic, from + this.#cycles(nanoseconds));
  }

  /** When sched_op poll gives up; 0 for never. */
  setPollLimit(nanoseconds: number): void {
    if (nanoseconds === 0) this.#events.cancel(this.#poll);
    else this.#events.schedule(this.#poll, this.#cycles(nanoseconds));
  }

  /** The physical timer interrupt that a timer is made of: the hypervisor gets control at the next boundary. */
  #interrupt(): void {
    this.#cpu.memory.state[HOST_INTR] = 1;
    this.#cpu.attention();
  }

  #expired(): void {
    this.onTimer();
    this.#interrupt();
  }

  /** Brings the record in the shared page up to date. The version is odd while it changes, which the guest never sees. */
  publish(): void {
    const { memory, profile } = this.#cpu;
    const version = memory.read32((this.#shared + TIME_VERSION) as MachineAddress);
    const cycles = memory.time[CYCLES] as number;
    const [multiplier, shift] = scale(profile.frequencyHz);
    this.#write64(TIME_TSC, cycles + (memory.time[TSC_BASE] as number));
    this.#write64(TIME_SYSTEM, this.#nanoseconds(cycles));
    memory.write32((this.#shared + TIME_MUL) as MachineAddress, multiplier);
    memory.write8((this.#shared + TIME_SHIFT) as MachineAddress, shift);
    memory.write32((this.#shared + TIME_VERSION) as MachineAddress, version + 2);
  }

  #write64(offset: number, value: number): void {
    const { memory } = this.#cpu;
    memory.write32((this.#shared + offset) as MachineAddress, value % 0x1_0000_0000);
    memory.write32((this.#shared + offset + 4) as MachineAddress, Math.floor(value / 0x1_0000_0000));
  }

  #nanoseconds(cycles: number): number {
    return ticksAt(cycles, this.#cpu.profile.frequencyHz / 1000, NANOSECONDS);
  }
  #cycles(nanoseconds: number): number {
    return cyclesAt(nanoseconds, this.#cpu.profile.frequencyHz / 1000, NANOSECONDS);
  }
}

/** tsc_to_system_mul and tsc_shift of a TSC: the frequency is brought into (1, 2] GHz by the shift. */
export function scale(frequencyHz: number): readonly [multiplier: number, shift: number] {
  let shift = 0;
  let hertz = frequencyHz;
  for (; hertz > 2e9; shift--) hertz = Math.floor(hertz / 2);
  for (; hertz <= 1e9; shift++) hertz *= 2;
  return [Math.floor((1e9 * 0x1_0000_0000) / hertz), shift];
}
