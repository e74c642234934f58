/** FISTTP (SSE3) is FISTP rounding towards zero, whatever the control word says; FISTP itself is held against a real processor. */
import { expect, test } from 'vitest';
import type { MachineAddress } from '../../../src/core/address.ts';
import type { Cpu } from '../../../src/core/cpu.ts';
import * as slot from '../../../src/core/state.ts';
import { CODE_AT, DATA_AT, flatCpu } from '../../support/flat-cpu.ts';
import { faultOf } from '../../support/protected-cpu.ts';
import { Random } from '../../support/random.ts';

const RC = 0xc00;
const EMPTY = -1;
/** Opcode and ModRM byte with [EBX] of FISTTP and FISTP of 2, 4 and 8 bytes. */
const FORMS = [
  [2, [0xdf, 0x0b], [0xdf, 0x1b]],
  [4, [0xdb, 0x0b], [0xdb, 0x1b]],
  [8, [0xdd, 0x0b], [0xdf, 0x3b]],
] as const;

/** Stores ST(0) and returns memory, status, tags. */
function store(cpu: Cpu, bytes: readonly number[], control: number, value: readonly number[]): number[] {
  const { memory } = cpu;
  const S = memory.state;
  S[slot.FPU_CONTROL] = control;
  S[slot.FPU_STATUS] = 0;
  S[slot.FPU_TAG] = value[0] === EMPTY ? 0xfe : 0xff;
  S.set(value, slot.FPU_REGISTERS);
  S[slot.EBX] = DATA_AT;
  S[slot.EIP] = CODE_AT;
  memory.ram.fill(0x5a, DATA_AT, DATA_AT + 8);
  memory.writeBytes(CODE_AT as MachineAddress, Uint8Array.from(bytes));
  const ram = (linear: number): MachineAddress => linear as MachineAddress;
  const fault = faultOf(cpu, () =>
    cpu.emulateOne({
      load: (linear, size) => (size === 2 ? memory.read16(ram(linear)) : memory.read32(ram(linear))),
      store: (linear, size, word) => {
        if (size === 2) memory.write16(ram(linear), word);
        else memory.write32(ram(linear), word);
      },
      checkWrite: () => {},
    }),
  );
  expect(fault).toBe(null);
  return [memory.read32(ram(DATA_AT)), memory.read32(ram(DATA_AT + 4)), S[slot.FPU_STATUS]!, S[slot.FPU_TAG]!];
}

test.each(FORMS)('of %i bytes', (_, fisttp, fistp) => {
  const cpu = flatCpu();
  const random = new Random(0xf157);
  for (let round = 0; round < 3000; round++) {
    const exponent = random.pick([0, 0x7fff, 0x3fff - 2 + random.below(68), 0x3fff + random.below(18)]);
    const high =
      exponent === 0 ? random.pick([0, 1]) : 0x80000000 | random.pick([0, 0x40000000, 0x7fffffff, random.next()]) | 0;
    const low = random.pick([0, 1, -1, random.next() | 0]);
    const value = random.below(20) === 0 ? [EMPTY, 0, 0] : [low, high, exponent | (random.below(2) << 15)];
    const control = 0x340 | (random.below(4) << 10) | random.pick([0x3f, 0x3f, random.below(64)]);
    expect(store(cpu, fisttp, control, value)).toEqual(store(cpu, fistp, control | RC, value));
  }
});
