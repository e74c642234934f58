/** The I/O APIC against the 82093AA data sheet (Intel 290566): registers, redirection, level interrupts and their end. */
import { beforeEach, describe, expect, it } from 'vitest';
import { TIME_WORDS } from '../../src/core/state.ts';
import { EventQueue } from '../../src/machine/events.ts';
import { IoApic } from '../../src/machine/io-apic.ts';
import { LocalApic } from '../../src/machine/local-apic.ts';
import { MachineMmioBus } from '../../src/machine/mmio-bus.ts';

const BASE = 0xfec00000;
const LOCAL = 0xfee00000;
const LEVEL = 0x8000;
const ACTIVE_LOW = 0x2000;
const REMOTE_IRR = 0x4000;
const MASKED = 0x10000;

let mmio: MachineMmioBus;
let local: LocalApic;
let io: IoApic;
let interrupt: boolean;
let nmis: number;

function read(index: number): number {
  mmio.write(BASE, index, 4);
  return mmio.read(BASE + 0x10, 4);
}
function write(index: number, value: number): void {
  mmio.write(BASE, index, 4);
  mmio.write(BASE + 0x10, value, 4);
}
const entry = (input: number, low: number, destination = 0): void => {
  write(0x11 + 2 * input, destination << 24);
  write(0x10 + 2 * input, low);
};
const end = (): void => mmio.write(LOCAL + 0xb0, 0, 4);
function take(): number {
  return interrupt ? local.acknowledge() : -1;
}

beforeEach(() => {
  mmio = new MachineMmioBus();
  interrupt = false;
  nmis = 0;
  local = new LocalApic({
    clock: { ticks: () => 0, cyclesAt: () => 0, cycles: () => 0, tscBase: () => 0 },
    events: new EventQueue(new Float64Array(TIME_WORDS), () => {}),
    mmio,
    tscDeadline: false,
    physicalBits: 36,
    onInterrupt: (level) => {
      interrupt = level;
    },
    onNmi: () => {
      nmis++;
    },
    acknowledgeExternal: () => 0x20,
    onEndOfInterrupt: (vector) => io.endOfInterrupt(vector),
  });
  io = new IoApic(local);
  io.attach(mmio);
  mmio.write(LOCAL + 0xf0, 0x1ff, 4);
});

describe('registers (3.2)', () => {
  it('version 11H with 24 entries, all masked', () => {
    expect(read(1)).toBe(0x00170011);
    for (let input = 0; input < 24; input++)
      expect([read(0x10 + 2 * input), read(0x11 + 2 * input)]).toEqual([MASKED, 0]);
  });

  it('the identifier has four bits and is the arbitration identifier too', () => {
    write(0, 0xffffffff);
    expect([read(0), read(2)]).toEqual([0x0f000000, 0x0f000000]);
    write(2, 0);
    expect(read(2)).toBe(0x0f000000);
  });

  it('delivery status and remote IRR are read-only', () => {
    entry(5, 0xffffffff, 0xff);
    expect([read(0x1a), read(0x1b)]).toEqual([0x1afff, 0xff000000]);
  });

  it.each([3, 0x0f, 0x40, 0xff])('register %x does not exist', (index) => {
    write(index, 0xffffffff);
    expect(read(index)).toBe(0);
  });
});

describe('edge-triggered', () => {
  it('one message a rising edge', () => {
    entry(4, 0x44);
    io.setLine(4, true);
    expect(take()).toBe(0x44);
    end();
    io.setLine(4, true);
    io.setLine(4, false);
    expect(interrupt).toBe(false);
    io.setLine(4, true);
    expect(take()).toBe(0x44);
  });

  it('active low: the falling edge counts', () => {
    io.setLine(4, true);
    entry(4, ACTIVE_LOW | 0x44);
    expect(interrupt).toBe(false);
    io.setLine(4, false);
    expect(take()).toBe(0x44);
  });

  it('an edge on a masked input is lost (3.2.4)', () => {
    entry(4, MASKED | 0x44);
    io.setLine(4, true);
    entry(4, 0x44);
    expect(interrupt).toBe(false);
  });
});

describe('level-triggered', () => {
  beforeEach(() => entry(9, LEVEL | 0x49));

  it('remote IRR from the message to the EOI, and again while asserted', () => {
    io.setLine(9, true);
    expect(read(0x10 + 18) & REMOTE_IRR).toBe(REMOTE_IRR);
    expect(take()).toBe(0x49);
    expect(interrupt).toBe(false);
    end();
    expect(take()).toBe(0x49);
    io.setLine(9, false);
    end();
    expect(interrupt).toBe(false);
    expect(read(0x10 + 18) & REMOTE_IRR).toBe(0);
  });

  it('unmasking finds the asserted level', () => {
    entry(9, MASKED | LEVEL | 0x49);
    io.setLine(9, true);
    expect(interrupt).toBe(false);
    entry(9, LEVEL | 0x49);
    expect(take()).toBe(0x49);
  });

  it('masked between message and EOI: not again', () => {
    io.setLine(9, true);
    take();
    entry(9, MASKED | LEVEL | 0x49);
    end();
    expect(interrupt).toBe(false);
    expect(read(0x10 + 18) & REMOTE_IRR).toBe(0);
  });

  it('an EOI of another vector leaves it', () => {
    entry(3, 0x53);
    io.setLine(9, true);
    io.setLine(3, true);
    expect(take()).toBe(0x53);
    end();
    expect(read(0x10 + 18) & REMOTE_IRR).toBe(REMOTE_IRR);
  });

  it('without a local APIC that takes it there is no remote IRR, and it is offered again', () => {
    entry(9, LEVEL | 0x49, 7);
    io.setLine(9, true);
    expect(read(0x10 + 18) & REMOTE_IRR).toBe(0);
    entry(9, LEVEL | 0x49, 0);
    expect(take()).toBe(0x49);
  });
});

describe('delivery modes and destinations', () => {
  it('lowest priority goes to the one processor', () => {
    entry(4, 0x144, 0);
    io.setLine(4, true);
    expect(take()).toBe(0x44);
  });

  it('logical destination', () => {
    mmio.write(LOCAL + 0xd0, 0x02000000, 4);
    entry(4, 0x844, 0x05);
    entry(5, 0x855, 0x03);
    io.setLine(4, true);
    io.setLine(5, true);
    expect([take(), interrupt]).toEqual([0x55, false]);
  });

  it('NMI is an edge whatever the trigger mode', () => {
    entry(4, LEVEL | 0x400);
    io.setLine(4, true);
    io.setLine(4, false);
    io.setLine(4, true);
    expect(nmis).toBe(2);
  });

  it('ExtINT asks for the acknowledge cycle of the 8259 pair as long as it is asserted', () => {
    entry(0, 0x700);
    io.setLine(0, true);
    expect(take()).toBe(0x20);
    expect(interrupt).toBe(true);
    io.setLine(0, false);
    expect(interrupt).toBe(false);
    io.setLine(0, true);
    entry(0, MASKED | 0x700);
    expect(interrupt).toBe(false);
  });

  it("a vector below 16 is the local APIC's error", () => {
    entry(4, 0x0f);
    io.setLine(4, true);
    mmio.write(LOCAL + 0x280, 0, 4);
    expect([interrupt, mmio.read(LOCAL + 0x280, 4)]).toEqual([false, 0x40]);
  });
});

it('is restored with its table and lines', () => {
  entry(9, LEVEL | 0x49, 3);
  io.setLine(9, true);
  write(0, 0x05000000);
  const saved = io.save();
  io.load(new IoApic(local).save());
  expect(read(0x10 + 18)).toBe(MASKED);
  io.load(saved);
  expect(io.save()).toEqual(saved);
  expect([read(0), read(0x10 + 18), read(0x11 + 18)]).toEqual([0x05000000, LEVEL | 0x49, 0x03000000]);
});
