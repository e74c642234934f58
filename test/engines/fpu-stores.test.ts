/**
 * Wide stores that the processor cannot make by itself: 8, 10, 16, 108 and 512 bytes into a page table that shadow paging traces,
 * and across the end of it into a page that is not there. The VMM makes them, or the fault is the guest's and nothing
 * has been stored. In kernel and in user code, compared with native.
 */
import { describe, expect, test } from 'vitest';
import { definition as native } from '../../src/engines/native/native.ts';
import { definition as ringCompression } from '../../src/engines/ring-compression/definition.ts';
import { definition as vtx } from '../../src/engines/vtx/definition.ts';
import { Assembler } from '../../src/isa/assemble.ts';
import {
  controlRegister,
  memory,
  mmxRegister,
  register16,
  register32,
  segmentRegister,
  stackRegister,
  xmmRegister,
} from '../../src/isa/operands.ts';
import { DATA_AT, END_MARKER, options, program, runToEnd } from './ring-compression/guest.ts';
import { enterUser, gate, KERNEL_CODE, loadTables, USER_CODE, USER_DATA } from './ring-compression/small-kernel.ts';

const [GP, PAGE_FAULT] = [13, 14];
const [EAX, ECX, EBX, EBP, EDI] = [0, 1, 3, 5, 7].map(register32);
const AX = register16(0);
const [ES, DS, GS] = [0, 3, 5];
const [CR0, CR2, CR3, CR4] = [0, 2, 3, 4].map(controlRegister);
const [X0, X1] = [0, 1].map(xmmRegister);
const [M0] = [0].map(mmxRegister);
const ST0 = stackRegister(0);

const DIRECTORY = 0x300000;
const TABLE = 0x301000;
/** The table that is stored into maps 4 MB up from SCRATCH; no page follows it. */
const TRACED = 0x303000;
const SCRATCH = 0x400000;
const PAGE = 0x280000;
const LOG = DATA_AT + 0x100;
const LOG_WORDS = 64;
const ALL = 7;

type Instruction = (a: Assembler) => void;

const at = (size: number, displacement: number, segment = -1) => memory(size, { displacement, segment });

/** Identity pages for 4 MB, but for the one after TRACED; entry 0 of TRACED maps SCRATCH to PAGE. */
function turnPagingOn(a: Assembler): void {
  const put = (address: number, value: number) => a.emit('mov', at(4, address), value);
  a.emit('mov', EDI, TABLE).emit('mov', EAX, ALL).emit('mov', ECX, 1024);
  const loop = a.bind();
  a.emit('mov', memory(4, { base: 7 }), EAX)
    .emit('add', EDI, 4)
    .emit('add', EAX, 4096)
    .emit('dec', ECX);
  a.jcc(5, loop);
  put(TABLE + 4 * ((TRACED >>> 12) + 1), 0);
  put(DIRECTORY, TABLE | ALL);
  put(DIRECTORY + 4, TRACED | ALL);
  put(TRACED, PAGE | ALL);
  put(PAGE, 0x11111111);
  put(PAGE + 4096, 0x22222222);
  a.emit('mov', EAX, DIRECTORY).emit('mov', CR3, EAX);
  a.emit('mov', EAX, CR4).emit('or', EAX, 0x600).emit('mov', CR4, EAX);
  a.emit('mov', EAX, CR0)
    .emit('or', EAX, 0x80010020 | 0)
    .emit('mov', CR0, EAX);
}

/** An instruction that faults: EBX says where to go on. */
function refused(a: Assembler, instruction: Instruction): void {
  const measure = new Assembler(0);
  instruction(measure);
  a.bytes(0xbb).value(a.address + 4 + measure.length, 4);
  instruction(a);
}

const CROSSING: readonly Instruction[] = [
  (a) => a.emit('movups', at(16, TRACED + 0xff8), X0),
  (a) => a.emit('movq', at(8, TRACED + 0xffc), M0),
  (a) => a.emit('fstp', at(10, TRACED + 0xff7)),
  (a) => a.emit('fistp', at(8, TRACED + 0xffb)),
  (a) => a.emit('fbstp', at(10, TRACED + 0xfff)),
  (a) => a.emit('fnstenv', at(28, TRACED + 0xff0)),
  (a) => a.emit('fnsave', at(108, TRACED + 0xfa0)),
  (a) => a.emit('fxsave', at(512, TRACED + 0xf00)),
];
const MISALIGNED: readonly Instruction[] = [
  (a) => a.emit('movaps', at(16, TRACED + 0xc04), X0),
  (a) => a.emit('fxsave', at(512, TRACED + 0xc08)),
  (a) => a.emit('paddd', X0, at(16, TRACED + 0xc01)),
];

function emitStores(a: Assembler, kernel: boolean): void {
  a.emit('mov', EAX, at(4, SCRATCH)).emit('mov', at(4, DATA_AT), EAX);
  for (let i = 0; i < 4; i++) a.emit('mov', at(4, DATA_AT + 32 + 4 * i), 0x01020304 * (i + 1));
  // The mask's signs: two bytes of each word.
  a.emit('mov', at(4, DATA_AT + 48), 0x80008000 | 0).emit('mov', at(4, DATA_AT + 52), 0x00808000);
  a.emit('movups', X0, at(16, DATA_AT + 32)).emit('movups', X1, at(16, DATA_AT + 48));
  // While the table is traced: its trace may be dropped later.
  a.emit('mov', EDI, LOG)
    .emit('fninit')
    .emit('movq', M0, at(8, DATA_AT + 32))
    .emit('emms');
  a.emit('fldpi').emit('fldpi').emit('fldpi');
  for (const instruction of CROSSING) refused(a, instruction);
  for (const instruction of MISALIGNED) refused(a, instruction);
  a.emit('mov', at(4, DATA_AT + 16), (PAGE + 4096) | ALL).emit('mov', at(4, DATA_AT + 20), PAGE | ALL);
  a.emit('fninit')
    .emit('fldpi')
    .emit('fxsave', at(512, TRACED + 0x200));
  a.emit('fnstenv', at(28, TRACED + 0x180))
    .emit('fldpi')
    .emit('fnsave', at(108, TRACED + 0x600));
  a.emit('fldpi')
    .emit('fld1')
    .emit('fst', at(4, TRACED + 0x904))
    .emit('fistp', at(8, TRACED + 0x908));
  a.emit('fld', ST0)
    .emit('fbstp', at(10, TRACED + 0x923))
    .emit('fstp', at(10, TRACED + 0x931));
  a.emit('mov', EDI, TRACED + 0x821).emit('maskmovdqu', X0, X1);
  a.emit('movups', at(16, TRACED + 0x811), X0).emit('movaps', at(16, TRACED + 0x840), X1);
  // Often enough to be translated as a store that is emulated at once.
  a.emit('mov', ECX, 12).emit('mov', EBP, TRACED + 0xa00);
  const loop = a.bind();
  a.emit('movups', memory(16, { base: 5 }), X0)
    .emit('fldpi')
    .emit('fstp', memory(10, { base: 5, displacement: 16 }));
  a.emit('add', EBP, 32).emit('dec', ECX).jcc(5, loop);
  // A new mapping by eight bytes.
  a.emit('movq', M0, at(8, DATA_AT + 16)).emit('movq', at(8, TRACED), M0);
  if (kernel) {
    a.emit('invlpg', memory(0, { displacement: SCRATCH })).emit('mov', EAX, at(4, SCRATCH));
    a.emit('mov', at(4, DATA_AT + 4), EAX)
      .emit('mov', EAX, at(4, SCRATCH + 4096))
      .emit('mov', at(4, DATA_AT + 8), EAX);
    // Through GS, whose real register is the VMM's in translated code.
    a.emit('mov', AX, segmentRegister(DS)).emit('mov', segmentRegister(GS), AX);
    a.emit('mov', EDI, TRACED + 0x861)
      .bytes(0x65)
      .emit('maskmovdqu', X0, X1);
    a.emit('fnsave', at(108, TRACED + 0x700, GS));
  }
  a.emit('fxsave', at(512, TRACED + 0x400));
}

function imageFor(kernel: boolean): Uint8Array {
  return program((a) => {
    const start = a.label();
    a.jmp(start);
    // Error code, CR2 and EIP go to the log; the guest goes on at EBX.
    const fault = a.bind();
    a.emit('pop', memory(4, { base: 7 }))
      .emit('mov', EAX, CR2)
      .emit('mov', memory(4, { base: 7, displacement: 4 }), EAX);
    a.emit('mov', EAX, memory(4, { base: 4 })).emit('mov', memory(4, { base: 7, displacement: 8 }), EAX);
    a.emit('mov', memory(4, { base: 4 }), EBX)
      .emit('add', EDI, 12)
      .emit('iret');
    const user = a.bind();
    emitStores(a, false);
    a.bytes(0xcd, 0x80);
    const end = a.bind();
    a.bytes(...END_MARKER);
    a.bind(start);
    loadTables(a);
    gate(a, GP, fault);
    gate(a, PAGE_FAULT, fault);
    gate(a, 0x80, end, 3);
    turnPagingOn(a);
    if (kernel) {
      emitStores(a, true);
      return;
    }
    a.emit('mov', EAX, USER_DATA).emit('mov', segmentRegister(DS), AX).emit('mov', segmentRegister(ES), AX);
    enterUser(a, user, 0x1e0000);
  });
}

interface Outcome {
  readonly log: number[];
  readonly words: number[];
  readonly table: number[];
}

function outcome(make: typeof native, kernel: boolean, ...variation: string[]): Outcome {
  const engine = make.create(options(imageFor(kernel), variation));
  expect(runToEnd(engine)).toMatchObject({ kind: 'marker', code: 4 });
  const { memory: machine } = engine.machine;
  const read = (address: number, words: number) =>
    Array.from({ length: words }, (_, i) => machine.read32(engine.translate(address + 4 * i)!));
  return { log: read(LOG, LOG_WORDS), words: read(DATA_AT, 16), table: read(TRACED, 1024) };
}

describe.each([
  ['kernel', true],
  ['user', false],
] as const)('%s code', (_, kernel) => {
  const expected = outcome(native, kernel);

  test('natively stores all of it or nothing', () => {
    expect(expected.words[0]).toBe(0x11111111);
    if (kernel) expect(expected.words.slice(1, 3)).toEqual([0x22222222, 0x11111111]);
    const present = kernel ? 2 : 6;
    const faults = [...CROSSING.map(() => present), ...MISALIGNED.map(() => 0)];
    expect(faults.map((_, i) => expected.log[3 * i])).toEqual(faults);
    expect(CROSSING.map((_, i) => expected.log[3 * i + 1])).toEqual(CROSSING.map(() => TRACED + 4096));
    expect(expected.table.slice(0xc00 / 4)).toEqual(new Array(0x100).fill(0));
    // FXSAVE's code segment.
    expect(expected.table[(0x200 + 12) / 4]).toBe(kernel ? KERNEL_CODE : USER_CODE);
  });

  test.each([
    ['ring-compression', ringCompression, []],
    ['ring-compression without adaptation', ringCompression, ['noadapt']],
    ['vtx', vtx, []],
    ['vtx without EPT', vtx, ['noept']],
  ] as const)('[rc:fpu] [vtx:fpu] %s gives what native gives', (_, definition, variation) => {
    expect(outcome(definition as typeof native, kernel, ...variation)).toEqual(expected);
  });
});
