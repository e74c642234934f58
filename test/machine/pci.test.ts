/** Configuration mechanism 1 and base address registers, by the PCI Local Bus Specification 2.3 (3.2.2.3.2, 6.2.5). */
import { describe, expect, test } from 'vitest';
import { hostBridge, isaBridge } from '../../src/machine/pci/chipset.ts';
import { ConfigSpace } from '../../src/machine/pci/config-space.ts';
import { PciBus } from '../../src/machine/pci/pci-bus.ts';
import { MachinePortBus } from '../../src/machine/port-bus.ts';

function bus(): { ports: MachinePortBus; places: (number | null)[]; at: (fn: number, register: number) => void } {
  const ports = new MachinePortBus();
  const pci = new PciBus();
  pci.attach(ports);
  const places: (number | null)[] = [];
  const config = new ConfigSpace({ vendor: 0x1234, device: 0x5678, revision: 9, classCode: 0x010203, interruptPin: 1 });
  config.addBar(0, { space: 'io', bytes: 16, place: (base) => places.push(base) });
  config.addBar(1, { space: 'memory', bytes: 4096, place: (base) => places.push(base) });
  config.addCapability(0x40, [9, 0, 16]);
  config.addCapability(0x50, [5, 0]);
  pci.add(0, 0, hostBridge());
  pci.add(1, 0, isaBridge());
  pci.add(2, 0, config);
  return { ports, places, at: (fn, register) => ports.write(0xcf8, (0x80000000 | (fn << 8) | register) >>> 0, 4) };
}

describe('configuration mechanism 1', () => {
  test('finds the bridges of a 440FX and a PIIX3', () => {
    const { ports, at } = bus();
    at(0, 0);
    expect(ports.read(0xcfc, 4)).toBe(0x12378086);
    at(8, 0);
    expect(ports.read(0xcfc, 4)).toBe(0x70008086);
    at(8, 8);
    expect(ports.read(0xcfe, 2)).toBe(0x0601);
    at(8, 0x0c);
    expect(ports.read(0xcfe, 1)).toBe(0x80);
  });

  test('reads all ones where no function is, on other buses, and while it is off', () => {
    const { ports, at } = bus();
    at(3 << 3, 0);
    expect(ports.read(0xcfc, 4)).toBe(0xffffffff);
    ports.write(0xcf8, 0x80010000, 4);
    expect(ports.read(0xcfc, 2)).toBe(0xffff);
    ports.write(0xcf8, 0, 4);
    expect(ports.read(0xcfc, 1)).toBe(0xff);
  });

  test('keeps the address register to doublewords', () => {
    const { ports, at } = bus();
    at(8, 0);
    ports.write(0xcf8, 0, 2);
    expect(ports.read(0xcf8, 4)).toBe(0x80000800);
    expect(ports.read(0xcf8, 1)).toBe(0xff);
  });

  test('leaves read-only registers alone', () => {
    const { ports, at } = bus();
    at(16, 0);
    ports.write(0xcfc, 0, 4);
    expect(ports.read(0xcfc, 4)).toBe(0x56781234);
    at(16, 8);
    expect(ports.read(0xcfc, 4)).toBe(0x01020309);
  });
});

describe('base address registers', () => {
  test('give their size when written with ones', () => {
    const { ports, at } = bus();
    at(16, 0x10);
    ports.write(0xcfc, 0xffffffff, 4);
    expect(ports.read(0xcfc, 4)).toBe(0xfffffff1);
    at(16, 0x14);
    ports.write(0xcfc, 0xffffffff, 4);
    expect(ports.read(0xcfc, 4)).toBe(0xfffff000);
    at(16, 0x18);
    ports.write(0xcfc, 0xffffffff, 4);
    expect(ports.read(0xcfc, 4)).toBe(0);
  });

  test('place a range only while its space is enabled', () => {
    const { ports, places, at } = bus();
    at(16, 0x10);
    ports.write(0xcfc, 0xc000, 4);
    expect(places).toEqual([]);
    at(16, 4);
    ports.write(0xcfc, 1, 2);
    expect(places).toEqual([0xc000]);
    ports.write(0xcfc, 0, 2);
    expect(places).toEqual([0xc000, null]);
  });
});

test('capabilities form a list', () => {
  const { ports, at } = bus();
  at(16, 4);
  expect(ports.read(0xcfe, 2) & 0x10).toBe(0x10);
  at(16, 0x34);
  expect(ports.read(0xcfc, 1)).toBe(0x40);
  at(16, 0x40);
  expect(ports.read(0xcfc, 2)).toBe(0x5009);
  at(16, 0x50);
  expect(ports.read(0xcfc, 2)).toBe(0x0005);
});
