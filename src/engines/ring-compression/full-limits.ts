/**
 * Emulated accesses go through the guest's own page tables and cannot reach the VMM, so for them the data segments get
 * the limits that the guest gave them. The real registers hold shadow descriptors: cut, or, where no cut would do
 * (expand-down segments, bases in the VMM's range), such that every access faults.
 */
import { BASE, DS, ES, FS, GS, LIMIT, RIGHTS, SELECTOR, SS, segmentSlot } from '../../core/state.ts';
import { GUEST_LIMIT } from './layout.ts';
import type { Monitor } from './monitor.ts';
import { descriptorBase, descriptorLimit, descriptorRights, shadowDescriptor } from './shadow-descriptors.ts';
import { V_SS } from './vcpu.ts';

const SEGMENTS = [ES, SS, DS, FS, GS];
const saved = new Int32Array(2 * SEGMENTS.length);

/** Runs `action` with full limits. */
export function withFullLimits<T>(m: Monitor, action: () => T): T {
  const { state } = m;
  for (const [index, segment] of SEGMENTS.entries()) {
    const slot = segmentSlot(segment);
    saved[2 * index] = state[slot + LIMIT] as number;
    saved[2 * index + 1] = state[slot + RIGHTS] as number;
    widen(m, segment);
  }
  m.cpu.updateMode();
  try {
    return action();
  } finally {
    for (const [index, segment] of SEGMENTS.entries()) {
      const slot = segmentSlot(segment);
      state[slot + LIMIT] = saved[2 * index] as number;
      state[slot + RIGHTS] = saved[2 * index + 1] as number;
    }
    m.cpu.updateMode();
  }
}

function widen(m: Monitor, segment: number): void {
  const { state, v } = m;
  const slot = segmentSlot(segment);
  const base = state[slot + BASE] as number;
  if (base === 0 && state[slot + LIMIT] === (GUEST_LIMIT | 0)) {
    state[slot + LIMIT] = -1;
    return;
  }
  const selector = segment === SS ? (v[V_SS] as number) : (state[slot + SELECTOR] as number);
  const found = m.descriptors.peek(selector);
  if (found === null) return;
  const [low, high] = found;
  const [shadowLow, shadowHigh] = shadowDescriptor(low, high);
  // A descriptor that has changed since the load is not the one in the register.
  const same =
    (descriptorBase(shadowLow, shadowHigh) | 0) === base &&
    (descriptorLimit(shadowLow, shadowHigh) | 0) === state[slot + LIMIT] &&
    ((descriptorRights(shadowHigh) ^ (state[slot + RIGHTS] as number)) & 0x9f) === 0;
  if (!same) return;
  state[slot + LIMIT] = descriptorLimit(low, high) | 0;
  state[slot + RIGHTS] = ((state[slot + RIGHTS] as number) & ~EXPAND_DOWN) | (descriptorRights(high) & EXPAND_DOWN);
}

/** Type bit 2 of a data segment. */
const EXPAND_DOWN = 4;
