/** A bare processor in flat 32-bit protected mode without paging, for tests of instructions. */
import { Cpu } from '../../src/core/cpu.ts';
import { MachineMemory } from '../../src/core/memory.ts';
import * as slot from '../../src/core/state.ts';
import { Ledger } from '../../src/cost/ledger.ts';
import { DEFAULT_PROFILE } from '../../src/cost/profiles/index.ts';

export const CODE_AT = 0x100000;
export const STACK_AT = 0x180000;
export const DATA_AT = 0x140000;

export function flatCpu(bytes = 4 << 20): Cpu {
  const memory = new MachineMemory(bytes);
  const ledger = new Ledger(DEFAULT_PROFILE, memory.state, memory.time);
  const silent = { read: () => -1, write: () => {} };
  const cpu = new Cpu({ memory, profile: DEFAULT_PROFILE, ledger, ports: silent, mmio: silent });
  const S = memory.state;
  for (let segment = 0; segment < 6; segment++) {
    const at = slot.segmentSlot(segment);
    S[at + slot.SELECTOR] = segment === slot.CS ? 8 : 16;
    S[at + slot.BASE] = 0;
    S[at + slot.LIMIT] = -1;
    S[at + slot.RIGHTS] = (segment === slot.CS ? 0x9b : 0x93) | slot.RIGHTS_DB | slot.RIGHTS_G;
  }
  S[slot.CR0] = slot.CR0_PE;
  S[slot.EIP] = CODE_AT;
  S[slot.ESP] = STACK_AT;
  cpu.setEflags(2);
  return cpu;
}

/** Everything a guest could see: registers, flags, cycles, instructions retired, and a digest of memory. */
export function visibleState(cpu: Cpu): Record<string, number> {
  const { state: S, time: T, ram } = cpu.memory;
  let digest = 0x811c9dc5;
  for (const byte of ram) digest = Math.imul(digest ^ byte, 0x01000193);
  const names = ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi'];
  return {
    ...Object.fromEntries(names.map((name, number) => [name, S[2 * number] as number])),
    eip: S[slot.EIP] as number,
    eflags: cpu.eflags(),
    cycles: T[slot.CYCLES] as number,
    retired: T[slot.RETIRED] as number,
    digest,
  };
}
