/**
 * What hangs on the PCI bus: the bridges and the IDE function always, and the disks and virtio devices that were asked for.
 * Firmware's part is done already: INTA# of each virtio device is routed to an ISA interrupt input of the 8259 pair, and that
 * noted in its interrupt line register; the I/O APIC has inputs for PCI's wires.
 */
import { IdeController } from './ata/ide-controller.ts';
import type { BusMemory } from './bus-memory.ts';
import type { DeviceClock } from './clock.ts';
import { Disk } from './disk.ts';
import type { EventQueue } from './events.ts';
import type { MachineMmioBus } from './mmio-bus.ts';
import { hostBridge, isaBridge } from './pci/chipset.ts';
import { PciBus } from './pci/pci-bus.ts';
import type { MachinePortBus } from './port-bus.ts';
import { VirtioBlock } from './virtio/block.ts';
import { VirtioConsole } from './virtio/console.ts';

/** Devices that a machine can have. A disk is given by its contents. */
export interface DeviceOptions {
  readonly ideDisk?: Uint8Array;
  readonly virtioDisk?: Uint8Array;
  /** What the guest writes to it joins the serial port's console. */
  readonly virtioConsole?: boolean;
}

export interface PeripheralParts {
  /** One tick a microsecond. */
  readonly clock: DeviceClock;
  readonly events: EventQueue;
  readonly ports: MachinePortBus;
  readonly mmio: MachineMmioBus;
  readonly memory: () => BusMemory;
  readonly setLine: (irq: number, level: boolean) => void;
  /** Asserts or releases INTA# of a slot that firmware has routed to an ISA interrupt input. */
  readonly setInta: (slot: number, irq: number, asserted: boolean) => void;
  readonly print: (bytes: Uint8Array) => void;
}

const ISA_BRIDGE = 1;
const IDE_FUNCTION = 1;
const VIRTIO_BLOCK = 4;
const VIRTIO_CONSOLE = 5;
/** Inputs that virtio devices interrupt on, and the registers that make them level-triggered. */
const BLOCK_IRQ = 11;
const CONSOLE_IRQ = 10;
const TRIGGER_MODES = 0x4d0;
/** Where firmware has put their ranges. */
const BLOCK_BASE = 0xe0000000;
const CONSOLE_BASE = 0xe0004000;
const BAR4 = 0x20;
/** Ports of the IDE bus masters. */
const BUS_MASTER_BASE = 0xc000;

interface Part {
  save(): number[];
  load(values: readonly number[]): void;
}

export class Peripherals {
  readonly bus: PciBus = new PciBus();
  readonly ide: IdeController;
  readonly block: VirtioBlock | null;
  readonly console: VirtioConsole | null;

  constructor(options: DeviceOptions, parts: PeripheralParts) {
    const { clock, events, ports, mmio, memory, setLine, setInta } = parts;
    this.bus.attach(ports);
    this.bus.add(0, 0, hostBridge());
    this.bus.add(ISA_BRIDGE, 0, isaBridge());
    const ideDisk = options.ideDisk === undefined ? null : new Disk(options.ideDisk);
    this.ide = new IdeController({ clock, events, memory, setLine, disk: ideDisk });
    this.ide.attach(ports);
    this.ide.config.write(BAR4, BUS_MASTER_BASE, 4);
    this.bus.add(ISA_BRIDGE, IDE_FUNCTION, this.ide.config);

    const virtio = (slot: number, irq: number) => ({
      memory,
      mmio,
      irq,
      setLine: (asserted: boolean) => setInta(slot, irq, asserted),
    });
    this.block =
      options.virtioDisk === undefined
        ? null
        : new VirtioBlock(new Disk(options.virtioDisk), clock, events, virtio(VIRTIO_BLOCK, BLOCK_IRQ));
    this.console =
      options.virtioConsole === true ? new VirtioConsole(parts.print, virtio(VIRTIO_CONSOLE, CONSOLE_IRQ)) : null;
    this.block?.config.write(BAR4, BLOCK_BASE, 4);
    this.console?.config.write(BAR4, CONSOLE_BASE, 4);
    const levels = (this.block === null ? 0 : 1 << BLOCK_IRQ) | (this.console === null ? 0 : 1 << CONSOLE_IRQ);
    ports.write(TRIGGER_MODES, levels, 2);
    if (this.block !== null) this.bus.add(VIRTIO_BLOCK, 0, this.block.config);
    if (this.console !== null) this.bus.add(VIRTIO_CONSOLE, 0, this.console.config);
  }

  /** The parts that a snapshot holds, by name. */
  stateful(): Readonly<Record<string, Part>> {
    return {
      ide: this.ide,
      ...(this.block === null ? {} : { 'virtio block': this.block }),
      ...(this.console === null ? {} : { 'virtio console': this.console }),
      // Last, because it places the ranges of the others.
      pci: this.bus,
    };
  }
}
