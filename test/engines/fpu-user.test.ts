/**
 * x87, MMX and SSE2 in user code under every engine: the same results and the same exceptions as natively, with a lazy
 * kernel that learns of the first use by #NM. Under paravirt the same program runs in a Xen domain, whose kernel sets TS by
 * fpu_taskswitch.
 */
import { expect, test } from 'vitest';
import { CR0 as CR0_SLOT, CR0_TS, ESP as ESP_SLOT, RIGHTS, SELECTOR, segmentSlot } from '../../src/core/state.ts';
import { definition as native } from '../../src/engines/native/native.ts';
import { definition as ringCompression } from '../../src/engines/ring-compression/definition.ts';
import { definition as vtx } from '../../src/engines/vtx/definition.ts';
import { Assembler, type Label } from '../../src/isa/assemble.ts';
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
import { BASE, CODE, DATA, Domain, STACK_TOP } from './paravirt/domain.ts';
import { DATA_AT, END_MARKER, options, program, runToEnd } from './ring-compression/guest.ts';
import { enterUser, gate, loadTables, USER_DATA } from './ring-compression/small-kernel.ts';

const [NM, GP, MF, XM] = [7, 13, 16, 19];
const [EAX, ECX, EBX, ESP, EBP, EDI] = [0, 1, 3, 4, 5, 7].map(register32);
const AX = register16(0);
const [ES, DS] = [0, 3];
const [X0, X1, X2] = [0, 1, 2].map(xmmRegister);
const [M0, M1] = [0, 1].map(mmxRegister);
const [ST0, ST1] = [0, 1].map(stackRegister);
/** Offsets in the program's data: inputs of its own, results, the FXSAVE image. */
const INPUTS = 0x40;
const IMAGE = 0x100;
const BYTES = IMAGE + 288;
/** Where the kernel counts #NM, #GP, #MF and #XM, after the image. */
const COUNTS = 0x400;

/** The user program: it ends in INT 80h. `data` is where its data lies. */
function emitProgram(a: Assembler, data: number): void {
  const at = (size: number, offset: number) => memory(size, { displacement: data + offset });
  const put = (offset: number, value: number) => a.emit('mov', at(4, offset), value);
  // Single-precision 1.5, -2.25, 1e10, 3 and words.
  for (const [i, value] of [0x3fc00000, 0xc0100000, 0x501502f9, 0x40400000].entries()) put(INPUTS + 4 * i, value | 0);
  put(INPUTS + 16, 1234567);
  put(INPUTS + 20, 0x1f80);
  put(INPUTS + 24, 0x1d80);
  put(INPUTS + 28, 0x33b);
  // The first use: #NM. The sum of the square roots of 1 to 20.
  a.emit('fninit').emit('fldz').emit('mov', ECX, 20);
  const loop = a.bind();
  a.emit('mov', at(4, INPUTS + 32), ECX)
    .emit('fild', at(4, INPUTS + 32))
    .emit('fsqrt')
    .emit('faddp', ST1, ST0);
  a.emit('dec', ECX).jcc(5, loop);
  a.emit('fst', at(8, 0)).emit('fldpi').emit('fsin').emit('fld1').emit('fpatan').emit('fmulp', ST1, ST0);
  a.emit('fstp', at(10, 8))
    .emit('fild', at(4, INPUTS + 16))
    .emit('fbstp', at(10, 18));
  // Zero divide unmasked: #MF at the next waiting instruction, in user code.
  a.emit('fldcw', at(2, INPUTS + 28))
    .emit('fldz')
    .emit('fld1')
    .emit('fdiv', ST0, ST1)
    .emit('fwait');
  a.emit('fstp', ST0).emit('fstp', at(4, 28));
  // Packed singles, doubles and integers.
  a.emit('movups', X0, at(16, INPUTS)).emit('cvttps2dq', X1, X0).emit('movdqu', at(16, 0x24), X1);
  a.emit('sqrtps', X2, X0).emit('mulps', X2, X0).emit('movaps', X1, X2).emit('cvtps2pd', X0, X0);
  a.emit('divpd', X0, X0).emit('subsd', X0, at(8, 0)).emit('movapd', at(16, 0x60), X0);
  a.emit('movq', M0, at(8, 0)).emit('movq', M1, M0).emit('paddusb', M0, M1).emit('movq', at(8, 0x70), M0).emit('emms');
  // A mask of the signs of X1 over X0, at DS:EDI.
  a.emit('mov', EDI, data + 0x80).emit('maskmovdqu', X0, X1);
  // Divide by zero unmasked: #XM, whose handler masks it again. Then an aligned move that is not: #GP.
  a.emit('ldmxcsr', at(4, INPUTS + 24))
    .emit('xorps', X1, X1)
    .emit('divss', X0, X1);
  a.emit('movss', at(4, 0x90), X0).emit('stmxcsr', at(4, 0x94));
  a.emit('mov', EBP, data + 1).emit('movaps', memory(16, { base: 5 }), X0);
  a.emit('fld1').emit('fxsave', at(512, IMAGE));
  a.emit('mov', EAX, 0x1234).bytes(0xcd, 0x80);
}

interface Kernel {
  /** TS becomes clear; EAX and EBX may change. */
  readonly clearTaskSwitched: (a: Assembler) => void;
  readonly data: number;
}
const HANDLED = [NM, GP, MF, XM];

/** Handlers of #NM, #GP, #MF, #XM, in this order; each counts. */
function emitHandlers(a: Assembler, { clearTaskSwitched, data }: Kernel): Label[] {
  const count = (index: number) => a.emit('inc', memory(4, { displacement: data + COUNTS + 4 * index }));
  const unavailable = a.bind();
  count(0);
  a.emit('push', EAX).emit('push', EBX);
  clearTaskSwitched(a);
  a.emit('pop', EBX).emit('pop', EAX);
  a.emit('iret');
  // Goes on behind the instruction, which is 0F 29 /r disp8.
  const protection = a.bind();
  count(1);
  a.emit('add', ESP, 4).emit('add', memory(4, { base: 4 }), 4);
  a.emit('iret');
  const error = a.bind();
  count(2);
  a.emit('fnclex');
  a.emit('iret');
  const exception = a.bind();
  count(3);
  a.emit('ldmxcsr', memory(4, { displacement: data + INPUTS + 20 }));
  a.emit('iret');
  return [unavailable, protection, error, exception];
}

interface Outcome {
  readonly data: number[];
  readonly counts: number[];
}

const [CR0, CR4] = [0, 4].map(controlRegister);

let programAt = 0;
const image = program((a) => {
  const start = a.label();
  a.jmp(start);
  const user = a.bind();
  programAt = user.address;
  emitProgram(a, DATA_AT);
  const end = a.bind();
  a.bytes(...END_MARKER);
  const handlers = emitHandlers(a, { clearTaskSwitched: () => a.emit('clts'), data: DATA_AT });
  a.bind(start);
  loadTables(a);
  for (const [i, vector] of HANDLED.entries()) gate(a, vector, handlers[i]!);
  gate(a, 0x80, end, 3);
  a.emit('mov', EAX, CR4).emit('or', EAX, 0x600).emit('mov', CR4, EAX);
  // MP, TS, NE.
  a.emit('mov', EAX, CR0).emit('or', EAX, 0x2a).emit('mov', CR0, EAX);
  // A kernel's data segment would not survive the way to ring 3.
  a.emit('mov', EAX, USER_DATA).emit('mov', segmentRegister(DS), AX).emit('mov', segmentRegister(ES), AX);
  enterUser(a, user, 0x1e0000);
});

function outcome(make: typeof native, ...variation: string[]): Outcome {
  const engine = make.create(options(image, variation));
  expect(runToEnd(engine)).toMatchObject({ kind: 'marker', code: 4 });
  const { memory: machine } = engine.machine;
  return {
    data: Array.from({ length: BYTES }, (_, i) => machine.read8(engine.translate(DATA_AT + i)!)),
    counts: HANDLED.map((_, i) => machine.read32(engine.translate(DATA_AT + COUNTS + 4 * i)!)),
  };
}

const expected = outcome(native);

test('natively: one #NM, #GP, #MF and #XM each, and the results', () => {
  expect(expected.counts).toEqual([1, 1, 1, 1]);
  const view = new DataView(Uint8Array.from(expected.data).buffer);
  const roots = Array.from({ length: 20 }, (_, i) => Math.sqrt(20 - i));
  expect(view.getFloat64(0, true)).toBeCloseTo(
    roots.reduce((sum, root) => sum + root, 0),
    12,
  );
  expect(expected.data.slice(18, 28)).toEqual([0x67, 0x45, 0x23, 1, 0, 0, 0, 0, 0, 0]);
  expect([0x24, 0x28, 0x2c, 0x30].map((offset) => view.getInt32(offset, true))).toEqual([1, -2, -0x80000000, 3]);
  expect(view.getFloat32(0x90, true)).toBe(Number.NEGATIVE_INFINITY);
  expect(view.getUint32(0x94, true)).toBe(0x1f84);
});

test.each([
  ['ring-compression', ringCompression, []],
  ['vtx', vtx, []],
  ['vtx without EPT', vtx, ['noept']],
] as const)('[rc:fpu] [vtx:fpu] %s gives what native gives', (_, definition, variation) => {
  expect(outcome(definition as typeof native, ...variation)).toEqual(expected);
});

const SET_TRAP_TABLE = 0;
const STACK_SWITCH = 3;
const FPU_TASKSWITCH = 5;
const UPDATE_VA_MAPPING = 14;
const IRET = 23;
const KERNEL_CS = 0xe019;
const KERNEL_DS = 0xe021;
const XEN_USER_CS = 0xe02b;
const XEN_USER_DS = 0xe033;
const INVLPG = 2;
const DPL3 = 0x60;

/** The program in a domain; its kernel's handlers lie at CODE, and TS is set by hypercall. */
function inDomain(): { domain: Domain; data: number; at: number } {
  const kernel = new Assembler(CODE);
  const clearTaskSwitched = (a: Assembler) =>
    a.emit('mov', EAX, FPU_TASKSWITCH).emit('xor', EBX, EBX).bytes(0xcd, 0x82);
  // The first free page holds the program, the second its data.
  const free = new Domain().free;
  const at = BASE + 4096 * free;
  const data = at + 4096;
  const handlers = emitHandlers(kernel, { clearTaskSwitched, data });
  const end = kernel.bind();
  kernel.bytes(...END_MARKER);
  const domain = new Domain([...kernel.finish()]);
  expect(domain.free).toBe(free);
  const user = new Assembler(at);
  emitProgram(user, data);
  for (const [i, byte] of user.finish().entries()) domain.xen.cpu.memory.write8(domain.machine(at + i), byte);
  for (let page = 0; page < 2; page++) {
    const entry = (domain.frame(free + page) << 12) | 0x67;
    expect(domain.call(UPDATE_VA_MAPPING, at + 4096 * page, entry, 0, INVLPG)).toBe(0);
  }
  for (const [vector, handler, flags] of [
    ...HANDLED.map((vector, i) => [vector, handlers[i]!, 0] as const),
    [0x80, end, 3] as const,
  ]) {
    domain.write(DATA, vector | (flags << 8) | (KERNEL_CS << 16), handler.address, 0, 0);
    expect(domain.call(SET_TRAP_TABLE, DATA)).toBe(0);
  }
  domain.call(STACK_SWITCH, KERNEL_DS, STACK_TOP);
  // The data segments, which the builder loads for ring 1, as ring 3 may use them.
  for (const segment of [ES, DS]) {
    const slot = segmentSlot(segment);
    domain.S[slot + SELECTOR] = XEN_USER_DS;
    domain.S[slot + RIGHTS]! |= DPL3;
  }
  domain.S[ESP_SLOT] = STACK_TOP - 24;
  domain.write(STACK_TOP - 24, 0, at, XEN_USER_CS, 0x202, data + 4096, XEN_USER_DS);
  return { domain, data, at };
}

const FIP = IMAGE + 8;
const FDS_END = IMAGE + 24;

test('[pv:fpu-taskswitch] paravirt gives what native gives: TS by hypercall, one #NM, #GP, #MF and #XM', () => {
  const { domain, data, at } = inDomain();
  expect(domain.call(FPU_TASKSWITCH, 1)).toBe(0);
  domain.call(IRET);
  expect(domain.run()).toMatchObject({ kind: 'marker', code: 4 });
  const { memory: machine } = domain.xen.cpu;
  const bytes = Array.from({ length: BYTES }, (_, i) => machine.read8(domain.machine(data + i)));
  const rest = (all: readonly number[]) => all.filter((_, i) => i < FIP || i >= FDS_END);
  expect(rest(bytes)).toEqual(rest(expected.data));
  const word = (all: readonly number[], offset: number) =>
    new DataView(Uint8Array.from(all).buffer).getUint32(offset, true);
  expect(word(bytes, FIP) - at).toBe(word(expected.data, FIP) - programAt);
  expect(word(bytes, FIP + 4)).toBe(XEN_USER_CS);
  expect(HANDLED.map((_, i) => domain.read(data + COUNTS + 4 * i))).toEqual(expected.counts);
  expect(domain.engine.counters()).toMatchObject({
    'hypercall fpu_taskswitch': 2,
    'bounce 7': 1,
    'bounce 13': 1,
    'bounce 16': 1,
    'bounce 19': 1,
  });
});

test('[pv:fpu-taskswitch] the hypervisor clears TS before the guest hears of #NM, and TS set by hypercall shows in CR0', () => {
  const { domain } = inDomain();
  expect(domain.S[CR0_SLOT]! & CR0_TS).toBe(0);
  domain.call(FPU_TASKSWITCH, 1);
  expect(domain.S[CR0_SLOT]! & CR0_TS).toBe(CR0_TS);
  domain.fault(NM);
  expect(domain.S[CR0_SLOT]! & CR0_TS).toBe(0);
  domain.call(FPU_TASKSWITCH, 1);
  domain.call(FPU_TASKSWITCH, 0);
  expect(domain.S[CR0_SLOT]! & CR0_TS).toBe(0);
});
