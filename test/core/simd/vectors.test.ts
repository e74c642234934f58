/**
 * MMX, SSE, SSE2 and SSE3 against a real processor: every recorded instruction (scripts/oracle-vectors-simd.mjs) must leave the same
 * registers, MXCSR, x87 state, arithmetic flags and memory, or raise the same exception.
 */
import { describe, expect, test } from 'vitest';
import {
  CODE_START,
  DATA_PAGE,
  formsOf,
  READ_ONLY_PAGE,
  STATE_NAMES,
  WINDOW,
  WINDOW_BYTES,
} from '../../../scripts/oracle-vectors/simd-cases.mjs';
import type { MachineAddress } from '../../../src/core/address.ts';
import type { Cpu } from '../../../src/core/cpu.ts';
import { STOP_TRAP } from '../../../src/core/signals.ts';
import * as slot from '../../../src/core/state.ts';
import { createDecoded, decode } from '../../../src/isa/decode.ts';
import { ARITHMETIC } from '../../../src/isa/eflags.ts';
import { format } from '../../../src/isa/format.ts';
import { SIMD_OPCODES } from '../../../src/isa/opcodes-simd.ts';
import { flatCpu } from '../../support/flat-cpu.ts';
import { COMPLETED, loadSimdHeader, loadSimdVectors, type SimdVector } from '../../support/simd-vectors.ts';

const BREAKPOINT = 3;
const PAGE_FAULT = 14;
const INT3 = 0xcc;
const TIME_LIMIT = 240_000;
/** Of the blocks that become functions only every so-many-th is run, since each has to be compiled. */
const COMPILED_STEP = 16;
/** Machine frames of the pages: linear READ_ONLY_PAGE is the first, and so on. */
const FRAMES = 0x200000;
const PAGE_DIRECTORY = 0x300000;
const PAGE_TABLE = 0x301000;
const LOW_PAGE_TABLE = 0x302000;
/** Linear and machine addresses. */
const GDT = 0x1000;
const IDT = 0x2000;

/** A processor at CPL 3 with the recording program's pages and without handlers: every exception is a stop. */
function userCpu(): Cpu {
  const cpu = flatCpu();
  const { state: S, ram } = cpu.memory;
  const view = new DataView(ram.buffer, ram.byteOffset, ram.byteLength);
  ram.fill(0, FRAMES, FRAMES + 0x4000);
  ram.fill(0, PAGE_DIRECTORY, LOW_PAGE_TABLE + 0x1000);
  // Selector 8: flat ring-0 code, the target of all gates.
  view.setUint32(GDT + 8, 0x0000ffff, true);
  view.setUint32(GDT + 12, 0x00cf9b00, true);
  for (let vector = 0; vector < 32; vector++) {
    view.setUint32(IDT + 8 * vector, 8 << 16, true);
    view.setUint32(IDT + 8 * vector + 4, 0x8e00 | ((vector === BREAKPOINT ? 3 : 0) << 13), true);
  }
  S[slot.GDTR_BASE] = GDT;
  S[slot.GDTR_LIMIT] = 0xff;
  S[slot.IDTR_BASE] = IDT;
  S[slot.IDTR_LIMIT] = 32 * 8 - 1;
  for (let segment = 0; segment < 6; segment++) {
    const at = slot.segmentSlot(segment);
    S[at + slot.SELECTOR] = segment === slot.CS ? 0x1b : 0x23;
    S[at + slot.RIGHTS] = S[at + slot.RIGHTS]! | 0x60;
  }
  view.setUint32(PAGE_DIRECTORY, LOW_PAGE_TABLE | 7, true);
  for (const page of [GDT, IDT]) view.setUint32(LOW_PAGE_TABLE + (page >> 10), page | 3, true);
  view.setUint32(PAGE_DIRECTORY + 4 * (READ_ONLY_PAGE >>> 22), PAGE_TABLE | 7, true);
  const map = (page: number, rights: number): void =>
    view.setUint32(PAGE_TABLE + 4 * ((page >>> 12) & 0x3ff), (FRAMES + page - READ_ONLY_PAGE) | rights, true);
  map(READ_ONLY_PAGE, 5);
  map(DATA_PAGE, 7);
  map(CODE_START, 7);
  S[slot.CR3] = PAGE_DIRECTORY;
  S[slot.CR0] = slot.CR0_PE | slot.CR0_WP | slot.CR0_PG | slot.CR0_NE;
  S[slot.CR4] = slot.CR4_OSFXSR | slot.CR4_OSXMMEXCPT;
  cpu.mmu.flush(true);
  S[slot.CPL] = 3;
  S[slot.HOSTED] = 1;
  ram.fill(INT3, frameOf(CODE_START), frameOf(CODE_START) + 4096);
  cpu.updateMode();
  return cpu;
}
const frameOf = (linear: number): MachineAddress => (FRAMES + linear - READ_ONLY_PAGE) as MachineAddress;

function load(cpu: Cpu, { test, before }: SimdVector): void {
  const { memory } = cpu;
  const S = memory.state;
  for (let i = 0; i < 8; i++) S[2 * i] = test.registers[i]!;
  cpu.setEflags(test.eflags);
  S[slot.MXCSR] = test.mxcsr;
  S[slot.FPU_CONTROL] = test.control;
  S[slot.FPU_STATUS] = test.status;
  S[slot.FPU_TAG] = before[11]!;
  test.mm.forEach(({ words, exponent }, i) => {
    S.set([words[0]! | 0, words[1]! | 0, exponent], slot.FPU_REGISTERS + slot.FPU_REGISTER_WORDS * i);
  });
  test.xmm.forEach((words, i) => {
    S.set(words, slot.XMM + slot.XMM_WORDS * i);
  });
  memory.writeBytes(frameOf(WINDOW), test.memory);
  S[slot.EIP] = CODE_START;
}

/** Our state words, in the order of STATE_NAMES. */
function stateWords(cpu: Cpu): Uint32Array {
  const { memory } = cpu;
  const S = memory.state;
  const words: number[] = [];
  for (let i = 0; i < 8; i++) words.push(S[2 * i]!);
  words.push(cpu.eflags() & ARITHMETIC, S[slot.MXCSR]!, S[slot.FPU_STATUS]!, S[slot.FPU_TAG]!);
  const fpu = (i: number): number => slot.FPU_REGISTERS + slot.FPU_REGISTER_WORDS * i;
  for (let i = 0; i < 8; i++) words.push(S[fpu(i) + 2]!);
  for (let i = 0; i < 8; i++) words.push(S[fpu(i)]!, S[fpu(i) + 1]!);
  for (let i = 0; i < 32; i++) words.push(S[slot.XMM + i]!);
  for (let at = 0; at < WINDOW_BYTES; at += 4) words.push(memory.read32((frameOf(WINDOW) + at) as MachineAddress));
  return Uint32Array.from(words);
}

const hex = (value: number): string => (value >>> 0).toString(16);
const floatOf = (bits: number): number => new Float32Array(Uint32Array.of(bits).buffer)[0]!;

/**
 * RCPPS and RSQRTPS may differ from one processor to the next: their results, where numbers, are held against the truth.
 * SDM volume 2: |relative error| <= 1.5 x 2^-12.
 */
function isGoodEstimate(mnemonic: string, operand: number, ours: number): boolean {
  const x = floatOf(operand);
  const truth = mnemonic.startsWith('rsqrt') ? 1 / Math.sqrt(x) : 1 / x;
  return Math.abs(floatOf(ours) / truth - 1) <= 1.5 * 2 ** -12;
}
const isNumber = (bits: number): boolean => (bits & 0x7f800000) !== 0x7f800000 && (bits & 0x7f800000) !== 0;

/** Numbers of the state words that an instruction's estimates are in, with the operands: lanes of the destination. */
function estimateOperand(vector: SimdVector, word: number): number | null {
  if (!/^r(cp|sqrt)[ps]s$/.test(vector.form.mnemonic) || !STATE_NAMES[word]!.startsWith('xmm')) return null;
  const { bytes, memory, xmm, registers } = vector.test;
  const modrm = bytes.at(-1)!;
  const lane = (word - STATE_NAMES.indexOf('xmm0.0')) & 3;
  if (vector.vector !== COMPLETED) return null;
  if (modrm >= 0xc0) return xmm[modrm & 7]![lane]!;
  const at = registers[3]! - WINDOW + 4 * lane;
  return at >= 0 ? new DataView(memory.buffer).getUint32(at, true) : 0;
}

function replay(cpu: Cpu, vector: SimdVector, compiled: boolean): string[] {
  const { memory } = cpu;
  const S = memory.state;
  const bytes = Uint8Array.from(vector.test.bytes);
  memory.writeBytes(frameOf(CODE_START), bytes);
  load(cpu, vector);
  let stop = cpu.run();
  if (compiled) {
    cpu.code.sample(cpu.code.find(frameOf(CODE_START), CODE_START, S[slot.MODE]!));
    load(cpu, vector);
    stop = cpu.run();
  }
  memory.writeBytes(frameOf(CODE_START), new Uint8Array(bytes.length).fill(INT3));

  const differences: string[] = [];
  const compare = (name: string, ours: number, theirs: number): void => {
    if (ours >>> 0 !== theirs >>> 0) differences.push(`${name} ${hex(ours)}, should be ${hex(theirs)}`);
  };
  compare('stop', stop, STOP_TRAP);
  const completed = S[slot.EVENT_VECTOR] === BREAKPOINT;
  compare('vector', completed ? COMPLETED : S[slot.EVENT_VECTOR]!, vector.vector);
  if (vector.vector === PAGE_FAULT) {
    compare('error code', S[slot.EVENT_ERROR]!, vector.error);
    compare('cr2', S[slot.CR2]!, vector.cr2);
  }
  compare('eip', S[slot.EIP]!, CODE_START + (completed ? bytes.length + 1 : 0));
  const ours = stateWords(cpu);
  ours.forEach((value, word) => {
    const theirs = vector.after[word]!;
    if (value === theirs) return;
    const operand = estimateOperand(vector, word);
    if (operand !== null && isNumber(theirs) && isGoodEstimate(vector.form.mnemonic, operand, value)) return;
    // Where a reciprocal becomes tiny, and therefore zero, is open (SDM volume 2, RCPPS).
    if (operand !== null && theirs << 1 === 0 && Math.abs(floatOf(value)) <= 2 ** -126) return;
    compare(STATE_NAMES[word]!, value, theirs);
  });
  return differences;
}

function describeCase(vector: SimdVector, differences: readonly string[]): string {
  const decoded = createDecoded();
  decode(Uint8Array.from(vector.test.bytes), 0, vector.test.bytes.length, true, decoded);
  const { reg, rm, mod } = decoded;
  const words = (values: readonly number[]): string => values.map(hex).join(' ');
  const operands = [`mxcsr ${hex(vector.test.mxcsr)}`, `xmm${reg} ${words(vector.test.xmm[reg]!)}`];
  if (mod === 3) operands.push(`xmm${rm} ${words(vector.test.xmm[rm]!)}`);
  return `${format(decoded, 0)}, ${operands.join(', ')}: ${differences.join(', ')}`;
}

/** Replays every `step`th vector; failures by form. */
function replayAll(step: number, compiled: boolean): Record<string, { count: number; first: string }> {
  const cpu = userCpu();
  cpu.code.hotSightings = compiled ? 1 : Number.POSITIVE_INFINITY;
  const failures: Record<string, { count: number; first: string }> = {};
  let number = 0;
  for (const vector of loadSimdVectors()) {
    if (number++ % step !== 0) continue;
    if (number % 500 === 0) cpu.code.flush();
    const differences = replay(cpu, vector, compiled);
    if (differences.length === 0) continue;
    failures[vector.form.name] ??= { count: 0, first: describeCase(vector, differences) };
    failures[vector.form.name]!.count++;
  }
  expect(number).toBe(loadSimdHeader().cases);
  return failures;
}

const { processor, cases, forms } = loadSimdHeader();

describe('user-simd', () => {
  test('has every form of the opcode table', () => {
    expect([...forms].sort()).toEqual(
      formsOf(SIMD_OPCODES)
        .map(({ name }) => name)
        .sort(),
    );
  });

  test(
    `agrees with ${processor} on ${cases} states of ${forms.length} instruction forms`,
    () => {
      expect(replayAll(1, false)).toEqual({});
    },
    TIME_LIMIT,
  );

  test(
    'agrees when the block has become a function',
    () => {
      expect(replayAll(COMPILED_STEP, true)).toEqual({});
    },
    TIME_LIMIT,
  );
});
