/**
 * The IDE function of a PIIX3 (Intel 290550): two channels at their legacy ports and interrupts, and a bus master for each, which
 * moves a command's data to or from the places that a table in memory lists.
 */
import type { BusMemory } from '../bus-memory.ts';
import { BusWords } from '../bus-memory.ts';
import type { DeviceClock } from '../clock.ts';
import type { Disk } from '../disk.ts';
import type { EventQueue } from '../events.ts';
import { COMMAND_MASTER, ConfigSpace } from '../pci/config-space.ts';
import type { MachinePortBus, PortDevice } from '../port-bus.ts';
import { AtaChannel, type DmaEngine } from './channel.ts';

const CHANNELS = [
  { base: 0x1f0, control: 0x3f6, irq: 14 },
  { base: 0x170, control: 0x376, irq: 15 },
] as const;
const BUS_MASTER_PORTS = 16;
/** IDE timing registers; bit 15 enables a channel's decoding. */
const TIMING = 0x40;
const DECODE = 0x8000;

/** Bus master command and status registers. */
const START = 0x01;
const TO_MEMORY = 0x08;
const ACTIVE = 0x01;
const ERROR = 0x02;
const INTERRUPT = 0x04;
const DRIVES_CAPABLE = 0x60;
const END_OF_TABLE = 0x80000000;

export interface IdeParts {
  readonly clock: DeviceClock;
  readonly events: EventQueue;
  readonly memory: () => BusMemory;
  readonly setLine: (irq: number, level: boolean) => void;
  /** Of the first channel's drive 0; the second channel has no drive. */
  readonly disk: Disk | null;
}

/** One bus master: command, status and table pointer. */
class BusMaster implements DmaEngine {
  command = 0;
  status = 0;
  table = 0;
  readonly #memory: () => BusMemory;
  readonly #enabled: () => boolean;

  constructor(memory: () => BusMemory, enabled: () => boolean) {
    this.#memory = memory;
    this.#enabled = enabled;
  }

  get ready(): boolean {
    return (this.command & START) !== 0 && this.#enabled();
  }

  toMemory(data: Uint8Array): void {
    this.#each(data, (memory, physical, part) => memory.writeBytes(physical, part));
  }
  fromMemory(into: Uint8Array): void {
    this.#each(into, (memory, physical, part) => memory.readBytes(physical, part));
  }
  finished(): void {
    this.status &= ~ACTIVE;
  }

  /** Walks the table of physical regions (290550, 2.7.3): base, byte count (0 is 64 KB), end mark. */
  #each(data: Uint8Array, move: (memory: BusMemory, physical: number, part: Uint8Array) => void): void {
    const memory = this.#memory();
    const words = new BusWords(memory);
    let done = 0;
    for (let entry = this.table; done < data.length; entry += 8) {
      const control = words.u32(entry + 4);
      const length = Math.min(control & 0xfffe || 0x10000, data.length - done);
      move(memory, words.u32(entry) & ~1, data.subarray(done, done + length));
      done += length;
      if (control >= END_OF_TABLE && done < data.length) {
        this.status |= ERROR;
        return;
      }
    }
  }
}

export class IdeController implements PortDevice {
  readonly config: ConfigSpace;
  readonly #channels: readonly AtaChannel[];
  readonly #masters: readonly BusMaster[];
  readonly #parts: IdeParts;
  #base = 0;

  constructor(parts: IdeParts) {
    this.#parts = parts;
    this.config = new ConfigSpace({ vendor: 0x8086, device: 0x7010, classCode: 0x010180 });
    for (let channel = 0; channel < 2; channel++) this.config.setRegister(TIMING + 2 * channel, DECODE, 0xffff, 2);
    const enabled = (): boolean => (this.config.command & COMMAND_MASTER) !== 0;
    this.#masters = CHANNELS.map(() => new BusMaster(parts.memory, enabled));
    this.#channels = CHANNELS.map(({ base, irq }, index) => {
      const channel = new AtaChannel(base, {
        clock: parts.clock,
        events: parts.events,
        disk: index === 0 ? parts.disk : null,
        setLine: (level) => {
          // The bus master latches the drive's interrupt, whatever it is for.
          if (level) (this.#masters[index] as BusMaster).status |= INTERRUPT;
          parts.setLine(irq, level);
        },
      });
      channel.dma = this.#masters[index] as BusMaster;
      return channel;
    });
  }

  attach(ports: MachinePortBus): void {
    CHANNELS.forEach(({ base, control }, index) => {
      const channel = this.#channels[index] as AtaChannel;
      ports.claim(base, 8, channel);
      ports.claimBytes(control, 1, {
        readByte: () => channel.readAlternate(),
        writeByte: (_, value) => channel.writeControl(value),
      });
    });
    this.config.addBar(4, {
      space: 'io',
      bytes: BUS_MASTER_PORTS,
      place: (base) => {
        ports.place(this, base, BUS_MASTER_PORTS);
        this.#base = base ?? 0;
      },
    });
  }

  readPort(port: number, size: number): number {
    const offset = port - this.#base;
    const master = this.#masters[offset >>> 3] as BusMaster;
    const registers = [
      master.command,
      0,
      master.status,
      0,
      ...[0, 8, 16, 24].map((bit) => (master.table >>> bit) & 0xff),
    ];
    let value = 0;
    for (let i = 0; i < size; i++) value |= (registers[(offset & 7) + i] ?? 0) << (8 * i);
    return value >>> 0;
  }

  writePort(port: number, value: number, size: number): void {
    const offset = port - this.#base;
    const index = offset >>> 3;
    const master = this.#masters[index] as BusMaster;
    for (let i = 0; i < size; i++) {
      const byte = (value >>> (8 * i)) & 0xff;
      const register = (offset & 7) + i;
      if (register === 0) this.#command(index, byte);
      // Error and interrupt are cleared by writing ones; the capability bits are software's.
      else if (register === 2)
        master.status = (master.status & ~DRIVES_CAPABLE & ~(byte & (ERROR | INTERRUPT))) | (byte & DRIVES_CAPABLE);
      else if (register >= 4) {
        const bit = 8 * (register - 4);
        master.table = ((master.table & ~(0xff << bit)) | (byte << bit)) & ~3;
        master.table >>>= 0;
      }
    }
  }

  save(): number[] {
    const masters = this.#masters.flatMap(({ command, status, table }) => [command, status, table]);
    const channels = this.#channels.map((channel) => channel.save());
    return [
      ...masters,
      ...channels.map(({ length }) => length),
      ...channels.flat(),
      ...(this.#parts.disk?.save() ?? []),
    ];
  }

  load(values: readonly number[]): void {
    let at = 0;
    const take = (count: number): readonly number[] => {
      at += count;
      return values.slice(at - count, at);
    };
    for (const master of this.#masters) {
      [master.command, master.status, master.table] = take(3) as [number, number, number];
    }
    const lengths = take(this.#channels.length);
    this.#channels.forEach((channel, index) => {
      channel.load(take(lengths[index] as number));
    });
    this.#parts.disk?.load(values.slice(at));
  }

  #command(index: number, value: number): void {
    const master = this.#masters[index] as BusMaster;
    const starts = (value & START) !== 0 && (master.command & START) === 0;
    master.command = value & (START | TO_MEMORY);
    if (!starts) {
      if ((value & START) === 0) master.status &= ~ACTIVE;
      return;
    }
    master.status |= ACTIVE;
    if (master.ready) (this.#channels[index] as AtaChannel).startDma();
  }
}
