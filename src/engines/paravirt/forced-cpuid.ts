/**
 * CPUID as a guest of Xen sees it when it asks with the forced-emulation prefix (`ud2a; .ascii "xen"; cpuid`,
 * public/arch-x86/xen.h). A bare CPUID reads the processor: it does not trap in ring 1.
 */

import { CPL, EAX, EBX, ECX, EDX, EIP } from '../../core/state.ts';
import { eventNumber } from '../../cost/event.ts';
import { COUNT_FORCED_CPUID } from './counters.ts';
import type { Hypervisor } from './hypervisor.ts';
import { MSR_HYPERCALL_PAGE } from './privileged.ts';

const DECODE = eventNumber('emulateDecode');
const EXECUTE = eventNumber('emulateExecute');

/** ud2a, "xen", cpuid. */
const FORCED: readonly number[] = [0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x0f, 0xa2];
const HYPERVISOR_LEAF = 0x40000000;
/** "XenVMMXenVMM" in EBX, ECX, EDX. */
const SIGNATURE: readonly number[] = [0x566e6558, 0x65584d4d, 0x4d4d566e];
/** Xen 4.1. */
export const XEN_VERSION = (4 << 16) | 1;

/**
 * Leaf 1 EDX features that a paravirtual guest must not rely on: VME, PSE (no large pages), MCE, APIC, SEP (SYSENTER would have to
 * enter ring 0), MTRR, PGE (global pages are the hypervisor's), MCA, PSE-36, and in ECX: VMX, MONITOR, TSC-deadline.
 */
const HIDDEN_EDX =
  (1 << 1) | (1 << 3) | (1 << 7) | (1 << 9) | (1 << 11) | (1 << 12) | (1 << 13) | (1 << 14) | (1 << 17);
const HIDDEN_ECX = (1 << 5) | (1 << 3) | (1 << 24);

/** Tries to carry out a forced CPUID at EIP. True if there was one. */
export function emulateForcedCpuid(xen: Hypervisor, linear: number): boolean {
  for (const [index, byte] of FORCED.entries()) {
    if (xen.guest.load8((linear + index) >>> 0) !== byte) return false;
  }
  const { cpu } = xen;
  const S = cpu.memory.state;
  cpu.ledger.charge(DECODE);
  cpu.ledger.charge(EXECUTE);
  xen.counters.count(COUNT_FORCED_CPUID);
  cpu.retireEmulated(S[CPL] as number);
  const leaf = (S[EAX] as number) >>> 0;
  const eip = S[EIP] as number;
  if (leaf >= HYPERVISOR_LEAF && leaf <= HYPERVISOR_LEAF + 2) {
    hypervisorLeaf(S, leaf - HYPERVISOR_LEAF);
  } else {
    cpu.system.cpuid();
    if (leaf === 1) {
      S[EDX] = (S[EDX] as number) & ~HIDDEN_EDX;
      S[ECX] = (S[ECX] as number) & ~HIDDEN_ECX;
    }
  }
  S[EIP] = (eip + FORCED.length) | 0;
  return true;
}

function hypervisorLeaf(S: Int32Array, leaf: number): void {
  [S[EAX], S[EBX], S[ECX], S[EDX]] = [0, 0, 0, 0];
  if (leaf === 0) {
    S[EAX] = HYPERVISOR_LEAF + 2;
    [S[EBX], S[ECX], S[EDX]] = SIGNATURE as [number, number, number];
  } else if (leaf === 1) {
    S[EAX] = XEN_VERSION;
  } else {
    // One hypercall page, asked for through this MSR; page-table updates may keep accessed and dirty bits.
    S[EAX] = 1;
    S[EBX] = MSR_HYPERCALL_PAGE;
    S[ECX] = 1;
  }
}
