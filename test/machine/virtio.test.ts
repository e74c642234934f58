/** The virtio devices as a driver of Virtual I/O Device 1.1 uses them: initialization (3.1.1), split queues (2.6), requests (5.2.6). */
import { describe, expect, test } from 'vitest';
import { Disk, SECTOR_BYTES } from '../../src/machine/disk.ts';
import { VirtioBlock } from '../../src/machine/virtio/block.ts';
import { VirtioConsole } from '../../src/machine/virtio/console.ts';
import type { VirtioPciDevice } from '../../src/machine/virtio/pci-device.ts';
import { DeviceBench } from '../support/device-bench.ts';

const BASE = 0xe0000000;
const IRQ = 11;
const [COMMON, ISR, DEVICE, NOTIFY] = [BASE, BASE + 0x1000, BASE + 0x2000, BASE + 0x3000];
const QUEUE_BYTES = 0x1000;

/** A driver of one device: negotiates, sets its queues up, and offers chains. */
class Driver {
  readonly bench = new DeviceBench();
  readonly device: VirtioPciDevice;
  readonly #offered: number[] = [];

  constructor(make: (bench: DeviceBench) => VirtioPciDevice, queues: number) {
    this.device = make(this.bench);
    this.device.config.write(0x20, BASE, 4);
    this.device.config.write(0x04, 6, 2);
    const { mmio } = this.bench;
    mmio.write(COMMON + 0x14, 1, 1);
    mmio.write(COMMON + 0x14, 3, 1);
    for (const word of [0, 1]) {
      mmio.write(COMMON, word, 4);
      const features = mmio.read(COMMON + 4, 4);
      mmio.write(COMMON + 8, word, 4);
      mmio.write(COMMON + 0x0c, features, 4);
    }
    mmio.write(COMMON + 0x14, 0x0b, 1);
    expect(mmio.read(COMMON + 0x14, 1)).toBe(0x0b);
    for (let queue = 0; queue < queues; queue++) {
      this.#offered.push(0);
      mmio.write(COMMON + 0x16, queue, 2);
      mmio.write(COMMON + 0x18, 8, 2);
      const at = this.#at(queue);
      mmio.write(COMMON + 0x20, at, 4);
      mmio.write(COMMON + 0x28, at + 0x200, 4);
      mmio.write(COMMON + 0x30, at + 0x400, 4);
      mmio.write(COMMON + 0x1c, 1, 2);
    }
    mmio.write(COMMON + 0x14, 0x0f, 1);
  }

  #at(queue: number): number {
    return 0x1000 + queue * QUEUE_BYTES;
  }

  /** Offers a chain of buffers, each [address, bytes, device writes it]. */
  offer(queue: number, first: number, buffers: readonly (readonly [number, number, boolean])[]): void {
    const { view } = this.bench;
    const at = this.#at(queue);
    buffers.forEach(([address, bytes, writes], i) => {
      const descriptor = at + 16 * (first + i);
      const more = i + 1 < buffers.length;
      view.setUint32(descriptor, address, true);
      view.setUint32(descriptor + 4, 0, true);
      view.setUint32(descriptor + 8, bytes, true);
      view.setUint16(descriptor + 12, (more ? 1 : 0) | (writes ? 2 : 0), true);
      view.setUint16(descriptor + 14, more ? first + i + 1 : 0, true);
    });
    const index = this.#offered[queue]!;
    view.setUint16(at + 0x204 + 2 * (index % 8), first, true);
    this.#offered[queue] = index + 1;
    view.setUint16(at + 0x202, index + 1, true);
    this.bench.mmio.write(NOTIFY + 4 * queue, queue, 2);
  }

  /** [how many were used, head of the last, bytes written by it]. */
  used(queue: number): [number, number, number] {
    const { view } = this.bench;
    const at = this.#at(queue) + 0x400;
    const count = view.getUint16(at + 2, true);
    const entry = at + 4 + 8 * ((count - 1) % 8);
    return [count, view.getUint32(entry, true), view.getUint32(entry + 4, true)];
  }
}

const parts = (bench: DeviceBench) => ({
  memory: () => bench.memory,
  mmio: bench.mmio,
  irq: IRQ,
  setLine: (level: boolean) => bench.setLine(IRQ, level),
});

function blockDriver(image: Uint8Array): Driver {
  return new Driver((bench) => new VirtioBlock(new Disk(image), bench.clock, bench.events, parts(bench)), 1);
}

/** A block request at 0x8000 with its data at 0x9000 and its status at 0xa000. */
function request(driver: Driver, type: number, sector: number, bytes: number, writes: boolean): number {
  const { view } = driver.bench;
  view.setUint32(0x8000, type, true);
  view.setUint32(0x8008, sector, true);
  view.setUint8(0xa000, 0xff);
  driver.offer(0, 0, [
    [0x8000, 16, false],
    [0x9000, bytes, writes],
    [0xa000, 1, true],
  ]);
  driver.bench.pass(1000);
  return view.getUint8(0xa000);
}

describe('the block device', () => {
  test('tells its capacity', () => {
    const { bench } = blockDriver(new Uint8Array(10 * SECTOR_BYTES));
    expect(bench.mmio.read(DEVICE, 4)).toBe(10);
    expect(bench.mmio.read(DEVICE + 20, 4)).toBe(SECTOR_BYTES);
  });

  test('reads, and interrupts once the data is there', () => {
    const driver = blockDriver(Uint8Array.from({ length: 10 * SECTOR_BYTES }, (_, i) => i >>> 9));
    expect(request(driver, 0, 4, 2 * SECTOR_BYTES, true)).toBe(0);
    expect(driver.bench.ram[0x9000]).toBe(4);
    expect(driver.bench.ram[0x9000 + SECTOR_BYTES]).toBe(5);
    expect(driver.used(0)).toEqual([1, 0, 2 * SECTOR_BYTES + 1]);
    expect(driver.bench.line(IRQ)).toBe(true);
    expect(driver.bench.mmio.read(ISR, 1)).toBe(1);
    expect(driver.bench.line(IRQ)).toBe(false);
    expect(driver.bench.mmio.read(ISR, 1)).toBe(0);
  });

  test('writes, and reads back what it wrote', () => {
    const driver = blockDriver(new Uint8Array(10 * SECTOR_BYTES));
    driver.bench.ram.fill(0x5a, 0x9000, 0x9000 + SECTOR_BYTES);
    expect(request(driver, 1, 9, SECTOR_BYTES, false)).toBe(0);
    driver.bench.ram.fill(0, 0x9000, 0x9000 + SECTOR_BYTES);
    expect(request(driver, 0, 9, SECTOR_BYTES, true)).toBe(0);
    expect(driver.bench.ram[0x9000 + 511]).toBe(0x5a);
  });

  test('answers what it cannot do with a status', () => {
    const driver = blockDriver(new Uint8Array(10 * SECTOR_BYTES));
    expect(request(driver, 0, 10, SECTOR_BYTES, true)).toBe(1);
    expect(request(driver, 0, 0, 100, true)).toBe(1);
    expect(request(driver, 77, 0, SECTOR_BYTES, true)).toBe(2);
  });

  test('does not interrupt a driver that does not want it', () => {
    const driver = blockDriver(new Uint8Array(10 * SECTOR_BYTES));
    driver.bench.view.setUint16(0x1200, 1, true);
    expect(request(driver, 0, 0, SECTOR_BYTES, true)).toBe(0);
    expect(driver.bench.line(IRQ)).toBe(false);
  });

  test('a reset stops it', () => {
    const driver = blockDriver(new Uint8Array(10 * SECTOR_BYTES));
    driver.bench.mmio.write(COMMON + 0x14, 0, 1);
    expect(driver.bench.mmio.read(COMMON + 0x14, 1)).toBe(0);
    expect(request(driver, 0, 0, SECTOR_BYTES, true)).toBe(0xff);
  });

  test('a driver that does not accept version 1 is refused', () => {
    const { bench } = blockDriver(new Uint8Array(SECTOR_BYTES));
    bench.mmio.write(COMMON + 0x14, 0, 1);
    bench.mmio.write(COMMON + 0x14, 3, 1);
    bench.mmio.write(COMMON + 0x14, 0x0b, 1);
    expect(bench.mmio.read(COMMON + 0x14, 1)).toBe(3);
  });

  test('saved state goes on in another machine', () => {
    const first = blockDriver(new Uint8Array(10 * SECTOR_BYTES));
    first.bench.ram.fill(7, 0x9000, 0x9000 + SECTOR_BYTES);
    request(first, 1, 2, SECTOR_BYTES, false);
    const second = blockDriver(new Uint8Array(10 * SECTOR_BYTES));
    expect(second.device.save()).not.toEqual(first.device.save());
    second.device.load(first.device.save());
    expect(second.device.save()).toEqual(first.device.save());
    // One request has been used there; the second one offered is the next.
    second.bench.ram.set(first.bench.ram.subarray(0x1000, 0x2000), 0x1000);
    request(second, 1, 0, SECTOR_BYTES, false);
    expect(request(second, 0, 2, SECTOR_BYTES, true)).toBe(0);
    expect(second.bench.ram[0x9000]).toBe(7);
  });
});

describe('the console', () => {
  function consoleDriver(): { driver: Driver; printed: number[] } {
    const printed: number[] = [];
    const driver = new Driver((bench) => new VirtioConsole((bytes) => printed.push(...bytes), parts(bench)), 2);
    return { driver, printed };
  }

  test('prints what is transmitted', () => {
    const { driver, printed } = consoleDriver();
    driver.bench.ram.set([104, 105], 0x9000);
    driver.offer(1, 0, [[0x9000, 2, false]]);
    expect(printed).toEqual([104, 105]);
    expect(driver.used(1)).toEqual([1, 0, 0]);
    expect(driver.bench.line(IRQ)).toBe(true);
  });

  test('keeps input until there is a buffer for it', () => {
    const { driver } = consoleDriver();
    (driver.device as VirtioConsole).receive(Uint8Array.from([1, 2, 3]));
    expect(driver.bench.line(IRQ)).toBe(false);
    driver.offer(0, 0, [[0x9000, 2, true]]);
    expect(driver.used(0)).toEqual([1, 0, 2]);
    driver.offer(0, 2, [[0x9100, 16, true]]);
    expect(driver.used(0)).toEqual([2, 2, 1]);
    expect([...driver.bench.ram.slice(0x9000, 0x9002), driver.bench.ram[0x9100]]).toEqual([1, 2, 3]);
  });
});
