/**
 * CPUID (SDM 2A): the profile's identity, and the features that this processor really has. Long mode is masked, and
 * so is everything that `isa/absent.ts` lists.
 */
import type { Cpu } from '../cpu.ts';
import { PHYSICAL_BITS } from '../paging/walk.ts';
import { EAX, EBX, ECX, EDX } from '../state.ts';
import type { VmxHooks } from '../vmx-hooks.ts';
import { isNonRoot } from './privilege.ts';

const LAST_BASIC = 2;
const LAST_EXTENDED = 0x80000008;

/** Leaf 1 EDX: FPU VME DE PSE TSC MSR PAE CX8 SEP PGE CMOV PSE-36 CLFSH MMX FXSR SSE SSE2. */
const FEATURES =
  (1 << 0) |
  (1 << 1) |
  (1 << 2) |
  (1 << 3) |
  (1 << 4) |
  (1 << 5) |
  (1 << 6) |
  (1 << 8) |
  (1 << 11) |
  (1 << 13) |
  (1 << 15) |
  (1 << 17) |
  (1 << 19) |
  (1 << 23) |
  (1 << 24) |
  (1 << 25) |
  (1 << 26);
const FEATURE_APIC = 1 << 9;
/** Leaf 1 ECX. */
const FEATURE_SSE3 = 1 << 0;
const FEATURE_VMX = 1 << 5;
const FEATURE_TSC_DEADLINE = 1 << 24;
/** Leaf 1 EBX: CLFLUSH line of 8 quadwords, one logical processor, initial APIC ID 0. */
const PROCESSOR = (8 << 8) | (1 << 16);
/** Leaf 2: one iteration, and no cache or TLB descriptors: neither is modelled in their terms. */
const DESCRIPTORS = 1;
/** Leaf 80000001 EDX. */
const FEATURE_NX = 1 << 20;
const LINEAR_BITS = 32;

export function cpuid(cpu: Cpu): void {
  const { state } = cpu.memory;
  if (isNonRoot(state)) (cpu.vmx as VmxHooks).cpuid();
  const { vendor, signature, brand } = cpu.profile.cpuid;
  const requested = state[EAX] >>> 0;
  const known = requested <= LAST_BASIC || (requested >= 0x80000000 && requested <= LAST_EXTENDED);
  // Beyond the last leaf Intel processors answer with the last basic one.
  const leaf = known ? requested : LAST_BASIC;
  switch (leaf) {
    case 0:
      set(state, LAST_BASIC, text(vendor, 0), text(vendor, 8), text(vendor, 4));
      return;
    case 1: {
      // A local APIC that IA32_APIC_BASE disables is not reported (SDM 3A 10.4.3).
      const apic = cpu.localApic?.enabled === true ? cpu.localApic : null;
      const vmx = cpu.vmx === null ? 0 : FEATURE_VMX;
      const ecx = FEATURE_SSE3 | vmx | (apic?.tscDeadline === true ? FEATURE_TSC_DEADLINE : 0);
      set(state, signature, PROCESSOR, ecx, FEATURES | (apic === null ? 0 : FEATURE_APIC));
      return;
    }
    case 2:
      set(state, DESCRIPTORS, 0, 0, 0);
      return;
    case 0x80000000:
      set(state, LAST_EXTENDED, 0, 0, 0);
      return;
    case 0x80000001:
      set(state, 0, 0, 0, FEATURE_NX);
      return;
    case 0x80000002:
    case 0x80000003:
    case 0x80000004: {
      const at = (leaf - 0x80000002) * 16;
      set(state, text(brand, at), text(brand, at + 4), text(brand, at + 8), text(brand, at + 12));
      return;
    }
    case 0x80000008:
      set(state, PHYSICAL_BITS | (LINEAR_BITS << 8), 0, 0, 0);
      return;
    default:
      set(state, 0, 0, 0, 0);
  }
}

function set(state: Int32Array, eax: number, ebx: number, ecx: number, edx: number): void {
  state[EAX] = eax;
  state[EBX] = ebx;
  state[ECX] = ecx;
  state[EDX] = edx;
}

/** Four characters of a string as a little-endian word, zero beyond its end. */
function text(value: string, at: number): number {
  let word = 0;
  for (let i = 0; i < 4; i++) word |= (value.charCodeAt(at + i) || 0) << (8 * i);
  return word;
}
