/**
 * The MSR areas that VM entry and VM exit load and store (SDM 3C 24.7.2, 24.8.2): 16-byte entries of MSR index, a
 * reserved word, and 64 bits of data. The MSRs that may stand there are those of the table below.
 */
import type { MachineAddress } from '../address.ts';
import type { Cpu } from '../cpu.ts';
import { EFER, SYSENTER_CS, SYSENTER_EIP, SYSENTER_ESP } from '../state.ts';
import type { Vmcs } from './vmcs.ts';

/** MSR index, state slot, and bits that may be set. */
const MSRS: readonly (readonly [index: number, slot: number, allowed: number])[] = [
  [0x174, SYSENTER_CS, -1],
  [0x175, SYSENTER_ESP, -1],
  [0x176, SYSENTER_EIP, -1],
  [0xc0000080 | 0, EFER, 0x800],
];

/** Loads an area. Returns 0, or the number (from 1) of the first entry that cannot be loaded. */
export function loadMsrs(cpu: Cpu, vmcs: Vmcs, countField: number, addressField: number): number {
  const count = vmcs.get(countField) >>> 0;
  const area = count === 0 ? 0 : vmcs.address(addressField);
  for (let entry = 0; entry < count; entry++) {
    const at = area + 16 * entry;
    if (at + 16 > cpu.memory.size) return entry + 1;
    const index = cpu.memory.read32(at as MachineAddress) | 0;
    const row = MSRS.find(([number]) => number === index);
    const low = cpu.memory.read32((at + 8) as MachineAddress) | 0;
    const high = cpu.memory.read32((at + 12) as MachineAddress);
    if (row === undefined || (low & ~row[2]) !== 0 || high !== 0) return entry + 1;
    if (cpu.memory.read32((at + 4) as MachineAddress) !== 0) return entry + 1;
    cpu.memory.state[row[1]] = low;
  }
  return 0;
}

/** Stores an area; an entry that names no storable MSR is left alone. */
export function storeMsrs(cpu: Cpu, vmcs: Vmcs, countField: number, addressField: number): void {
  const count = vmcs.get(countField) >>> 0;
  const area = count === 0 ? 0 : vmcs.address(addressField);
  for (let entry = 0; entry < count; entry++) {
    const at = area + 16 * entry;
    if (at + 16 > cpu.memory.size) return;
    const index = cpu.memory.read32(at as MachineAddress) | 0;
    const row = MSRS.find(([number]) => number === index);
    if (row === undefined) continue;
    cpu.memory.write32((at + 8) as MachineAddress, cpu.memory.state[row[1]] as number);
    cpu.memory.write32((at + 12) as MachineAddress, 0);
  }
}
