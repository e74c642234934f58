/**
 * The emulated PC: processor, RAM, buses, chips and their event queue. It knows nothing of engines; an engine owns one,
 * loads a guest into its memory and calls `runGuest` or the processor itself.
 */
import type { MachineAddress } from '../core/address.ts';
import { Cpu } from '../core/cpu.ts';
import { MachineMemory } from '../core/memory.ts';
import { PHYSICAL_BITS } from '../core/paging/walk.ts';
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
  TSC_BASE,
  VMX_MODE,
} from '../core/state.ts';
import { eventNumber } from '../cost/event.ts';
import { Ledger } from '../cost/ledger.ts';
import type { Profile } from '../cost/profile.ts';
import { IF } from '../isa/eflags.ts';
import { type BusMemory, IdentityMemory } from './bus-memory.ts';
import { PIT_HZ, PM_TIMER_HZ, RTC_HZ, TickClock } from './clock.ts';
import { DebugExit } from './debug-exit.ts';
import { EventQueue } from './events.ts';
import { pciInput } from './firmware/interrupt-wiring.ts';
import { I8042 } from './i8042.ts';
import { I8254 } from './i8254.ts';
import { I8259Pair } from './i8259.ts';
import { IoApic } from './io-apic.ts';
import { APIC_BASE, LocalApic } from './local-apic.ts';
import { Mc146818 } from './mc146818.ts';
import { MachineMmioBus } from './mmio-bus.ts';
import { Ns16550 } from './ns16550.ts';
import { type DeviceOptions, Peripherals } from './peripherals.ts';
import { MachinePortBus } from './port-bus.ts';
import { Power, SCI_IRQ } from './power.ts';
import { type Snapshot, SnapshotRegistry, type StateArray } from './snapshot.ts';
import { SystemPorts } from './system-ports.ts';

const IDLE = eventNumber('idle');
const PIT_INPUT = 0;
/** The coprocessor's interrupt: an x87 exception with CR0.NE = 0. */
const FERR_IRQ = 13;
const SERIAL_INPUT = 4;
const RTC_INPUT = 8;
/** Ticks in a second of the clock that disks go by. */
const MICROSECONDS = 1_000_000;

/** Local APIC registers that firmware writes: virtual wire mode (MultiProcessor Specification 1.4, 3.6.2.2). */
const VIRTUAL_WIRE: readonly (readonly [offset: number, value: number])[] = [
  // Enabled, spurious vector FFH; LINT0 takes the 8259 pair's vectors, LINT1 is NMI.
  [0xf0, 0x1ff],
  [0x350, 0x700],
  [0x360, 0x400],
];

export interface MachineOptions {
  readonly profile: Profile;
  /** Guest RAM in bytes, a multiple of 4096. */
  readonly ramBytes: number;
  /** All of machine RAM in bytes: guest RAM and the VMM's frames. Default: guest RAM alone. */
  readonly machineBytes?: number;
  /** Disks and virtio devices. Default: none. */
  readonly devices?: DeviceOptions;
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
  readonly localApic: LocalApic;
  readonly ioApic: IoApic;
  readonly rtc: Mc146818;
  readonly keyboard: I8042;
  readonly power: Power;
  readonly debugExit: DebugExit;
  readonly peripherals: Peripherals;
  /** Guest-physical memory as bus masters see it. A VMM that places guest frames itself puts its own view here. */
  busMemory: BusMemory;
  readonly #registry: SnapshotRegistry;

  constructor(options: MachineOptions) {
    const { profile, ramBytes, machineBytes = ramBytes, devices = {} } = options;
    this.ramBytes = ramBytes;
    this.memory = new MachineMemory(machineBytes);
    const { state, time } = this.memory;
    this.ledger = new Ledger(profile, state, time);
    this.cpu = new Cpu({ memory: this.memory, profile, ledger: this.ledger, ports: this.ports, mmio: this.mmio });
    this.events = new EventQueue(time, () => this.cpu.attention());
    const clock = (hertz: number): TickClock => new TickClock(time, profile.frequencyHz, hertz);
    const requestStop = (): void => {
      state[STOP_REQUEST] = 1;
      this.cpu.attention();
    };
    const pitClock = clock(PIT_HZ);
    this.pic = new I8259Pair((level) => {
      this.localApic.setPin(0, level);
      this.ioApic.setLine(0, level);
    });
    this.pit = new I8254(pitClock, this.events, (level) => this.#setLine(PIT_INPUT, level));
    this.uart = new Ns16550((level) => this.#setLine(SERIAL_INPUT, level));
    this.debugExit = new DebugExit(requestStop);
    const setFerr = (level: boolean): void => this.#setLine(FERR_IRQ, level);
    const systemPorts = new SystemPorts(this.pit, () => pitClock.ticks(), setFerr);
    this.rtc = new Mc146818(clock(RTC_HZ), this.events, (level) => this.#setLine(RTC_INPUT, level), ramBytes);
    this.power = new Power(clock(PM_TIMER_HZ), this.events, (level) => this.#setLine(SCI_IRQ, level), requestStop);
    this.keyboard = new I8042({
      setLine: (irq, level) => this.#setLine(irq, level),
      reset: () => this.power.ask('reset'),
    });
    this.localApic = this.#makeLocalApic(profile);
    this.ioApic = new IoApic(this.localApic);
    const chips = [this.pic, this.pit, this.uart, this.debugExit, systemPorts, this.rtc, this.power, this.keyboard];
    for (const chip of chips) chip.attach(this.ports);
    this.ioApic.attach(this.mmio);
    this.cpu.localApic = this.localApic;
    this.busMemory = new IdentityMemory(this.memory, ramBytes);
    this.peripherals = new Peripherals(devices, {
      clock: clock(MICROSECONDS),
      events: this.events,
      ports: this.ports,
      mmio: this.mmio,
      memory: () => this.busMemory,
      setLine: (irq, level) => this.#setLine(irq, level),
      setInta: (slot, irq, asserted) => {
        this.pic.setLine(irq, asserted);
        this.ioApic.setLine(pciInput(slot, 0), !asserted);
      },
      print: (bytes) => this.uart.print(bytes),
    });
    for (const [offset, value] of VIRTUAL_WIRE) this.mmio.write(APIC_BASE + offset, value, 4);
    this.cpu.onDeviceTime = () => this.events.runDue();
    this.cpu.onFerr = () => setFerr(true);
    this.cpu.acknowledgeInterrupt = () => this.localApic.acknowledge();
    this.#registry = new SnapshotRegistry(this.memory.ram, (at, data) =>
      this.memory.writeBytes(at as MachineAddress, data),
    );
    this.#registerParts(systemPorts);
  }

  /** Everything the guest has written to its console. */
  consoleText(): string {
    return this.uart.text();
  }

  /** Drives the chip set's NMI line, which bit 7 of the CMOS index port keeps from the processor. */
  setNmiLine(level: boolean): void {
    this.localApic.setPin(1, level && !this.rtc.nmiMasked);
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

  #makeLocalApic(profile: Profile): LocalApic {
    const { time } = this.memory;
    const bus = new TickClock(time, profile.frequencyHz, profile.bus.frequencyHz);
    return new LocalApic({
      clock: {
        ticks: () => bus.ticks(),
        cyclesAt: (ticks) => bus.cyclesAt(ticks),
        cycles: () => time[CYCLES] as number,
        tscBase: () => time[TSC_BASE] as number,
      },
      events: this.events,
      mmio: this.mmio,
      tscDeadline: profile.features.tscDeadline,
      physicalBits: PHYSICAL_BITS,
      onInterrupt: (level) => this.#interruptOutput(level),
      onNmi: () => this.#nonMaskable(),
      acknowledgeExternal: () => this.pic.acknowledge(),
      onEndOfInterrupt: (vector) => this.ioApic.endOfInterrupt(vector),
    });
  }

  /** Drives an ISA interrupt line: into the 8259 pair, and into the I/O APIC, where the timer's is input 2. */
  #setLine(irq: number, level: boolean): void {
    this.pic.setLine(irq, level);
    this.ioApic.setLine(irq === 0 ? 2 : irq, level);
  }

  #nonMaskable(): void {
    const { state } = this.memory;
    if (state[HOSTED] !== 0 || state[VMX_MODE] !== 0) state[HOST_INTR] = 1;
    this.cpu.raiseNmi();
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
      'local apic': this.localApic,
      'io apic': this.ioApic,
      mc146818: this.rtc,
      power: this.power,
      i8042: this.keyboard,
      ...this.peripherals.stateful(),
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
