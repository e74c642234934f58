/**
 * VM-entry checks on control and host-state fields, in the SDM's order (SDM 3C 26.2.1, 26.2.2). One row a check; the
 * first that fails ends VMLAUNCH or VMRESUME with VMfailValid, error 7 for controls and 8 for host state.
 */
import { CR0_PG, CR4_PAE } from '../state.ts';
import { type Allowed, type Capabilities, CR0_FIXED0, CR0_FIXED1, CR4_FIXED0, CR4_FIXED1 } from './capabilities.ts';
import {
  EXIT_LOAD_EFER,
  INFO_ERROR,
  INFO_VALID,
  PIN_NMI,
  PROC_IO_BITMAPS,
  PROC_MSR_BITMAPS,
  PROC_SECONDARY,
  PROC2_EPT,
  PROC2_UNRESTRICTED,
  PROC2_VPID,
} from './controls.ts';
import { FIELD } from './fields.ts';
import type { Vmcs } from './vmcs.ts';

export interface EntryCheck {
  /** Short name, by which the tests refer to it. */
  readonly name: string;
  /** True if the VMCS passes. */
  readonly passes: (vmcs: Vmcs, capabilities: Capabilities) => boolean;
}

/** Physical addresses have 36 bits. */
const PHYSICAL_LIMIT = 2 ** 36;

function within(value: number, { must, may }: Allowed): boolean {
  return (value & must) === must && (value & ~may) === 0;
}
function pageAligned(address: number): boolean {
  return address % 4096 === 0 && address < PHYSICAL_LIMIT;
}
function msrArea(vmcs: Vmcs, count: number, address: number): boolean {
  const entries = vmcs.get(count) >>> 0;
  const start = vmcs.address(address);
  return entries === 0 || (start % 16 === 0 && start + entries * 16 <= PHYSICAL_LIMIT);
}
/** Secondary controls count as 0 while they are not activated. */
export function secondary(vmcs: Vmcs): number {
  return (vmcs.get(FIELD.procControls) & PROC_SECONDARY) !== 0 ? vmcs.get(FIELD.procControls2) : 0;
}

/** Exceptions that push an error code. */
const HAS_ERROR = (1 << 8) | (1 << 10) | (1 << 11) | (1 << 12) | (1 << 13) | (1 << 14) | (1 << 17);

function injection(vmcs: Vmcs): number {
  return vmcs.get(FIELD.entryInterruptionInfo);
}
const injects = (vmcs: Vmcs): boolean => (injection(vmcs) & INFO_VALID) !== 0;
const injectedType = (vmcs: Vmcs): number => (injection(vmcs) >>> 8) & 7;
const injectedVector = (vmcs: Vmcs): number => injection(vmcs) & 0xff;

export const CONTROL_CHECKS: readonly EntryCheck[] = [
  // VM-execution control fields (26.2.1.1).
  { name: 'pin controls reserved bits', passes: (v, c) => within(v.get(FIELD.pinControls), c.pin) },
  {
    name: 'proc controls reserved bits',
    passes: (v, c) => within(v.get(FIELD.procControls), c.proc),
  },
  { name: 'secondary controls reserved bits', passes: (v, c) => within(secondary(v), c.proc2) },
  { name: 'CR3-target count', passes: (v) => v.get(FIELD.cr3TargetCount) >>> 0 <= 4 },
  {
    name: 'I/O bitmap addresses',
    passes: (v) =>
      (v.get(FIELD.procControls) & PROC_IO_BITMAPS) === 0 ||
      (pageAligned(v.address(FIELD.ioBitmapA)) && pageAligned(v.address(FIELD.ioBitmapB))),
  },
  {
    name: 'MSR bitmap address',
    passes: (v) => (v.get(FIELD.procControls) & PROC_MSR_BITMAPS) === 0 || pageAligned(v.address(FIELD.msrBitmap)),
  },
  {
    name: 'NMI-window exiting needs virtual NMIs',
    passes: (v) => (v.get(FIELD.procControls) & (1 << 22)) === 0 || (v.get(FIELD.pinControls) & (1 << 5)) !== 0,
  },
  {
    name: 'virtual NMIs need NMI exiting',
    passes: (v) => (v.get(FIELD.pinControls) & (1 << 5)) === 0 || (v.get(FIELD.pinControls) & PIN_NMI) !== 0,
  },
  { name: 'VPID zero', passes: (v) => (secondary(v) & PROC2_VPID) === 0 || (v.get(FIELD.vpid) & 0xffff) !== 0 },
  { name: 'EPT pointer', passes: (v) => (secondary(v) & PROC2_EPT) === 0 || eptPointerValid(v) },
  {
    name: 'unrestricted guest needs EPT',
    passes: (v) => (secondary(v) & (PROC2_UNRESTRICTED | PROC2_EPT)) !== PROC2_UNRESTRICTED,
  },
  // VM-exit control fields (26.2.1.2).
  { name: 'exit controls reserved bits', passes: (v, c) => within(v.get(FIELD.exitControls), c.exit) },
  { name: 'exit MSR-store area', passes: (v) => msrArea(v, FIELD.exitMsrStoreCount, FIELD.exitMsrStoreAddress) },
  { name: 'exit MSR-load area', passes: (v) => msrArea(v, FIELD.exitMsrLoadCount, FIELD.exitMsrLoadAddress) },
  // VM-entry control fields (26.2.1.3).
  { name: 'entry controls reserved bits', passes: (v, c) => within(v.get(FIELD.entryControls), c.entry) },
  {
    name: 'injection reserved bits',
    passes: (v) => !injects(v) || (injection(v) & 0x7ffff000) === 0,
  },
  { name: 'injection type', passes: (v) => !injects(v) || (injectedType(v) !== 1 && injectedType(v) !== 7) },
  {
    name: 'injection vector',
    passes: (v) => {
      if (!injects(v)) return true;
      if (injectedType(v) === 2) return injectedVector(v) === 2;
      return injectedType(v) !== 3 || injectedVector(v) <= 31;
    },
  },
  {
    // Without unrestricted guest, PE is fixed to 1, so the guest always takes exceptions in protected mode.
    name: 'injection error code',
    passes: (v) => {
      if (!injects(v)) return true;
      const protectedMode = (secondary(v) & PROC2_UNRESTRICTED) === 0 || (v.get(FIELD.guestCr0) & 1) !== 0;
      const wanted = protectedMode && injectedType(v) === 3 && (HAS_ERROR & (1 << injectedVector(v))) !== 0;
      return ((injection(v) & INFO_ERROR) !== 0) === wanted;
    },
  },
  {
    name: 'injected error code bits',
    passes: (v) => !injects(v) || (injection(v) & INFO_ERROR) === 0 || (v.get(FIELD.entryErrorCode) & ~0x7fff) === 0,
  },
  {
    name: 'injection instruction length',
    passes: (v) => {
      if (!injects(v) || injectedType(v) < 4) return true;
      const length = v.get(FIELD.entryInstructionLength) >>> 0;
      return length >= 1 && length <= 15;
    },
  },
  { name: 'entry MSR-load area', passes: (v) => msrArea(v, FIELD.entryMsrLoadCount, FIELD.entryMsrLoadAddress) },
];

/** Memory type UC or WB, four levels, no accessed/dirty flags, reserved bits (SDM 3C 26.2.1.1, table 24-8). */
function eptPointerValid(vmcs: Vmcs): boolean {
  const low = vmcs.get(FIELD.eptPointer);
  const type = low & 7;
  return (
    (type === 0 || type === 6) &&
    (low & 0x38) === 3 << 3 &&
    (low & 0xfc0) === 0 &&
    vmcs.address(FIELD.eptPointer) < PHYSICAL_LIMIT
  );
}

const HOST_SELECTORS = [
  FIELD.hostEsSelector,
  FIELD.hostCsSelector,
  FIELD.hostSsSelector,
  FIELD.hostDsSelector,
  FIELD.hostFsSelector,
  FIELD.hostGsSelector,
  FIELD.hostTrSelector,
];

export const HOST_CHECKS: readonly EntryCheck[] = [
  {
    name: 'host CR0',
    passes: (v) => (v.get(FIELD.hostCr0) & CR0_FIXED0) === CR0_FIXED0 && (v.get(FIELD.hostCr0) & ~CR0_FIXED1) === 0,
  },
  {
    name: 'host CR4',
    passes: (v) => (v.get(FIELD.hostCr4) & CR4_FIXED0) === CR4_FIXED0 && (v.get(FIELD.hostCr4) & ~CR4_FIXED1) === 0,
  },
  { name: 'host selectors TI and RPL', passes: (v) => HOST_SELECTORS.every((field) => (v.get(field) & 7) === 0) },
  { name: 'host CS null', passes: (v) => (v.get(FIELD.hostCsSelector) & 0xffff) !== 0 },
  { name: 'host TR null', passes: (v) => (v.get(FIELD.hostTrSelector) & 0xffff) !== 0 },
  { name: 'host SS null', passes: (v) => (v.get(FIELD.hostSsSelector) & 0xffff) !== 0 },
  {
    // Of EFER only NXE exists with long mode masked.
    name: 'host EFER',
    passes: (v) => (v.get(FIELD.exitControls) & EXIT_LOAD_EFER) === 0 || (v.get(FIELD.hostEfer) & ~0x800) === 0,
  },
];

export function usesPaePdptes(vmcs: Vmcs): boolean {
  return (vmcs.get(FIELD.guestCr0) & CR0_PG) !== 0 && (vmcs.get(FIELD.guestCr4) & CR4_PAE) !== 0;
}
