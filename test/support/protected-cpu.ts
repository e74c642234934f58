/** A processor with a GDT, an IDT and a TSS, for tests of everything that reads descriptors. No paging. */
import type { MachineAddress } from '../../src/core/address.ts';
import type { Cpu } from '../../src/core/cpu.ts';
import { FAULT } from '../../src/core/signals.ts';
import * as slot from '../../src/core/state.ts';
import { flatCpu } from './flat-cpu.ts';

export const GDT_AT = 0x1000;
export const IDT_AT = 0x2000;
export const TSS_AT = 0x3000;
export const GDT_ENTRIES = 32;
/** Stacks that the TSS names for rings 0, 1, 2. */
export const RING_STACKS = [0x20000, 0x21000, 0x22000] as const;

/** Selectors of the flat segments: code and data of ring r. */
export const code = (ring: number): number => (8 + 16 * ring) | ring;
export const data = (ring: number): number => (16 + 16 * ring) | ring;
export const TSS_SELECTOR = 0x48;
/** First GDT entry that tests may use. */
export const FREE_SELECTOR = 0x50;

export interface Descriptor {
  readonly base?: number;
  /** 20 bits, in pages if `granular`. */
  readonly limit?: number;
  readonly type: number;
  readonly system?: boolean;
  readonly dpl: number;
  readonly present?: boolean;
  readonly big?: boolean;
  readonly granular?: boolean;
}

export function writeDescriptor(cpu: Cpu, selector: number, d: Descriptor): void {
  const base = d.base ?? 0;
  const limit = d.limit ?? 0xfffff;
  const at = (GDT_AT + (selector & 0xfff8)) as MachineAddress;
  cpu.memory.write32(at, ((base & 0xffff) << 16) | (limit & 0xffff));
  const access = d.type | (d.system === true ? 0 : 0x10) | (d.dpl << 5) | (d.present === false ? 0 : 0x80);
  const high =
    (base & 0xff000000) |
    ((base >>> 16) & 0xff) |
    (access << 8) |
    (limit & 0xf0000) |
    (d.big === false ? 0 : 0x400000) |
    (d.granular === false ? 0 : 0x800000);
  cpu.memory.write32((at + 4) as MachineAddress, high);
}

/** An IDT gate, or with `at` a call gate in the GDT. */
export function writeGate(
  cpu: Cpu,
  vector: number,
  selector: number,
  offset: number,
  { type = 14, dpl = 0, present = true, parameters = 0, at = IDT_AT + 8 * vector } = {},
): void {
  cpu.memory.write32(at as MachineAddress, (selector << 16) | (offset & 0xffff));
  const high = (offset & 0xffff0000) | (present ? 0x8000 : 0) | (dpl << 13) | (type << 8) | parameters;
  cpu.memory.write32((at + 4) as MachineAddress, high);
}

export function setUp(cpu: Cpu): void {
  const { state: S, memory } = { state: cpu.memory.state, memory: cpu.memory };
  memory.ram.fill(0, 0, 0x40000);
  for (let ring = 0; ring < 4; ring++) {
    writeDescriptor(cpu, code(ring), { type: 0xb, dpl: ring });
    writeDescriptor(cpu, data(ring), { type: 3, dpl: ring });
  }
  writeDescriptor(cpu, TSS_SELECTOR, {
    type: 9,
    system: true,
    dpl: 0,
    base: TSS_AT,
    limit: 0x67,
    big: false,
    granular: false,
  });
  for (const [ring, stack] of RING_STACKS.entries()) {
    memory.write32((TSS_AT + 4 + 8 * ring) as MachineAddress, stack);
    memory.write32((TSS_AT + 8 + 8 * ring) as MachineAddress, data(ring));
  }
  S[slot.GDTR_BASE] = GDT_AT;
  S[slot.GDTR_LIMIT] = GDT_ENTRIES * 8 - 1;
  S[slot.IDTR_BASE] = IDT_AT;
  S[slot.IDTR_LIMIT] = 0x7ff;
  S[slot.CR0] = slot.CR0_PE;
  S[slot.HOSTED] = 0;
  S[slot.SHADOW] = 0;
  S[slot.ACTIVITY] = 0;
  cpu.segmentation.setNull(slot.LDTR, 0);
  cpu.segmentation.setSegment(slot.TR, TSS_SELECTOR, TSS_AT, 0x67, 0x8b);
  enterRing(cpu, 0, 0x30000);
  cpu.setEflags(2);
}

/** Flat segments of `ring` in every register, CPL, and a stack pointer. */
export function enterRing(cpu: Cpu, ring: number, stack: number): void {
  const { state: S } = cpu.memory;
  for (let segment = slot.ES; segment <= slot.GS; segment++) {
    const isCode = segment === slot.CS;
    const rights = (isCode ? 0x9b : 0x93) | (ring << 5) | slot.RIGHTS_DB | slot.RIGHTS_G;
    cpu.segmentation.setSegment(segment, isCode ? code(ring) : data(ring), 0, -1, rights);
  }
  S[slot.CPL] = ring;
  S[slot.ESP] = stack;
  S[slot.EIP] = 0x10000;
  cpu.updateMode();
}

export function protectedCpu(): Cpu {
  const cpu = flatCpu(1 << 20);
  setUp(cpu);
  return cpu;
}

/** Vector and error code (null if none) of the fault that `action` raises, or null if it raises none. */
export function faultOf(cpu: Cpu, action: () => void): { vector: number; error: number | null } | null {
  const { state: S } = cpu.memory;
  try {
    action();
    return null;
  } catch (signal) {
    if (signal !== FAULT) throw signal;
    return { vector: S[slot.EVENT_VECTOR]!, error: S[slot.EVENT_HAS_ERROR] !== 0 ? S[slot.EVENT_ERROR]! : null };
  }
}

/** The words on the stack from ESP on. */
export function stackWords(cpu: Cpu, count: number): number[] {
  const esp = cpu.memory.state[slot.ESP]!;
  return Array.from({ length: count }, (_, i) => cpu.memory.read32((esp + 4 * i) as MachineAddress));
}

/** Registers and segments, to show that a fault changed none. */
export function processorState(cpu: Cpu): number[] {
  const { state: S } = cpu.memory;
  return [...S.subarray(0, slot.EIP + 1), S[slot.CPL]!, cpu.eflags(), ...S.subarray(slot.SEGMENTS, slot.SYSENTER_CS)];
}
