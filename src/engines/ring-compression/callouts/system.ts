/** Control, table, model-specific and debug registers of the virtual CPU. */
import { GP, raise, raiseWithError, UD } from '../../../core/signals.ts';
import {
  CPL,
  CR0,
  CR0_CD,
  CR0_EM,
  CR0_ET,
  CR0_MP,
  CR0_NW,
  CR0_PE,
  CR0_PG,
  CR0_TS,
  CR4,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  CR4_PAE,
  CR4_PGE,
  CR4_PSE,
  CR4_TSD,
  CYCLES,
  EAX,
  ECX,
  EDX,
  EFER_NXE,
  TSC_BASE,
} from '../../../core/state.ts';
import type { Decoded } from '../../../isa/instruction.ts';
import { GuestKilled } from '../guest-killed.ts';
import type { Monitor } from '../monitor.ts';
import { linearOf, readRm, writeRm } from '../operands.ts';
import { activatePaging, recheckCode } from '../paging.ts';
import { isPresent } from '../segments.ts';
import { descriptorBase, descriptorLimit } from '../shadow-descriptors.ts';
import {
  V_CR0,
  V_CR2,
  V_CR3,
  V_CR4,
  V_DR0,
  V_EFER,
  V_GDTR_BASE,
  V_GDTR_LIMIT,
  V_IDTR_BASE,
  V_IDTR_LIMIT,
  V_LDT_BASE,
  V_LDT_LIMIT,
  V_LDTR,
  V_SYSENTER_CS,
  V_SYSENTER_EIP,
  V_SYSENTER_ESP,
  V_TR,
  V_TSS_BASE,
  V_TSS_LIMIT,
} from '../vcpu.ts';
import type { Handlers } from './handler.ts';

/** CR0 bits that the real CR0 copies: they decide what the guest's own instructions do. */
const MIRRORED_CR0 = CR0_MP | CR0_EM | CR0_TS;
const PAGING_CR0 = CR0_PG | 0x10000;
/** CR4 bits, likewise. */
const MIRRORED_CR4 = CR4_TSD | CR4_OSFXSR | CR4_OSXMMEXCPT;
const PAGING_CR4 = CR4_PAE | CR4_PSE | CR4_PGE;
const CR4_DEFINED = 0x7ff;

function loadTable(base: number, limit: number): (m: Monitor, d: Decoded) => void {
  return (m, d) => {
    const at = linearOf(m, d);
    const limitValue = m.guest.load(at, 2);
    const baseValue = m.guest.load((at + 2) >>> 0, 4);
    m.v[limit] = limitValue;
    m.v[base] = d.operandSize === 2 ? baseValue & 0xffffff : baseValue;
  };
}

function storeTable(base: number, limit: number): (m: Monitor, d: Decoded) => void {
  return (m, d) => {
    const at = linearOf(m, d);
    m.guest.store(at, 2, m.v[limit] as number);
    m.guest.store((at + 2) >>> 0, 4, m.v[base] as number);
  };
}

const loadGdt = loadTable(V_GDTR_BASE, V_GDTR_LIMIT);

function setCr0(m: Monitor, value: number): void {
  const { v, state } = m;
  if ((value & CR0_PG) !== 0 && (value & CR0_PE) === 0) raiseWithError(state, GP, 0);
  if ((value & CR0_NW) !== 0 && (value & CR0_CD) === 0) raiseWithError(state, GP, 0);
  if ((value & CR0_PE) === 0)
    throw new GuestKilled('The guest leaves protected mode, which this engine does not have.');
  const old = v[V_CR0] as number;
  v[V_CR0] = value | CR0_ET;
  if (((old ^ value) & PAGING_CR0) !== 0 && !activatePaging(m)) {
    v[V_CR0] = old;
    raiseWithError(state, GP, 0);
  }
  state[CR0] = ((state[CR0] as number) & ~MIRRORED_CR0) | (value & MIRRORED_CR0);
  m.cpu.updateMode();
}

function setCr4(m: Monitor, value: number): void {
  const { v, state } = m;
  if ((value & ~CR4_DEFINED) !== 0) raiseWithError(state, GP, 0);
  const old = v[V_CR4] as number;
  v[V_CR4] = value;
  if (((old ^ value) & PAGING_CR4) !== 0 && !activatePaging(m)) {
    v[V_CR4] = old;
    raiseWithError(state, GP, 0);
  }
  state[CR4] = ((state[CR4] as number) & ~MIRRORED_CR4) | (value & MIRRORED_CR4);
  m.cpu.updateMode();
}

function setCr3(m: Monitor, value: number): void {
  const old = m.v[V_CR3] as number;
  m.v[V_CR3] = value;
  if (activatePaging(m)) return;
  m.v[V_CR3] = old;
  raiseWithError(m.state, GP, 0);
}

function writeControl(m: Monitor, d: Decoded): void {
  const value = m.register(d.rm);
  m.touch();
  if (d.reg === 0) setCr0(m, value);
  else if (d.reg === 2) m.v[V_CR2] = value;
  else if (d.reg === 3) setCr3(m, value);
  else if (d.reg === 4) setCr4(m, value);
  else raise(m.state, UD);
}

/** SDM volume 2, LTR: an available TSS in the GDT, which becomes busy. */
function ltr(m: Monitor, d: Decoded): void {
  const { segments, state, v } = m;
  const selector = readRm(m, d, 2) & 0xffff;
  segments.read(selector);
  const available = (segments.high & 0x1f00) === 0x900;
  if ((selector & 4) !== 0 || !available) raiseWithError(state, GP, selector & ~3);
  if (!isPresent(segments.high)) raiseWithError(state, 11, selector & ~3);
  const { low, high } = segments;
  m.guest.store(((v[V_GDTR_BASE] as number) + (selector & ~7) + 4) >>> 0, 4, high | 0x200);
  v[V_TR] = selector;
  v[V_TSS_BASE] = descriptorBase(low, high);
  v[V_TSS_LIMIT] = descriptorLimit(low, high);
}

function lldt(m: Monitor, d: Decoded): void {
  const { segments, state, v } = m;
  const selector = readRm(m, d, 2) & 0xffff;
  if ((selector & ~3) !== 0) {
    segments.read(selector);
    if ((selector & 4) !== 0 || (segments.high & 0x1f00) !== 0x200) raiseWithError(state, GP, selector & ~3);
    if (!isPresent(segments.high)) raiseWithError(state, 11, selector & ~3);
    v[V_LDT_BASE] = descriptorBase(segments.low, segments.high);
    v[V_LDT_LIMIT] = descriptorLimit(segments.low, segments.high);
  }
  v[V_LDTR] = selector;
  m.descriptors.reload(1);
}

/** SYSENTER registers are the virtual CPU's; the host's own lie in the real ones. */
const VIRTUAL_MSRS: Readonly<Record<number, number>> = {
  372: V_SYSENTER_CS,
  373: V_SYSENTER_ESP,
  374: V_SYSENTER_EIP,
};
const MSR_TSC = 0x10;
const MSR_EFER = 0xc0000080;

/** Runs a system procedure of the core with ring-0 rights, for registers that are not virtualized. */
function atRing0(m: Monitor, procedure: () => void): void {
  const before = m.state[CPL] as number;
  m.state[CPL] = 0;
  try {
    procedure();
  } finally {
    m.state[CPL] = before;
  }
}

function rdmsr(m: Monitor): void {
  const { state, v, time } = m;
  const number = (state[ECX] as number) >>> 0;
  const slot = VIRTUAL_MSRS[number];
  if (slot !== undefined) {
    state[EAX] = v[slot] as number;
    state[EDX] = 0;
  } else if (number === MSR_TSC) {
    const tsc = (time[CYCLES] as number) + (time[TSC_BASE] as number);
    state[EAX] = tsc % 0x100000000;
    state[EDX] = Math.floor(tsc / 0x100000000);
  } else if (number === MSR_EFER) {
    state[EAX] = v[V_EFER] as number;
    state[EDX] = 0;
  } else atRing0(m, () => m.cpu.system.rdmsr());
}

function wrmsr(m: Monitor): void {
  const { state, v } = m;
  const number = (state[ECX] as number) >>> 0;
  const value = state[EAX] as number;
  const slot = VIRTUAL_MSRS[number];
  if (slot !== undefined) v[slot] = value;
  else if (number === MSR_EFER) {
    if ((value & ~EFER_NXE) !== 0 || state[EDX] !== 0) raiseWithError(state, GP, 0);
    const old = v[V_EFER] as number;
    v[V_EFER] = value;
    if (old !== value) activatePaging(m);
  } else atRing0(m, () => m.cpu.system.wrmsr());
}

export const SYSTEM: Handlers = {
  lgdt: (m, d) => {
    loadGdt(m, d);
    m.descriptors.reload(0);
  },
  lidt: loadTable(V_IDTR_BASE, V_IDTR_LIMIT),
  sgdt: storeTable(V_GDTR_BASE, V_GDTR_LIMIT),
  sidt: storeTable(V_IDTR_BASE, V_IDTR_LIMIT),
  lldt,
  ltr,
  sldt: (m, d) => writeRm(m, d, m.v[V_LDTR] as number),
  str: (m, d) => writeRm(m, d, m.v[V_TR] as number),
  smsw: (m, d) => writeRm(m, d, m.v[V_CR0] as number),
  // LMSW sets PE but never clears it (SDM volume 2, LMSW).
  lmsw: (m, d) => setCr0(m, ((m.v[V_CR0] as number) & ~0xe) | (readRm(m, d, 2) & 0xf)),
  clts: (m) => setCr0(m, (m.v[V_CR0] as number) & ~CR0_TS),
  writeControl,
  readControl: (m) => raise(m.state, UD),
  readDebug: (m, d) => m.setRegister(d.rm, m.v[V_DR0 + d.reg] as number),
  writeDebug: (m, d) => {
    m.v[V_DR0 + d.reg] = m.register(d.rm);
  },
  invlpg: (m, d) => {
    const linear = linearOf(m, d);
    m.shadow.invalidatePage(linear);
    recheckCode(m, linear >>> 12);
  },
  invd: () => {},
  wbinvd: () => {},
  rdmsr,
  wrmsr,
  rdpmc: (m) => atRing0(m, () => m.cpu.system.rdpmc()),
  cpuid: (m) => m.cpu.system.cpuid(),
};
