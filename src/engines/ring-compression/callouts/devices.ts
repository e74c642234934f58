/** Port instructions on the virtual devices, and HLT. */
import { EAX, ECX, EDI, EDX, EFLAGS_SYSTEM, ES, ESI } from '../../../core/state.ts';
import { eventNumber } from '../../../cost/event.ts';
import { DF } from '../../../isa/eflags.ts';
import type { Decoded } from '../../../isa/instruction.ts';
import type { Monitor } from '../monitor.ts';
import { segmentBase } from '../operands.ts';
import type { Handlers } from './handler.ts';

const DEVICE = eventNumber('vmmDeviceModel');

export function portRead(m: Monitor, port: number, size: number): number {
  m.ledger.charge(DEVICE);
  return m.cpu.ports.read(port, size);
}

export function portWrite(m: Monitor, port: number, value: number, size: number): void {
  m.ledger.charge(DEVICE);
  m.cpu.ports.write(port, size === 4 ? value >>> 0 : value & ((1 << (8 * size)) - 1), size);
}

/** Bytes that the instruction moves: its accumulator or string operand says. */
function portSize(d: Decoded): number {
  return d.instruction.operands.some((code) => code === 'AL' || code === 'Xb' || code === 'Yb') ? 1 : d.operandSize;
}

export function portNumber(m: Monitor, d: Decoded): number {
  return d.immediateSize !== 0 ? d.immediate & 0xff : (m.state[EDX] as number) & 0xffff;
}

function portIn(m: Monitor, d: Decoded): void {
  const size = portSize(d);
  const value = portRead(m, portNumber(m, d), size);
  const old = m.state[EAX] as number;
  if (size === 4) m.state[EAX] = value;
  else if (size === 2) m.state[EAX] = (old & 0xffff0000) | (value & 0xffff);
  else m.state[EAX] = (old & 0xffffff00) | (value & 0xff);
}

function portOut(m: Monitor, d: Decoded): void {
  portWrite(m, portNumber(m, d), m.state[EAX] as number, portSize(d));
}

/** INS, OUTS and their REP forms, element by element: a fault leaves the counters at the element that faults. */
function string(input: boolean): (m: Monitor, d: Decoded) => void {
  return (m, d) => {
    const { state } = m;
    const size = portSize(d);
    const step = ((state[EFLAGS_SYSTEM] as number) & DF) !== 0 ? -size : size;
    const mask = d.addressSize === 2 ? 0xffff : -1;
    const port = (state[EDX] as number) & 0xffff;
    const index = input ? EDI : ESI;
    const base = segmentBase(m, input ? ES : d.segment);
    for (;;) {
      if (d.rep !== 0 && ((state[ECX] as number) & mask) === 0) return;
      const at = (base + ((state[index] as number) & mask)) >>> 0;
      if (input) {
        // The page must be writable before the device gives up its datum.
        m.guest.translate(at, true);
        m.guest.store(at, size, portRead(m, port, size));
      } else portWrite(m, port, m.guest.load(at, size), size);
      state[index] = merge(state[index] as number, (state[index] as number) + step, mask);
      if (d.rep === 0) return;
      state[ECX] = merge(state[ECX] as number, (state[ECX] as number) - 1, mask);
    }
  };
}

function merge(old: number, value: number, mask: number): number {
  return (old & ~mask) | (value & mask);
}

export const DEVICES: Handlers = {
  in: portIn,
  out: portOut,
  ins: string(true),
  outs: string(false),
  hlt: (m, _d, next) => {
    m.pc = next;
    if (!m.eventDue()) m.halt(next);
  },
};
