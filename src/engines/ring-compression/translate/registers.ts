/** Reads of registers that the guest shares with the VMM: the answer comes from the vcpu block, in the cache. */
import { EAX, ECX } from '../emitter.ts';
import {
  V_CR0,
  V_CS,
  V_GDTR_BASE,
  V_GDTR_LIMIT,
  V_GS,
  V_IDTR_BASE,
  V_IDTR_LIMIT,
  V_LDTR,
  V_SPILL0,
  V_SS,
  V_TR,
} from '../vcpu.ts';
import { spilled } from './kinds.ts';
import type { Sequence, Unit } from './unit.ts';

const CS = 1;
const SS = 2;
const GS = 5;
const SELECTOR_SLOTS: Readonly<Record<number, number>> = { [CS]: V_CS, [SS]: V_SS, [GS]: V_GS };

/** A register that the memory operand does not use, and that is not ESP. */
function free(u: Unit): number {
  return [EAX, ECX, 2].find((register) => register !== u.d.base && register !== u.d.index) as number;
}

function reachesVmm(u: Unit): boolean {
  return u.d.segment === GS || u.d.segment === CS;
}

/** Memory operand of the instruction with another opcode, register and displacement added. */
function storeOperand(u: Unit, register: number, size: number, plus: number): void {
  const { e, d } = u;
  if (size === 2) e.put(0x66);
  if (d.segmentOverride) e.put([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65][d.segment] as number);
  const displacement = d.displacement + plus;
  const field = register << 3;
  if (d.base < 0 && d.index < 0) {
    e.put(0x89, field | 5);
  } else if (d.index < 0 && d.base !== 4) {
    e.put(0x89, 0x80 | field | d.base);
  } else if (d.base < 0) {
    e.put(0x89, field | 4, (d.scale << 6) | (d.index << 3) | 5);
  } else {
    const index = d.index < 0 ? 4 : d.index;
    e.put(0x89, 0x80 | field | 4, (d.scale << 6) | (index << 3) | d.base);
  }
  e.word32(displacement);
}

/** r/m <- slot: a register takes the operand size, memory 16 bits. */
function readSlot(u: Unit, slot: number): void {
  const { e, d } = u;
  if (d.mod === 3) {
    u.boundary();
    if (d.operandSize === 2) e.put(0x66);
    e.load(d.rm, slot);
    return;
  }
  if (d.addressSize !== 4 || reachesVmm(u)) {
    u.instruction();
    return;
  }
  const register = free(u);
  u.boundary();
  e.store(V_SPILL0, register);
  u.inside(0);
  e.load(register, slot);
  u.inside(spilled(register));
  storeOperand(u, register, 2, 0);
  e.load(register, V_SPILL0);
}

/** SGDT, SIDT: the limit, then the base (all 32 bits, as every processor since the 386 does; SDM volume 2, SGDT). */
function readTable(limit: number, base: number): Sequence {
  return (u) => {
    const { e, d } = u;
    if (d.addressSize !== 4 || d.operandSize !== 4 || reachesVmm(u)) {
      u.instruction();
      return;
    }
    const register = free(u);
    u.boundary();
    e.store(V_SPILL0, register);
    u.inside(0);
    e.load(register, limit);
    u.inside(spilled(register));
    storeOperand(u, register, 2, 0);
    e.load(register, base);
    storeOperand(u, register, 4, 2);
    e.load(register, V_SPILL0);
  };
}

const readControl: Sequence = (u) => {
  u.boundary();
  u.e.load(u.d.rm, V_CR0 + [0, 0, 1, 2, 3][u.d.reg]!);
};

/** CS, SS and GS are not the guest's own in translated code; DS, ES and FS are. */
const movSegmentStore: Sequence = (u) => {
  const slot = SELECTOR_SLOTS[u.d.reg];
  if (slot === undefined) {
    if (u.d.mod !== 3 && reachesVmm(u)) u.instruction();
    else u.ident();
  } else readSlot(u, slot);
};

const pushSegment: Sequence = (u) => {
  const slot = SELECTOR_SLOTS[['ES', 'CS', 'SS', 'DS', 'FS', 'GS'].indexOf(u.d.instruction.operands[0] as string)];
  if (slot === undefined) {
    u.ident();
    return;
  }
  u.boundary();
  u.e.pushSlot(slot, u.d.operandSize);
};

/** A load of DS, ES or FS goes to the shadow descriptors by itself; SS needs its RPL changed and GS is the VMM's. */
function loadSegment(segment: (u: Unit) => number): Sequence {
  return (u) => {
    const index = segment(u);
    if (index === SS || index === GS || index === CS || (u.d.mod >= 0 && u.d.mod !== 3 && reachesVmm(u)))
      u.instruction();
    else u.ident();
  };
}

const FAR_SEGMENTS: Readonly<Record<string, number>> = { les: 0, lss: 2, lds: 3, lfs: 4, lgs: 5 };

export const REGISTERS: Readonly<Record<string, Sequence>> = {
  sgdt: readTable(V_GDTR_LIMIT, V_GDTR_BASE),
  sidt: readTable(V_IDTR_LIMIT, V_IDTR_BASE),
  sldt: (u) => readSlot(u, V_LDTR),
  str: (u) => readSlot(u, V_TR),
  smsw: (u) => readSlot(u, V_CR0),
  readControl,
  movSegmentStore,
  pushSegment,
  movSegmentLoad: loadSegment((u) => u.d.reg),
  popSegment: loadSegment((u) => ['ES', 'CS', 'SS', 'DS', 'FS', 'GS'].indexOf(u.d.instruction.operands[0] as string)),
  loadFar: loadSegment((u) => FAR_SEGMENTS[u.d.instruction.mnemonic] ?? GS),
};
