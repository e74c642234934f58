/**
 * The emulated PC: processor, RAM, buses, chips and their event queue. It knows nothing of engines; an engine owns one,
 * loads a guest into its memory and calls `runGuest` or the processor itself.
 */
import type { MachineAddress } from '../core/address.ts';
import { Cpu } from '../core/cpu.ts';
import { MachineMemory } from '../core/memory.ts';
import { STOP_DEADLINE, STOP_HALT } from '../core/signals.ts';
import {
  BUDGET,
  CYCLES,
  DEADLINE,
  EFLAGS_SYSTEM,
  FETCH_MACHINE,
  HOST_INTR,
  HOSTED,
  INTR,
  NEXT_EVENT,
  STOP_REQUEST,
  VMX_MODE,
} from '../core/state.ts';
import { eventNumber } from '../cost/event.ts';
import { Ledger } from '../cost/ledger.ts';
import type { Profile } from '../cost/profile.ts';
import { IF } from '../isa/eflags.ts';
import { cyclesAt, PIT_HZ, ticksAt } from './clock.ts';
import { DebugExit } from './debug-exit.ts';
import { EventQueue } from './events.ts';
import { I8254 } from './i8254.ts';
import { I8259Pair } from './i8259.ts';
import { MachineMmioBus } from './mmio-bus.ts';
import { Ns16550 } from './ns16550.ts';
import { MachinePortBus } from './port-bus.ts';
import { type Snapshot, SnapshotRegistry, type StateArray } from './snapshot.ts';
import { SystemPorts } from './system-ports.ts';

const IDLE = eventNumber('idle');
const PIT_INPUT = 0;
const SERIAL_INPUT = 4;

export interface MachineOptions {
  readonly profile: Profile;
  /** Guest RAM in bytes, a multiple of 4096. */
  readonly ramBytes: number;
  /** All of machine RAM in bytes: guest RAM and the VMM's frames. Default: guest RAM alone. */
  readonly machineBytes?: number;
}

export class Machine {
  /** Guest RAM in bytes. */
  readonly ramBytes: number;
  readonly memory: MachineMemory;
  readonly ledger: Ledger;
  readonly cpu: Cpu;
  readonly events: EventQueue;
  readonly ports: MachinePortBus = new MachinePortBus();
  readonly mmio: MachineMmioBus = new MachineMmioBus();
  readonly pic: I8259Pair;
  readonly pit: I8254;
  readonly uart: Ns16550;
  readonly debugExit: DebugExit;
  readonly #registry: SnapshotRegistry;

  constructor(options: MachineOptions) {
    const { profile, ramBytes, machineBytes = ramBytes } = options;
    this.ramBytes = ramBytes;
    this.memory = new MachineMemory(machineBytes);
    const { state, time } = this.memory;
    this.ledger = new Ledger(profile, state, time);
    this.cpu = new Cpu({ memory: this.memory, profile, ledger: this.ledger, ports: this.ports, mmio: this.mmio });
    this.events = new EventQueue(time, () => this.cpu.attention());
    this.pic = new I8259Pair((level) => this.#interruptOutput(level));
    const ticks = (): number => ticksAt(time[CYCLES] as number, profile.frequencyHz, PIT_HZ);
    const clock = { ticks, cyclesAt: (at: number): number => cyclesAt(at, profile.frequencyHz, PIT_HZ) };
    this.pit = new I8254(clock, this.events, (level) => this.pic.setLine(PIT_INPUT, level));
    this.uart = new Ns16550((level) => this.pic.setLine(SERIAL_INPUT, level));
    this.debugExit = new DebugExit(() => {
      state[STOP_REQUEST] = 1;
      this.cpu.attention();
    });
    const systemPorts = new SystemPorts(this.pit, ticks);
    for (const chip of [this.pic, this.pit, this.uart, this.debugExit, systemPorts]) chip.attach(this.ports);
    this.cpu.onDeviceTime = () => this.events.runDue();
    this.cpu.acknowledgeInterrupt = () => this.pic.acknowledge();
    this.#registry = new SnapshotRegistry(this.memory.ram, (at, data) =>
      this.memory.writeBytes(at as MachineAddress, data),
    );
    this.#registerParts(systemPorts);
  }

  /** Everything the guest has written to its console. */
  consoleText(): string {
    return this.uart.text();
  }

  /**
   * Runs the processor until a stop (core/signals.ts) or until virtual time reaches `limit` cycles (STOP_DEADLINE).
   * Halted time is passed over to the next device event. STOP_HALT comes back only from a halt that nothing will end:
   * interrupts are off, or no device has anything planned.
   */
  runGuest(limit: number): number {
    const { state, time } = this.memory;
    time[BUDGET] = limit;
    for (;;) {
      const stop = this.cpu.run();
      if (stop !== STOP_HALT) return stop;
      // In non-root operation an interrupt ends the halt by a VM exit, whatever the guest's IF.
      const wakes = state[VMX_MODE] === 2 || ((state[EFLAGS_SYSTEM] as number) & IF) !== 0;
      if (!wakes || !this.idleUntilEvent(limit)) return STOP_HALT;
      if ((time[CYCLES] as number) >= limit) return STOP_DEADLINE;
    }
  }

  /**
   * Lets virtual time pass to the next device event, at most to `limit` cycles, charging each cycle as idle, and runs
   * the events that are due. False if no device has anything planned. For a VMM whose guest waits.
   */
  idleUntilEvent(limit: number): boolean {
    const { time } = this.memory;
    const next = time[NEXT_EVENT] as number;
    if (next === Infinity) return false;
    const wait = Math.min(next, limit) - (time[CYCLES] as number);
    if (wait > 0) this.ledger.charge(IDLE, wait);
    if ((time[CYCLES] as number) >= next) this.events.runDue();
    return true;
  }

  /** Adds an array to the snapshot; it must keep its identity and length. */
  register(name: string, array: StateArray): void {
    this.#registry.register(name, array);
  }

  /** Adds state kept in other forms to the snapshot. */
  registerState(name: string, save: () => readonly number[], load: (values: readonly number[]) => void): void {
    this.#registry.registerState(name, save, load);
  }

  /** Adds work to do after a restore, when all registered state is in place. */
  onRestored(action: () => void): void {
    this.#registry.onRestored(action);
  }

  snapshot(): Snapshot {
    this.#settle();
    return this.#registry.take();
  }

  restore(snapshot: Snapshot): void {
    this.#registry.restore(snapshot);
  }

  /** Hash of machine RAM and all registered state: 16 hexadecimal digits. */
  hash(): string {
    this.#settle();
    return this.#registry.hash();
  }

  /** Clears what depends on how the machine came to its state (projections, run limits), not on the state. */
  #settle(): void {
    const { state, time } = this.memory;
    this.ledger.fold();
    this.cpu.mmu.controlsChanged();
    state[FETCH_MACHINE] = 0;
    time[DEADLINE] = -1;
    time[BUDGET] = Infinity;
  }

  #interruptOutput(level: boolean): void {
    const { state } = this.memory;
    state[INTR] = level ? 1 : 0;
    if (level && (state[HOSTED] !== 0 || state[VMX_MODE] !== 0)) state[HOST_INTR] = 1;
    this.cpu.attention();
  }

  #registerParts(systemPorts: SystemPorts): void {
    const { memory, cpu } = this;
    this.register('state', memory.state);
    this.register('time', memory.time);
    this.register('ledger counts', this.ledger.counts);
    this.register('events', this.events.due);
    for (const [index, array] of cpu.mmu.stateArrays().entries()) this.register(`tlb ${index}`, array);
    const chips = {
      i8259: this.pic,
      i8254: this.pit,
      ns16550: this.uart,
      'debug exit': this.debugExit,
      'system ports': systemPorts,
    };
    for (const [name, chip] of Object.entries(chips)) {
      this.registerState(
        name,
        () => chip.save(),
        (values) => chip.load(values),
      );
    }
    this.onRestored(() => {
      cpu.mmu.afterRestore();
      this.events.restored();
    });
  }
}
