/** Segment loads that the processor must not do by itself, and the probes of descriptors. */

import { raise, UD } from '../../../core/signals.ts';
import { SELECTOR, SS, segmentSlot } from '../../../core/state.ts';
import { ZF } from '../../../isa/eflags.ts';
import type { Decoded } from '../../../isa/instruction.ts';
import type { Monitor } from '../monitor.ts';
import { linearOf, readRm, segmentBase, writeRegister, writeRm } from '../operands.ts';
import { dplOf, isCode, isConforming, isReadable, isWritable } from '../segments.ts';
import { descriptorLimit } from '../shadow-descriptors.ts';
import { V_CPL, V_CS, V_GS, V_SHADOW, V_SS } from '../vcpu.ts';
import type { Handlers } from './handler.ts';

const NAMES = ['ES', 'CS', 'SS', 'DS', 'FS', 'GS'];
const FAR: Readonly<Record<string, number>> = { les: 0, lss: 2, lds: 3, lfs: 4, lgs: 5 };

function load(m: Monitor, segment: number, selector: number): void {
  if (segment === 1) raise(m.state, UD);
  m.segments.load(segment, selector & 0xffff);
  m.cpu.updateMode();
  if (segment === SS) m.v[V_SHADOW] = 1;
}

function popSegment(m: Monitor, d: Decoded): void {
  const selector = m.guest.load((segmentBase(m, SS) + m.register(4)) >>> 0, 2);
  const segment = NAMES.indexOf(d.instruction.operands[0] as string);
  load(m, segment, selector);
  m.setRegister(4, m.register(4) + d.operandSize);
}

function loadFar(m: Monitor, d: Decoded): void {
  const at = linearOf(m, d);
  const offset = m.guest.load(at, d.operandSize);
  load(m, FAR[d.instruction.mnemonic] as number, m.guest.load((at + d.operandSize) >>> 0, 2));
  writeRegister(m, d.reg, d.operandSize, offset);
}

function movSegmentStore(m: Monitor, d: Decoded): void {
  const virtual = [-1, V_CS, V_SS, -1, -1, V_GS][d.reg] as number;
  writeRm(m, d, (virtual < 0 ? m.state[segmentSlot(d.reg) + SELECTOR] : m.v[virtual]) as number);
}

function setZero(m: Monitor, set: boolean): void {
  m.setArithmetic(ZF, set ? ZF : 0);
}

/** Finds the descriptor that a probe names and that the privilege allows; clears ZF and gives false otherwise. */
function visible(m: Monitor, selector: number, anyCode: boolean): boolean {
  const { segments } = m;
  const found = (selector & ~3) !== 0 && segments.find(selector);
  const privilege = Math.max(m.v[V_CPL] as number, selector & 3);
  const ok = found && ((anyCode && isConforming(segments.high)) || dplOf(segments.high) >= privilege);
  if (!ok) setZero(m, false);
  return ok;
}

/** System types that LAR and LSL accept, as bit masks by type (SDM volume 2, LAR and LSL). */
const LAR_TYPES = (1 << 1) | (1 << 2) | (1 << 3) | (1 << 4) | (1 << 5) | (1 << 9) | (1 << 11) | (1 << 12);
const LSL_TYPES = (1 << 1) | (1 << 2) | (1 << 3) | (1 << 9) | (1 << 11);

function accepts(high: number, types: number): boolean {
  return (high & 0x1000) !== 0 || ((types >>> ((high >>> 8) & 15)) & 1) !== 0;
}

function lar(m: Monitor, d: Decoded): void {
  if (!visible(m, readRm(m, d, 2) & 0xffff, true)) return;
  const { high } = m.segments;
  const ok = accepts(high, LAR_TYPES);
  if (ok) writeRegister(m, d.reg, d.operandSize, high & 0x00f0ff00);
  setZero(m, ok);
}

function lsl(m: Monitor, d: Decoded): void {
  if (!visible(m, readRm(m, d, 2) & 0xffff, true)) return;
  const { low, high } = m.segments;
  const ok = accepts(high, LSL_TYPES);
  if (ok) writeRegister(m, d.reg, d.operandSize, descriptorLimit(low, high) | 0);
  setZero(m, ok);
}

function verr(m: Monitor, d: Decoded): void {
  if (!visible(m, readRm(m, d, 2) & 0xffff, true)) return;
  setZero(m, isReadable(m.segments.high));
}

function verw(m: Monitor, d: Decoded): void {
  if (!visible(m, readRm(m, d, 2) & 0xffff, false)) return;
  setZero(m, !isCode(m.segments.high) && isWritable(m.segments.high));
}

export const SEGMENT_HANDLERS: Handlers = {
  movSegmentLoad: (m, d) => load(m, d.reg, readRm(m, d, 2)),
  movSegmentStore,
  popSegment,
  loadFar,
  lar,
  lsl,
  verr,
  verw,
};
