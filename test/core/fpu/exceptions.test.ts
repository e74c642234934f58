/** #NM, #MF, #GP of x87 instructions, FERR#, and unmasked exceptions (SDM volume 1, chapter 8; volume 3A, table 2-2). */
import { beforeEach, describe, expect, test } from 'vitest';
import type { MachineAddress } from '../../../src/core/address.ts';
import * as slot from '../../../src/core/state.ts';
import { MEMORY_AT, PROGRAM_AT, reset, runBytes, x87Cpu } from '../../support/x87-program.ts';

const NM = 7;
const GP = 13;
const MF = 16;
const NONE = -1;
const PE = slot.CR0_PE | slot.CR0_NE;
const { CR0_EM: EM, CR0_TS: TS, CR0_MP: MP } = slot;

const FLD1 = 'd9 e8';
const FWAIT = '9b';
const FNSTCW = 'd9 3b';
const FNINIT = 'db e3';
const FNCLEX = 'db e2';
const FNSTSW_AX = 'df e0';
const FXSAVE = '0f ae 03';
/** Loads a control word with every exception unmasked, and divides 1 by 0. */
const UNMASK = 'd9 2b';
const DIVIDE_BY_ZERO = 'd9 e8 d9 ee de f9';

const cpu = x87Cpu();
const { state: S } = cpu.memory;
beforeEach(() => {
  reset(cpu);
  cpu.memory.write16(MEMORY_AT as MachineAddress, 0x340);
});

describe('#NM', () => {
  test.each([
    ['FLD1', FLD1, EM, NM],
    ['FLD1', FLD1, TS, NM],
    ['FLD1', FLD1, MP, NONE],
    ['FWAIT', FWAIT, EM, NONE],
    ['FWAIT', FWAIT, TS, NONE],
    ['FWAIT', FWAIT, MP, NONE],
    ['FWAIT', FWAIT, MP | TS, NM],
    ['FNSTCW', FNSTCW, TS, NM],
    ['FNSTCW', FNSTCW, EM, NM],
    ['FNINIT', FNINIT, TS, NM],
    ['FNSTSW AX', FNSTSW_AX, EM, NM],
    ['FXSAVE', FXSAVE, EM, NM],
    ['FXSAVE', FXSAVE, TS, NM],
  ])('%s (%s) with CR0 bits %i ends with vector %i', (_, bytes, bits, vector) => {
    reset(cpu, PE | bits);
    expect(runBytes(cpu, bytes).vector).toBe(vector);
  });

  test('comes before a page or segment fault of the operand', () => {
    reset(cpu, PE | TS);
    cpu.segmentation.setNull(slot.DS, 0);
    cpu.updateMode();
    expect(runBytes(cpu, 'd9 03')).toEqual({ vector: NM, eip: PROGRAM_AT });
    reset(cpu, PE);
    cpu.segmentation.setNull(slot.DS, 0);
    cpu.updateMode();
    expect(runBytes(cpu, 'd9 03')).toEqual({ vector: GP, eip: PROGRAM_AT });
    expect([S[slot.FPU_TAG], S[slot.FPU_IP]]).toEqual([0, 0]);
  });
});

describe('an unmasked exception', () => {
  test('is raised by the next waiting instruction, at its address', () => {
    const bytes = `${UNMASK} ${DIVIDE_BY_ZERO} ${FLD1}`;
    expect(runBytes(cpu, bytes)).toEqual({ vector: MF, eip: PROGRAM_AT + 8 });
    // ES, B and ZE; the operands are still there.
    expect(S[slot.FPU_STATUS]! & 0x80ff).toBe(0x8084);
    expect(S[slot.FPU_TAG]).toBe(0xc0);
    expect(S[slot.FPU_IP]).toBe(PROGRAM_AT + 6);
    // DE F9 without its upper five bits.
    expect(S[slot.FPU_OPCODE]).toBe(0x6f9);
  });

  test.each([
    ['FWAIT', FWAIT, MF],
    ['FLDCW', UNMASK, MF],
    ['FNSTSW', FNSTSW_AX, NONE],
    ['FNSTCW', FNSTCW, NONE],
    ['FNCLEX', FNCLEX, NONE],
    ['FNINIT', FNINIT, NONE],
    ['FNSAVE', 'dd 33', NONE],
    ['FNSTENV', 'd9 33', NONE],
    ['FXSAVE', FXSAVE, NONE],
    ['FNCLEX, then FLD1', `${FNCLEX} ${FLD1}`, NONE],
    ['FNSTENV, which masks it, then FLD1', `d9 33 ${FLD1}`, NONE],
  ])('pending: %s (%s) ends with vector %i', (_, bytes, vector) => {
    expect(runBytes(cpu, `${UNMASK} ${DIVIDE_BY_ZERO} ${bytes}`).vector).toBe(vector);
  });

  test('appears and disappears as the masks are loaded', () => {
    expect(runBytes(cpu, `${DIVIDE_BY_ZERO} ${UNMASK} ${FWAIT}`).vector).toBe(MF);
    reset(cpu);
    cpu.memory.write16(MEMORY_AT as MachineAddress, 0x37f);
    expect(runBytes(cpu, `${DIVIDE_BY_ZERO} ${UNMASK} ${FWAIT}`).vector).toBe(NONE);
  });

  test('with CR0.NE = 0 is FERR#, and the instruction goes on', () => {
    reset(cpu, slot.CR0_PE);
    cpu.memory.write16(MEMORY_AT as MachineAddress, 0x340);
    let asserted = 0;
    cpu.onFerr = () => {
      asserted++;
    };
    expect(runBytes(cpu, `${UNMASK} ${DIVIDE_BY_ZERO} ${FNSTSW_AX}`).vector).toBe(NONE);
    expect(asserted).toBe(0);
    expect(runBytes(cpu, FWAIT).vector).toBe(NONE);
    expect(asserted).toBe(1);
  });

  test('of a store leaves memory and the stack as they were', () => {
    // FLDCW, FLDPI, FISTP word [ebx] of 2^40: invalid.
    cpu.memory.write32((MEMORY_AT + 4) as MachineAddress, 0x53800000);
    expect(runBytes(cpu, `${UNMASK} d9 43 04 df 1b`).vector).toBe(NONE);
    expect(cpu.memory.read16(MEMORY_AT as MachineAddress)).toBe(0x340);
    expect([S[slot.FPU_TAG], S[slot.FPU_STATUS]! & 0xff]).toEqual([0x80, 0x81]);
  });
});

test('FXSAVE and FXRSTOR need an image aligned to 16 bytes', () => {
  expect(runBytes(cpu, '0f ae 43 08').vector).toBe(GP);
  expect(runBytes(cpu, '0f ae 4b 08').vector).toBe(GP);
});

test('FXRSTOR of reserved MXCSR bits is #GP and changes nothing', () => {
  expect(runBytes(cpu, FXSAVE).vector).toBe(NONE);
  cpu.memory.write32((MEMORY_AT + 24) as MachineAddress, 0x10000);
  cpu.memory.write16(MEMORY_AT as MachineAddress, 0x27f);
  expect(runBytes(cpu, '0f ae 0b').vector).toBe(GP);
  expect(S[slot.FPU_CONTROL]).toBe(0x37f);
});
