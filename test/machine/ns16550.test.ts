/** The serial port against the PC16550D datasheet. */
import { beforeEach, expect, it } from 'vitest';
import { Ns16550 } from '../../src/machine/ns16550.ts';
import { MachinePortBus } from '../../src/machine/port-bus.ts';

let ports: MachinePortBus;
let uart: Ns16550;
let line: boolean;

function out(register: number, value: number): void {
  ports.write(0x3f8 + register, value, 1);
}
function read(register: number): number {
  return ports.read(0x3f8 + register, 1);
}

beforeEach(() => {
  ports = new MachinePortBus();
  line = false;
  uart = new Ns16550((level) => {
    line = level;
  });
  uart.attach(ports);
});

it('collects what is transmitted and is ready for more', () => {
  for (const character of 'hello') out(0, character.charCodeAt(0));
  expect(uart.text()).toBe('hello');
  expect(read(5)).toBe(0x60);
});

it('keeps the divisor apart from data and interrupt enable', () => {
  out(3, 0x83);
  out(0, 0x01);
  out(1, 0x02);
  expect([read(0), read(1)]).toEqual([0x01, 0x02]);
  out(3, 0x03);
  expect(read(1)).toBe(0);
  expect(uart.text()).toBe('');
});

it('interrupts when the transmitter is empty, until the cause is read', () => {
  out(4, 0x08);
  out(1, 0x02);
  expect(line).toBe(true);
  expect(read(2)).toBe(0x02);
  expect(line).toBe(false);
  expect(read(2)).toBe(0x01);
  out(0, 65);
  expect(line).toBe(true);
});

it('keeps its interrupt to itself without OUT2', () => {
  out(1, 0x02);
  expect(line).toBe(false);
});

it('gives received bytes in order and interrupts while some wait, before the transmitter', () => {
  out(4, 0x08);
  out(1, 0x03);
  uart.receive(Uint8Array.of(1, 2));
  expect(read(5) & 1).toBe(1);
  expect(read(2)).toBe(0x04);
  expect([read(0), read(0)]).toEqual([1, 2]);
  expect(read(5) & 1).toBe(0);
  expect(read(2)).toBe(0x02);
  expect(line).toBe(false);
});

it('loops back', () => {
  out(4, 0x1a);
  out(0, 0x55);
  expect(read(0)).toBe(0x55);
  expect(read(6)).toBe(0x90);
  expect(uart.text()).toBe('');
});

it('reports its FIFOs', () => {
  out(2, 0x01);
  expect(read(2)).toBe(0xc1);
});

it('keeps the scratch register and comes back from saved numbers as it was', () => {
  out(7, 0xa5);
  out(0, 65);
  uart.receive(Uint8Array.of(9, 8));
  const saved = uart.save();
  const copy = new Ns16550(() => {});
  copy.load(saved);
  expect(copy.save()).toEqual(saved);
  expect(copy.text()).toBe('A');
});
