/** IN and OUT: the I/O permission check (SDM 1 18.5), interception, price, and the bus. */

import { eventNumber } from '../../cost/event.ts';
import { VM } from '../../isa/eflags.ts';
import type { Cpu } from '../cpu.ts';
import { GP, raiseWithError } from '../signals.ts';
import { BASE, CR0, CR0_PE, EFLAGS_SYSTEM, LIMIT, RIGHTS, RIGHTS_UNUSABLE, segmentSlot, TR } from '../state.ts';
import { IO_IN, type VmxHooks } from '../vmx-hooks.ts';
import { hasIoPrivilege, isNonRoot } from './privilege.ts';

const PORT_READ = eventNumber('portRead');
const PORT_WRITE = eventNumber('portWrite');
const TR_SLOT = segmentSlot(TR);
/** Offset of the I/O map base in a 32-bit TSS. */
const IO_MAP_BASE = 102;

/** `flags` (IO_STRING ...) and `linear` describe INS to VMX. Zero-extended. */
export function portIn(cpu: Cpu, port: number, size: number, flags: number, linear: number): number {
  port &= 0xffff;
  requirePort(cpu, port, size, flags | IO_IN, linear);
  cpu.ledger.charge(PORT_READ);
  const value = cpu.ports.read(port, size);
  return size === 4 ? value | 0 : size === 2 ? value & 0xffff : value & 0xff;
}

export function portOut(cpu: Cpu, port: number, value: number, size: number, flags: number, linear: number): void {
  port &= 0xffff;
  requirePort(cpu, port, size, flags, linear);
  cpu.ledger.charge(PORT_WRITE);
  cpu.ports.write(port, size === 4 ? value >>> 0 : size === 2 ? value & 0xffff : value & 0xff, size);
}

/** The I/O permission, then the VM exit, which comes before faults of a memory operand (SDM 3C 25.1.1). */
export function requirePort(cpu: Cpu, port: number, size: number, flags: number, linear: number): void {
  checkPort(cpu, port, size);
  if (isNonRoot(cpu.memory.state)) (cpu.vmx as VmxHooks).port(port, size, flags, linear);
}

function checkPort(cpu: Cpu, port: number, size: number): void {
  const { state } = cpu.memory;
  if ((state[CR0] & CR0_PE) === 0) return;
  if (hasIoPrivilege(state) && (state[EFLAGS_SYSTEM] & VM) === 0) return;
  if (!bitmapAllows(cpu, port, size)) raiseWithError(state, GP, 0);
}

/** The processor reads two bytes of the bitmap whatever the port, so the map must extend one byte further. */
function bitmapAllows(cpu: Cpu, port: number, size: number): boolean {
  const { state } = cpu.memory;
  const rights = state[TR_SLOT + RIGHTS];
  const limit = state[TR_SLOT + LIMIT] >>> 0;
  const isWide = (rights & 8) !== 0;
  if ((rights & RIGHTS_UNUSABLE) !== 0 || !isWide || limit < IO_MAP_BASE + 1) return false;
  const base = state[TR_SLOT + BASE];
  const at = cpu.mmu.systemLoad16((base + IO_MAP_BASE) | 0) + (port >>> 3);
  if (at + 1 > limit) return false;
  return ((cpu.mmu.systemLoad16((base + at) | 0) >>> (port & 7)) & ((1 << size) - 1)) === 0;
}
