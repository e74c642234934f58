/**
 * A virtio device on PCI (Virtual I/O Device 1.1, section 4.1): the modern interface, all of it in one memory range, with
 * an INTA# interrupt. There is no legacy interface, no MSI-X, and no access through configuration space.
 */
import type { BusMemory } from '../bus-memory.ts';
import type { MachineMmioBus, MmioDevice } from '../mmio-bus.ts';
import { COMMAND_INTERRUPT_DISABLE, ConfigSpace, STATUS_INTERRUPT } from '../pci/config-space.ts';
import { QUEUE_STATE_NUMBERS, VirtQueue } from './queue.ts';

const VENDOR = 0x1af4;
/** PCI device numbers begin here; the device type follows. */
const FIRST_DEVICE = 0x1040;
const INTERRUPT_LINE = 0x3c;

/** The range and its four structures. */
const BAR = 4;
const RANGE_BYTES = 0x4000;
const COMMON = 0x0000;
const ISR = 0x1000;
const DEVICE = 0x2000;
const NOTIFY = 0x3000;
const NOTIFY_MULTIPLIER = 4;
const STRUCTURE_BYTES = 0x1000;
/** Identifier of a vendor-specific capability, and the structure types. */
const VENDOR_CAPABILITY = 0x09;
const TYPE_COMMON = 1;
const TYPE_NOTIFY = 2;
const TYPE_ISR = 3;
const TYPE_DEVICE = 4;
const FIRST_CAPABILITY = 0x40;

const FEATURES_OK = 8;
const DRIVER_OK = 4;
/** Feature bit 32: the modern interface. */
const VERSION_1_HIGH = 1;
const NO_VECTOR = 0xffff;

/** What a kind of device adds. */
export interface VirtioKind {
  /** Device type number (chapter 5). */
  readonly type: number;
  readonly classCode: number;
  /** Feature bits 0-31. */
  readonly features: number;
  readonly queues: number;
  /** Its configuration structure, little-endian. */
  config(): Uint8Array;
  /** The driver has put something into a queue. */
  notified(queue: number): void;
}

export interface VirtioParts {
  readonly memory: () => BusMemory;
  readonly mmio: MachineMmioBus;
  /** The interrupt input that INTA# is wired to, as firmware notes it in the interrupt line register. */
  readonly irq: number;
  readonly setLine: (level: boolean) => void;
}

export class VirtioPciDevice implements MmioDevice {
  readonly config: ConfigSpace;
  readonly queues: readonly VirtQueue[];
  readonly #kind: VirtioKind;
  readonly #parts: VirtioParts;
  #status = 0;
  #isr = 0;
  #featureSelect = 0;
  #driverSelect = 0;
  readonly #driverFeatures: [number, number] = [0, 0];
  #queueSelect = 0;

  constructor(kind: VirtioKind, parts: VirtioParts) {
    this.#kind = kind;
    this.#parts = parts;
    this.queues = Array.from({ length: kind.queues }, () => new VirtQueue(parts.memory));
    this.config = new ConfigSpace({
      vendor: VENDOR,
      device: FIRST_DEVICE + kind.type,
      subsystemVendor: VENDOR,
      subsystem: FIRST_DEVICE + kind.type,
      revision: 1,
      classCode: kind.classCode,
      interruptPin: 1,
    });
    this.config.setRegister(INTERRUPT_LINE, parts.irq, 0xff, 1);
    this.config.addBar(BAR, {
      space: 'memory',
      bytes: RANGE_BYTES,
      place: (base) => parts.mmio.place(this, base, RANGE_BYTES),
    });
    this.config.onCommand = () => this.#drive();
    let at = FIRST_CAPABILITY;
    for (const [type, offset] of [
      [TYPE_COMMON, COMMON],
      [TYPE_ISR, ISR],
      [TYPE_DEVICE, DEVICE],
      [TYPE_NOTIFY, NOTIFY],
    ] as const) {
      const extra = type === TYPE_NOTIFY ? word32(NOTIFY_MULTIPLIER) : [];
      const bytes = [
        ...[VENDOR_CAPABILITY, 0, 16 + extra.length, type, BAR, 0, 0, 0],
        ...word32(offset),
        ...word32(STRUCTURE_BYTES),
        ...extra,
      ];
      this.config.addCapability(at, bytes);
      at += 20;
    }
  }

  /** The driver has said that it is ready. */
  get running(): boolean {
    return (this.#status & DRIVER_OK) !== 0;
  }

  /** A queue has been used: interrupts the driver. */
  interrupt(): void {
    this.#isr |= 1;
    this.#drive();
  }

  readRegister(offset: number, size: number): number {
    const structure = offset & ~(STRUCTURE_BYTES - 1);
    const at = offset & (STRUCTURE_BYTES - 1);
    if (structure === COMMON) return this.#readCommon(at);
    if (structure === DEVICE) return little(this.#kind.config(), at, size);
    if (structure !== ISR) return 0;
    const value = this.#isr;
    this.#isr = 0;
    this.#drive();
    return value;
  }

  writeRegister(offset: number, value: number, size: number): void {
    if (offset >= NOTIFY) this.#notified((offset - NOTIFY) / NOTIFY_MULTIPLIER);
    else if (offset < ISR) this.#writeCommon(offset, value, size);
  }

  save(): number[] {
    return [
      this.#status,
      this.#isr,
      this.#featureSelect,
      this.#driverSelect,
      ...this.#driverFeatures,
      this.#queueSelect,
      ...this.queues.flatMap((queue) => queue.save()),
    ];
  }

  load(values: readonly number[]): void {
    let at = 0;
    const next = (): number => values[at++] as number;
    this.#status = next();
    this.#isr = next();
    this.#featureSelect = next();
    this.#driverSelect = next();
    this.#driverFeatures[0] = next();
    this.#driverFeatures[1] = next();
    this.#queueSelect = next();
    for (const queue of this.queues) {
      queue.load(values.slice(at, at + QUEUE_STATE_NUMBERS));
      at += QUEUE_STATE_NUMBERS;
    }
  }

  #notified(queue: number): void {
    if (this.running && queue < this.queues.length) this.#kind.notified(queue);
  }

  #features(word: number): number {
    return word === 0 ? this.#kind.features : word === 1 ? VERSION_1_HIGH : 0;
  }

  /** The common configuration structure (4.1.4.3). */
  #readCommon(at: number): number {
    const queue = this.queues[this.#queueSelect];
    switch (at) {
      case 0x00:
        return this.#featureSelect;
      case 0x04:
        return this.#features(this.#featureSelect) >>> 0;
      case 0x08:
        return this.#driverSelect;
      case 0x0c:
        return (this.#driverFeatures[this.#driverSelect] ?? 0) >>> 0;
      case 0x10:
      case 0x1a:
        return NO_VECTOR;
      case 0x12:
        return this.queues.length;
      case 0x14:
        return this.#status;
      case 0x16:
        return this.#queueSelect;
      case 0x18:
        return queue?.size ?? 0;
      case 0x1c:
        return queue?.enabled === true ? 1 : 0;
      case 0x1e:
        return this.#queueSelect;
      case 0x20:
        return (queue?.descriptors ?? 0) >>> 0;
      case 0x28:
        return (queue?.available ?? 0) >>> 0;
      case 0x30:
        return (queue?.used ?? 0) >>> 0;
      default:
        return 0;
    }
  }

  #writeCommon(at: number, value: number, size: number): void {
    const queue = this.queues[this.#queueSelect];
    switch (at) {
      case 0x00:
        this.#featureSelect = value;
        break;
      case 0x08:
        this.#driverSelect = value;
        break;
      case 0x0c:
        if (this.#driverSelect < 2) this.#driverFeatures[this.#driverSelect as 0 | 1] = value;
        break;
      case 0x14:
        this.#setStatus(value & 0xff);
        break;
      case 0x16:
        this.#queueSelect = value & 0xffff;
        break;
      case 0x18:
        if (queue !== undefined && value > 0) queue.size = Math.min(value, queue.size);
        break;
      case 0x1c:
        if (queue !== undefined && value === 1) queue.enabled = true;
        break;
      // Physical addresses above 4 GB do not exist here: the high halves are not kept.
      case 0x20:
        if (queue !== undefined && size === 4) queue.descriptors = value;
        break;
      case 0x28:
        if (queue !== undefined && size === 4) queue.available = value;
        break;
      case 0x30:
        if (queue !== undefined && size === 4) queue.used = value;
        break;
    }
  }

  /** Writing 0 resets the device; features that were not offered, or no version 1, are not accepted (3.1.1). */
  #setStatus(value: number): void {
    if (value === 0) {
      for (const queue of this.queues) queue.reset();
      this.#driverFeatures[0] = 0;
      this.#driverFeatures[1] = 0;
      this.#isr = 0;
      this.#status = 0;
      this.#drive();
      return;
    }
    const [low, high] = this.#driverFeatures;
    const acceptable = (low & ~this.#features(0)) === 0 && high === VERSION_1_HIGH;
    this.#status = acceptable ? value : value & ~FEATURES_OK;
  }

  #drive(): void {
    const level = this.#isr !== 0;
    this.config.setStatus(STATUS_INTERRUPT, level);
    this.#parts.setLine(level && (this.config.command & COMMAND_INTERRUPT_DISABLE) === 0);
  }
}

function word32(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
}

function little(bytes: Uint8Array, at: number, size: number): number {
  let value = 0;
  for (let i = 0; i < size; i++) value |= (bytes[at + i] ?? 0) << (8 * i);
  return value >>> 0;
}
