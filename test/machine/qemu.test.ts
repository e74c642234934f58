/**
 * The chips against QEMU's: one guest image makes the same accesses on both machines, and every value it reads and every
 * interrupt it takes must be the same. Left out is where QEMU departs from the manuals or is another part: it keeps edges on
 * masked inputs of its I/O APIC, which is a later version; it leaves the local vector table alone when the local APIC is disabled by
 * software; and it keeps the keyboard controller's "last byte was a command" after a byte of data.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { DEFAULT_PROFILE } from '../../src/cost/profiles/index.ts';
import { definition as native } from '../../src/engines/native/native.ts';
import { definition as ringCompression } from '../../src/engines/ring-compression/definition.ts';
import { definition as vtx } from '../../src/engines/vtx/definition.ts';
import { probeGuest, type Step } from '../support/probe-guest.ts';

const QEMU_MISSING = spawnSync('qemu-system-i386', ['--version']).error !== undefined;
const LIMIT = 1e11;
const LAPIC = 0xfee00000;
const IOAPIC = 0xfec00000;

const inb = (port: number): Step => ({ do: 'in', port, size: 1 });
const outb = (port: number, ...values: readonly number[]): Step[] =>
  values.map((value) => ({ do: 'out', port, value, size: 1 }));
const apicRead = (...offsets: readonly number[]): Step[] =>
  offsets.map((offset) => ({ do: 'read', address: LAPIC + offset }));
const apicWrite = (offset: number, value: number): Step => ({ do: 'write', address: LAPIC + offset, value });
const ioRead = (...indexes: readonly number[]): Step[] =>
  indexes.flatMap((index) => [
    { do: 'write', address: IOAPIC, value: index },
    { do: 'read', address: IOAPIC + 0x10 },
  ]);
const ioWrite = (index: number, value: number): Step[] => [
  { do: 'write', address: IOAPIC, value: index },
  { do: 'write', address: IOAPIC + 0x10, value },
];
const redirect = (input: number, low: number, high = 0): Step[] => [
  ...ioWrite(0x11 + 2 * input, high),
  ...ioWrite(0x10 + 2 * input, low),
];
const OPEN: Step = { do: 'open' };
const WAIT: Step = { do: 'wait' };
const EOI = apicWrite(0xb0, 0);

/** The 8259 pair with vectors 20H and 28H, all masked but `open`. */
const pic = (open: number): Step[] => [
  ...outb(0x20, 0x11),
  ...outb(0x21, 0x20, 0x04, 0x01, ~open & 0xff),
  ...outb(0xa0, 0x11),
  ...outb(0xa1, 0x28, 0x02, 0x01, (~open >>> 8) & 0xff),
];
const SOFTWARE_ENABLE = apicWrite(0xf0, 0x1ff);
const VIRTUAL_WIRE = [SOFTWARE_ENABLE, apicWrite(0x350, 0x700), apicWrite(0x360, 0x400)];
const NO_LINT0 = apicWrite(0x350, 0x10700);
const LVT_ALL = [0x320, 0x330, 0x340, 0x350, 0x360, 0x370];
const cmos = (index: number, value: number): Step[] => [...outb(0x70, index), ...outb(0x71, value)];
const cmosRead = (index: number): Step[] => [...outb(0x70, index), inb(0x71)];
/** Ends all interrupts in service, and takes those that wait. */
const settle = [EOI, OPEN, EOI, OPEN];

const PROGRAMS: Readonly<Record<string, readonly Step[]>> = {
  'local APIC registers': [
    ...pic(0),
    { do: 'rdmsr', index: 0x1b },
    ...VIRTUAL_WIRE,
    ...apicRead(0x20, 0x30, 0x80, 0xa0, 0xd0, 0xe0, 0xf0, ...LVT_ALL),
    apicWrite(0x80, 0xffffffff),
    apicWrite(0xd0, 0xffffffff),
    apicWrite(0xe0, 0),
    apicWrite(0x310, 0xab000000),
    ...apicRead(0x80, 0xa0, 0xd0, 0xe0, 0x310),
    apicWrite(0x80, 0),
    apicWrite(0x370, 0x100fe),
    apicWrite(0x330, 0x100fe),
    ...apicRead(0x370, 0x330),
    apicWrite(0x380, 0x12345678),
    ...apicRead(0x380),
    apicWrite(0x3e0, 0xb),
    ...apicRead(0x3e0),
    apicWrite(0x380, 0),
    ...apicRead(0x390),
  ],
  'self IPIs by priority': [
    ...pic(0),
    SOFTWARE_ENABLE,
    NO_LINT0,
    ...[0x41, 0x53, 0x62, 0x45, 0x6f].map((vector) => apicWrite(0x300, 0x40000 | vector)),
    ...apicRead(0x220, 0x230, 0xa0),
    OPEN,
    ...apicRead(0xa0, 0x120, 0x130, 0x220, 0x230),
    ...[1, 2, 3, 4, 5].flatMap(() => [EOI, OPEN, ...apicRead(0xa0, 0x120, 0x130, 0x220, 0x230)]),
    EOI,
    ...apicRead(0xa0),
  ],
  'task priority holds back': [
    ...pic(0),
    SOFTWARE_ENABLE,
    NO_LINT0,
    apicWrite(0x80, 0x50),
    apicWrite(0x300, 0x4005f),
    OPEN,
    ...apicRead(0xa0, 0x220),
    apicWrite(0x80, 0x4f),
    OPEN,
    ...apicRead(0xa0, 0x120),
    apicWrite(0x300, 0x4005a),
    apicWrite(0x80, 0),
    OPEN,
    ...apicRead(0xa0),
    EOI,
    OPEN,
    EOI,
    ...apicRead(0xa0),
  ],
  'IPIs by destination': [
    ...pic(0),
    SOFTWARE_ENABLE,
    NO_LINT0,
    apicWrite(0xd0, 0x06000000),
    ...[
      [0x00000000, 0x51],
      [0x01000000, 0x52],
      [0xff000000, 0x53],
      [0x02000000, 0x854],
      [0x09000000, 0x855],
      [0x00000000, 0x80056],
      [0x00000000, 0xc0057],
      [0x00000000, 0x158],
    ].flatMap(([high, low]) => [apicWrite(0x310, high!), apicWrite(0x300, low!), OPEN, ...settle]),
    apicWrite(0xe0, 0x0fffffff),
    apicWrite(0xd0, 0x24000000),
    ...[0x24, 0x14, 0x23].flatMap((destination) => [
      apicWrite(0x310, destination << 24),
      apicWrite(0x300, 0x861),
      OPEN,
      ...settle,
    ]),
    // An NMI to itself needs no open interrupt flag.
    apicWrite(0x310, 0),
    apicWrite(0x300, 0x400),
    ...apicRead(0xf0),
  ],
  'timer: one-shot, periodic, masked': [
    ...pic(0),
    SOFTWARE_ENABLE,
    NO_LINT0,
    apicWrite(0x3e0, 0xb),
    apicWrite(0x320, 0x45),
    apicWrite(0x380, 100_000),
    WAIT,
    ...apicRead(0x380, 0x390, 0x120),
    EOI,
    apicWrite(0x320, 0x20046),
    apicWrite(0x380, 1_000_000),
    WAIT,
    EOI,
    WAIT,
    apicWrite(0x320, 0x30046),
    EOI,
    apicWrite(0x380, 0),
    ...apicRead(0x320, 0x390, 0x120),
  ],
  'the 8259 pair through LINT0': [
    ...pic(0),
    ...VIRTUAL_WIRE,
    ...pic(1),
    ...outb(0x43, 0x30),
    ...outb(0x40, 0x00, 0x10),
    WAIT,
    ...apicRead(0x120, 0xa0),
    // ExtINT goes past the task priority.
    ...outb(0x20, 0x20),
    apicWrite(0x80, 0xff),
    ...outb(0x43, 0x30),
    ...outb(0x40, 0x00, 0x10),
    WAIT,
    ...outb(0x20, 0x20),
    ...pic(0),
  ],
  'I/O APIC registers': [
    ...ioWrite(0, 0xffffffff),
    ...ioRead(0),
    ...ioWrite(0, 0x01000000),
    ...redirect(5, 0x1ffff & ~0x5000, 0xff000000),
    ...ioRead(0x1a, 0x1b),
    ...redirect(23, 0x10000),
    ...ioRead(0x3e, 0x3f, 0x40, 0x0f),
    ...redirect(5, 0x10000),
  ],
  'I/O APIC edges': [
    ...pic(0),
    SOFTWARE_ENABLE,
    NO_LINT0,
    ...redirect(2, 0x71),
    ...outb(0x43, 0x30),
    ...outb(0x40, 0x00, 0x10),
    WAIT,
    ...apicRead(0x130, 0x1b0),
    EOI,
    ...redirect(2, 0x10000),
    // The keyboard's answer to a reset: two bytes, an edge each.
    ...outb(0x64, 0x60),
    ...outb(0x60, 0x45),
    ...redirect(1, 0x52),
    ...outb(0x60, 0xff),
    WAIT,
    inb(0x60),
    EOI,
    WAIT,
    inb(0x60),
    EOI,
    ...redirect(1, 0x10000),
  ],
  'I/O APIC levels: the power management timer': [
    ...pic(0),
    SOFTWARE_ENABLE,
    NO_LINT0,
    ...redirect(9, 0x8069),
    { do: 'out', port: 0x600, value: 0xffff, size: 2 },
    { do: 'out', port: 0x602, value: 1, size: 2 },
    WAIT,
    ...ioRead(0x22),
    ...apicRead(0x130, 0x1b0),
    EOI,
    OPEN,
    // Cleared, and ended: nothing more.
    { do: 'out', port: 0x600, value: 1, size: 2 },
    { do: 'out', port: 0x602, value: 0, size: 2 },
    EOI,
    OPEN,
    ...ioRead(0x22),
    ...redirect(9, 0x10000),
  ],
  'real-time clock': [
    ...pic(0),
    SOFTWARE_ENABLE,
    NO_LINT0,
    ...cmosRead(0x0d),
    ...cmosRead(0x0f),
    ...cmosRead(0x32),
    // Set the time, and read it back in every format while it stands still.
    ...cmos(0x0b, 0x82),
    ...[
      [9, 0x24],
      [8, 0x02],
      [7, 0x28],
      [4, 0x23],
      [2, 0x59],
      [0, 0x58],
    ].flatMap(([index, value]) => cmos(index!, value!)),
    ...[0, 2, 4, 7, 8, 9].flatMap(cmosRead),
    // The periodic interrupt, through input 8.
    ...cmos(0x0a, 0x26),
    ...redirect(8, 0x78),
    { do: 'out', port: 0x70, value: 0x0c, size: 1 },
    { do: 'drop', port: 0x71 },
    ...cmos(0x0b, 0x42),
    WAIT,
    ...apicRead(0x130),
    ...outb(0x70, 0x0c),
    { do: 'drop', port: 0x71 },
    EOI,
    WAIT,
    ...cmos(0x0b, 0x02),
    ...outb(0x70, 0x0c),
    { do: 'drop', port: 0x71 },
    ...cmosRead(0x0c),
    EOI,
    ...redirect(8, 0x10000),
  ],
  'keyboard controller': [
    ...pic(0),
    ...[0xaa, 0xab, 0xa9].flatMap((command) => [...outb(0x64, command), inb(0x60)]),
    ...outb(0x64, 0x60),
    ...outb(0x60, 0x44),
    ...outb(0x64, 0x20),
    inb(0x60),
    inb(0x64),
    ...outb(0x64, 0xa8, 0xd3),
    ...outb(0x60, 0x5a),
    inb(0x60),
    ...outb(0x64, 0xd2),
    ...outb(0x60, 0xa5),
    inb(0x60),
    // Keyboard: defaults, identity, LEDs; mouse: identity.
    ...[0xf6, 0xf2].flatMap((command) => [...outb(0x60, command), inb(0x60)]),
    inb(0x60),
    inb(0x60),
    ...outb(0x60, 0xed),
    inb(0x60),
    ...outb(0x60, 0x02),
    inb(0x60),
    ...outb(0x64, 0xd4),
    ...outb(0x60, 0xf2),
    inb(0x60),
    inb(0x60),
    ...outb(0x64, 0xd4),
    ...outb(0x60, 0xf3),
    inb(0x60),
    ...outb(0x64, 0xd4),
    ...outb(0x60, 0x64),
    inb(0x60),
    inb(0x92),
  ],
};

function onQemu(image: Uint8Array): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'trivisor-qemu-'));
  try {
    const path = join(folder, 'probe.elf');
    writeFileSync(path, image);
    const options = ['-M', 'pc', '-m', '64', '-display', 'none', '-serial', 'stdio', '-monitor', 'none', '-no-reboot'];
    const exit = ['-device', 'isa-debug-exit,iobase=0xf4,iosize=4'];
    const run = spawnSync('qemu-system-i386', [...options, ...exit, '-kernel', path], {
      encoding: 'latin1',
      timeout: 60_000,
    });
    return run.stdout.trim().split('\n');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function onTrivisor(image: Uint8Array, engine: typeof native): string[] {
  const made = engine.create({
    profile: DEFAULT_PROFILE,
    variation: [],
    ramBytes: 16 << 20,
    image,
    commandLine: '',
  });
  expect(made.run(LIMIT)).toEqual({ kind: 'exit', status: 0 });
  return made.machine.consoleText().trim().split('\n');
}

describe.each(Object.entries(PROGRAMS))('%s', (_, steps) => {
  const image = probeGuest(steps);
  test.skipIf(QEMU_MISSING)('as on QEMU (skipped without qemu-system-i386)', () => {
    expect(onTrivisor(image, native)).toEqual(onQemu(image));
  });

  test.each([vtx, ringCompression])('under $name as natively', (engine) => {
    expect(onTrivisor(image, engine)).toEqual(onTrivisor(image, native));
  });
});
