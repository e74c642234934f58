/** Runs a few x87 instructions in protected mode and says which exception ended them. */
import type { MachineAddress } from '../../src/core/address.ts';
import type { Cpu } from '../../src/core/cpu.ts';
import { STOP_HALT } from '../../src/core/signals.ts';
import * as slot from '../../src/core/state.ts';
import { code, protectedCpu, setUp, writeGate } from './protected-cpu.ts';

const HLT = 0xf4;
const HANDLERS = 0x12000;
export const PROGRAM_AT = 0x10000;
export const MEMORY_AT = 0x14000;

export interface Ended {
  /** Exception vector, or -1: the program ran to its end. */
  readonly vector: number;
  /** Address of the instruction that faulted, or of the end. */
  readonly eip: number;
}

/** A processor whose every exception leads to a HLT of its own, after FNINIT. EBX addresses MEMORY_AT. */
export function x87Cpu(cr0 = slot.CR0_PE | slot.CR0_NE): Cpu {
  const cpu = protectedCpu();
  reset(cpu, cr0);
  return cpu;
}

export function reset(cpu: Cpu, cr0 = slot.CR0_PE | slot.CR0_NE): void {
  const { state: S } = cpu.memory;
  setUp(cpu);
  for (let vector = 0; vector < 32; vector++) {
    writeGate(cpu, vector, code(0), HANDLERS + 16 * vector);
    cpu.memory.write8((HANDLERS + 16 * vector) as MachineAddress, HLT);
  }
  S[slot.CR0] = cr0;
  S[slot.CR4] = slot.CR4_OSFXSR;
  S[slot.EBX] = MEMORY_AT;
  S[slot.FPU_CONTROL] = 0x37f;
  S[slot.FPU_STATUS] = 0;
  S[slot.FPU_TAG] = 0;
  for (const pointer of [slot.FPU_OPCODE, slot.FPU_IP, slot.FPU_CS, slot.FPU_DP, slot.FPU_DS]) S[pointer] = 0;
  cpu.updateMode();
}

/** Runs the bytes (hexadecimal) at PROGRAM_AT. */
export function runBytes(cpu: Cpu, text: string): Ended {
  const { state: S, memory } = { state: cpu.memory.state, memory: cpu.memory };
  const bytes = text.split(' ').map((byte) => Number.parseInt(byte, 16));
  memory.writeBytes(PROGRAM_AT as MachineAddress, Uint8Array.from([...bytes, HLT]));
  S[slot.EIP] = PROGRAM_AT;
  S[slot.ACTIVITY] = 0;
  const stop = cpu.run();
  if (stop !== STOP_HALT) throw new Error(`Expected the program to halt, got stop ${stop}`);
  const eip = S[slot.EIP]! - 1;
  if (eip < HANDLERS || eip >= HANDLERS + 16 * 32) return { vector: -1, eip };
  const vector = (eip - HANDLERS) >> 4;
  // Vectors with an error code have it on top of EIP.
  const withError = [8, 10, 11, 12, 13, 14, 17].includes(vector);
  return { vector, eip: memory.read32((S[slot.ESP]! + (withError ? 4 : 0)) as MachineAddress) };
}
