/** Port space, register space and the event queue. */
import { expect, it } from 'vitest';
import { CYCLES, NEXT_EVENT, TIME_WORDS } from '../../src/core/state.ts';
import { EventQueue } from '../../src/machine/events.ts';
import { MachineMmioBus } from '../../src/machine/mmio-bus.ts';
import { MachinePortBus } from '../../src/machine/port-bus.ts';

it('reads all ones where no device answers', () => {
  const ports = new MachinePortBus();
  expect([1, 2, 4].map((size) => ports.read(0x1234, size))).toEqual([0xff, 0xffff, 0xffffffff]);
  const mmio = new MachineMmioBus();
  expect([1, 2, 4].map((size) => mmio.read(-4096, size))).toEqual([0xff, 0xffff, 0xffffffff]);
});

it('splits wide accesses to 8-bit devices over the neighbouring ports', () => {
  const ports = new MachinePortBus();
  const seen: number[][] = [];
  const device = (name: number) => ({
    readByte: (port: number) => port & 0xf,
    writeByte: (port: number, value: number) => {
      seen.push([name, port, value]);
    },
  });
  ports.claimBytes(0x100, 2, device(1));
  ports.claimBytes(0x102, 1, device(2));
  ports.write(0x101, 0xccbbaa, 4);
  expect(seen).toEqual([
    [1, 0x101, 0xaa],
    [2, 0x102, 0xbb],
  ]);
  expect(ports.read(0x101, 4)).toBe(0xffff0201);
});

it('refuses a second device at a port or address', () => {
  const ports = new MachinePortBus();
  const port = { readByte: () => 0, writeByte: () => {} };
  ports.claimBytes(0x80, 1, port);
  expect(() => ports.claimBytes(0x7f, 2, port)).toThrow('Port 0x80 has two devices.');
  const mmio = new MachineMmioBus();
  const register = { readRegister: () => 7, writeRegister: () => {} };
  mmio.claim(0xfee00000, 4096, register);
  expect(() => mmio.claim(0xfee00ffc, 8, register)).toThrow('two devices');
  expect(mmio.read(0xfee00010 | 0, 4)).toBe(7);
});

it('runs due events in order of time, then of registration', () => {
  const time = new Float64Array(TIME_WORDS);
  let looks = 0;
  const events = new EventQueue(time, () => {
    looks++;
  });
  const ran: string[] = [];
  const names = ['a', 'b', 'c'];
  const sources = names.map((name) => events.register(() => ran.push(name)));
  const at = (name: string, cycles: number): void => events.schedule(sources[names.indexOf(name)] as number, cycles);
  expect(time[NEXT_EVENT]).toBe(Infinity);
  at('c', 50);
  at('b', 100);
  at('a', 100);
  expect(time[NEXT_EVENT]).toBe(50);
  expect(looks).toBe(3);
  time[CYCLES] = 99;
  events.runDue();
  expect(ran).toEqual(['c']);
  time[CYCLES] = 100;
  events.runDue();
  expect(ran).toEqual(['c', 'a', 'b']);
  expect(time[NEXT_EVENT]).toBe(Infinity);
});
