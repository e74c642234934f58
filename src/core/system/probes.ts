/** LAR LSL VERR VERW: what a selector would allow, told by ZF instead of a fault (SDM 3A 5.10). */
import { ZF } from '../../isa/eflags.ts';
import type { Cpu } from '../cpu.ts';
import { arithmeticFlags, setArithmeticFlags } from '../flags.ts';
import { isCode, isConforming, isWritableData, privilegeOf, TYPE_CODE, TYPE_READ_WRITE } from '../segmentation.ts';
import { CPL, RIGHTS_S } from '../state.ts';
import { requireProtected } from './privilege.ts';

/** System types, as bit sets, that LAR and LSL accept (SDM 2A, tables of LAR and LSL). */
const LAR_TYPES = (1 << 1) | (1 << 2) | (1 << 3) | (1 << 4) | (1 << 5) | (1 << 9) | (1 << 11) | (1 << 12);
const LSL_TYPES = (1 << 1) | (1 << 2) | (1 << 3) | (1 << 9) | (1 << 11);
/** What LAR returns of the descriptor's high doubleword. */
const LAR_MASK = 0x00f0ff00;

/** Access rights of `selector`'s descriptor; valid if ZF is then set. May raise #PF. */
export function lar(cpu: Cpu, selector: number): number {
  const visible = isVisible(cpu, selector, LAR_TYPES);
  setZero(cpu, visible);
  return visible ? cpu.segmentation.high & LAR_MASK : 0;
}

/** Limit in bytes; valid if ZF is then set. */
export function lsl(cpu: Cpu, selector: number): number {
  const visible = isVisible(cpu, selector, LSL_TYPES);
  setZero(cpu, visible);
  return visible ? cpu.segmentation.limit() : 0;
}

export function verr(cpu: Cpu, selector: number): void {
  const rights = isVisible(cpu, selector, 0) ? cpu.segmentation.rights() : 0;
  setZero(cpu, (rights & RIGHTS_S) !== 0 && (rights & (TYPE_CODE | TYPE_READ_WRITE)) !== TYPE_CODE);
}

export function verw(cpu: Cpu, selector: number): void {
  setZero(cpu, isVisible(cpu, selector, 0) && isWritableData(cpu.segmentation.rights()));
}

/** Reads the descriptor: whether it exists, has an accepted type, and is visible at CPL and RPL. */
function isVisible(cpu: Cpu, selector: number, systemTypes: number): boolean {
  const { segmentation } = cpu;
  const { state } = cpu.memory;
  requireProtected(state);
  if ((selector & 0xfffc) === 0 || !segmentation.tryReadDescriptor(selector)) return false;
  const rights = segmentation.rights();
  if ((rights & RIGHTS_S) === 0 && ((systemTypes >>> (rights & 0xf)) & 1) === 0) return false;
  if (isCode(rights) && isConforming(rights)) return true;
  return privilegeOf(rights) >= Math.max(state[CPL], selector & 3);
}

function setZero(cpu: Cpu, zero: boolean): void {
  const { state } = cpu.memory;
  setArithmeticFlags(state, (arithmeticFlags(state) & ~ZF) | (zero ? ZF : 0));
}
