/** Rotates through carry and double shifts; they set CF and OF as processors do, also where the SDM leaves OF undefined. */
import { CF, OF } from '../../isa/eflags.ts';
import type { Cpu } from '../cpu.ts';
import { arithmeticFlags, setArithmeticFlags } from '../flags.ts';
import { FLAG_R, FLAG_X, FLAG_XOR, FLAG_Y } from '../state.ts';

export function shiftProcedures(cpu: Cpu) {
  const S = cpu.memory.state;

  function setCarryOverflow(carry: number, overflow: number): void {
    const others = arithmeticFlags(S) & ~(CF | OF);
    setArithmeticFlags(S, others | (carry !== 0 ? CF : 0) | (overflow !== 0 ? OF : 0));
  }

  /** RCL by `count` of a `bits`-wide value: one step at a time, at most 31 of them. Returns the value sign-extended. */
  function left(value: number, count: number, bits: number): number {
    let carry = arithmeticFlags(S) & CF;
    const spare = 32 - bits;
    for (let step = count; step > 0; step--) {
      const out = (value >>> (bits - 1)) & 1;
      value = ((((value << 1) | carry) << spare) >> spare) | 0;
      carry = out;
    }
    setCarryOverflow(carry, (value >>> 31) ^ carry);
    return value;
  }
  function right(value: number, count: number, bits: number): number {
    let carry = arithmeticFlags(S) & CF;
    const spare = 32 - bits;
    for (let step = count; step > 0; step--) {
      const out = value & 1;
      const unsigned = spare === 0 ? value >>> 1 : (value & ((1 << bits) - 1)) >>> 1;
      value = (((unsigned | (carry << (bits - 1))) << spare) >> spare) | 0;
      carry = out;
    }
    setCarryOverflow(carry, (value >>> 31) ^ ((value >>> (bits - 2)) & 1));
    return value;
  }
  function finishDouble(result: number, carry: number, before: number): number {
    S[FLAG_R] = result;
    S[FLAG_X] = result;
    S[FLAG_Y] = 0;
    S[FLAG_XOR] = (carry & 1) | ((result ^ before) < 0 ? OF : 0);
    return result;
  }

  return {
    rotateLeftCarry8: (value: number, count: number): number => left(value, count % 9, 8),
    rotateLeftCarry16: (value: number, count: number): number => left(value, count % 17, 16),
    rotateLeftCarry32: (value: number, count: number): number => left(value, count, 32),
    rotateRightCarry8: (value: number, count: number): number => right(value, count % 9, 8),
    rotateRightCarry16: (value: number, count: number): number => right(value, count % 17, 16),
    rotateRightCarry32: (value: number, count: number): number => right(value, count, 32),
    shiftLeftDouble32(value: number, fill: number, count: number): number {
      const result = (value << count) | (fill >>> (32 - count));
      return finishDouble(result, (value >>> (32 - count)) & 1, value);
    },
    shiftRightDouble32(value: number, fill: number, count: number): number {
      const result = (value >>> count) | (fill << (32 - count));
      return finishDouble(result, (value >>> (count - 1)) & 1, value);
    },
    /** The ring value:fill:value covers counts of 17 to 31. */
    shiftLeftDouble16(value: number, fill: number, count: number): number {
      const ring = (value << 16) | (fill & 0xffff);
      const shifted = count <= 16 ? ring << count : (fill << count) | ((value & 0xffff) << (count - 16));
      const result = shifted >> 16;
      const carry = count <= 16 ? (value >>> (16 - count)) & 1 : (fill >>> (32 - count)) & 1;
      return finishDouble(result, carry, value);
    },
    shiftRightDouble16(value: number, fill: number, count: number): number {
      const ring = (fill << 16) | (value & 0xffff);
      const shifted = count <= 16 ? ring >>> count : (ring >>> count) | (value << (32 - count));
      const result = (shifted << 16) >> 16;
      const carry = (ring >>> (count - 1)) & 1;
      return finishDouble(result, carry, value);
    },
  };
}
