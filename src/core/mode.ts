/**
 * The code mode: one integer that holds everything decoding and address checks depend on. Decoded code is keyed by it,
 * so a handler never asks at run time what its block was decoded for.
 *
 *   bit 0      CS.D                        bits 8-19  shape of ES CS SS DS FS GS, two bits each
 *   bit 1      SS.B                        bit 20     one instruction only (interrupt shadow)
 *   bits 2-3   CPL                         bit 21     data accesses go to the emulation port
 *   bits 4-7   VM, PE, PG, PAE                         bit 22     one instruction only (CS ends nearby)
 */
import { VM } from '../isa/eflags.ts';
import {
  BASE,
  CPL,
  CR0,
  CR0_PE,
  CR0_PG,
  CR4,
  CR4_PAE,
  CS,
  EFLAGS_SYSTEM,
  LIMIT,
  RIGHTS,
  RIGHTS_DB,
  RIGHTS_P,
  RIGHTS_S,
  RIGHTS_UNUSABLE,
  SEGMENT_STRIDE,
  SEGMENTS,
  SS,
} from './state.ts';

export const MODE_D = 1;
export const MODE_B = 2;
const MODE_CPL_SHIFT = 2;
const MODE_VM = 0x10;
const MODE_PE = 0x20;
const MODE_PG = 0x40;
const MODE_PAE = 0x80;
const MODE_SHAPE_SHIFT = 8;
export const MODE_SINGLE = 1 << 20;
export const MODE_EMULATE = 1 << 21;
export const MODE_NARROW = 1 << 22;

/** Base 0, limit 4 GB, present, usable; writable data, or for CS readable code. */
export const SHAPE_FLAT = 0;
/** The same with the limit `Mmu.truncatedLimit`: enforced by the view's fast table, not per access. */
export const SHAPE_TRUNCATED = 1;
/** Anything else: every access is checked by `Segmentation.linear`. */
export const SHAPE_OTHER = 2;

/** Rights that a flat segment must have, beside its type: present, code or data, not unusable. */
const USABLE = RIGHTS_P | RIGHTS_S;
const TYPE_CODE = 8;
const TYPE_EXPAND_DOWN = 4;
/** Writable data; readable code. */
const TYPE_READ_WRITE = 2;

function shape(state: Int32Array, segment: number, truncatedLimit: number): number {
  const slot = SEGMENTS + SEGMENT_STRIDE * segment;
  const rights = state[slot + RIGHTS] as number;
  if (state[slot + BASE] !== 0 || (rights & (USABLE | RIGHTS_UNUSABLE)) !== USABLE) return SHAPE_OTHER;
  if ((rights & TYPE_READ_WRITE) === 0) return SHAPE_OTHER;
  const isCode = (rights & TYPE_CODE) !== 0;
  if (isCode !== (segment === CS) || (!isCode && (rights & TYPE_EXPAND_DOWN) !== 0)) return SHAPE_OTHER;
  const limit = state[slot + LIMIT] as number;
  if (limit === -1) return SHAPE_FLAT;
  return limit === (truncatedLimit | 0) ? SHAPE_TRUNCATED : SHAPE_OTHER;
}

/** The code mode of the current state. `truncatedLimit`: the limit of SHAPE_TRUNCATED segments, as in `Mmu`. */
export function computeMode(state: Int32Array, truncatedLimit: number): number {
  const cr0 = state[CR0] as number;
  let mode = (state[CPL] as number) << MODE_CPL_SHIFT;
  if (((state[SEGMENTS + SEGMENT_STRIDE * CS + RIGHTS] as number) & RIGHTS_DB) !== 0) mode |= MODE_D;
  if (((state[SEGMENTS + SEGMENT_STRIDE * SS + RIGHTS] as number) & RIGHTS_DB) !== 0) mode |= MODE_B;
  if (((state[EFLAGS_SYSTEM] as number) & VM) !== 0) mode |= MODE_VM;
  if ((cr0 & CR0_PE) !== 0) mode |= MODE_PE;
  if ((cr0 & CR0_PG) !== 0) mode |= MODE_PG;
  if (((state[CR4] as number) & CR4_PAE) !== 0) mode |= MODE_PAE;
  for (let segment = 0; segment < 6; segment++) {
    mode |= shape(state, segment, truncatedLimit) << (MODE_SHAPE_SHIFT + 2 * segment);
  }
  return mode;
}

export function shapeOf(mode: number, segment: number): number {
  return (mode >> (MODE_SHAPE_SHIFT + 2 * segment)) & 3;
}
export function modeCpl(mode: number): number {
  return (mode >> MODE_CPL_SHIFT) & 3;
}
export function modeStackIs32(mode: number): boolean {
  return (mode & MODE_B) !== 0;
}
