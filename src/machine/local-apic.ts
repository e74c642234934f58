/**
 * The local APIC of the processor (SDM 3A chapter 10; xAPIC): registers in a page of the physical address space at the
 * address in IA32_APIC_BASE, interrupts from its own timer, its two pins, IPIs that it sends to itself and the I/O APIC.
 *
 * Reads and writes are of aligned double words; a narrower read gets its part, a narrower write nothing (10.4.1 leaves
 * both to the model). There is one processor: INIT and start-up IPIs reach nobody, the processor itself included. SMI is not
 * built. The remaining LVT entries (thermal sensor, performance counters) have no source.
 */
import type { LocalApicPort } from '../core/buses.ts';
import { ApicTimer, type ApicTimerClock } from './apic-timer.ts';
import type { EventQueue } from './events.ts';
import type { MachineMmioBus, MmioDevice } from './mmio-bus.ts';
import { VectorSet } from './vector-set.ts';

const APIC_BYTES = 4096;
/** Where the registers lie after power-up, physical. */
export const APIC_BASE = 0xfee00000;

const IA32_APIC_BASE = 0x1b;
const IA32_TSC_DEADLINE = 0x6e0;
/** IA32_APIC_BASE: bootstrap processor, global enable; the rest of the low 12 bits is reserved. */
const BASE_BSP = 0x100;
const BASE_ENABLE = 0x800;
const BASE_RESERVED = 0x6ff;

/** Registers by offset / 16 (SDM 3A table 10-1). */
const ID = 0x02;
const VERSION = 0x03;
const TASK_PRIORITY = 0x08;
const ARBITRATION_PRIORITY = 0x09;
const PROCESSOR_PRIORITY = 0x0a;
const END_OF_INTERRUPT = 0x0b;
const REMOTE_READ = 0x0c;
const LOGICAL_DESTINATION = 0x0d;
const DESTINATION_FORMAT = 0x0e;
const SPURIOUS = 0x0f;
const IN_SERVICE = 0x10;
const TRIGGER_MODE = 0x18;
const REQUEST = 0x20;
const ERROR_STATUS = 0x28;
const COMMAND_LOW = 0x30;
const COMMAND_HIGH = 0x31;
const LVT = 0x32;
const INITIAL_COUNT = 0x38;
const CURRENT_COUNT = 0x39;
const DIVIDE = 0x3e;

/** Version of the integrated APIC of these processors; highest LVT entry 5 (10.4.8). */
const VERSION_VALUE = 0x00050014;

/** Entries of the local vector table, in the order of their registers from LVT on (10.5.1). */
const LVT_TIMER = 0;
const LVT_LINT0 = 3;
const LVT_ERROR = 5;
const LVT_COUNT = 6;
const LVT_MASKED = 0x10000;
const LVT_REMOTE_IRR = 0x4000;
const LVT_LEVEL = 0x8000;
const LVT_ACTIVE_LOW = 0x2000;
/** Writable bits: vector, delivery mode, polarity, trigger mode, mask, timer mode (figure 10-8). */
const LVT_WRITABLE = [0x200ff, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff].map((bits) => bits | LVT_MASKED);
const LVT_TSC_DEADLINE = 0x40000;

/** Delivery modes of LVT entries, of the interrupt command register and of the I/O APIC's messages. */
export const FIXED = 0;
export const LOWEST_PRIORITY = 1;
export const NMI = 4;
export const EXTINT = 7;

const COMMAND_WRITABLE = 0xccfff;
const SPURIOUS_WRITABLE = 0x3ff;
const SOFTWARE_ENABLE = 0x100;

/** Error status bits (10.5.3). */
const ERROR_SEND_VECTOR = 0x20;
const ERROR_RECEIVED_VECTOR = 0x40;
const ERROR_REGISTER = 0x80;

export interface LocalApicWires {
  readonly clock: ApicTimerClock;
  readonly events: EventQueue;
  /** The processor has a TSC-deadline timer (CPUID.1:ECX bit 24). */
  readonly tscDeadline: boolean;
  /** Width of physical addresses: IA32_APIC_BASE has no bits beyond. */
  readonly physicalBits: number;
  /** The request line into the processor core changes. */
  readonly onInterrupt: (level: boolean) => void;
  readonly onNmi: () => void;
  /** The acknowledge cycle of an external interrupt: the 8259 pair gives its vector. */
  readonly acknowledgeExternal: () => number;
  /** A level-triggered interrupt has been ended: broadcast to the I/O APIC. */
  readonly onEndOfInterrupt: (vector: number) => void;
  /** Where the registers lie. */
  readonly mmio: MachineMmioBus;
}

export class LocalApic implements LocalApicPort, MmioDevice {
  readonly tscDeadline: boolean;
  readonly #wires: LocalApicWires;
  readonly #timer: ApicTimer;
  readonly #inService = new VectorSet();
  readonly #triggerMode = new VectorSet();
  readonly #request = new VectorSet();
  readonly #lvt = new Int32Array(LVT_COUNT);
  /** Levels of the pins LINT0 (the 8259 pair's INTR) and LINT1 (NMI), and of the I/O APIC's ExtINT messages. */
  readonly #pins = [0, 0];
  #external = 0;
  #baseLow = 0;
  #baseHigh = 0;
  #id = 0;
  #taskPriority = 0;
  #logicalDestination = 0;
  #destinationFormat = -1;
  #spurious = 0;
  #commandLow = 0;
  #commandHigh = 0;
  /** What the error status register shows, and the errors since it was last written. */
  #errors = 0;
  #newErrors = 0;
  #output = 0;

  constructor(wires: LocalApicWires) {
    this.#wires = wires;
    this.tscDeadline = wires.tscDeadline;
    this.#timer = new ApicTimer(wires.clock, wires.events, () => this.#deliverLocal(LVT_TIMER));
    this.#setBase(APIC_BASE | BASE_BSP | BASE_ENABLE, 0);
    this.#reset();
  }

  // The processor's side.

  get enabled(): boolean {
    return (this.#baseLow & BASE_ENABLE) !== 0;
  }

  hasMsr(index: number): boolean {
    return index === IA32_APIC_BASE || (index === IA32_TSC_DEADLINE && this.tscDeadline);
  }

  readMsr(index: number): readonly [low: number, high: number] {
    return index === IA32_APIC_BASE ? [this.#baseLow, this.#baseHigh] : this.#timer.deadline();
  }

  /** Disabling loses all state; the registers are as after power-up when it is enabled again (10.4.3). */
  writeMsr(index: number, low: number, high: number): boolean {
    if (index === IA32_TSC_DEADLINE) {
      this.#timer.setDeadline(low, high);
      return true;
    }
    if ((low & BASE_RESERVED) !== 0 || high >>> (this.#wires.physicalBits - 32) !== 0) return false;
    if ((low & BASE_ENABLE) === 0) this.#reset();
    this.#setBase(low, high);
    this.#update();
    return true;
  }

  timeStampWritten(): void {
    this.#timer.plan();
  }

  /** The processor's acknowledge cycle: the vector it shall deliver. External interrupts come first: they have no priority. */
  acknowledge(): number {
    if (this.#externalWaits()) return this.#wires.acknowledgeExternal();
    const vector = this.#deliverable();
    if (vector < 0) return this.#spurious & 0xff;
    this.#request.remove(vector);
    this.#inService.add(vector);
    this.#update();
    return vector;
  }

  // Sources.

  /** Drives LINT0 (`pin` 0) or LINT1 (1). With the APIC disabled they are the processor's INTR and NMI pins (10.4.3). */
  setPin(pin: number, level: boolean): void {
    const before = this.#asserted(pin);
    const raised = level && this.#pins[pin] === 0;
    this.#pins[pin] = level ? 1 : 0;
    if (!this.enabled) {
      if (pin === 1 && raised) this.#wires.onNmi();
    } else if (!before && this.#asserted(pin)) this.#deliverLocal(LVT_LINT0 + pin);
    this.#update();
  }

  /** Level of the I/O APIC's request for an external interrupt. */
  setExternal(level: boolean): void {
    this.#external = level ? 1 : 0;
    this.#update();
  }

  /** Whether a message to this destination is for this processor (10.6.2). */
  matches(destination: number, logical: boolean): boolean {
    if (!this.enabled) return false;
    if (!logical) return destination === 0xff || destination === this.#id >>> 24;
    const own = this.#logicalDestination >>> 24;
    if (this.#destinationFormat >>> 28 === 0xf) return (destination & own) !== 0;
    const cluster = destination >>> 4 === 0xf || destination >>> 4 === own >>> 4;
    return cluster && (destination & own & 0xf) !== 0;
  }

  /** Takes in an interrupt message. False if it is not accepted: the APIC is disabled by software. */
  accept(mode: number, vector: number, level: boolean): boolean {
    if (mode === NMI) {
      this.#wires.onNmi();
      return true;
    }
    if (mode !== FIXED && mode !== LOWEST_PRIORITY) return true;
    if ((this.#spurious & SOFTWARE_ENABLE) === 0) return false;
    if (vector < 16) {
      this.#error(ERROR_RECEIVED_VECTOR);
      return true;
    }
    this.#request.add(vector);
    if (level) this.#triggerMode.add(vector);
    else this.#triggerMode.remove(vector);
    this.#update();
    return true;
  }

  // Registers.

  readRegister(offset: number, size: number): number {
    const value = (offset & 0xc) === 0 ? this.#read(offset >>> 4) : 0;
    const part = value >>> (8 * (offset & 3));
    return size === 4 ? part : size === 2 ? part & 0xffff : part & 0xff;
  }

  writeRegister(offset: number, value: number, size: number): void {
    if (size === 4 && (offset & 0xf) === 0) this.#write(offset >>> 4, value | 0);
  }

  save(): number[] {
    return [
      ...this.#timer.save(),
      ...this.#inService.words,
      ...this.#triggerMode.words,
      ...this.#request.words,
      ...this.#lvt,
      ...this.#pins,
      this.#external,
      this.#baseLow,
      this.#baseHigh,
      this.#id,
      this.#taskPriority,
      this.#logicalDestination,
      this.#destinationFormat,
      this.#spurious,
      this.#commandLow,
      this.#commandHigh,
      this.#errors,
      this.#newErrors,
      this.#output,
    ];
  }

  /** Restores the chip; the processor's own slots are restored with the rest of its state, so its core is not told. */
  load(values: readonly number[]): void {
    let at = 0;
    const next = (): number => values[at++] as number;
    const words = (count: number): readonly number[] => {
      at += count;
      return values.slice(at - count, at);
    };
    this.#timer.load(words(8));
    for (const set of [this.#inService, this.#triggerMode, this.#request]) set.words.set(words(8));
    this.#lvt.set(words(LVT_COUNT));
    this.#pins[0] = next();
    this.#pins[1] = next();
    this.#external = next();
    const low = next();
    this.#setBase(low, next());
    this.#id = next();
    this.#taskPriority = next();
    this.#logicalDestination = next();
    this.#destinationFormat = next();
    this.#spurious = next();
    this.#commandLow = next();
    this.#commandHigh = next();
    this.#errors = next();
    this.#newErrors = next();
    this.#output = next();
  }

  #setBase(low: number, high: number): void {
    this.#baseLow = low | 0;
    this.#baseHigh = high;
    this.#wires.mmio.place(this, this.enabled && high === 0 ? (low & ~0xfff) >>> 0 : null, APIC_BYTES);
  }

  /** State after power-up (10.4.7.1). */
  #reset(): void {
    this.#timer.setDivide(0);
    for (const set of [this.#inService, this.#triggerMode, this.#request]) set.words.fill(0);
    this.#id = 0;
    this.#taskPriority = 0;
    this.#logicalDestination = 0;
    this.#destinationFormat = -1;
    this.#commandLow = 0;
    this.#commandHigh = 0;
    this.#errors = 0;
    this.#newErrors = 0;
    this.#lvt.fill(LVT_MASKED);
    this.#spurious = 0xff;
    this.#timer.setEntry(0, true);
    this.#timer.stop();
    this.#update();
  }

  #read(register: number): number {
    if (register >= IN_SERVICE && register < ERROR_STATUS) {
      const set = register < TRIGGER_MODE ? this.#inService : register < REQUEST ? this.#triggerMode : this.#request;
      return set.words[register & 7] as number;
    }
    if (register >= LVT && register < LVT + LVT_COUNT) return this.#readLvt(register - LVT);
    switch (register) {
      case ID:
        return this.#id;
      case VERSION:
        return VERSION_VALUE;
      case TASK_PRIORITY:
        return this.#taskPriority;
      case PROCESSOR_PRIORITY:
        return this.#processorPriority();
      case LOGICAL_DESTINATION:
        return this.#logicalDestination;
      case DESTINATION_FORMAT:
        return this.#destinationFormat;
      case SPURIOUS:
        return this.#spurious;
      case ERROR_STATUS:
        return this.#errors;
      case COMMAND_LOW:
        return this.#commandLow;
      case COMMAND_HIGH:
        return this.#commandHigh;
      case INITIAL_COUNT:
        return this.#timer.initial;
      case CURRENT_COUNT:
        return this.#timer.current();
      case DIVIDE:
        return this.#timer.divide;
      // Not on the Pentium 4 and later, and no illegal register either (table 10-1, note); EOI is write-only.
      case ARBITRATION_PRIORITY:
      case REMOTE_READ:
      case END_OF_INTERRUPT:
        return 0;
      default:
        this.#error(ERROR_REGISTER);
        return 0;
    }
  }

  #write(register: number, value: number): void {
    if (register >= LVT && register < LVT + LVT_COUNT) {
      this.#writeLvt(register - LVT, value);
      return;
    }
    switch (register) {
      case ID:
        this.#id = value & 0xff000000;
        return;
      case TASK_PRIORITY:
        this.#taskPriority = value & 0xff;
        this.#update();
        return;
      case END_OF_INTERRUPT:
        this.#end();
        return;
      case LOGICAL_DESTINATION:
        this.#logicalDestination = value & 0xff000000;
        return;
      case DESTINATION_FORMAT:
        this.#destinationFormat = value | 0x0fffffff;
        return;
      case SPURIOUS:
        this.#writeSpurious(value);
        return;
      case ERROR_STATUS:
        this.#errors = this.#newErrors;
        this.#newErrors = 0;
        return;
      case COMMAND_LOW:
        this.#commandLow = value & COMMAND_WRITABLE;
        this.#send();
        return;
      case COMMAND_HIGH:
        this.#commandHigh = value & 0xff000000;
        return;
      case INITIAL_COUNT:
        this.#timer.setInitial(value);
        return;
      case DIVIDE:
        this.#timer.setDivide(value);
        return;
      case VERSION:
      case ARBITRATION_PRIORITY:
      case PROCESSOR_PRIORITY:
      case REMOTE_READ:
      case CURRENT_COUNT:
        return;
      default:
        if (register < IN_SERVICE || register >= ERROR_STATUS) this.#error(ERROR_REGISTER);
    }
  }

  #readLvt(entry: number): number {
    return this.#lvt[entry] as number;
  }

  #writeLvt(entry: number, value: number): void {
    const deadline = entry === LVT_TIMER && this.tscDeadline ? LVT_TSC_DEADLINE : 0;
    const masked = (this.#spurious & SOFTWARE_ENABLE) === 0 ? LVT_MASKED : 0;
    const remote = this.#readLvt(entry) & LVT_REMOTE_IRR;
    this.#lvt[entry] = (value & ((LVT_WRITABLE[entry] as number) | deadline)) | masked | remote;
    if (entry === LVT_TIMER) this.#timerEntry();
    if (entry === LVT_LINT0 || entry === LVT_LINT0 + 1) this.#levelPin(entry - LVT_LINT0);
    this.#update();
  }

  #timerEntry(): void {
    const value = this.#readLvt(LVT_TIMER);
    this.#timer.setEntry((value >>> 17) & 3, (value & LVT_MASKED) !== 0);
  }

  /** Software disable masks all of the local vector table; what is requested or in service stays (10.4.7.2). */
  #writeSpurious(value: number): void {
    this.#spurious = value & SPURIOUS_WRITABLE;
    if ((value & SOFTWARE_ENABLE) === 0) {
      for (let entry = 0; entry < LVT_COUNT; entry++) this.#lvt[entry] = this.#readLvt(entry) | LVT_MASKED;
      this.#timerEntry();
    }
    this.#update();
  }

  /** PPR (10.8.3.1): the higher of the task's class and the class in service. */
  #processorPriority(): number {
    const serving = Math.max(0, this.#inService.highest());
    return this.#taskPriority >>> 4 >= serving >>> 4 ? this.#taskPriority : serving & 0xf0;
  }

  /** The request that outranks the processor's priority class, or -1. */
  #deliverable(): number {
    const vector = this.#request.highest();
    return vector >= 0 && vector >>> 4 > this.#processorPriority() >>> 4 ? vector : -1;
  }

  #asserted(pin: number): boolean {
    const activeLow = (this.#readLvt(LVT_LINT0 + pin) & LVT_ACTIVE_LOW) !== 0 ? 1 : 0;
    return (this.#pins[pin] as number) !== activeLow;
  }

  /** Whether an external interrupt passes to the core, past all priorities (10.8.1). */
  #externalWaits(): boolean {
    if (!this.enabled) return this.#pins[0] !== 0;
    if (this.#external !== 0) return true;
    for (const pin of [0, 1]) {
      const entry = this.#readLvt(LVT_LINT0 + pin);
      if (deliveryMode(entry) === EXTINT && (entry & LVT_MASKED) === 0 && this.#asserted(pin)) return true;
    }
    return false;
  }

  /** An entry of the local vector table has its interrupt. External ones are levels, which `#externalWaits` looks at. */
  #deliverLocal(entry: number): void {
    const value = this.#readLvt(entry);
    if ((value & LVT_MASKED) !== 0) return;
    const isPin = entry === LVT_LINT0 || entry === LVT_LINT0 + 1;
    const mode = isPin ? deliveryMode(value) : FIXED;
    if (isPin && mode === FIXED && (value & LVT_LEVEL) !== 0) this.#levelPin(entry - LVT_LINT0);
    else if (mode === FIXED || mode === NMI) this.accept(mode, value & 0xff, false);
  }

  /** A level-triggered pin requests again whenever it is asserted and its last interrupt has been ended. */
  #levelPin(pin: number): void {
    const entry = this.#readLvt(LVT_LINT0 + pin);
    const wanted = (entry & (LVT_MASKED | LVT_REMOTE_IRR | LVT_LEVEL)) === LVT_LEVEL;
    if (!wanted || deliveryMode(entry) !== FIXED || !this.#asserted(pin)) return;
    this.#lvt[LVT_LINT0 + pin] = entry | LVT_REMOTE_IRR;
    this.accept(FIXED, entry & 0xff, true);
  }

  #end(): void {
    const vector = this.#inService.highest();
    if (vector < 0) return;
    this.#inService.remove(vector);
    if (this.#triggerMode.has(vector)) {
      for (const pin of [0, 1]) {
        const entry = this.#readLvt(LVT_LINT0 + pin);
        if ((entry & LVT_REMOTE_IRR) === 0 || (entry & 0xff) !== vector) continue;
        this.#lvt[LVT_LINT0 + pin] = entry & ~LVT_REMOTE_IRR;
        this.#levelPin(pin);
      }
      this.#wires.onEndOfInterrupt(vector);
    }
    this.#update();
  }

  /** Carries out an interrupt command (10.6.1). Only commands that reach this processor do anything. */
  #send(): void {
    const command = this.#commandLow;
    const mode = deliveryMode(command);
    const vector = command & 0xff;
    const shorthand = (command >>> 18) & 3;
    if (mode !== FIXED && mode !== LOWEST_PRIORITY && mode !== NMI) return;
    if (mode !== NMI && vector < 16) {
      this.#error(ERROR_SEND_VECTOR);
      return;
    }
    // The shorthands that include the sender exist for fixed interrupts alone (table 10-3).
    const reaches =
      shorthand === 0
        ? this.matches(this.#commandHigh >>> 24, (command & 0x800) !== 0)
        : shorthand !== 3 && mode === FIXED;
    // IPIs are edge-triggered whatever the command says.
    if (reaches) this.accept(mode, vector, false);
  }

  /** Notes an error; a new one raises the error interrupt. */
  #error(bit: number): void {
    const isNew = (this.#newErrors & bit) === 0;
    this.#newErrors |= bit;
    if (isNew) this.#deliverLocal(LVT_ERROR);
  }

  #update(): void {
    const output = this.#externalWaits() || (this.enabled && this.#deliverable() >= 0) ? 1 : 0;
    if (output === this.#output) return;
    this.#output = output;
    this.#wires.onInterrupt(output !== 0);
  }
}

function deliveryMode(entry: number): number {
  return (entry >>> 8) & 7;
}
