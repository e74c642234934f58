/**
 * When MMX and SSE instructions may run, and what they do to memory: the exception tables of SDM volume 3A, 12.1, 13.1 and volume 2
 * (22-4 to 22-9), one instruction at a time.
 */
import { describe, expect, test } from 'vitest';
import type { MachineAddress } from '../../../src/core/address.ts';
import type { Cpu } from '../../../src/core/cpu.ts';
import { GP, MF, NM, STOP_MARKER, UD, XM } from '../../../src/core/signals.ts';
import * as slot from '../../../src/core/state.ts';
import { CODE_AT, DATA_AT, flatCpu } from '../../support/flat-cpu.ts';
import { faultOf } from '../../support/protected-cpu.ts';

const MARKER = [0x0f, 0x1f, 0x80, 0x03, 0x00, 0x56, 0x54];
const PADDB_MMX = [0x0f, 0xfc, 0xc1];
const PADDB_XMM = [0x66, 0x0f, 0xfc, 0xc1];
const ADDPS = [0x0f, 0x58, 0xc1];
const CVTPS2PI = [0x0f, 0x2d, 0xc1];
const EMMS = [0x0f, 0x77];
const LDMXCSR = [0x0f, 0xae, 0x13];
/** MOVNTI [EBX], EAX; PREFETCHNTA [EBX]; SFENCE: part of SSE and SSE2, but no state of theirs. */
const STATELESS = [
  [0x0f, 0xc3, 0x03],
  [0x0f, 0x18, 0x03],
  [0x0f, 0xae, 0xf8],
];

function simdCpu(): Cpu {
  const cpu = flatCpu();
  const S = cpu.memory.state;
  S[slot.CR0] = slot.CR0_PE | slot.CR0_NE;
  S[slot.CR4] = slot.CR4_OSFXSR | slot.CR4_OSXMMEXCPT;
  S[slot.EBX] = DATA_AT;
  S[slot.MXCSR] = 0x1f80;
  return cpu;
}

/** What one instruction raises; memory accesses go to the processor's RAM. */
function outcome(cpu: Cpu, bytes: readonly number[]): number | null {
  const { memory } = cpu;
  memory.writeBytes(CODE_AT as MachineAddress, Uint8Array.from(bytes));
  memory.state[slot.EIP] = CODE_AT;
  const fault = faultOf(cpu, () =>
    cpu.emulateOne({
      load: (linear, size) =>
        size === 4 ? memory.read32(linear as MachineAddress) : memory.read8(linear as MachineAddress),
      store: (linear, size, value) => {
        if (size === 4) memory.write32(linear as MachineAddress, value);
        else memory.write8(linear as MachineAddress, value);
      },
      checkWrite: () => {},
    }),
  );
  return fault === null ? null : fault.vector;
}

describe('an instruction on', () => {
  test.each<[string, number[], number | null, number | null, number | null, number | null]>([
    ['MMX registers', PADDB_MMX, UD, NM, null, MF],
    ['XMM registers', PADDB_XMM, UD, NM, UD, null],
    ['singles', ADDPS, UD, NM, UD, null],
    ['both', CVTPS2PI, UD, NM, UD, MF],
    ['MXCSR', LDMXCSR, UD, NM, UD, null],
    ['all tags', EMMS, UD, NM, null, MF],
  ])('%s heeds CR0.EM, CR0.TS, CR4.OSFXSR and a waiting x87 exception', (_, bytes, em, ts, osfxsr, pending) => {
    const cpu = simdCpu();
    const S = cpu.memory.state;
    cpu.memory.write32(DATA_AT as MachineAddress, 0x1f80);
    expect(outcome(cpu, bytes)).toBe(null);
    S[slot.CR0] = S[slot.CR0]! | slot.CR0_TS;
    expect(outcome(cpu, bytes)).toBe(ts);
    S[slot.CR0] = S[slot.CR0]! | slot.CR0_EM;
    expect(outcome(cpu, bytes)).toBe(em);
    S[slot.CR0] = slot.CR0_PE | slot.CR0_NE;
    S[slot.CR4] = slot.CR4_OSXMMEXCPT;
    expect(outcome(cpu, bytes)).toBe(osfxsr);
    S[slot.CR4] = slot.CR4_OSFXSR;
    S[slot.FPU_STATUS] = 0x80;
    expect(outcome(cpu, bytes)).toBe(pending);
  });

  test.each(STATELESS.map((bytes) => [bytes]))('no state of SSE heeds nothing: %j', (bytes) => {
    const cpu = simdCpu();
    cpu.memory.state[slot.CR0] = slot.CR0_PE | slot.CR0_EM | slot.CR0_TS;
    cpu.memory.state[slot.CR4] = 0;
    expect(outcome(cpu, bytes)).toBe(null);
  });

  test('#UD comes before #NM, and without CR4.OSFXSR too', () => {
    const cpu = simdCpu();
    cpu.memory.state[slot.CR0] = slot.CR0_PE | slot.CR0_TS;
    cpu.memory.state[slot.CR4] = 0;
    expect(outcome(cpu, PADDB_XMM)).toBe(UD);
    expect(outcome(cpu, PADDB_MMX)).toBe(NM);
  });
});

describe('an unmasked floating-point exception', () => {
  test('is #XM with the destination as it was and the flag set', () => {
    const cpu = simdCpu();
    const S = cpu.memory.state;
    S[slot.MXCSR] = 0;
    S.set([0x3f800000, 0, 0, 0], slot.XMM);
    S.set([0x33000000, 0, 0, 0], slot.XMM + slot.XMM_WORDS);
    expect(outcome(cpu, ADDPS)).toBe(XM);
    expect(S[slot.XMM]).toBe(0x3f800000);
    expect(S[slot.MXCSR]).toBe(0x20);
  });

  test('is #UD if CR4.OSXMMEXCPT is 0', () => {
    const cpu = simdCpu();
    const S = cpu.memory.state;
    S[slot.CR4] = slot.CR4_OSFXSR;
    S[slot.MXCSR] = 0;
    S.set([0x7f800001, 0, 0, 0], slot.XMM);
    expect(outcome(cpu, ADDPS)).toBe(UD);
  });

  test('that LDMXCSR makes of a flag that is set already is not raised', () => {
    const cpu = simdCpu();
    cpu.memory.write32(DATA_AT as MachineAddress, 0x3f);
    expect(outcome(cpu, LDMXCSR)).toBe(null);
    expect(outcome(cpu, ADDPS)).toBe(null);
  });

  test('LDMXCSR refuses bits that are not there', () => {
    const cpu = simdCpu();
    cpu.memory.write32(DATA_AT as MachineAddress, 0x10000);
    expect(outcome(cpu, LDMXCSR)).toBe(GP);
    expect(cpu.memory.state[slot.MXCSR]).toBe(0x1f80);
  });
});

test('the MMX state is the x87 state', () => {
  const cpu = simdCpu();
  const S = cpu.memory.state;
  S[slot.FPU_STATUS] = 5 << 11;
  S[slot.FPU_TAG] = 0x81;
  S.fill(0, slot.FPU_REGISTERS, slot.XMM);
  expect(outcome(cpu, PADDB_MMX)).toBe(null);
  expect([S[slot.FPU_STATUS], S[slot.FPU_TAG]]).toEqual([0, 0xff]);
  const exponents = Array.from({ length: 8 }, (_, i) => S[slot.FPU_REGISTERS + slot.FPU_REGISTER_WORDS * i + 2]);
  expect(exponents).toEqual([0xffff, 0, 0, 0, 0, 0, 0, 0]);
  expect(outcome(cpu, EMMS)).toBe(null);
  expect(S[slot.FPU_TAG]).toBe(0);
});

test('a store of sixteen bytes into the code that follows it is seen, in records and in functions', () => {
  for (const hot of [2, Number.POSITIVE_INFINITY]) {
    const cpu = simdCpu();
    const S = cpu.memory.state;
    cpu.code.hotSightings = hot;
    // loop: movdqu [target], xmm0; paddd xmm0, xmm1; target: mov al, imm8 (rewritten); nops; add edx, eax; dec ecx; jnz loop
    const target = CODE_AT + 12;
    const code = [
      ...[0xf3, 0x0f, 0x7f, 0x05, target & 0xff, (target >> 8) & 0xff, (target >> 16) & 0xff, target >>> 24],
      ...[0x66, 0x0f, 0xfe, 0xc1],
      ...[0xb0, 0x00, ...Array(14).fill(0x90)],
      ...[0x01, 0xc2, 0x49, 0x75, 0xdf],
      ...MARKER,
    ];
    cpu.memory.writeBytes(CODE_AT as MachineAddress, Uint8Array.from(code));
    S.set([0x909000b0 | 0, 0x90909090 | 0, 0x90909090 | 0, 0x90909090 | 0], slot.XMM);
    // Only the immediate counts up.
    S.set([0x100, 0, 0, 0], slot.XMM + slot.XMM_WORDS);
    S[slot.EAX] = 0;
    S[slot.EDX] = 0;
    S[slot.ECX] = 200;
    expect(cpu.run()).toBe(STOP_MARKER);
    expect(S[slot.EDX]).toBe((199 * 200) / 2);
  }
});

test('a function looks at CR0.TS again after the system has changed it', () => {
  const cpu = simdCpu();
  const S = cpu.memory.state;
  cpu.code.hotSightings = 2;
  S[slot.HOSTED] = 0;
  // loop: pxor xmm0, xmm1; pxor xmm0, xmm1; dec ecx; jnz loop; mov eax, cr0; or al, 8; mov cr0, eax; inc ecx; jmp loop
  const code = [
    ...[0x66, 0x0f, 0xef, 0xc1, 0x66, 0x0f, 0xef, 0xc1, 0x49, 0x75, 0xf5],
    ...[0x0f, 0x20, 0xc0, 0x0c, 0x08, 0x0f, 0x22, 0xc0, 0x41, 0xeb, 0xea],
  ];
  cpu.memory.writeBytes(CODE_AT as MachineAddress, Uint8Array.from(code));
  S[slot.ECX] = 6000;
  // Without an IDT the #NM ends in a triple fault, with EIP at the first PXOR.
  S[slot.IDTR_LIMIT] = 0;
  cpu.run();
  expect(cpu.code.compiled).toBeGreaterThan(0);
  expect([S[slot.EIP], S[slot.ECX]]).toEqual([CODE_AT, 1]);
});
