/** LGDT LIDT SGDT SIDT LLDT LTR SLDT STR (SDM 3A 2.4, 2.8.1). */
import type { Cpu } from '../cpu.ts';
import { GP, NP, raiseWithError } from '../signals.ts';
import {
  GDTR_BASE,
  GDTR_LIMIT,
  IDTR_BASE,
  IDTR_LIMIT,
  LDTR,
  RIGHTS_P,
  RIGHTS_S,
  SELECTOR,
  segmentSlot,
  TR,
} from '../state.ts';
import {
  TABLE_LGDT,
  TABLE_LIDT,
  TABLE_LLDT,
  TABLE_LTR,
  TABLE_SGDT,
  TABLE_SIDT,
  TABLE_SLDT,
  TABLE_STR,
  type VmxHooks,
} from '../vmx-hooks.ts';
import { isNonRoot, requireProtected, requireRing0 } from './privilege.ts';

const TYPE_LDT = 2;
const TYPE_TSS_16 = 1;
const TYPE_TSS = 9;
const TYPE_BUSY = 2;

function intercept(cpu: Cpu, which: number, linear: number): void {
  if (isNonRoot(cpu.memory.state)) (cpu.vmx as VmxHooks).descriptorTable(which, linear);
}

/** A 16-bit operand size loads a 24-bit base. */
export function lgdt(cpu: Cpu, linear: number, table: number, size: number): void {
  loadTable(cpu, TABLE_LGDT, GDTR_BASE, GDTR_LIMIT, linear, table, size);
}
export function lidt(cpu: Cpu, linear: number, table: number, size: number): void {
  loadTable(cpu, TABLE_LIDT, IDTR_BASE, IDTR_LIMIT, linear, table, size);
}

function loadTable(
  cpu: Cpu,
  which: number,
  baseSlot: number,
  limitSlot: number,
  linear: number,
  table: number,
  size: number,
): void {
  const { state } = cpu.memory;
  requireRing0(state);
  intercept(cpu, which, linear);
  const limit = cpu.mmu.load16(linear, table);
  const base = cpu.mmu.load32((linear + 2) | 0, table);
  state[limitSlot] = limit;
  state[baseSlot] = size === 2 ? base & 0xffffff : base;
}

/** Not privileged: one of the instructions that a classical virtual machine cannot hide (Robin and Irvine 2000). */
export function sgdt(cpu: Cpu, linear: number, table: number): void {
  storeTable(cpu, TABLE_SGDT, GDTR_BASE, GDTR_LIMIT, linear, table);
}
export function sidt(cpu: Cpu, linear: number, table: number): void {
  storeTable(cpu, TABLE_SIDT, IDTR_BASE, IDTR_LIMIT, linear, table);
}

function storeTable(cpu: Cpu, which: number, baseSlot: number, limitSlot: number, linear: number, table: number): void {
  const { state } = cpu.memory;
  intercept(cpu, which, linear);
  cpu.mmu.checkWrite(linear, 6, table);
  cpu.mmu.store16(linear, state[limitSlot], table);
  cpu.mmu.store32((linear + 2) | 0, state[baseSlot], table);
}

export function lldt(cpu: Cpu, selector: number): void {
  const { segmentation } = cpu;
  const { state } = cpu.memory;
  requireProtected(state);
  requireRing0(state);
  intercept(cpu, TABLE_LLDT, 0);
  if ((selector & 0xfffc) === 0) {
    segmentation.setNull(LDTR, selector & 0xffff);
    return;
  }
  readSystemDescriptor(cpu, selector);
  const rights = segmentation.rights();
  if ((rights & (RIGHTS_S | 0xf)) !== TYPE_LDT) raiseWithError(state, GP, selector & 0xfffc);
  if ((rights & RIGHTS_P) === 0) raiseWithError(state, NP, selector & 0xfffc);
  segmentation.commit(LDTR, selector & 0xffff);
}

/** The TSS becomes busy, in memory and in the register. */
export function ltr(cpu: Cpu, selector: number): void {
  const { segmentation } = cpu;
  const { state } = cpu.memory;
  requireProtected(state);
  requireRing0(state);
  intercept(cpu, TABLE_LTR, 0);
  if ((selector & 0xfffc) === 0) raiseWithError(state, GP, 0);
  readSystemDescriptor(cpu, selector);
  const rights = segmentation.rights();
  const type = rights & (RIGHTS_S | 0xf);
  if (type !== TYPE_TSS && type !== TYPE_TSS_16) raiseWithError(state, GP, selector & 0xfffc);
  if ((rights & RIGHTS_P) === 0) raiseWithError(state, NP, selector & 0xfffc);
  cpu.mmu.systemStore8((segmentation.address + 5) | 0, (rights | TYPE_BUSY) & 0xff);
  segmentation.high |= TYPE_BUSY << 8;
  segmentation.commit(TR, selector & 0xffff);
}

/** Descriptor of an LDT or TSS: only the GDT may hold it. */
function readSystemDescriptor(cpu: Cpu, selector: number): void {
  if ((selector & 4) !== 0) raiseWithError(cpu.memory.state, GP, selector & 0xfffc);
  cpu.segmentation.readDescriptor(selector, GP);
}

export function sldt(cpu: Cpu): number {
  requireProtected(cpu.memory.state);
  intercept(cpu, TABLE_SLDT, 0);
  return cpu.memory.state[segmentSlot(LDTR) + SELECTOR] & 0xffff;
}

export function str(cpu: Cpu): number {
  requireProtected(cpu.memory.state);
  intercept(cpu, TABLE_STR, 0);
  return cpu.memory.state[segmentSlot(TR) + SELECTOR] & 0xffff;
}
