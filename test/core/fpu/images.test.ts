/** The images of x87 state in memory: layouts and pointers (SDM volume 1, 8.1.8-8.1.10, 10.5.1). */
import { beforeEach, describe, expect, test } from 'vitest';
import type { MachineAddress } from '../../../src/core/address.ts';
import * as slot from '../../../src/core/state.ts';
import { code, data } from '../../support/protected-cpu.ts';
import { MEMORY_AT, PROGRAM_AT, reset, runBytes, x87Cpu } from '../../support/x87-program.ts';

const cpu = x87Cpu();
const { memory } = cpu;
const S = memory.state;
const word = (offset: number): number => memory.read32((MEMORY_AT + offset) as MachineAddress);
const half = (offset: number): number => memory.read16((MEMORY_AT + offset) as MachineAddress);
beforeEach(() => {
  reset(cpu);
  for (let at = 0; at < 1024; at += 4) memory.write32((MEMORY_AT + at) as MachineAddress, 0xcccccccc);
});

/** FLD dword [ebx + 200h] of 1.5, then an unmasked invalid operation so that the opcode is kept: FLDCW [ebx + 210h], FSQRT of -1.5. */
function prepare(): void {
  memory.write32((MEMORY_AT + 0x200) as MachineAddress, 0xbfc00000);
  memory.write16((MEMORY_AT + 0x210) as MachineAddress, 0x37e);
}
const PREPARE = 'd9 83 00 02 00 00 d9 ab 10 02 00 00 d9 fa';
const SQUARE_ROOT_AT = PROGRAM_AT + 12;

describe('FNSTENV', () => {
  test('in the 32-bit protected format', () => {
    prepare();
    runBytes(cpu, `${PREPARE} d9 33`);
    expect([word(0), word(4), word(8)].map((value) => value >>> 0)).toEqual([0xffff037e, 0xffffb881, 0xffff3fff]);
    expect(word(12)).toBe(SQUARE_ROOT_AT);
    expect(word(16)).toBe(code(0) | (0x1fa << 16));
    expect(word(20)).toBe(MEMORY_AT + 0x200);
    expect(word(24) >>> 0).toBe((0xffff0000 | data(0)) >>> 0);
    expect(word(28) >>> 0).toBe(0xcccccccc);
    // It masks all exceptions, so that none waits any more.
    expect([S[slot.FPU_CONTROL], S[slot.FPU_STATUS]! & 0x8080]).toEqual([0x37f, 0]);
  });

  test('in the 16-bit protected format', () => {
    prepare();
    runBytes(cpu, `${PREPARE} 66 d9 33`);
    expect([0, 2, 4].map(half)).toEqual([0x37e, 0xb881, 0x3fff]);
    expect([6, 8, 10, 12].map(half)).toEqual([SQUARE_ROOT_AT & 0xffff, code(0), (MEMORY_AT + 0x200) & 0xffff, data(0)]);
    expect(half(14)).toBe(0xcccc);
  });

  test('in the real-address formats, which hold linear addresses and the opcode', () => {
    prepare();
    runBytes(cpu, PREPARE);
    S[slot.FPU_IP] = 0x2345;
    S[slot.FPU_CS] = 0xf000;
    S[slot.FPU_DP] = 0x6789;
    S[slot.FPU_DS] = 0x8000;
    S[slot.CR0] = slot.CR0_NE;
    cpu.updateMode();
    runBytes(cpu, 'd9 33');
    expect([12, 16, 20, 24].map((at) => word(at) >>> 0)).toEqual([0xffff2345, 0xf1fa, 0xffff6789, 0x8000]);
    S[slot.FPU_STATUS] = 0;
    runBytes(cpu, '66 d9 33');
    expect([6, 8, 10, 12].map(half)).toEqual([0x2345, 0xf1fa, 0x6789, 0x8000]);
  });
});

test('FNSAVE and FRSTOR carry everything, in both sizes', () => {
  for (const prefix of ['', '66 ']) {
    reset(cpu);
    runBytes(cpu, 'd9 eb d9 e8 d9 ee dd c1 d9 f7');
    const before = [
      ...S.subarray(slot.FPU_CONTROL, slot.FPU_TAG + 1),
      ...S.subarray(slot.FPU_REGISTERS, slot.FPU_REGISTERS + 32),
    ];
    runBytes(cpu, `${prefix}dd 33`);
    expect([S[slot.FPU_CONTROL], S[slot.FPU_STATUS], S[slot.FPU_TAG], S[slot.FPU_IP]]).toEqual([0x37f, 0, 0, 0]);
    runBytes(cpu, `d9 ee d9 ee ${prefix}dd 23`);
    expect([
      ...S.subarray(slot.FPU_CONTROL, slot.FPU_TAG + 1),
      ...S.subarray(slot.FPU_REGISTERS, slot.FPU_REGISTERS + 32),
    ]).toEqual(before);
  }
});

test('control instructions leave the pointers; the opcode is that of unmasked exceptions only', () => {
  runBytes(cpu, 'd9 e8 d9 3b df e0 9b db e2');
  expect([S[slot.FPU_IP], S[slot.FPU_CS], S[slot.FPU_OPCODE]]).toEqual([PROGRAM_AT, code(0), 0]);
});

describe('FXSAVE', () => {
  test('stores registers in stack order, the abridged tag, pointers, MXCSR and XMM', () => {
    S[slot.XMM] = 0x11111111;
    S[slot.XMM + 31] = 0x77777777;
    runBytes(cpu, 'd9 eb d9 e8 0f ae 03');
    expect([half(0), half(2), half(4), word(8), word(12)]).toEqual([0x37f, 0x3000, 0xc0, PROGRAM_AT + 2, code(0)]);
    expect([word(24), word(28)]).toEqual([0x1f80, 0xffff]);
    // ST(0) = 1, ST(1) = pi.
    expect([word(32), word(36) >>> 0, half(40)]).toEqual([0, 0x80000000, 0x3fff]);
    expect([word(48), word(52) >>> 0, half(56)]).toEqual([0x2168c235, 0xc90fdaa2, 0x4000]);
    expect([word(160), word(160 + 124)]).toEqual([0x11111111, 0x77777777]);
  });

  test('without CR4.OSFXSR leaves XMM and MXCSR alone', () => {
    S[slot.CR4] = 0;
    runBytes(cpu, '0f ae 03');
    expect([word(24), word(160)].map((value) => value >>> 0)).toEqual([0xcccccccc, 0xcccccccc]);
  });

  test('and FXRSTOR are inverse', () => {
    S[slot.XMM + 5] = 0x12345678;
    runBytes(cpu, 'd9 eb d9 e8 dd c0 0f ae 03');
    const before = [...S.subarray(slot.FPU_CONTROL, slot.XMM + 32)];
    S[slot.XMM + 5] = 0;
    runBytes(cpu, 'db e3 d9 ee d9 ee 0f ae 0b');
    expect([...S.subarray(slot.FPU_CONTROL, slot.XMM + 32)]).toEqual(before);
  });
});

test('an image that runs into an absent page changes nothing', () => {
  S[slot.FPU_CONTROL] = 0x27f;
  cpu.segmentation.setSegment(slot.DS, data(0), 0, MEMORY_AT + 100, 0x4093);
  cpu.updateMode();
  expect(runBytes(cpu, 'dd 33').vector).toBe(13);
  expect([word(0) >>> 0, S[slot.FPU_CONTROL]]).toEqual([0xcccccccc, 0x27f]);
  expect(runBytes(cpu, 'dd 23').vector).toBe(13);
  expect(S[slot.FPU_CONTROL]).toBe(0x27f);
});
