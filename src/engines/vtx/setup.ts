/** The VMCS as the VMM first fills it: controls, host state, and the guest's boot state. */
import type { MachineAddress } from '../../core/address.ts';
import {
  CR0,
  CR0_AM,
  CR0_EM,
  CR0_ET,
  CR0_MP,
  CR0_NE,
  CR0_PE,
  CR0_PG,
  CR0_TS,
  CR0_WP,
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
} from '../../core/state.ts';
import { REVISION } from '../../core/vmx/capabilities.ts';
import {
  ENTRY_LOAD_DEBUG,
  EXIT_SAVE_DEBUG,
  PIN_EXTERNAL_INTERRUPT,
  PROC_CR3_LOAD,
  PROC_CR3_STORE,
  PROC_HLT,
  PROC_INVLPG,
  PROC_IO,
  PROC_MSR_BITMAPS,
  PROC_SECONDARY,
  PROC_TSC_OFFSET,
  PROC2_EPT,
  PROC2_UNRESTRICTED,
  PROC2_VPID,
} from '../../core/vmx/controls.ts';
import { FIELD } from '../../core/vmx/fields.ts';
import { saveGuest } from '../../core/vmx/guest-state.ts';
import type { FrameMap } from '../frames.ts';
import { IDENTITY_FRAME } from './ept-tables.ts';
import { V_CR0, V_CR3, V_CR4, V_PROC, type Vmm } from './vmm.ts';

/** VPID of the one guest; 0 is the host's. */
export const GUEST_VPID = 1;
/** #PF is bit 14 of the exception bitmap. */
const PAGE_FAULT_BIT = 1 << 14;

/** CR0 and CR4 bits that the guest owns whatever the paging: nothing the VMM does depends on them. */
const CR0_GUEST = CR0_TS | CR0_MP | CR0_EM | CR0_AM | CR0_ET;
const CR4_GUEST = CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PCE | CR4_MCE | CR4_OSFXSR | CR4_OSXMMEXCPT;

/** Bits that the VMM owns (the CR0 and CR4 masks), by how guest memory is virtualized. */
export function cr0Mask(vmm: Vmm): number {
  const { ept, unrestricted } = vmm.features;
  if (!ept) return ~CR0_GUEST;
  return unrestricted ? CR0_NE : CR0_NE | CR0_PG | CR0_PE;
}
export function cr4Mask(vmm: Vmm): number {
  const { ept, unrestricted } = vmm.features;
  if (!ept) return ~CR4_GUEST;
  return unrestricted ? CR4_VMXE : CR4_VMXE | CR4_PAE | CR4_PSE;
}
/** What the processor's CR0 and CR4 must hold while the guest believes in `value`. */
export function realCr0(vmm: Vmm, value: number): number {
  if (!vmm.features.ept) return value | CR0_NE | CR0_PE | CR0_PG | CR0_WP;
  return value | CR0_NE | (vmm.features.unrestricted ? 0 : CR0_PG | CR0_PE);
}
export function realCr4(vmm: Vmm, value: number, paging: boolean): number {
  if (!vmm.features.ept) return (value & CR4_GUEST) | CR4_VMXE | CR4_PAE | CR4_PGE;
  if (paging || vmm.features.unrestricted) return value | CR4_VMXE;
  // The identity directory has 4-byte entries of 4 MB pages.
  return (value & ~CR4_PAE) | CR4_PSE | CR4_VMXE;
}

/** Fills a fresh VMCS from the processor's state, which is the guest's as the boot loader left it. */
export function setUpVmcs(vmm: Vmm, frames: FrameMap, eptPointer: number): void {
  const { vmx, state, machine, vcpu, features } = vmm;
  const { vmcs, capabilities } = vmx;
  const vmxon = frames.allocate() * 4096;
  const region = frames.allocate() * 4096;
  const msrBitmap = frames.allocate() * 4096;
  machine.memory.write32(vmxon as MachineAddress, REVISION);
  machine.memory.write32(region as MachineAddress, REVISION);
  vmx.attach(vmxon);
  vmx.clear(region);
  vmx.load(region);
  fillMsrBitmap(machine.memory.ram, msrBitmap);

  vcpu[V_CR0] = state[CR0] as number;
  vcpu[V_CR3] = state[CR3] as number;
  vcpu[V_CR4] = state[CR4] as number;
  saveGuest(vmm.cpu, vmcs);

  const secondary =
    (features.ept ? PROC2_EPT : 0) |
    (features.vpid ? PROC2_VPID : 0) |
    (features.unrestricted ? PROC2_UNRESTRICTED : 0);
  const shadowed = features.ept ? 0 : PROC_CR3_LOAD | PROC_CR3_STORE | PROC_INVLPG;
  const pagingOff = features.ept && !features.unrestricted ? PROC_CR3_LOAD | PROC_CR3_STORE : 0;
  vcpu[V_PROC] =
    capabilities.proc.must |
    PROC_HLT |
    PROC_IO |
    PROC_MSR_BITMAPS |
    PROC_TSC_OFFSET |
    shadowed |
    pagingOff |
    (secondary !== 0 ? PROC_SECONDARY : 0);
  const set = (field: number, value: number): void => {
    const error = vmcs.write(field, value);
    if (error !== 0) throw new Error(`The VMM wrote VMCS field 0x${field.toString(16)}, which this processor lacks.`);
  };
  set(FIELD.pinControls, capabilities.pin.must | PIN_EXTERNAL_INTERRUPT);
  set(FIELD.procControls, vcpu[V_PROC] as number);
  if (secondary !== 0) set(FIELD.procControls2, secondary);
  // Every exit loads the host's DR7, so the guest's must be kept.
  set(FIELD.exitControls, capabilities.exit.must | EXIT_SAVE_DEBUG);
  set(FIELD.entryControls, capabilities.entry.must | ENTRY_LOAD_DEBUG);
  set(FIELD.msrBitmap, msrBitmap);
  set(FIELD.exceptionBitmap, features.ept ? 0 : PAGE_FAULT_BIT);
  set(FIELD.vmcsLinkPointer, -1);
  set(FIELD.vmcsLinkPointer + 1, -1);
  if (features.vpid) set(FIELD.vpid, GUEST_VPID);
  if (features.ept) set(FIELD.eptPointer, eptPointer);
  set(FIELD.cr0Mask, cr0Mask(vmm));
  set(FIELD.cr4Mask, cr4Mask(vmm));
  set(FIELD.cr0Shadow, vcpu[V_CR0] as number);
  set(FIELD.cr4Shadow, vcpu[V_CR4] as number);
  set(FIELD.guestCr0, realCr0(vmm, vcpu[V_CR0] as number));
  set(FIELD.guestCr4, realCr4(vmm, vcpu[V_CR4] as number, false));
  if (features.ept && !features.unrestricted) set(FIELD.guestCr3, IDENTITY_FRAME << 12);
  setHost(set);
}

/** Host state: the VMM is outside the machine, so it need only pass the checks and be recognizable. */
function setHost(set: (field: number, value: number) => void): void {
  set(FIELD.hostCr0, CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_PE);
  set(FIELD.hostCr4, CR4_VMXE);
  set(FIELD.hostCsSelector, 0x08);
  set(FIELD.hostTrSelector, 0x18);
  for (const field of [FIELD.hostSsSelector, FIELD.hostDsSelector, FIELD.hostEsSelector]) set(field, 0x10);
}

/** Every access exits, but reads of the TSC and all of the SYSENTER MSRs, which the VMCS switches. */
function fillMsrBitmap(ram: Uint8Array, at: number): void {
  ram.fill(0xff, at, at + 4096);
  const open = (index: number, write: boolean): void => {
    const byte = at + (write ? 2048 : 0) + (index >>> 3);
    ram[byte] = (ram[byte] as number) & ~(1 << (index & 7));
  };
  open(0x10, false);
  for (const index of [0x174, 0x175, 0x176]) {
    open(index, false);
    open(index, true);
  }
}
