/**
 * SSE in guest kernel code under the engines that run the native image: the same results, a lazy kernel's #NM, #XM where the
 * guest's CR4 asks for it, and sixteen bytes through a segment that ring compression emulates.
 */
import { expect, test } from 'vitest';
import { definition as native } from '../../src/engines/native/native.ts';
import { definition as ringCompression } from '../../src/engines/ring-compression/definition.ts';
import { definition as vtx } from '../../src/engines/vtx/definition.ts';
import type { Assembler } from '../../src/isa/assemble.ts';
import {
  controlRegister,
  memory,
  register16,
  register32,
  segmentRegister,
  xmmRegister,
} from '../../src/isa/operands.ts';
import { DATA_AT, options, program, runToEnd } from './ring-compression/guest.ts';
import { gate, loadTables } from './ring-compression/small-kernel.ts';

const NM = 7;
const XM = 19;
const GS = 5;
const OSFXSR_OSXMMEXCPT = 0x600;
const [CR0, CR4] = [controlRegister(0), controlRegister(4)];
const [AX, EAX, ESI, EDI] = [register16(0), register32(0), register32(6), register32(7)];
const [X0, X1, X2] = [xmmRegister(0), xmmRegister(1), xmmRegister(2)];
const at = (size: number, displacement: number) => memory(size, { displacement: DATA_AT + displacement });

function setBits(a: Assembler, control: typeof CR0, bits: number): void {
  a.emit('mov', EAX, control).emit('or', EAX, bits).emit('mov', control, EAX);
}

/** ESI counts #NM, EDI counts #XM, whose handler masks all exceptions. */
const image = program((a) => {
  const start = a.label();
  a.jmp(start);
  const unavailable = a.bind();
  a.emit('inc', ESI).emit('clts').emit('iret');
  const exception = a.bind();
  a.emit('inc', EDI).emit('ldmxcsr', at(4, 4)).emit('iret');
  a.bind(start);
  loadTables(a);
  gate(a, NM, unavailable);
  gate(a, XM, exception);
  a.emit('xor', ESI, ESI).emit('xor', EDI, EDI);
  setBits(a, CR4, OSFXSR_OSXMMEXCPT);
  // Inexact unmasked, then everything masked.
  a.emit('mov', at(4, 0), 0xf80).emit('mov', at(4, 4), 0x1f80);
  a.emit('mov', at(4, 32), 1).emit('mov', at(4, 36), 3).emit('mov', at(4, 40), -7).emit('mov', at(4, 44), 1000);
  a.emit('cvtdq2ps', X0, at(16, 32)).emit('movaps', X1, X0).emit('shufps', X1, X1, 0x55);
  a.emit('ldmxcsr', at(4, 0)).emit('divps', X0, X1).emit('movaps', at(16, 48), X0);
  setBits(a, CR0, 8);
  a.emit('movdqa', X2, at(16, 32)).emit('paddd', X2, X2);
  a.emit('mov', AX, segmentRegister(3)).emit('mov', segmentRegister(GS), AX);
  a.emit('movdqu', memory(16, { displacement: DATA_AT + 67, segment: GS }), X2);
  a.emit('movdqu', X1, memory(16, { displacement: DATA_AT + 66, segment: GS })).emit('movdqa', at(16, 96), X1);
  a.emit('pmovmskb', EAX, X1).emit('stmxcsr', at(4, 8));
});

const BYTES = 112;

function outcome(make: typeof native, ...variation: string[]): { registers: number[]; data: number[]; stop: string } {
  const engine = make.create(options(image, variation));
  const stop = runToEnd(engine);
  const { memory: machine } = engine.machine;
  return {
    stop: stop.kind,
    registers: [0, 6, 7].map((number) => machine.state[2 * number]!),
    data: Array.from({ length: BYTES }, (_, i) => machine.read8(engine.translate(DATA_AT + i)!)),
  };
}

const expected = outcome(native);

test('natively: one #NM, one #XM', () => {
  expect(expected.stop).toBe('marker');
  expect(expected.registers.slice(1)).toEqual([1, 1]);
  const view = new DataView(Uint8Array.from(expected.data).buffer);
  const quotients = Array.from({ length: 4 }, (_, i) => view.getFloat32(48 + 4 * i, true));
  expect(quotients).toEqual([1 / 3, 1, -7 / 3, 1000 / 3].map(Math.fround));
  expect(Array.from({ length: 4 }, (_, i) => view.getInt32(67 + 4 * i, true))).toEqual([2, 6, -14, 2000]);
  expect(view.getUint32(8, true)).toBe(0x1fa0);
});

test.each([
  ['ring-compression', ringCompression, []],
  ['vtx', vtx, []],
  ['vtx without EPT', vtx, ['noept']],
] as const)('%s gives what native gives', (_, definition, variation) => {
  expect(outcome(definition as typeof native, ...variation)).toEqual(expected);
});
