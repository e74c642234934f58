/** The IDE channels as a driver uses them: protocols of ATA/ATAPI-6 (section 9), bus master of Intel 290550 (2.7). */
import { describe, expect, test } from 'vitest';
import { IdeController } from '../../src/machine/ata/ide-controller.ts';
import { Disk, SECTOR_BYTES } from '../../src/machine/disk.ts';
import { DeviceBench } from '../support/device-bench.ts';
import { Random } from '../support/random.ts';

const SECTORS = 300;
const IRQ = 14;
const LONG = 100_000;
const [DATA, ERROR, COUNT, LOW, MID, HIGH, DEVICE, COMMAND] = [0x1f0, 0x1f1, 0x1f2, 0x1f3, 0x1f4, 0x1f5, 0x1f6, 0x1f7];
const STATUS = COMMAND;
const ALTERNATE = 0x3f6;
const [BSY, DRDY, DRQ, ERR] = [0x80, 0x40, 0x08, 0x01];
const BUS_MASTER = 0xc000;

function setUp(): { bench: DeviceBench; ide: IdeController; image: Uint8Array } {
  const bench = new DeviceBench();
  const random = new Random(5);
  const image = Uint8Array.from({ length: SECTORS * SECTOR_BYTES }, () => random.next());
  const ide = new IdeController({
    clock: bench.clock,
    events: bench.events,
    memory: () => bench.memory,
    setLine: (irq, level) => bench.setLine(irq, level),
    disk: new Disk(image.slice()),
  });
  ide.attach(bench.ports);
  ide.config.write(0x20, BUS_MASTER, 4);
  ide.config.write(0x04, 5, 2);
  return { bench, ide, image };
}

function issue({ ports }: DeviceBench, command: number, lba: number, count: number): void {
  ports.write(DEVICE, 0x40 | (lba >>> 24), 1);
  ports.write(COUNT, count, 1);
  ports.write(LOW, lba & 0xff, 1);
  ports.write(MID, (lba >>> 8) & 0xff, 1);
  ports.write(HIGH, (lba >>> 16) & 0xff, 1);
  ports.write(COMMAND, command, 1);
}

function readBlock({ ports }: DeviceBench, sectors = 1): Uint8Array {
  const words = Uint16Array.from({ length: (sectors * SECTOR_BYTES) / 2 }, () => ports.read(DATA, 2));
  return new Uint8Array(words.buffer);
}

describe('PIO', () => {
  test('reads a sector for each interrupt, busy in between', () => {
    const { bench, image } = setUp();
    issue(bench, 0x20, 7, 2);
    expect(bench.ports.read(ALTERNATE, 1) & BSY).toBe(BSY);
    for (const sector of [7, 8]) {
      bench.pass(LONG);
      expect(bench.line(IRQ)).toBe(true);
      expect(bench.ports.read(ALTERNATE, 1)).toBe(DRDY | 0x10 | DRQ);
      expect(bench.line(IRQ)).toBe(true);
      bench.ports.read(STATUS, 1);
      expect(bench.line(IRQ)).toBe(false);
      expect(readBlock(bench)).toEqual(image.slice(sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES));
    }
    expect(bench.ports.read(STATUS, 1) & (BSY | DRQ)).toBe(0);
    bench.pass(LONG);
    expect(bench.line(IRQ)).toBe(false);
  });

  test('reads several sectors at once after SET MULTIPLE MODE', () => {
    const { bench, image } = setUp();
    issue(bench, 0xc4, 0, 5);
    bench.pass(LONG);
    expect(bench.ports.read(STATUS, 1) & ERR).toBe(ERR);
    issue(bench, 0xc6, 0, 4);
    bench.pass(LONG);
    issue(bench, 0xc4, 10, 5);
    bench.pass(LONG);
    expect(readBlock(bench, 4)).toEqual(image.slice(10 * SECTOR_BYTES, 14 * SECTOR_BYTES));
    bench.pass(LONG);
    expect(readBlock(bench, 1)).toEqual(image.slice(14 * SECTOR_BYTES, 15 * SECTOR_BYTES));
    expect(bench.ports.read(STATUS, 1) & DRQ).toBe(0);
  });

  test('writes, asking for the first data without an interrupt', () => {
    const { bench } = setUp();
    issue(bench, 0x30, 3, 1);
    expect(bench.line(IRQ)).toBe(false);
    expect(bench.ports.read(STATUS, 1) & DRQ).toBe(DRQ);
    for (let i = 0; i < SECTOR_BYTES; i += 4) bench.ports.write(DATA, i * 0x01010101, 4);
    bench.pass(LONG);
    expect(bench.line(IRQ)).toBe(true);
    issue(bench, 0x20, 3, 1);
    bench.pass(LONG);
    const data = new DataView(readBlock(bench).buffer);
    expect(data.getUint32(64, true)).toBe((64 * 0x01010101) >>> 0);
  });

  test('addresses 48 bits through registers that are written twice', () => {
    const { bench, image } = setUp();
    bench.ports.write(DEVICE, 0x40, 1);
    for (const [port, values] of [
      [COUNT, [0, 1]],
      [LOW, [0, 0x05]],
      [MID, [0, 1]],
      [HIGH, [0, 0]],
    ] as const) {
      for (const value of values) bench.ports.write(port, value, 1);
    }
    bench.ports.write(COMMAND, 0x24, 1);
    bench.pass(LONG);
    expect(readBlock(bench)).toEqual(image.slice(0x105 * SECTOR_BYTES, 0x106 * SECTOR_BYTES));
  });
});

describe('DMA', () => {
  test('follows the table of regions, and latches the interrupt in the bus master', () => {
    const { bench, image } = setUp();
    bench.view.setUint32(0x100, 0x2000, true);
    bench.view.setUint32(0x104, 0x300, true);
    bench.view.setUint32(0x108, 0x8000, true);
    bench.view.setUint32(0x10c, 0x80000100, true);
    bench.ports.write(BUS_MASTER + 4, 0x100, 4);
    issue(bench, 0xc8, 20, 2);
    bench.pass(LONG);
    expect(bench.line(IRQ)).toBe(false);
    bench.ports.write(BUS_MASTER, 9, 1);
    expect(bench.ports.read(BUS_MASTER + 2, 1)).toBe(1);
    bench.pass(LONG);
    expect(bench.ports.read(BUS_MASTER + 2, 1)).toBe(4);
    expect(bench.line(IRQ)).toBe(true);
    expect(bench.ram.slice(0x2000, 0x2300)).toEqual(image.slice(20 * SECTOR_BYTES, 20 * SECTOR_BYTES + 0x300));
    expect(bench.ram.slice(0x8000, 0x8100)).toEqual(image.slice(20 * SECTOR_BYTES + 0x300, 22 * SECTOR_BYTES));
    bench.ports.write(BUS_MASTER + 2, 4, 1);
    expect(bench.ports.read(BUS_MASTER + 2, 1)).toBe(0);
  });
});

describe('what it does not do', () => {
  test('sectors beyond the end and unknown commands are errors', () => {
    const { bench } = setUp();
    issue(bench, 0x20, SECTORS - 1, 2);
    bench.pass(LONG);
    expect(bench.ports.read(STATUS, 1) & ERR).toBe(ERR);
    expect(bench.ports.read(ERROR, 1)).toBe(0x10);
    issue(bench, 0x5c, 0, 1);
    bench.pass(LONG);
    expect(bench.ports.read(ERROR, 1)).toBe(0x04);
  });

  test('there is no drive 1 and nothing on the second channel', () => {
    const { bench } = setUp();
    bench.ports.write(DEVICE, 0x50, 1);
    expect(bench.ports.read(STATUS, 1)).toBe(0);
    bench.ports.write(COMMAND, 0xec, 1);
    bench.pass(LONG);
    expect(bench.line(IRQ)).toBe(false);
    expect(bench.ports.read(0x177, 1)).toBe(0);
  });
});

test('IDENTIFY DEVICE gives size, name and modes', () => {
  const { bench } = setUp();
  issue(bench, 0xec, 0, 0);
  bench.pass(LONG);
  const data = readBlock(bench);
  const view = new DataView(data.buffer);
  expect(view.getUint32(120, true)).toBe(SECTORS);
  expect(view.getUint32(200, true)).toBe(SECTORS);
  const swapped = Array.from({ length: 13 }, (_, i) => String.fromCharCode(data[54 + (i ^ 1)]!)).join('');
  expect(swapped).toBe('TRIVISOR DISK');
  expect(view.getUint16(98, true) & 0x300).toBe(0x300);
});

test('a software reset leaves the signature of a disk', () => {
  const { bench } = setUp();
  bench.ports.write(ALTERNATE, 4, 1);
  expect(bench.ports.read(ALTERNATE, 1)).toBe(BSY);
  bench.ports.write(ALTERNATE, 0, 1);
  expect([ERROR, COUNT, LOW, MID, HIGH].map((port) => bench.ports.read(port, 1))).toEqual([1, 1, 1, 0, 0]);
});

test('nIEN keeps the interrupt from the line', () => {
  const { bench } = setUp();
  bench.ports.write(ALTERNATE, 2, 1);
  issue(bench, 0xec, 0, 0);
  bench.pass(LONG);
  expect(bench.line(IRQ)).toBe(false);
});

test('state saved in the middle of a write goes on after loading', () => {
  const first = setUp();
  issue(first.bench, 0x30, 9, 1);
  for (let i = 0; i < 128; i++) first.bench.ports.write(DATA, i, 2);
  const second = setUp();
  second.ide.load(first.ide.save());
  for (let i = 128; i < 256; i++) second.bench.ports.write(DATA, i, 2);
  second.bench.pass(LONG);
  issue(second.bench, 0x20, 9, 1);
  second.bench.pass(LONG);
  const words = new Uint16Array(readBlock(second.bench).buffer);
  expect([...words]).toEqual(Array.from({ length: 256 }, (_, i) => i));
});
