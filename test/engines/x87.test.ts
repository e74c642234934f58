/**
 * x87 in guest kernel code under the engines that run the native image: the same results, and a lazy kernel's #NM: CR0.TS
 * as the guest set it makes the next x87 instruction trap, and CLTS in the handler lets it go on.
 */
import { expect, test } from 'vitest';
import { definition as native } from '../../src/engines/native/native.ts';
import { definition as ringCompression } from '../../src/engines/ring-compression/definition.ts';
import { definition as vtx } from '../../src/engines/vtx/definition.ts';
import type { Assembler } from '../../src/isa/assemble.ts';
import { controlRegister, memory, register32 } from '../../src/isa/operands.ts';
import { DATA_AT, options, program, runToEnd } from './ring-compression/guest.ts';
import { gate, loadTables } from './ring-compression/small-kernel.ts';

const NM = 7;
const MF = 16;
const [CR0, CR4] = [controlRegister(0), controlRegister(4)];
const [EAX, ESI, EDI] = [register32(0), register32(6), register32(7)];
const at = (size: number, displacement: number) => memory(size, { displacement: DATA_AT + displacement });

function setBits(a: Assembler, control: typeof CR0, bits: number): void {
  a.emit('mov', EAX, control).emit('or', EAX, bits).emit('mov', control, EAX);
}

/** ESI counts #NM, EDI counts #MF. */
const image = program((a) => {
  const start = a.label();
  a.jmp(start);
  const unavailable = a.bind();
  a.emit('inc', ESI).emit('clts').emit('iret');
  const error = a.bind();
  a.emit('inc', EDI).emit('fnclex').emit('iret');
  a.bind(start);
  loadTables(a);
  gate(a, NM, unavailable);
  gate(a, MF, error);
  a.emit('xor', ESI, ESI).emit('xor', EDI, EDI);
  setBits(a, CR4, 0x200);
  // NE, and MP with TS: FWAIT traps too.
  setBits(a, CR0, 0x20);
  a.emit('fninit').emit('fldpi').emit('fld1').emit('fadd', { kind: 'stack', number: 0 }, { kind: 'stack', number: 1 });
  a.emit('fstp', at(8, 0)).emit('fstp', at(10, 8));
  setBits(a, CR0, 8);
  a.emit('fld1').emit('fstp', at(4, 20));
  setBits(a, CR0, 0xa);
  a.emit('fwait');
  // Unmasking shows the inexact sum at the next waiting instruction; 1 / 0, then unmasked, at the one after it.
  a.emit('mov', at(4, 24), 0x340).emit('fldcw', at(2, 24)).emit('fldz').emit('fld1');
  a.emit('fdiv', { kind: 'stack', number: 0 }, { kind: 'stack', number: 1 }).emit('fwait');
  a.emit('fxsave', at(512, 64));
  a.emit('mov', EAX, CR0);
});

const BYTES = 64 + 160;

function outcome(make: typeof native, ...variation: string[]): { registers: number[]; data: number[]; stop: string } {
  const engine = make.create(options(image, variation));
  const stop = runToEnd(engine);
  const { memory: machine } = engine.machine;
  return {
    stop: stop.kind,
    registers: [0, 6, 7].map((number) => machine.state[2 * number]!),
    // FXSAVE's pointers among them: the guest's addresses and selectors, whatever ran.
    data: Array.from({ length: BYTES }, (_, i) => machine.read8(engine.translate(DATA_AT + i)!)),
  };
}

const expected = outcome(native);

test('natively: two #NM, two #MF', () => {
  expect(expected.stop).toBe('marker');
  expect(expected.registers.slice(1)).toEqual([2, 2]);
  const view = new DataView(Uint8Array.from(expected.data).buffer);
  expect(view.getFloat64(0, true)).toBe(Math.PI + 1);
  expect(view.getFloat32(20, true)).toBe(1);
});

test.each([
  ['ring-compression', ringCompression, []],
  ['vtx', vtx, []],
  ['vtx without EPT', vtx, ['noept']],
] as const)('%s gives what native gives', (_, definition, variation) => {
  expect(outcome(definition as typeof native, ...variation)).toEqual(expected);
});
