/** RDMSR, WRMSR, RDTSC and RDPMC (SDM 4 chapter 2). An MSR that this processor does not have raises #GP(0). */
import type { Cpu } from '../cpu.ts';
import { GP, raiseWithError } from '../signals.ts';
import {
  CPL,
  CR4,
  CR4_PCE,
  CR4_TSD,
  CYCLES,
  EAX,
  ECX,
  EDX,
  EFER,
  EFER_NXE,
  SYSENTER_CS,
  SYSENTER_EIP,
  SYSENTER_ESP,
  TSC_BASE,
} from '../state.ts';
import type { VmxHooks } from '../vmx-hooks.ts';
import { isNonRoot, requireRing0 } from './privilege.ts';

const IA32_TSC = 0x10;
const IA32_PLATFORM_ID = 0x17;
const IA32_BIOS_SIGN_ID = 0x8b;
const IA32_SYSENTER_CS = 0x174;
const IA32_SYSENTER_ESP = 0x175;
const IA32_SYSENTER_EIP = 0x176;
const IA32_MISC_ENABLE = 0x1a0;
const IA32_EFER = 0xc0000080 | 0;

/** Fast strings on, branch trace store and precise event sampling absent. */
const MISC_ENABLE = 0x1801;

const TWO_32 = 0x1_0000_0000;

export function rdmsr(cpu: Cpu): void {
  const { state } = cpu.memory;
  requireRing0(state);
  const index = state[ECX];
  if (isNonRoot(state)) (cpu.vmx as VmxHooks).rdmsr(index);
  switch (index) {
    case IA32_TSC:
      setPair(state, tsc(cpu));
      return;
    case IA32_SYSENTER_CS:
      setWord(state, state[SYSENTER_CS]);
      return;
    case IA32_SYSENTER_ESP:
      setWord(state, state[SYSENTER_ESP]);
      return;
    case IA32_SYSENTER_EIP:
      setWord(state, state[SYSENTER_EIP]);
      return;
    case IA32_EFER:
      setWord(state, state[EFER]);
      return;
    case IA32_MISC_ENABLE:
      setWord(state, MISC_ENABLE);
      return;
    // Platform 0, with no microcode update loaded.
    case IA32_PLATFORM_ID:
    case IA32_BIOS_SIGN_ID:
      setWord(state, 0);
      return;
    default:
      if (cpu.localApic?.hasMsr(index) === true) {
        const [apicLow, apicHigh] = cpu.localApic.readMsr(index);
        state[EAX] = apicLow;
        state[EDX] = apicHigh;
      } else if (cpu.vmx?.readCapability(index) !== true) raiseWithError(state, GP, 0);
  }
}

export function wrmsr(cpu: Cpu): void {
  const { state, time } = cpu.memory;
  requireRing0(state);
  const index = state[ECX];
  const low = state[EAX];
  const high = state[EDX];
  if (isNonRoot(state)) (cpu.vmx as VmxHooks).wrmsr(index);
  switch (index) {
    case IA32_TSC:
      time[TSC_BASE] = (high >>> 0) * TWO_32 + (low >>> 0) - time[CYCLES];
      cpu.localApic?.timeStampWritten();
      return;
    case IA32_SYSENTER_CS:
      state[SYSENTER_CS] = low;
      return;
    case IA32_SYSENTER_ESP:
      state[SYSENTER_ESP] = low;
      return;
    case IA32_SYSENTER_EIP:
      state[SYSENTER_EIP] = low;
      return;
    case IA32_EFER:
      // SYSCALL and long mode are masked on this processor: their bits are reserved.
      if (high !== 0 || (low & ~EFER_NXE) !== 0) raiseWithError(state, GP, 0);
      state[EFER] = low;
      cpu.mmu.controlsChanged();
      return;
    case IA32_MISC_ENABLE:
    case IA32_BIOS_SIGN_ID:
      return;
    default:
      if (cpu.localApic?.hasMsr(index) === true) {
        if (!cpu.localApic.writeMsr(index, low, high)) raiseWithError(state, GP, 0);
      } else if (cpu.vmx?.writeCapability(index, low, high) !== true) raiseWithError(state, GP, 0);
  }
}

/** The handler has charged everything before the instruction and the instruction itself: CYCLES is exact. */
export function rdtsc(cpu: Cpu): void {
  const { state } = cpu.memory;
  if ((state[CR4] & CR4_TSD) !== 0 && state[CPL] !== 0) raiseWithError(state, GP, 0);
  if (isNonRoot(state)) (cpu.vmx as VmxHooks).rdtsc();
  setPair(state, tsc(cpu));
}

/** There are no counters to read. */
export function rdpmc(cpu: Cpu): void {
  const { state } = cpu.memory;
  if ((state[CR4] & CR4_PCE) === 0) requireRing0(state);
  if (isNonRoot(state)) (cpu.vmx as VmxHooks).rdpmc();
  raiseWithError(state, GP, 0);
}

/** The TSC as the running code sees it, in cycles. */
function tsc(cpu: Cpu): number {
  const { state, time } = cpu.memory;
  const offset = isNonRoot(state) ? (cpu.vmx as VmxHooks).tscOffset() : 0;
  return time[CYCLES] + time[TSC_BASE] + offset;
}

/** EDX:EAX from a whole number, modulo 2^64. */
function setPair(state: Int32Array, value: number): void {
  const high = Math.floor(value / TWO_32);
  state[EAX] = value - high * TWO_32;
  state[EDX] = high;
}

function setWord(state: Int32Array, low: number): void {
  state[EAX] = low;
  state[EDX] = 0;
}
