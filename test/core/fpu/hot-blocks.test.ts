/** A block of x87 code that has become a function leaves the state, time and counts that records leave. */
import { expect, test } from 'vitest';
import type { MachineAddress } from '../../../src/core/address.ts';
import * as slot from '../../../src/core/state.ts';
import { Assembler } from '../../../src/isa/assemble.ts';
import { memory, register32, stackRegister } from '../../../src/isa/operands.ts';
import { CODE_AT, DATA_AT, flatCpu, visibleState } from '../../support/flat-cpu.ts';

/** Newton's iteration for the square root of every integer below 4000, the roots summed as integers and stored. */
function program(): Uint8Array {
  const st = stackRegister;
  const at = (size: number, displacement: number) => memory(size, { displacement: DATA_AT + displacement });
  const a = new Assembler(CODE_AT);
  a.emit('fninit').emit('mov', register32(1), 4000).emit('fldz');
  const next = a.bind();
  a.emit('mov', at(4, 0), register32(1)).emit('fild', at(4, 0)).emit('fld', st(0));
  for (let step = 0; step < 3; step++) {
    a.emit('fld', st(1)).emit('fdiv', st(0), st(1)).emit('faddp', st(1), st(0));
    a.emit('fmul', at(4, 16));
  }
  a.emit('fst', at(8, 24)).emit('fcomi', st(0), st(1)).emit('fcmovb', st(0), st(1)).emit('faddp', st(2), st(0));
  a.emit('fstp', st(0)).emit('fld', st(0)).emit('fistp', at(8, 32)).emit('dec', register32(1)).jcc(5, next);
  return a.emit('fstp', at(10, 40)).emit('hlt').finish();
}

function run(hotSightings: number): { state: Record<string, number>; compiled: number; fpu: number[] } {
  const cpu = flatCpu();
  cpu.code.hotSightings = hotSightings;
  cpu.memory.writeBytes(CODE_AT as MachineAddress, program());
  cpu.memory.write32((DATA_AT + 16) as MachineAddress, 0x3f000000);
  cpu.run();
  const S = cpu.memory.state;
  const fpu = [...S.subarray(slot.FPU_CONTROL, slot.FPU_DS + 1), ...S.subarray(slot.FPU_REGISTERS, slot.XMM)];
  return { state: visibleState(cpu), compiled: cpu.code.compiled, fpu };
}

test('records and functions agree', () => {
  const records = run(Number.POSITIVE_INFINITY);
  const functions = run(1);
  expect(functions.compiled).toBeGreaterThan(0);
  expect(functions.state).toEqual(records.state);
  expect(functions.fpu).toEqual(records.fpu);
});
