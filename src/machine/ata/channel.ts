/**
 * An ATA channel with one drive, the master (ATA/ATAPI-6): the task file at eight ports, the device control register at one,
 * and the drive's commands, by PIO and by DMA.
 *
 * The drive answers after a fixed time and moves data at a fixed rate, in virtual time: a drive with a warm cache. The guest
 * sees BSY in the meantime.
 */
import type { DeviceClock } from '../clock.ts';
import { type Disk, SECTOR_BYTES } from '../disk.ts';
import type { EventQueue } from '../events.ts';
import type { PortDevice } from '../port-bus.ts';

/** Before the first data of a command, in microseconds. */
const ACCESS_MICROSECONDS = 60;
/** Sectors that pass in a microsecond, about: 100 MB/s. */
const SECTORS_PER_MICROSECOND = 0.2;
const MICROSECONDS_PER_SECTOR = 1 / SECTORS_PER_MICROSECOND;

const BSY = 0x80;
const DRDY = 0x40;
const DSC = 0x10;
const DRQ = 0x08;
const ERR = 0x01;
const READY = DRDY | DSC;

const ABRT = 0x04;
const IDNF = 0x10;

/** Device control register. */
const HOB = 0x80;
const SRST = 0x04;
const NIEN = 0x02;
/** Device register: LBA addressing, drive 1. */
const LBA = 0x40;
const DRIVE1 = 0x10;

/** Most sectors of a block of READ MULTIPLE and WRITE MULTIPLE. */
const MOST_MULTIPLE = 16;
/** The geometry that IDENTIFY DEVICE reports for addressing by cylinder, head and sector. */
const HEADS = 16;
const SECTORS_PER_TRACK = 63;

type Kind = 'readPio' | 'writePio' | 'readDma' | 'writeDma';

interface Transfer {
  readonly kind: Kind;
  /** 48-bit addressing. */
  readonly extended: boolean;
  readonly multiple: boolean;
}

const TRANSFERS: ReadonlyMap<number, Transfer> = new Map([
  [0x20, { kind: 'readPio', extended: false, multiple: false }],
  [0x21, { kind: 'readPio', extended: false, multiple: false }],
  [0x24, { kind: 'readPio', extended: true, multiple: false }],
  [0x25, { kind: 'readDma', extended: true, multiple: false }],
  [0x29, { kind: 'readPio', extended: true, multiple: true }],
  [0x30, { kind: 'writePio', extended: false, multiple: false }],
  [0x31, { kind: 'writePio', extended: false, multiple: false }],
  [0x34, { kind: 'writePio', extended: true, multiple: false }],
  [0x35, { kind: 'writeDma', extended: true, multiple: false }],
  [0x39, { kind: 'writePio', extended: true, multiple: true }],
  [0xc4, { kind: 'readPio', extended: false, multiple: true }],
  [0xc5, { kind: 'writePio', extended: false, multiple: true }],
  [0xc8, { kind: 'readDma', extended: false, multiple: false }],
  [0xc9, { kind: 'readDma', extended: false, multiple: false }],
  [0xca, { kind: 'writeDma', extended: false, multiple: false }],
  [0xcb, { kind: 'writeDma', extended: false, multiple: false }],
]);

/** Commands that do nothing to what is modelled: calibrate, verify, flush, power modes, geometry. */
const NO_EFFECT: ReadonlySet<number> = new Set([
  ...[0x10, 0x40, 0x41, 0x42, 0x91, 0xe0, 0xe1, 0xe2, 0xe3, 0xe6, 0xe7, 0xea],
]);
const IDENTIFY = 0xec;
const DIAGNOSE = 0x90;
const SET_MULTIPLE = 0xc6;
const SET_FEATURES = 0xef;
const CHECK_POWER = 0xe5;
const NATIVE_MAXIMUM = 0xf8;
/** SET FEATURES subcommands that are accepted: write cache, transfer mode, look-ahead. */
const FEATURES: ReadonlySet<number> = new Set([0x02, 0x03, 0x55, 0x82, 0xaa]);

/** What the bus master does for a DMA command: moves the data between the channel and memory; false if it could not. */
export interface DmaEngine {
  /** The bus master has been started. */
  readonly ready: boolean;
  toMemory(data: Uint8Array): void;
  fromMemory(into: Uint8Array): void;
  /** The command is over. */
  finished(): void;
}

export interface ChannelParts {
  /** One tick a microsecond. */
  readonly clock: DeviceClock;
  readonly events: EventQueue;
  readonly setLine: (level: boolean) => void;
  readonly disk: Disk | null;
}

export class AtaChannel implements PortDevice {
  dma: DmaEngine | null = null;
  readonly #parts: ChannelParts;
  readonly #source: number;
  readonly #base: number;
  #features = 0;
  /** Sector count, LBA low, mid, high: what was written last, and what before that. */
  #registers = [1, 1, 0, 0];
  #previous = [0, 0, 0, 0];
  #device = 0;
  #status: number = READY;
  #error = 1;
  #control = 0;
  #interrupt = false;
  #multiple = 0;
  /** The command that is being carried out, 0 for none. */
  #command = 0;
  #sector = 0;
  #left = 0;
  #buffer = new Uint8Array(0);
  #position = 0;
  /** A DMA command waits for the bus master. */
  #waiting = false;

  /** `base` is the first of the eight ports of the task file. */
  constructor(base: number, parts: ChannelParts) {
    this.#base = base;
    this.#parts = parts;
    this.#source = parts.events.register(() => this.#due());
  }

  readPort(port: number, size: number): number {
    const register = port - this.#base;
    if (register === 0) return this.#readData(size);
    const value = this.#readRegister(register);
    return size === 1 ? value : (value | 0xffffff00) >>> 0;
  }

  writePort(port: number, value: number, size: number): void {
    const register = port - this.#base;
    if (register === 0) this.#writeData(value, size);
    else this.#writeRegister(register, value & 0xff);
  }

  /** The alternate status register: reading it acknowledges nothing. */
  readAlternate(): number {
    return this.#absent() ? 0 : this.#status;
  }

  writeControl(value: number): void {
    const reset = (value & SRST) !== 0;
    if (reset && (this.#control & SRST) === 0) this.#status = BSY;
    if (!reset && (this.#control & SRST) !== 0) this.#reset();
    this.#control = value;
    this.#drive();
  }

  /** The bus master has been started: a DMA command may go on. */
  startDma(): void {
    if (this.#waiting) this.#plan(ACCESS_MICROSECONDS + this.#left * MICROSECONDS_PER_SECTOR);
  }

  save(): number[] {
    return [
      this.#features,
      ...this.#registers,
      ...this.#previous,
      this.#device,
      this.#status,
      this.#error,
      this.#control,
      this.#interrupt ? 1 : 0,
      this.#multiple,
      this.#command,
      this.#sector,
      this.#left,
      this.#position,
      this.#waiting ? 1 : 0,
      ...this.#buffer,
    ];
  }

  load(values: readonly number[]): void {
    let at = 0;
    const next = (): number => values[at++] as number;
    this.#features = next();
    this.#registers = [next(), next(), next(), next()];
    this.#previous = [next(), next(), next(), next()];
    this.#device = next();
    this.#status = next();
    this.#error = next();
    this.#control = next();
    this.#interrupt = next() !== 0;
    this.#multiple = next();
    this.#command = next();
    this.#sector = next();
    this.#left = next();
    this.#position = next();
    this.#waiting = next() !== 0;
    this.#buffer = Uint8Array.from(values.slice(at));
  }

  /** There is no drive 1, and perhaps no drive at all. */
  #absent(): boolean {
    return this.#parts.disk === null || (this.#device & DRIVE1) !== 0;
  }

  #readRegister(register: number): number {
    if (register === 6) return this.#device | 0xa0;
    if (register === 7) {
      this.#interrupt = false;
      this.#drive();
      return this.readAlternate();
    }
    if (this.#parts.disk === null) return 0;
    if (register === 1) return this.#error;
    const file = (this.#control & HOB) !== 0 ? this.#previous : this.#registers;
    return file[register - 2] as number;
  }

  #writeRegister(register: number, value: number): void {
    this.#control &= ~HOB;
    switch (register) {
      case 1:
        this.#features = value;
        break;
      case 6:
        this.#device = value & (LBA | DRIVE1 | 0x0f);
        break;
      case 7:
        this.#start(value);
        break;
      default:
        this.#previous[register - 2] = this.#registers[register - 2] as number;
        this.#registers[register - 2] = value;
    }
  }

  #start(command: number): void {
    if (this.#absent() || (this.#status & BSY) !== 0) return;
    this.#interrupt = false;
    this.#drive();
    this.#error = 0;
    this.#command = command;
    const transfer = TRANSFERS.get(command);
    if (transfer !== undefined) {
      this.#startTransfer(transfer);
      return;
    }
    // Register commands take next to no time, but the interrupt comes after the write that starts them.
    this.#status = BSY;
    this.#plan(1);
  }

  #startTransfer({ kind, extended, multiple }: Transfer): void {
    const { disk } = this.#parts;
    this.#sector = this.#address(extended);
    const count = extended
      ? ((this.#previous[0] as number) << 8) | (this.#registers[0] as number)
      : (this.#registers[0] as number);
    this.#left = count === 0 ? (extended ? 65536 : 256) : count;
    if ((multiple && this.#multiple === 0) || this.#sector + this.#left > (disk as Disk).size) {
      this.#status = BSY;
      this.#left = 0;
      this.#error = multiple && this.#multiple === 0 ? ABRT : IDNF;
      this.#plan(1);
      return;
    }
    this.#status = BSY;
    if (kind === 'writePio') this.#askForData();
    else if (kind === 'readPio')
      this.#plan(ACCESS_MICROSECONDS + this.#blockSectors(multiple) * MICROSECONDS_PER_SECTOR);
    else {
      this.#waiting = true;
      this.#status = READY | DRQ;
      if (this.dma?.ready === true) this.startDma();
    }
  }

  /** The first sector that the registers name. */
  #address(extended: boolean): number {
    const [, low = 0, mid = 0, high = 0] = this.#registers;
    if (extended) {
      const [, low2 = 0, mid2 = 0, high2 = 0] = this.#previous;
      return low + mid * 0x100 + high * 0x10000 + low2 * 0x1000000 + mid2 * 0x100000000 + high2 * 0x10000000000;
    }
    if ((this.#device & LBA) !== 0) return low + (mid << 8) + (high << 16) + (this.#device & 0x0f) * 0x1000000;
    const cylinder = mid | (high << 8);
    return (cylinder * HEADS + (this.#device & 0x0f)) * SECTORS_PER_TRACK + low - 1;
  }

  #blockSectors(multiple: boolean): number {
    return Math.min(this.#left, multiple ? this.#multiple : 1);
  }

  #plan(microseconds: number): void {
    const { clock, events } = this.#parts;
    events.schedule(this.#source, clock.cyclesAt(clock.ticks() + Math.ceil(microseconds)));
  }

  /** The time of the command's next step has come. */
  #due(): void {
    const transfer = TRANSFERS.get(this.#command);
    if (this.#error !== 0) this.#complete();
    else if (transfer === undefined) this.#register(this.#command);
    else if (transfer.kind === 'readPio') this.#presentData(transfer.multiple);
    else if (transfer.kind === 'writePio') this.#takeData();
    else this.#moveByDma(transfer.kind);
  }

  #presentData(multiple: boolean): void {
    const disk = this.#parts.disk as Disk;
    const count = this.#blockSectors(multiple);
    this.#buffer = new Uint8Array(count * SECTOR_BYTES);
    disk.read(this.#sector, this.#buffer);
    this.#sector += count;
    this.#left -= count;
    this.#position = 0;
    this.#status = READY | DRQ;
    this.#raise();
  }

  #askForData(): void {
    const multiple = (TRANSFERS.get(this.#command) as Transfer).multiple;
    this.#buffer = new Uint8Array(this.#blockSectors(multiple) * SECTOR_BYTES);
    this.#position = 0;
    this.#status = READY | DRQ;
  }

  #takeData(): void {
    const disk = this.#parts.disk as Disk;
    disk.write(this.#sector, this.#buffer);
    const count = this.#buffer.length / SECTOR_BYTES;
    this.#sector += count;
    this.#left -= count;
    if (this.#left === 0) {
      this.#complete();
      return;
    }
    this.#askForData();
    this.#raise();
  }

  #moveByDma(kind: Kind): void {
    const disk = this.#parts.disk as Disk;
    const data = new Uint8Array(this.#left * SECTOR_BYTES);
    if (kind === 'readDma') {
      disk.read(this.#sector, data);
      this.dma?.toMemory(data);
    } else {
      this.dma?.fromMemory(data);
      disk.write(this.#sector, data);
    }
    this.#left = 0;
    this.#waiting = false;
    this.dma?.finished();
    this.#complete();
  }

  #complete(): void {
    this.#buffer = new Uint8Array(0);
    this.#status = READY | (this.#error !== 0 ? ERR : 0);
    this.#raise();
  }

  #readData(size: number): number {
    let value = 0;
    for (let i = 0; i < size; i++) value |= (this.#buffer[this.#position + i] ?? 0) << (8 * i);
    if ((this.#status & DRQ) === 0) return value >>> 0;
    this.#position += size;
    if (this.#position < this.#buffer.length) return value >>> 0;
    this.#buffer = new Uint8Array(0);
    const transfer = TRANSFERS.get(this.#command);
    if (transfer === undefined || this.#left === 0) this.#status = READY;
    else {
      this.#status = BSY;
      this.#plan(this.#blockSectors(transfer.multiple) * MICROSECONDS_PER_SECTOR);
    }
    return value >>> 0;
  }

  #writeData(value: number, size: number): void {
    if ((this.#status & DRQ) === 0 || this.#waiting) return;
    for (let i = 0; i < size; i++) this.#buffer[this.#position + i] = value >>> (8 * i);
    this.#position += size;
    if (this.#position < this.#buffer.length) return;
    this.#status = BSY;
    this.#plan((this.#buffer.length / SECTOR_BYTES) * MICROSECONDS_PER_SECTOR);
  }

  /** Commands without a transfer between drive and disk. */
  #register(command: number): void {
    switch (command) {
      case IDENTIFY:
        this.#buffer = identify(this.#parts.disk as Disk, this.#multiple);
        this.#position = 0;
        this.#status = READY | DRQ;
        this.#raise();
        return;
      case DIAGNOSE:
        this.#signature();
        break;
      case SET_MULTIPLE: {
        const count = this.#registers[0] as number;
        if (count > MOST_MULTIPLE || (count & (count - 1)) !== 0) this.#error = ABRT;
        else this.#multiple = count;
        break;
      }
      case SET_FEATURES:
        if (!FEATURES.has(this.#features)) this.#error = ABRT;
        break;
      case CHECK_POWER:
        this.#registers[0] = 0xff;
        break;
      case NATIVE_MAXIMUM: {
        const last = (this.#parts.disk as Disk).size - 1;
        this.#registers = [0, last & 0xff, (last >>> 8) & 0xff, (last >>> 16) & 0xff];
        this.#device = (this.#device & ~0x0f) | ((last >>> 24) & 0x0f);
        break;
      }
      default:
        if (!NO_EFFECT.has(command)) this.#error = ABRT;
    }
    this.#complete();
  }

  /** What a drive that is not a packet device leaves in its registers (ATA/ATAPI-6, 9.12). */
  #signature(): void {
    this.#registers = [1, 1, 0, 0];
    this.#previous = [0, 0, 0, 0];
    this.#device = 0;
    this.#error = 1;
  }

  #reset(): void {
    this.#parts.events.cancel(this.#source);
    this.#waiting = false;
    this.#interrupt = false;
    this.#buffer = new Uint8Array(0);
    this.#left = 0;
    this.#multiple = 0;
    this.#status = READY;
    this.#signature();
  }

  #raise(): void {
    this.#interrupt = true;
    this.#drive();
  }

  #drive(): void {
    this.#parts.setLine(this.#interrupt && (this.#control & NIEN) === 0 && !this.#absent());
  }
}

/** The 512 bytes of IDENTIFY DEVICE (ATA/ATAPI-6, table 27). */
function identify(disk: Disk, multiple: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(SECTOR_BYTES);
  const view = new DataView(bytes.buffer);
  const word = (index: number, value: number): void => view.setUint16(2 * index, value, true);
  const double = (index: number, value: number): void => view.setUint32(2 * index, value >>> 0, true);
  const text = (index: number, words: number, value: string): void => {
    // Characters are swapped in pairs.
    const padded = value.padEnd(2 * words);
    for (let i = 0; i < words; i++) word(index + i, (padded.charCodeAt(2 * i) << 8) | padded.charCodeAt(2 * i + 1));
  };
  const small = Math.min(disk.size, 0x0fffffff);
  const cylinders = Math.min(16383, Math.floor(disk.size / (HEADS * SECTORS_PER_TRACK)));
  word(0, 0x0040);
  word(1, cylinders);
  word(3, HEADS);
  word(6, SECTORS_PER_TRACK);
  text(10, 10, 'TRIVISOR0001');
  text(23, 4, '1.0');
  text(27, 20, 'TRIVISOR DISK');
  word(47, 0x8000 | MOST_MULTIPLE);
  // LBA, DMA, IORDY.
  word(49, 0x0b00);
  word(51, 0x0200);
  word(53, 0x0007);
  word(54, cylinders);
  word(55, HEADS);
  word(56, SECTORS_PER_TRACK);
  double(57, cylinders * HEADS * SECTORS_PER_TRACK);
  word(59, multiple === 0 ? 0 : 0x100 | multiple);
  double(60, small);
  // Multiword DMA 0-2, PIO 3-4, 120 ns cycles.
  word(63, 0x0407);
  word(64, 0x0003);
  for (let index = 65; index <= 68; index++) word(index, 120);
  // ATA-4 to ATA-6.
  word(80, 0x0070);
  // Flush cache, flush cache ext, 48-bit addresses; write cache, look-ahead.
  word(82, 0x0060);
  word(83, 0x7400);
  word(84, 0x4000);
  word(85, 0x0060);
  word(86, 0x3400);
  word(87, 0x4000);
  // Ultra DMA 0-2, mode 2 selected.
  word(88, 0x0407);
  word(93, 0x600b);
  double(100, disk.size);
  return bytes;
}
