/**
 * x87 against a real processor: what scripts/oracle-vectors-x87.mjs recorded must come out, word for word: registers
 * (empty ones too), control, status and tag words, EFLAGS, AX and memory. The transcendental functions may differ by
 * ULPS units in the last place, since each maker's are its own.
 */
import { describe, expect, test } from 'vitest';
import { pointerBytes } from '../../../scripts/oracle-vectors/x87-cases.mjs';
import type { Cpu } from '../../../src/core/cpu.ts';
import { STOP_HALT } from '../../../src/core/signals.ts';
import * as slot from '../../../src/core/state.ts';
import { CODE_AT, DATA_AT, flatCpu } from '../../support/flat-cpu.ts';
import { loadX87Header, loadX87Vectors, physicalRegisters, type X87Vector } from '../../support/x87-vectors.ts';

const HLT = 0xf4;
const SLOT_BYTES = 16;
/** Arithmetic flags, all that an x87 instruction can change of EFLAGS. */
const COMPARED_FLAGS = 0x8d5;
const ULPS = 2n;
const PE = 0x20;
const C1 = 0x200;
const ES = 0x80;
const BUSY = 0x8000;
/** FCOMI FCOMIP FUCOMI FUCOMIP clear C1 on Intel's processors (SDM volume 2, FCOMI); the recorded one leaves it. */
const CLEARS_C1 = new Set(['db e8', 'db f0', 'df e8', 'df f0']);

/** A place for each byte string, so that no code is ever overwritten. */
const places = new Map<string, number>();

function placeOf(cpu: Cpu, bytes: readonly number[]): number {
  const key = bytes.join();
  let at = places.get(key);
  if (at === undefined) {
    at = CODE_AT + SLOT_BYTES * places.size;
    places.set(key, at);
    cpu.memory.ram.set([...bytes, HLT], at);
  }
  return at;
}

const register = (cpu: Cpu, number: number): Uint8Array => {
  const bytes = new Uint8Array(10);
  const at = slot.FPU_REGISTERS + slot.FPU_REGISTER_WORDS * number;
  const view = new DataView(bytes.buffer);
  const S = cpu.memory.state;
  view.setInt32(0, S[at]!, true);
  view.setInt32(4, S[at + 1]!, true);
  view.setUint16(8, S[at + 2]!, true);
  return bytes;
};

function setUp(cpu: Cpu, vector: X87Vector): void {
  const S = cpu.memory.state;
  const { image, window, eflags, eax } = vector.test;
  const view = new DataView(image.buffer);
  S[slot.FPU_CONTROL] = view.getUint16(0, true);
  S[slot.FPU_STATUS] = view.getUint16(4, true);
  const tag = view.getUint16(8, true);
  S[slot.FPU_TAG] = 0;
  physicalRegisters(image).forEach((bytes, number) => {
    const at = slot.FPU_REGISTERS + slot.FPU_REGISTER_WORDS * number;
    const words = new DataView(bytes.buffer);
    S[at] = words.getInt32(0, true);
    S[at + 1] = words.getInt32(4, true);
    S[at + 2] = words.getUint16(8, true);
    if (((tag >> (2 * number)) & 3) !== 3) S[slot.FPU_TAG]! |= 1 << number;
  });
  cpu.memory.ram.set(window, DATA_AT);
  S[slot.EBX] = DATA_AT;
  S[slot.EAX] = eax;
  S[slot.CR4] = slot.CR4_OSFXSR;
  S[slot.MXCSR] = 0x1f80;
  S[slot.ACTIVITY] = 0;
  cpu.setEflags(eflags & ~0x200);
  S[slot.EIP] = placeOf(cpu, vector.test.bytes);
}

/** The full tag word, by its definition (SDM volume 1, 8.1.7). */
function tagWord(cpu: Cpu): number {
  let tag = 0;
  for (let number = 0; number < 8; number++) {
    const bytes = register(cpu, number);
    const exponent = (bytes[8]! | (bytes[9]! << 8)) & 0x7fff;
    const zero = bytes.subarray(0, 8).every((byte) => byte === 0);
    let two = exponent === 0 ? (zero ? 1 : 2) : exponent === 0x7fff || bytes[7]! < 0x80 ? 2 : 0;
    if (((cpu.memory.state[slot.FPU_TAG]! >> number) & 1) === 0) two = 3;
    tag |= two << (2 * number);
  }
  return tag;
}

const hex = (bytes: Uint8Array): string =>
  [...bytes]
    .reverse()
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join('');

/** Distance of two registers in units of the last place; of other sign or kind: very many. */
function distance(a: Uint8Array, b: Uint8Array): bigint {
  const ordinal = (bytes: Uint8Array): bigint => {
    const magnitude = BigInt(`0x${hex(bytes)}`) & ((1n << 79n) - 1n);
    const exponent = magnitude >> 64n;
    const value = (exponent << 63n) | (magnitude & ((1n << 63n) - 1n));
    return bytes[9]! < 0x80 ? value : -value;
  };
  const difference = ordinal(a) - ordinal(b);
  return difference < 0n ? -difference : difference;
}

function replay(cpu: Cpu, vector: X87Vector): string[] {
  setUp(cpu, vector);
  const S = cpu.memory.state;
  const differences: string[] = [];
  const compare = (name: string, ours: number, theirs: number): void => {
    if (ours !== theirs) differences.push(`${name} ${(ours >>> 0).toString(16)}, should be ${theirs.toString(16)}`);
  };
  compare('stop', cpu.run(), STOP_HALT);
  const { transcendental } = vector.test.form;
  const before = physicalRegisters(vector.test.image);
  vector.registers.forEach((expected, number) => {
    const ours = register(cpu, number);
    const theirs = expected ?? before[number]!;
    if (hex(ours) === hex(theirs)) return;
    if (transcendental && distance(ours, theirs) <= ULPS) return;
    differences.push(`R${number} ${hex(ours)}, should be ${hex(theirs)}`);
  });
  // PE (with it ES) and C1 of an approximated result depend on the approximation.
  const approximate = (vector.control & PE) !== 0 ? PE | C1 : PE | C1 | ES | BUSY;
  const statusMask = transcendental ? ~approximate : CLEARS_C1.has(vector.test.form.name) ? ~C1 : -1;
  compare('status', S[slot.FPU_STATUS]! & statusMask, vector.status & statusMask);
  compare('control', S[slot.FPU_CONTROL]!, vector.control);
  compare('tag', tagWord(cpu), vector.tag);
  compare('eax', S[slot.EAX]! >>> 0, vector.eax);
  compare('eflags', cpu.eflags() & COMPARED_FLAGS, vector.eflags & COMPARED_FLAGS);
  const isPointer = pointerBytes(vector.test.form);
  for (let offset = 0; offset < vector.window.length; offset++) {
    const ours = cpu.memory.ram[DATA_AT + offset]!;
    if (ours !== vector.window[offset] && !isPointer(offset)) compare(`byte +${offset}`, ours, vector.window[offset]!);
  }
  return differences;
}

function describeCase(vector: X87Vector, differences: readonly string[]): string {
  const view = new DataView(vector.test.image.buffer);
  const top = (view.getUint16(4, true) >> 11) & 7;
  const registers = physicalRegisters(vector.test.image);
  const stack = [0, 1, vector.test.bytes.at(-1)! & 7].map((i) => `st${i} ${hex(registers[(top + i) & 7]!)}`).join(' ');
  const words = [0, 4, 8].map((at) => view.getUint16(at, true).toString(16)).join(' ');
  const bytes = vector.test.bytes.map((byte) => byte.toString(16)).join(' ');
  return `[${bytes}] top ${top} ${stack}, control status tag ${words}, memory ${hex(vector.test.window.subarray(0, 10))}: ${differences.join('; ')}`;
}

const header = loadX87Header();

describe('user-x87', () => {
  test(`agrees with ${header.processor} on ${header.cases} states of ${header.forms} instruction forms`, () => {
    const cpu = flatCpu();
    const failures: Record<string, { count: number; first: string[] }> = {};
    let number = 0;
    for (const vector of loadX87Vectors()) {
      number++;
      const differences = replay(cpu, vector);
      if (differences.length === 0) continue;
      failures[vector.test.form.name] ??= { count: 0, first: [] };
      const failure = failures[vector.test.form.name]!;
      failure.count++;
      if (failure.first.length < 3) failure.first.push(describeCase(vector, differences));
    }
    expect(number).toBe(header.cases);
    expect(failures).toEqual({});
  });
});
