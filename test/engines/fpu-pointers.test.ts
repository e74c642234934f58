/**
 * What each engine shows of the x87 unit's and SSE's surroundings: the pointers of kernel code's last x87 instruction as user
 * code sees them, and the feature bits of CPUID with the CR4 bits that go with them.
 */
import { expect, test } from 'vitest';
import { EAX as EAX_SLOT, EDX as EDX_SLOT, EIP as EIP_SLOT } from '../../src/core/state.ts';
import { definition as native } from '../../src/engines/native/native.ts';
import { definition as ringCompression } from '../../src/engines/ring-compression/definition.ts';
import { definition as vtx } from '../../src/engines/vtx/definition.ts';
import { controlRegister, memory, register16, register32, segmentRegister } from '../../src/isa/operands.ts';
import { CODE, Domain } from './paravirt/domain.ts';
import { DATA_AT, END_MARKER, options, program, runToEnd } from './ring-compression/guest.ts';
import { enterUser, gate, KERNEL_CODE, KERNEL_DATA, loadTables, USER_DATA } from './ring-compression/small-kernel.ts';

const [EAX, EBP, EDX] = [0, 5, 2].map(register32);
const AX = register16(0);
const CR4 = controlRegister(4);
const DS = 3;
/** FPU, MMX, FXSR, SSE, SSE2. */
const FEATURES = (1 << 0) | (1 << 23) | (1 << 24) | (1 << 25) | (1 << 26);
const OSFXSR_OSXMMEXCPT = 0x600;
const at = (size: number, offset: number) => memory(size, { displacement: DATA_AT + offset });

let loadAt = 0;
const image = program((a) => {
  const start = a.label();
  a.jmp(start);
  const user = a.bind();
  a.emit('fnstenv', at(28, 64)).bytes(0xcd, 0x80);
  const end = a.bind();
  a.bytes(...END_MARKER);
  a.bind(start);
  loadTables(a);
  gate(a, 0x80, end, 3);
  a.emit('mov', EAX, CR4).emit('or', EAX, OSFXSR_OSXMMEXCPT).emit('mov', CR4, EAX).emit('mov', EAX, CR4);
  a.emit('mov', at(4, 0), EAX).emit('mov', EAX, 1).emit('cpuid').emit('mov', at(4, 4), EDX);
  // Through SS, whose real selector has another RPL under ring compression.
  a.emit('fninit').emit('mov', EBP, DATA_AT + 32);
  loadAt = a.address;
  a.emit('fld', memory(8, { base: 5 })).emit('fnstenv', at(28, 96));
  a.emit('mov', EAX, USER_DATA).emit('mov', segmentRegister(DS), AX);
  enterUser(a, user, 0x1e0000);
});

function outcome(make: typeof native, ...variation: string[]): number[] {
  const engine = make.create(options(image, variation));
  expect(runToEnd(engine)).toMatchObject({ kind: 'marker', code: 4 });
  return Array.from({ length: 32 }, (_, i) => engine.machine.memory.read32(engine.translate(DATA_AT + 4 * i)!));
}

const expected = outcome(native);
/** IP, CS, DP, DS of an environment at an offset of the data. */
const pointers = (words: readonly number[], offset: number) => {
  const first = offset / 4 + 3;
  return [words[first]!, words[first + 1]! & 0xffff, words[first + 2]!, words[first + 3]! & 0xffff];
};

test('natively: the load in the kernel, seen by the kernel and by user code', () => {
  const load = [loadAt, KERNEL_CODE, DATA_AT + 32, KERNEL_DATA];
  expect(pointers(expected, 96)).toEqual(load);
  expect(pointers(expected, 64)).toEqual(load);
  expect(expected[0]! & OSFXSR_OSXMMEXCPT).toBe(OSFXSR_OSXMMEXCPT);
  expect(expected[1]! & FEATURES).toBe(FEATURES);
});

test.each([
  ['ring-compression', ringCompression, []],
  ['vtx', vtx, []],
  ['vtx without EPT', vtx, ['noept']],
] as const)(
  '[rc:fpu] [vtx:fpu] %s shows the pointers, features and CR4 bits that native shows',
  (_, definition, variation) => {
    const words = outcome(definition as typeof native, ...variation);
    expect(pointers(words, 96)).toEqual(pointers(expected, 96));
    expect(pointers(words, 64)).toEqual(pointers(expected, 64));
    expect(words[0]! & OSFXSR_OSXMMEXCPT).toBe(OSFXSR_OSXMMEXCPT);
    expect(words[1]! & FEATURES).toBe(FEATURES);
  },
);

test('[pv:fpu-taskswitch] forced CPUID shows the features, and a read of CR4 the bits', () => {
  // ud2a, "xen", cpuid; mov eax, cr4; jmp self
  const domain = new Domain([0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x0f, 0xa2, 0x0f, 0x20, 0xe0, 0xeb, 0xfe]);
  domain.S[EAX_SLOT] = 1;
  domain.run(20_000);
  expect((domain.S[EIP_SLOT] as number) >>> 0).toBe(CODE + 10);
  expect(domain.S[EDX_SLOT]! & FEATURES).toBe(FEATURES);
  expect(domain.S[EAX_SLOT]! & OSFXSR_OSXMMEXCPT).toBe(OSFXSR_OSXMMEXCPT);
});
