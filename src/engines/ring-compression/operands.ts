/** Operands of an instruction that the VMM carries out. */
import { BASE, GS, segmentSlot } from '../../core/state.ts';
import type { Decoded } from '../../isa/instruction.ts';
import type { Monitor } from './monitor.ts';
import { V_GS_BASE } from './vcpu.ts';

/** Guest-linear address of the memory operand. */
export function linearOf(m: Monitor, d: Decoded): number {
  let offset = d.displacement;
  if (d.base >= 0) offset += m.register(d.base);
  if (d.index >= 0) offset += m.register(d.index) << d.scale;
  if (d.addressSize === 2) offset &= 0xffff;
  return (segmentBase(m, d.segment) + offset) >>> 0;
}

export function segmentBase(m: Monitor, segment: number): number {
  return (segment === GS && !m.direct ? m.v[V_GS_BASE] : m.state[segmentSlot(segment) + BASE]) as number;
}

/** The r/m operand, zero-extended. */
export function readRm(m: Monitor, d: Decoded, size: number): number {
  if (d.mod !== 3) return m.guest.load(linearOf(m, d), size);
  return size === 2 ? m.register(d.rm) & 0xffff : m.register(d.rm);
}

/** A register by operand size: the upper half stays with 16-bit operands. */
export function writeRegister(m: Monitor, register: number, size: number, value: number): void {
  m.setRegister(register, size === 2 ? (m.register(register) & 0xffff0000) | (value & 0xffff) : value);
}

/** SLDT, STR, SMSW, MOV from segment: a register takes the operand size, memory 16 bits. */
export function writeRm(m: Monitor, d: Decoded, value: number): void {
  if (d.mod === 3) writeRegister(m, d.rm, d.operandSize, value);
  else m.guest.store(linearOf(m, d), 2, value);
}
