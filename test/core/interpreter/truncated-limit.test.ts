/** Accesses beyond a truncated flat limit: #SS through SS, #GP through the others (SDM 3A 5.3), in every form of access. */
import { describe, expect, it } from 'vitest';
import type { MachineAddress } from '../../../src/core/address.ts';
import { GP, SS_FAULT, STOP_TRAP } from '../../../src/core/signals.ts';
import * as slot from '../../../src/core/state.ts';
import { CODE_AT, flatCpu } from '../../support/flat-cpu.ts';

const LIMIT = 0x200fff;
/** Instructions with EBX, EBP and ESP just at the limit, and what they raise. */
const CASES: readonly [name: string, bytes: readonly number[], vector: number][] = [
  ['mov eax, [ebx]', [0x8b, 0x03], GP],
  ['mov [ebx], eax', [0x89, 0x03], GP],
  ['add [ebx], eax', [0x01, 0x03], GP],
  ['mov eax, [ebp]', [0x8b, 0x45, 0x00], SS_FAULT],
  ['mov [ebp], eax', [0x89, 0x45, 0x00], SS_FAULT],
  ['add [ebp], eax', [0x01, 0x45, 0x00], SS_FAULT],
  ['mov eax, ds:[ebp]', [0x3e, 0x8b, 0x45, 0x00], GP],
  ['mov eax, ss:[ebx]', [0x36, 0x8b, 0x03], SS_FAULT],
  ['pop eax', [0x58], SS_FAULT],
  ['ret', [0xc3], SS_FAULT],
  ['push dword [ebx]', [0xff, 0x33], GP],
];

describe('truncated flat segments', () => {
  it.each(CASES)('%s beyond the limit', (_name, bytes, vector) => {
    const cpu = flatCpu();
    const S = cpu.memory.state;
    cpu.mmu.truncatedLimit = LIMIT;
    for (const segment of [slot.ES, slot.SS, slot.DS]) S[slot.segmentSlot(segment) + slot.LIMIT] = LIMIT;
    // A host gate to ring 0 for both vectors: the fault is reported as a host trap.
    S[slot.HOSTED] = 1;
    S[slot.IDTR_LIMIT] = 0xff;
    S[slot.GDTR_BASE] = 0x1000;
    S[slot.GDTR_LIMIT] = 0xff;
    cpu.memory.write32(0x1008 as MachineAddress, 0x0000ffff);
    cpu.memory.write32(0x100c as MachineAddress, 0x00cf9b00);
    for (const gate of [GP, SS_FAULT]) {
      cpu.memory.write32((8 * gate) as MachineAddress, 8 << 16);
      cpu.memory.write32((8 * gate + 4) as MachineAddress, 0x8e00);
    }
    cpu.updateMode();
    cpu.memory.writeBytes(CODE_AT as MachineAddress, Uint8Array.from(bytes));
    for (const register of [slot.EBX, slot.EBP, slot.ESP]) S[register] = LIMIT - 1;
    expect(cpu.run()).toBe(STOP_TRAP);
    expect([S[slot.EVENT_VECTOR], S[slot.EVENT_ERROR], S[slot.EIP]]).toEqual([vector, 0, CODE_AT]);
    expect(S[slot.ESP]).toBe(LIMIT - 1);
  });
});
