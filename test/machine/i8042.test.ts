/** The keyboard controller against the IBM PS/2 technical reference, through the commands that drivers probe it with. */
import { beforeEach, describe, expect, it } from 'vitest';
import { I8042 } from '../../src/machine/i8042.ts';
import { MachinePortBus } from '../../src/machine/port-bus.ts';

const FULL = 0x01;
const AUXILIARY = 0x20;

let ports: MachinePortBus;
let chip: I8042;
let edges: number[];
let lines: Record<number, boolean>;
let resets: number;

const status = (): number => ports.read(0x64, 1);
const command = (value: number, ...data: readonly number[]): void => {
  ports.write(0x64, value, 1);
  for (const byte of data) ports.write(0x60, byte, 1);
};
/** All bytes that wait. */
function drain(): number[] {
  const bytes: number[] = [];
  while ((status() & FULL) !== 0) bytes.push(ports.read(0x60, 1));
  return bytes;
}
const keyboard = (...bytes: readonly number[]): number[] =>
  bytes.flatMap((byte) => {
    ports.write(0x60, byte, 1);
    return drain();
  });
const mouse = (...bytes: readonly number[]): number[] =>
  bytes.flatMap((byte) => {
    command(0xd4, byte);
    return drain();
  });

beforeEach(() => {
  ports = new MachinePortBus();
  edges = [];
  lines = {};
  resets = 0;
  chip = new I8042({
    setLine: (irq, level) => {
      if (level && lines[irq] !== true) edges.push(irq);
      lines[irq] = level;
    },
    reset: () => {
      resets++;
    },
  });
  chip.attach(ports);
});

describe('controller commands', () => {
  it.each([
    ['self-test', 0xaa, [0x55]],
    ['keyboard interface test', 0xab, [0x00]],
    ['auxiliary interface test', 0xa9, [0x00]],
    ['command byte as firmware leaves it', 0x20, [0x65]],
    ['input port', 0xc0, [0xa0]],
    ['output port: not reset, A20 on', 0xd0, [0x03]],
  ])('%s', (_, value, expected) => {
    command(value);
    expect(drain()).toEqual(expected);
    expect(edges).toEqual([]);
  });

  it('the command byte is read back, and the controller RAM behind it', () => {
    command(0x60, 0x47);
    command(0x7f, 0x99);
    command(0x20);
    expect(drain()).toEqual([0x47]);
    command(0x3f);
    expect(drain()).toEqual([0x99]);
  });

  it('disabling and enabling the devices shows in the command byte', () => {
    for (const [value, expected] of [
      [0xad, 0x75],
      [0xa8, 0x55],
      [0xae, 0x45],
      [0xa7, 0x65],
    ] as const) {
      command(value);
      command(0x20);
      expect(drain()).toEqual([expected]);
    }
  });

  it('status: not locked, tested, and whether the last byte was a command', () => {
    expect(status()).toBe(0x14);
    command(0xae);
    expect(status()).toBe(0x1c);
    ports.write(0x60, 0xee, 1);
    expect(status()).toBe(0x15);
  });

  it('bytes written to the output buffers come back, the auxiliary one marked', () => {
    command(0x60, 0x47);
    command(0xd2, 0x5a);
    expect(status() & (FULL | AUXILIARY)).toBe(FULL);
    expect(drain()).toEqual([0x5a]);
    command(0xd3, 0xa5);
    expect(status() & (FULL | AUXILIARY)).toBe(FULL | AUXILIARY);
    expect(drain()).toEqual([0xa5]);
    expect(edges).toEqual([1, 12]);
  });

  it('the output port keeps the A20 gate', () => {
    command(0xd1, 0xdd);
    command(0xd0);
    expect(drain()).toEqual([0xcd]);
    command(0xd1, 0xdf);
    command(0xd0);
    expect(drain()).toEqual([0xcf]);
    expect(resets).toBe(0);
  });

  it.each([
    ['pulsing line 0', [0xfe]],
    ['writing the output port with line 0 low', [0xd1, 0xde]],
  ])('%s resets', (_, bytes) => {
    command(bytes[0]!, ...bytes.slice(1));
    expect(resets).toBe(1);
  });

  it('pulsing the other lines does not', () => {
    command(0xff);
    command(0xfd);
    expect(resets).toBe(0);
  });
});

describe('keyboard', () => {
  it.each([
    ['echo', [0xee], [0xee]],
    ['reset', [0xff], [0xfa, 0xaa]],
    ['identify, translated', [0xf2], [0xfa, 0xab, 0x41]],
    ['LEDs', [0xed, 0x07], [0xfa, 0xfa]],
    ['typematic rate', [0xf3, 0x20], [0xfa, 0xfa]],
    ['which scan code set', [0xf0, 0x00], [0xfa, 0xfa, 0x02]],
    ['enable, disable, defaults', [0xf4, 0xf5, 0xf6], [0xfa, 0xfa, 0xfa]],
    ['an unknown command', [0xe1], [0xfe]],
  ])('%s', (_, bytes, expected) => {
    expect(keyboard(...bytes)).toEqual(expected);
    expect(edges).toEqual(expected.map(() => 1));
  });

  it('identifies itself untranslated if translation is off', () => {
    command(0x60, 0x25);
    expect(keyboard(0xf2)).toEqual([0xfa, 0xab, 0x83]);
  });

  it('disabled, it is not heard until it is enabled', () => {
    command(0xad);
    expect(keyboard(0xee)).toEqual([]);
    command(0xae);
    expect(drain()).toEqual([0xee]);
  });

  it('its interrupt is the one the command byte enables', () => {
    command(0x60, 0x64);
    expect(keyboard(0xff)).toEqual([0xfa, 0xaa]);
    expect(edges).toEqual([]);
  });
});

describe('mouse', () => {
  beforeEach(() => command(0x60, 0x47));

  it.each([
    ['reset', [0xff], [0xfa, 0xaa, 0x00]],
    ['identify', [0xf2], [0xfa, 0x00]],
    ['status', [0xe9], [0xfa, 0x00, 0x02, 0x64]],
    ['sample rate', [0xf3, 0xc8], [0xfa, 0xfa]],
    ['resolution', [0xe8, 0x03], [0xfa, 0xfa]],
    ['an unknown command', [0xe1], [0xfe]],
  ])('%s', (_, bytes, expected) => {
    expect(mouse(...bytes)).toEqual(expected);
    expect(edges).toEqual(expected.map(() => 12));
  });
});

it('is restored with bytes that wait', () => {
  command(0x60, 0x47);
  ports.write(0x60, 0xff, 1);
  command(0xd4, 0xe9);
  const saved = chip.save();
  expect(drain()).toEqual([0xfa, 0xaa, 0xfa, 0x00, 0x02, 0x64]);
  command(0x60, 0x00);
  chip.load(saved);
  expect(chip.save()).toEqual(saved);
  expect(drain()).toEqual([0xfa, 0xaa, 0xfa, 0x00, 0x02, 0x64]);
});
