/** Blocks that have become functions must mean exactly what their records mean: same state, same time, same faults. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { MachineAddress } from '../../../src/core/address.ts';
import type { Cpu } from '../../../src/core/cpu.ts';
import { STOP_MARKER } from '../../../src/core/signals.ts';
import { EBP, EBX, ECX, MODE } from '../../../src/core/state.ts';
import { CODE_AT, DATA_AT, flatCpu, visibleState } from '../../support/flat-cpu.ts';
import { Random } from '../../support/random.ts';

const MARKER = [0x0f, 0x1f, 0x80, 0x03, 0x00, 0x56, 0x54];
const ITERATIONS = 6000;
/** Registers that programs may change: ECX counts, EBP points at data, ESP is the stack. */
const FREE = [0, 2, 3, 6, 7];

/** ModRM (and displacement) of a random register or memory operand; `reg` as given. */
function operand(random: Random, reg: number): number[] {
  if (random.below(2) === 0) return [0xc0 | (reg << 3) | random.pick(FREE)];
  if (random.below(3) > 0) return [0x45 | (reg << 3), random.below(120)];
  // The SIB form of [ebp + disp32]: an index register would leave memory.
  return [0x84 | (reg << 3), 0x25, random.below(200), 1, 0, 0];
}

function instruction(random: Random): number[] {
  const reg = random.pick(FREE);
  const byteReg = random.pick([0, 2, 3, 4, 6, 7]);
  switch (random.below(16)) {
    case 0:
    case 1:
      return [8 * random.below(8) + 1 + 2 * random.below(2), ...operand(random, reg)];
    case 2:
      return [8 * random.below(8) + 2 * random.below(2), ...operand(random, byteReg)];
    case 3:
      return [0x66, 8 * random.below(8) + 1, ...operand(random, reg)];
    case 4:
      return [0x83, ...operand(random, random.below(8)), random.below(256)];
    case 5:
      return [0xc1, ...operand(random, random.pick([0, 1, 2, 3, 4, 5, 7])), random.below(40)];
    case 6:
      return [0x0f, 0x90 + random.below(16), ...operand(random, 0)];
    case 7:
      return [0x0f, 0x40 + random.below(16), ...operand(random, reg)];
    case 8:
      return [0x0f, 0xaf, ...operand(random, reg)];
    case 9:
      return [0xff, ...operand(random, random.below(2))];
    case 10:
      return [0x0f, random.pick([0xb6, 0xb7, 0xbe, 0xbf]), ...operand(random, reg)];
    case 11:
      return [0x50 + reg, 0x58 + random.pick(FREE)];
    case 12:
      return [random.pick([0x88, 0x89, 0x8a, 0x8b, 0x86, 0x87]), ...operand(random, reg === 6 || reg === 7 ? 3 : reg)];
    case 13:
      return [0x0f, random.pick([0xa3, 0xab, 0xb3, 0xbb]), 0xc0 | (reg << 3) | random.pick(FREE)];
    case 14:
      return [0x70 + random.below(16), 2, 0x40, 0x42];
    default:
      return [random.pick([0xf8, 0xf9, 0xf5, 0x98, 0x99, 0x9f])];
  }
}

function program(seed: number): Uint8Array {
  const random = new Random(seed);
  const body: number[] = [];
  for (let count = 3 + random.below(20); count > 0; count--) body.push(...instruction(random));
  const back = -(body.length + 7);
  return Uint8Array.from([
    ...body,
    0x49,
    0x0f,
    0x85,
    back & 0xff,
    (back >> 8) & 0xff,
    (back >> 16) & 0xff,
    (back >> 24) & 0xff,
    ...MARKER,
  ]);
}

function run(code: Uint8Array, hot: number): Cpu {
  const cpu = flatCpu();
  cpu.code.hotSightings = hot;
  cpu.memory.writeBytes(CODE_AT as MachineAddress, code);
  cpu.memory.state[EBP] = DATA_AT;
  cpu.memory.state[ECX] = ITERATIONS;
  expect(cpu.run()).toBe(STOP_MARKER);
  return cpu;
}

describe('hot blocks', () => {
  it('give the state, time and counts that records give, on random loops', () => {
    let compiled = 0;
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 0x7fffffff }), (seed) => {
        const code = program(seed);
        const hot = run(code, 2);
        compiled += hot.code.compiled;
        expect(visibleState(hot)).toEqual(visibleState(run(code, Number.POSITIVE_INFINITY)));
      }),
      { numRuns: 25, seed: 20060101 },
    );
    expect(compiled).toBeGreaterThan(25);
  });

  it('branch on a subtraction with borrow by its flags, not by its operands', () => {
    const code = Uint8Array.from([
      ...[0x31, 0xd2, 0x31, 0xf6], // xor edx, edx; xor esi, esi
      ...[0x39, 0xef], // cmp edi, ebp
      ...[0x19, 0xf2], // sbb edx, esi
      ...[0x72, 0x01], // jb over
      0x43, // inc ebx
      0x49, // over: dec ecx
      ...[0x75, 0xf2], // jnz loop
      ...MARKER,
    ]);
    const hot = run(code, 2);
    expect(hot.code.compiled).toBeGreaterThan(0);
    expect(hot.memory.state[EBX]).toBe(0);
    expect(visibleState(hot)).toEqual(visibleState(run(code, Number.POSITIVE_INFINITY)));
  });

  it('leave a marker alone, so that its death takes no other marker along', () => {
    const cpu = flatCpu();
    cpu.code.hotSightings = 1;
    cpu.memory.writeBytes(CODE_AT as MachineAddress, Uint8Array.from(MARKER));
    cpu.code.sample(cpu.code.find(CODE_AT, CODE_AT, cpu.memory.state[MODE] as number));
    cpu.memory.writeBytes(CODE_AT as MachineAddress, Uint8Array.from([0x90, ...MARKER]));
    expect(cpu.run()).toBe(STOP_MARKER);
  });

  it('end where they overwrite their own next instruction', () => {
    // loop: mov [target+1], cl ; target: mov al, imm8 ; add ebx, eax ; dec ecx ; jnz loop
    const target = CODE_AT + 6;
    const code = Uint8Array.from([
      0x88,
      0x0d,
      (target + 1) & 0xff,
      ((target + 1) >> 8) & 0xff,
      ((target + 1) >> 16) & 0xff,
      0,
      0xb0,
      0x00,
      0x01,
      0xc3,
      0x49,
      0x75,
      0xf3,
      ...MARKER,
    ]);
    const hot = run(code, 2);
    expect(visibleState(hot)).toEqual(visibleState(run(code, Number.POSITIVE_INFINITY)));
    let sum = 0;
    for (let count = ITERATIONS; count > 0; count--) sum += count & 0xff;
    expect(hot.memory.state[6]).toBe(sum);
  });
});
