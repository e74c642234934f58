/** Segment register loads and limit checks, against the SDM's tables written out once more. */
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import type { MachineAddress } from '../../src/core/address.ts';
import { GP, NP, SS_FAULT } from '../../src/core/signals.ts';
import * as slot from '../../src/core/state.ts';
import {
  type Descriptor,
  data,
  enterRing,
  FREE_SELECTOR,
  faultOf,
  GDT_AT,
  GDT_ENTRIES,
  processorState,
  protectedCpu,
  setUp,
  writeDescriptor,
} from '../support/protected-cpu.ts';

const cpu = protectedCpu();
const { state: S } = cpu.memory;

beforeEach(() => setUp(cpu));

/** SDM 3A 5.6, 5.7 and 2B MOV, as a list of rules. Null: the load succeeds. */
function reference(segment: number, d: Descriptor, cpl: number, rpl: number): { vector: number; error: number } | null {
  const error = FREE_SELECTOR;
  const isCode = d.system !== true && (d.type & 8) !== 0;
  const isData = d.system !== true && (d.type & 8) === 0;
  if (segment === slot.SS) {
    if (rpl !== cpl || d.dpl !== cpl || !isData || (d.type & 2) === 0) return { vector: GP, error };
    return d.present === false ? { vector: SS_FAULT, error } : null;
  }
  const isReadableCode = isCode && (d.type & 2) !== 0;
  if (!isData && !isReadableCode) return { vector: GP, error };
  const isConforming = isCode && (d.type & 4) !== 0;
  if (!isConforming && (rpl > d.dpl || cpl > d.dpl)) return { vector: GP, error };
  return d.present === false ? { vector: NP, error } : null;
}

const descriptor = fc.record({
  type: fc.nat(15),
  system: fc.nat(4).map((n) => n === 0),
  dpl: fc.nat(3),
  present: fc.nat(5).map((n) => n !== 0),
  base: fc.nat(0xffffff),
  limit: fc.nat(0xfffff),
  big: fc.boolean(),
  granular: fc.boolean(),
});

test('a load succeeds, or raises what the SDM says with the selector as error code, and then changes nothing', () => {
  const segments = fc.constantFrom(slot.ES, slot.SS, slot.DS, slot.FS, slot.GS);
  fc.assert(
    fc.property(segments, descriptor, fc.nat(3), fc.nat(3), (segment, d, cpl, rpl) => {
      enterRing(cpu, cpl, 0x30000);
      writeDescriptor(cpu, FREE_SELECTOR, d);
      const before = processorState(cpu);
      const fault = faultOf(cpu, () => cpu.segmentation.load(segment, FREE_SELECTOR | rpl));
      expect(fault).toEqual(reference(segment, d, cpl, rpl));
      const accessed = cpu.memory.read8((GDT_AT + FREE_SELECTOR + 5) as MachineAddress) & 1;
      if (fault !== null) {
        expect(processorState(cpu)).toEqual(before);
        expect(accessed).toBe(d.type & 1);
        return;
      }
      const at = slot.segmentSlot(segment);
      expect(S[at + slot.SELECTOR]).toBe(FREE_SELECTOR | rpl);
      expect(S[at + slot.BASE]).toBe(d.base);
      expect(S[at + slot.LIMIT]! >>> 0).toBe(d.granular ? d.limit * 4096 + 4095 : d.limit);
      expect(S[at + slot.RIGHTS]! & 0xff).toBe(d.type | 0x91 | (d.dpl << 5));
      expect(accessed).toBe(1);
    }),
    { numRuns: 2000 },
  );
});

describe('selectors', () => {
  test('null in a data register loads and makes it unusable', () => {
    cpu.segmentation.load(slot.DS, 3);
    expect(S[slot.segmentSlot(slot.DS) + slot.RIGHTS]! & slot.RIGHTS_UNUSABLE).not.toBe(0);
    expect(faultOf(cpu, () => cpu.segmentation.linear(slot.DS, 0, 1, false))).toEqual({ vector: GP, error: 0 });
  });

  test('null in SS is #GP(0)', () => {
    expect(faultOf(cpu, () => cpu.segmentation.load(slot.SS, 0))).toEqual({ vector: GP, error: 0 });
  });

  test('beyond the GDT, or in an LDT that there is not, is #GP(selector)', () => {
    const beyond = GDT_ENTRIES * 8;
    expect(faultOf(cpu, () => cpu.segmentation.load(slot.ES, beyond))).toEqual({ vector: GP, error: beyond });
    expect(faultOf(cpu, () => cpu.segmentation.load(slot.ES, 0x0f))).toEqual({ vector: GP, error: 0x0c });
  });

  test('in the LDT', () => {
    cpu.segmentation.setSegment(slot.LDTR, 0x50, GDT_AT + data(0) - 8, 0x0f, 0x82);
    cpu.segmentation.load(slot.ES, 0x0c);
    expect(S[slot.segmentSlot(slot.ES) + slot.SELECTOR]).toBe(0x0c);
  });

  test('a real-mode load takes sixteen times the selector', () => {
    S[slot.CR0] = 0;
    cpu.segmentation.load(slot.ES, 0x1234);
    expect(S[slot.segmentSlot(slot.ES) + slot.BASE]).toBe(0x12340);
  });
});

test('limit and type checks of the checked path', () => {
  fc.assert(
    fc.property(descriptor, fc.nat(0xffffffff), fc.constantFrom(1, 2, 4), fc.boolean(), (d, offset, size, write) => {
      const limit = d.granular ? d.limit * 4096 + 4095 : d.limit;
      const rights = d.type | 0x90 | (d.big ? slot.RIGHTS_DB : 0);
      cpu.segmentation.setSegment(slot.ES, FREE_SELECTOR, d.base, limit, rights);
      const isCode = (d.type & 8) !== 0;
      const typed = write ? !isCode && (d.type & 2) !== 0 : !isCode || (d.type & 2) !== 0;
      const last = offset + size - 1;
      const isDown = !isCode && (d.type & 4) !== 0;
      const inside = isDown
        ? offset > limit && last <= (d.big ? 0xffffffff : 0xffff)
        : limit === 0xffffffff || last <= limit;
      const fault = faultOf(cpu, () => {
        expect(cpu.segmentation.linear(slot.ES, offset, size, write)).toBe((d.base + offset) | 0);
      });
      expect(fault === null).toBe(typed && inside);
    }),
    { numRuns: 1000 },
  );
});
