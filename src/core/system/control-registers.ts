/** Control and debug registers, INVLPG and the cache instructions (SDM 3A 2.5, 2.8; 2B MOV). */
import type { Cpu } from '../cpu.ts';
import { GP, raise, raiseWithError, UD } from '../signals.ts';
import {
  CR0,
  CR0_AM,
  CR0_CD,
  CR0_EM,
  CR0_ET,
  CR0_MP,
  CR0_NE,
  CR0_NW,
  CR0_PE,
  CR0_PG,
  CR0_TS,
  CR0_WP,
  CR2,
  CR3,
  CR4,
  CR4_DE,
  CR4_MCE,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  CR4_PAE,
  CR4_PCE,
  CR4_PGE,
  CR4_PSE,
  CR4_PVI,
  CR4_TSD,
  CR4_VME,
  CR4_VMXE,
  DR0,
  VMX_MODE,
} from '../state.ts';
import type { VmxHooks } from '../vmx-hooks.ts';
import { isNonRoot, requireRing0 } from './privilege.ts';

/** Bits of CR0 that exist; writes to the others are ignored. ET is always one. */
const CR0_BITS = CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG;
/** Bits of CR4 that exist besides VMXE: what CPUID reports. A reserved bit set raises #GP(0). */
const CR4_BITS =
  CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE | CR4_OSFXSR | CR4_OSXMMEXCPT;
/** Changing one of these flushes all translations (SDM 3A 4.10.4.1). */
const CR4_FLUSHES = CR4_PSE | CR4_PAE | CR4_PGE;
/** Changing one of these under PAE paging loads the PDPTEs (SDM 3A 4.4.1). */
const CR0_LOADS_PDPTES = CR0_PG | CR0_CD | CR0_NW;

const CONTROL_SLOTS: Readonly<Record<number, number>> = { 0: CR0, 2: CR2, 3: CR3, 4: CR4 };

export function readControl(cpu: Cpu, n: number, gpr: number): number {
  const { state } = cpu.memory;
  const slot = CONTROL_SLOTS[n];
  if (slot === undefined) raise(state, UD);
  requireRing0(state);
  const value = state[slot];
  // CR2 is never intercepted.
  return isNonRoot(state) && n !== 2 ? (cpu.vmx as VmxHooks).readControl(n, gpr, value) | 0 : value;
}

export function writeControl(cpu: Cpu, n: number, value: number, gpr: number): void {
  const { state } = cpu.memory;
  const slot = CONTROL_SLOTS[n];
  if (slot === undefined) raise(state, UD);
  requireRing0(state);
  if (isNonRoot(state) && n !== 2) value = (cpu.vmx as VmxHooks).writeControl(n, gpr, value, state[slot]) | 0;
  if (n === 0) setCr0(cpu, value);
  else if (n === 2) state[CR2] = value;
  else if (n === 3) cpu.mmu.setCr3(value);
  else setCr4(cpu, value);
}

/** Loads CR0 as MOV does, checks included, interception excluded. */
function setCr0(cpu: Cpu, value: number): void {
  const { state } = cpu.memory;
  const next = (value & CR0_BITS) | CR0_ET;
  const changed = next ^ state[CR0];
  if ((next & CR0_PG) !== 0 && (next & CR0_PE) === 0) raiseWithError(state, GP, 0);
  if ((next & CR0_NW) !== 0 && (next & CR0_CD) === 0) raiseWithError(state, GP, 0);
  requireAllowed(cpu, 0, next);
  const isPae = (next & CR0_PG) !== 0 && (state[CR4] & CR4_PAE) !== 0;
  if (isPae && (changed & CR0_LOADS_PDPTES) !== 0) cpu.mmu.loadPdptes();
  if ((changed & CR0_PG) !== 0) cpu.mmu.flush(true);
  state[CR0] = next;
  // TS changes at every task switch of a lazy kernel, and no translation depends on it.
  if ((changed & (CR0_PG | CR0_WP | CR0_PE)) === 0) return;
  cpu.mmu.controlsChanged();
  cpu.updateMode();
}

function setCr4(cpu: Cpu, value: number): void {
  const { state } = cpu.memory;
  const allowed = cpu.vmx === null ? CR4_BITS : CR4_BITS | CR4_VMXE;
  if ((value & ~allowed) !== 0) raiseWithError(state, GP, 0);
  requireAllowed(cpu, 4, value);
  const changed = value ^ state[CR4];
  const flushes = (changed & CR4_FLUSHES) !== 0;
  if (flushes && (state[CR0] & CR0_PG) !== 0 && (value & CR4_PAE) !== 0) cpu.mmu.loadPdptes();
  if (flushes) cpu.mmu.flush(true);
  state[CR4] = value;
  if (!flushes) return;
  cpu.mmu.controlsChanged();
  cpu.updateMode();
}

/** VMX operation fixes some bits (SDM 3C 23.8). */
function requireAllowed(cpu: Cpu, n: number, value: number): void {
  const { state } = cpu.memory;
  if (state[VMX_MODE] === 0) return;
  if (!(cpu.vmx as VmxHooks).controlAllowed(n, value)) raiseWithError(state, GP, 0);
}

/** Not privileged. */
export function smsw(cpu: Cpu): number {
  const { state } = cpu.memory;
  return isNonRoot(state) ? (cpu.vmx as VmxHooks).visibleControl(0, state[CR0]) | 0 : state[CR0];
}

/** Loads PE MP EM TS; PE cannot be cleared this way. */
export function lmsw(cpu: Cpu, value: number): void {
  const { state } = cpu.memory;
  requireRing0(state);
  const low = isNonRoot(state) ? (cpu.vmx as VmxHooks).lmsw(value & 0xffff) : value;
  setCr0(cpu, (state[CR0] & ~(CR0_MP | CR0_EM | CR0_TS)) | (low & (CR0_PE | CR0_MP | CR0_EM | CR0_TS)));
}

export function clts(cpu: Cpu): void {
  const { state } = cpu.memory;
  requireRing0(state);
  if (isNonRoot(state) && !(cpu.vmx as VmxHooks).clts()) return;
  state[CR0] &= ~CR0_TS;
}

/** Fixed bits of DR6 and DR7 (SDM 3B 17.2). Breakpoints do not fire. */
const DR6_WRITABLE = 0xe00f;
const DR6_ONES = 0xffff0ff0;
const DR7_WRITABLE = 0xffff23ff;
const DR7_ONES = 0x400;

export function readDebug(cpu: Cpu, n: number, gpr: number): number {
  const { state } = cpu.memory;
  const number = debugNumber(cpu, n);
  if (isNonRoot(state)) (cpu.vmx as VmxHooks).readDebug(n, gpr);
  const value = state[DR0 + number];
  if (number === 6) return (value & DR6_WRITABLE) | DR6_ONES;
  return number === 7 ? (value & DR7_WRITABLE) | DR7_ONES : value;
}

export function writeDebug(cpu: Cpu, n: number, value: number, gpr: number): void {
  const { state } = cpu.memory;
  const number = debugNumber(cpu, n);
  if (isNonRoot(state)) (cpu.vmx as VmxHooks).writeDebug(n, gpr);
  if (number === 6) value = (value & DR6_WRITABLE) | DR6_ONES;
  if (number === 7) value = (value & DR7_WRITABLE) | DR7_ONES;
  state[DR0 + number] = value;
}

/** DR4 and DR5 are DR6 and DR7, unless debugging extensions are on. */
function debugNumber(cpu: Cpu, n: number): number {
  const { state } = cpu.memory;
  const isAlias = n === 4 || n === 5;
  if (isAlias && (state[CR4] & CR4_DE) !== 0) raise(state, UD);
  requireRing0(state);
  return isAlias ? n + 2 : n;
}

export function invlpg(cpu: Cpu, linear: number): void {
  const { state } = cpu.memory;
  requireRing0(state);
  if (isNonRoot(state)) (cpu.vmx as VmxHooks).invlpg(linear);
  cpu.mmu.invalidatePage(linear);
}

/** Caches are not modelled; their instructions only cost. */
export function invd(cpu: Cpu): void {
  const { state } = cpu.memory;
  requireRing0(state);
  if (isNonRoot(state)) (cpu.vmx as VmxHooks).invd();
}

export function wbinvd(cpu: Cpu): void {
  const { state } = cpu.memory;
  requireRing0(state);
  if (isNonRoot(state)) (cpu.vmx as VmxHooks).wbinvd();
}
