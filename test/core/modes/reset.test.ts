/** The processor after RESET, against SDM 3A table 9-1, and its first steps. */
import { beforeEach, expect, test } from 'vitest';
import type { MachineAddress } from '../../../src/core/address.ts';
import { resetProcessor } from '../../../src/core/reset.ts';
import { STOP_HALT, STOP_SHUTDOWN } from '../../../src/core/signals.ts';
import * as slot from '../../../src/core/state.ts';
import { flatCpu } from '../../support/flat-cpu.ts';

const cpu = flatCpu(2 << 20);
const { state: S, time: T, ram } = cpu.memory;
const CODE_AT = 0x7c00;
const STACK = 0x7000;

beforeEach(() => {
  ram.fill(0);
  cpu.code.flush();
  resetProcessor(cpu);
});

/** Runs 16-bit code at 0:7c00 with a stack at 0:7000. */
function run(...code: number[]): number {
  cpu.memory.writeBytes(CODE_AT as MachineAddress, Uint8Array.from(code));
  cpu.segmentation.loadReal(slot.CS, 0);
  S[slot.EIP] = CODE_AT;
  S[slot.ESP] = STACK;
  cpu.updateMode();
  T[slot.BUDGET] = T[slot.CYCLES]! + 1e5;
  return cpu.run();
}

const segment = (index: number): number[] => {
  const at = slot.segmentSlot(index);
  return [S[at + slot.SELECTOR]!, S[at + slot.BASE]! >>> 0, S[at + slot.LIMIT]!, S[at + slot.RIGHTS]! & 0xff];
};

test('registers are as table 9-1 says', () => {
  expect(cpu.eflags()).toBe(2);
  expect(S[slot.EIP]).toBe(0xfff0);
  expect(S[slot.CR0]! >>> 0).toBe(0x60000010);
  expect([S[slot.CR2], S[slot.CR3], S[slot.CR4]]).toEqual([0, 0, 0]);
  expect(segment(slot.CS)).toEqual([0xf000, 0xffff0000, 0xffff, 0x93]);
  for (const index of [slot.SS, slot.DS, slot.ES, slot.FS, slot.GS]) {
    expect(segment(index)).toEqual([0, 0, 0xffff, 0x93]);
  }
  expect(S[slot.EDX]).toBe(cpu.profile.cpuid.signature);
  for (const register of [slot.EAX, slot.EBX, slot.ECX, slot.ESI, slot.EDI, slot.EBP, slot.ESP]) {
    expect(S[register]).toBe(0);
  }
  const tables = [slot.GDTR_BASE, slot.GDTR_LIMIT, slot.IDTR_BASE, slot.IDTR_LIMIT];
  expect(tables.map((at) => S[at])).toEqual([0, 0xffff, 0, 0xffff]);
  expect([segment(slot.LDTR).slice(0, 3), segment(slot.TR).slice(0, 3)]).toEqual([
    [0, 0, 0xffff],
    [0, 0, 0xffff],
  ]);
  expect([S[slot.DR0 + 6]! >>> 0, S[slot.DR0 + 7]]).toEqual([0xffff0ff0, 0x400]);
});

test('real-mode code reaches a megabyte by segments', () => {
  // mov ax, 8765; mov ds, ax; mov byte [4321], 5a; cli; hlt
  expect(run(0xb8, 0x65, 0x87, 0x8e, 0xd8, 0xc6, 0x06, 0x21, 0x43, 0x5a, 0xfa, 0xf4)).toBe(STOP_HALT);
  expect(ram[0x87650 + 0x4321]).toBe(0x5a);
});

test('the limit of the vector table decides between a handler, a double fault and shutdown', () => {
  const handler = 0x6000;
  // mov al, the vector; hlt
  const install = (vector: number): void => {
    cpu.memory.writeBytes((handler + 16 * vector) as MachineAddress, Uint8Array.of(0xb0, vector, 0xf4));
    cpu.memory.write32((4 * vector) as MachineAddress, handler + 16 * vector);
  };
  for (const vector of [8, 13, 0x21]) install(vector);
  S[slot.IDTR_LIMIT] = 0x21 * 4 + 3;
  expect(run(0xcd, 0x21)).toBe(STOP_HALT);
  expect(S[slot.EAX]! & 0xff).toBe(0x21);
  // Beyond the limit: #GP, at the instruction.
  S[slot.ACTIVITY] = 0;
  S[slot.IDTR_LIMIT] = 0x21 * 4 + 2;
  expect(run(0xcd, 0x21)).toBe(STOP_HALT);
  expect(S[slot.EAX]! & 0xff).toBe(13);
  expect(cpu.memory.read16((STACK - 6) as MachineAddress)).toBe(CODE_AT);
  // #GP is beyond it too: #GP on #GP is a double fault.
  S[slot.ACTIVITY] = 0;
  S[slot.IDTR_LIMIT] = 8 * 4 + 3;
  expect(run(0xcd, 0x21)).toBe(STOP_HALT);
  expect(S[slot.EAX]! & 0xff).toBe(8);
  S[slot.ACTIVITY] = 0;
  S[slot.IDTR_LIMIT] = 8 * 4 + 2;
  expect(run(0xcd, 0x21)).toBe(STOP_SHUTDOWN);
});

test('a push at SP = 1 shuts down: neither #SS nor #DF finds a stack (SDM 2B PUSH)', () => {
  expect(run(0xbc, 0x01, 0x00, 0x50)).toBe(STOP_SHUTDOWN);
});

test('PUSHA at an odd SP below 16 is #GP, at 1, 3 and 5 it shuts down (SDM 2B PUSHA)', () => {
  for (const sp of [1, 3, 5, 7, 9, 11, 13, 15]) {
    ram.fill(0);
    resetProcessor(cpu);
    cpu.memory.write32((4 * 13) as MachineAddress, 0x6000);
    cpu.memory.writeBytes(0x6000 as MachineAddress, Uint8Array.of(0xb0, 13, 0xf4));
    const stop = run(0xbc, sp, 0x00, 0x60);
    // The #GP handler's frame of six bytes needs SP of 7 at least.
    expect(stop, `SP = ${sp}`).toBe(sp < 7 ? STOP_SHUTDOWN : STOP_HALT);
  }
});

test('a switch to protected mode and back leaves limits behind: "unreal mode" (SDM 3A 9.9.2)', () => {
  cpu.memory.write32(0x508 as MachineAddress, 0x0000ffff);
  cpu.memory.write32(0x50c as MachineAddress, 0x008f9200);
  S[slot.GDTR_BASE] = 0x500;
  // mov ebx, 120000; mov eax, cr0; inc ax; mov cr0, eax; mov cx, 8; mov fs, cx; dec ax; mov cr0, eax; mov fs, bx (0); mov byte fs:[ebx], 77; hlt
  const code = [
    ...[0x66, 0xbb, 0x00, 0x00, 0x12, 0x00, 0x0f, 0x20, 0xc0, 0x40, 0x0f, 0x22, 0xc0, 0xb9, 8, 0, 0x8e, 0xe1],
    ...[0x48, 0x0f, 0x22, 0xc0, 0x8e, 0xe3, 0x67, 0x64, 0xc6, 0x03, 0x77, 0xf4],
  ];
  expect(run(...code)).toBe(STOP_HALT);
  expect(ram[0x120000]).toBe(0x77);
});

test('code runs on to its last byte and no further: IP does not wrap', () => {
  // inc ax; inc ax at the segment's end, then #GP with an IP of 10000 of which 16 bits are pushed.
  cpu.memory.write32((4 * 13) as MachineAddress, 0x6000);
  cpu.memory.writeBytes(0x6000 as MachineAddress, Uint8Array.of(0xf4));
  cpu.memory.writeBytes(0xfffe as MachineAddress, Uint8Array.of(0x40, 0x40));
  // mov ax, 0; jmp fffe
  expect(run(0xb8, 0, 0, 0xe9, 0xf8, 0x83)).toBe(STOP_HALT);
  expect(S[slot.EAX]! & 0xffff).toBe(2);
  expect(cpu.memory.read16((STACK - 6) as MachineAddress)).toBe(0);
});
