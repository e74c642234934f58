/**
 * Instructions against a real processor: every recorded single instruction (scripts/oracle-vectors.mjs) must leave
 * the same registers, flags, memory, EIP and exception, with error code and CR2. Flags that the SDM leaves undefined are not compared.
 */
import { describe, expect, test } from 'vitest';
import type { MachineAddress } from '../../src/core/address.ts';
import type { Cpu } from '../../src/core/cpu.ts';
import { STOP_TRAP } from '../../src/core/signals.ts';
import * as slot from '../../src/core/state.ts';
import { createDecoded, decode } from '../../src/isa/decode.ts';
import { AC, ARITHMETIC, DF, ID, IF, IOPL, NT } from '../../src/isa/eflags.ts';
import { format } from '../../src/isa/format.ts';
import type { Decoded } from '../../src/isa/instruction.ts';
import { flatCpu } from '../support/flat-cpu.ts';
import {
  COMPLETED,
  loadVectorHeader,
  loadVectors,
  undefinedFlags,
  type Vector,
  type VectorHeader,
} from '../support/vectors.ts';

const CODE_PAGE = 0x6000;
const DATA_PAGE = 0x4000;
const READ_ONLY_PAGE = 0x3000;
/** Bytes at the start of the data page that cases at its edge may have written. */
const LOWER_EDGE_BYTES = 128;
const PAGE_DIRECTORY = 0x10000;
const PAGE_TABLE = 0x11000;
const GDT = 0x1000;
const IDT = 0x2000;
const INT3 = 0xcc;
const BREAKPOINT = 3;
const OVERFLOW = 4;
const PAGE_FAULT = 14;
/** Of the vectors every so manieth is run as a compiled block too: coprime to the states of a form, so that all forms occur. */
const COMPILED_STEP = 41;
const FLUSH_EVERY = 500;
const TIME_LIMIT = 600_000;
/** The flags that a user program sees and can change, and IF, which it cannot. */
const COMPARED = ARITHMETIC | DF | NT | ID | AC | IF | IOPL;
const NAMES = ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi'];

/** A user process as the recording had it: flat segments, CPL 3, every exception reported to a host. */
function userCpu(): Cpu {
  const cpu = flatCpu();
  const { state: S, ram } = cpu.memory;
  const view = new DataView(ram.buffer, ram.byteOffset, ram.byteLength);
  // Selector 8: flat ring-0 code, the target of all gates.
  view.setUint32(GDT + 8, 0x0000ffff, true);
  view.setUint32(GDT + 12, 0x00cf9b00, true);
  for (let vector = 0; vector < 32; vector++) {
    const dpl = vector === BREAKPOINT || vector === OVERFLOW ? 3 : 0;
    view.setUint32(IDT + 8 * vector, 8 << 16, true);
    view.setUint32(IDT + 8 * vector + 4, 0x8e00 | (dpl << 13), true);
  }
  S[slot.GDTR_BASE] = GDT;
  S[slot.GDTR_LIMIT] = 0xff;
  S[slot.IDTR_BASE] = IDT;
  S[slot.IDTR_LIMIT] = 32 * 8 - 1;
  for (let segment = 0; segment < 6; segment++) {
    const at = slot.segmentSlot(segment);
    S[at + slot.SELECTOR] = segment === slot.CS ? 0x1b : 0x23;
    S[at + slot.RIGHTS] = (S[at + slot.RIGHTS] as number) | 0x60;
  }
  // The pages that the recording process had, one to one; nothing else is there.
  view.setUint32(PAGE_DIRECTORY, PAGE_TABLE | 7, true);
  for (const page of [0x1000, 0x2000]) view.setUint32(PAGE_TABLE + (page >> 10), page | 3, true);
  for (const page of [DATA_PAGE, CODE_PAGE]) view.setUint32(PAGE_TABLE + (page >> 10), page | 7, true);
  view.setUint32(PAGE_TABLE + (READ_ONLY_PAGE >> 10), READ_ONLY_PAGE | 5, true);
  S[slot.CR3] = PAGE_DIRECTORY;
  S[slot.CR0] = slot.CR0_PE | slot.CR0_WP | slot.CR0_PG;
  cpu.mmu.flush(true);
  S[slot.CPL] = 3;
  S[slot.HOSTED] = 1;
  ram.fill(INT3, CODE_PAGE, CODE_PAGE + 4096);
  cpu.updateMode();
  return cpu;
}

const hex = (value: number): string => (value >>> 0).toString(16);

/** Puts everything but the code in place and runs. */
function run(cpu: Cpu, header: VectorHeader, vector: Vector): number {
  const { memory } = cpu;
  const S = memory.state;
  memory.ram.fill(0, DATA_PAGE, DATA_PAGE + LOWER_EDGE_BYTES);
  memory.writeBytes(header.window as MachineAddress, vector.memory);
  for (let number = 0; number < 8; number++) S[2 * number] = vector.registers[number]!;
  cpu.setEflags(vector.eflags);
  S[slot.EIP] = header.codeStart;
  return cpu.run();
}

/** Runs one vector, from records or from a compiled block; says what differs, or nothing. */
function replay(cpu: Cpu, header: VectorHeader, vector: Vector, undefinedMask: number, compiled: boolean): string[] {
  const { memory } = cpu;
  const S = memory.state;
  memory.writeBytes(header.codeStart as MachineAddress, vector.bytes);
  let stop = run(cpu, header, vector);
  if (compiled) {
    cpu.code.sample(cpu.code.find(header.codeStart, header.codeStart, S[slot.MODE]!));
    stop = run(cpu, header, vector);
  }
  memory.writeBytes(header.codeStart as MachineAddress, new Uint8Array(vector.bytes.length).fill(INT3));

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
  compare('eip', completed ? S[slot.EIP]! - 1 : S[slot.EIP]!, vector.eip);
  for (let number = 0; number < 8; number++) {
    compare(NAMES[number]!, S[2 * number]!, vector.registersAfter[number]!);
  }
  const mask = vector.vector === PAGE_FAULT ? COMPARED : COMPARED & ~undefinedMask;
  compare('eflags', cpu.eflags() & mask, vector.eflagsAfter & mask);
  for (let offset = 0; offset < header.windowBytes; offset++) {
    const ours = memory.ram[header.window + offset]!;
    if (ours !== vector.memoryAfter[offset]) compare(`byte +${hex(offset)}`, ours, vector.memoryAfter[offset]!);
  }
  return differences;
}

/** Replays every `step`th vector of a file; failures by instruction form. */
function replayAll(file: string, step: number, compiled: boolean): Record<string, { count: number; first: string }> {
  const header = loadVectorHeader(file);
  const cpu = userCpu();
  cpu.code.hotSightings = compiled ? 1 : Number.POSITIVE_INFINITY;
  const decoded = createDecoded();
  const failures: Record<string, { count: number; first: string }> = {};
  let number = 0;
  for (const vector of loadVectors(file)) {
    if (number++ % step !== 0) continue;
    // Branch targets leave thousands of one-instruction blocks on the code page, all of which a write must look at.
    if (number % FLUSH_EVERY === 0) cpu.code.flush();
    decode(vector.bytes, 0, vector.bytes.length, true, decoded);
    const undefinedMask = undefinedFlags(decoded, vector.registers[1]! & 0xff);
    const differences = replay(cpu, header, vector, undefinedMask, compiled);
    if (differences.length === 0) continue;
    const { mnemonic, operands } = decoded.instruction;
    const form = `${mnemonic} ${operands.join()} (${8 * decoded.operandSize} bits)`;
    failures[form] ??= { count: 0, first: describeCase(decoded, header, vector, differences) };
    failures[form].count++;
  }
  expect(number).toBe(header.cases);
  if (compiled) expect(cpu.code.compiled).toBeGreaterThanOrEqual(Math.floor(number / step));
  return failures;
}

describe.each(['user-integer', 'user-faults'])('%s', (file) => {
  const { processor, cases, forms } = loadVectorHeader(file);

  test(
    `agrees with ${processor} on ${cases} states of ${forms} instruction forms`,
    () => {
      expect(replayAll(file, 1, false)).toEqual({});
    },
    TIME_LIMIT,
  );

  test(
    'agrees when the block has become a function',
    () => {
      expect(replayAll(file, COMPILED_STEP, true)).toEqual({});
    },
    TIME_LIMIT,
  );
});

function describeCase(decoded: Decoded, header: VectorHeader, vector: Vector, differences: readonly string[]): string {
  const bytes = [...vector.bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
  const before = [...vector.registers].map((value, number) => `${NAMES[number]} ${hex(value)}`).join(' ');
  return `${format(decoded, header.codeStart)} [${bytes}], ${before} eflags ${hex(vector.eflags)}: ${differences.join(', ')}`;
}
