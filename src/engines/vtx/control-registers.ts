/** Control-register exits (SDM 3C 25.1.3): what the guest's MOV to CR0, CR3 and CR4, CLTS and LMSW become. */
import {
  CR0_CD,
  CR0_ET,
  CR0_NW,
  CR0_PE,
  CR0_PG,
  CR0_TS,
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
  EFER,
} from '../../core/state.ts';
import { PROC_CR3_LOAD, PROC_CR3_STORE } from '../../core/vmx/controls.ts';
import { FIELD } from '../../core/vmx/fields.ts';
import { eventNumber } from '../../cost/event.ts';
import { IDENTITY_FRAME } from './ept-tables.ts';
import { cr0Mask, cr4Mask, GUEST_VPID, realCr0, realCr4 } from './setup.ts';
import { GuestKilled, V_CR0, V_CR3, V_CR4, V_PROC, V_WINDOW, type Vmm } from './vmm.ts';

const TLB_FLUSH = eventNumber('tlbFlush');
const TOUCH = eventNumber('vmmTouch');
/** Bits that CPUID admits to the guest. */
const CR0_ALLOWED = 0xe005003f | 0;
const CR4_ALLOWED =
  CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE | CR4_OSFXSR | CR4_OSXMMEXCPT;

/** The guest's whole CR0: its own bits from the VMCS, the VMM's from the shadow. */
function guestCr0(vmm: Vmm): number {
  const mask = cr0Mask(vmm);
  return (vmm.read(FIELD.guestCr0) & ~mask) | ((vmm.vcpu[V_CR0] as number) & mask);
}
function guestCr4(vmm: Vmm): number {
  const mask = cr4Mask(vmm);
  return (vmm.read(FIELD.guestCr4) & ~mask) | ((vmm.vcpu[V_CR4] as number) & mask);
}

/** Handles the exit. False: the instruction raises #GP(0). */
export function controlRegisterExit(vmm: Vmm, qualification: number): boolean {
  const n = qualification & 15;
  const gpr = (qualification >>> 8) & 15;
  switch ((qualification >>> 4) & 3) {
    case 0: {
      const value = vmm.register(gpr);
      if (n === 0) return setCr0(vmm, value);
      return n === 3 ? setCr3(vmm, value) : setCr4(vmm, value);
    }
    case 1:
      vmm.setRegister(gpr, vmm.vcpu[V_CR3] as number);
      return true;
    case 2:
      return setCr0(vmm, guestCr0(vmm) & ~CR0_TS);
    default: {
      // LMSW sets PE but does not clear it.
      const current = guestCr0(vmm);
      return setCr0(vmm, (current & ~0xe) | ((qualification >>> 16) & 0xf));
    }
  }
}

function setCr0(vmm: Vmm, written: number): boolean {
  const { vcpu } = vmm;
  const value = (written & CR0_ALLOWED) | CR0_ET;
  const old = vcpu[V_CR0] as number;
  if ((value & CR0_PG) !== 0 && (value & CR0_PE) === 0) return false;
  if ((value & CR0_NW) !== 0 && (value & CR0_CD) === 0) return false;
  if ((value & CR0_PE) === 0 && !vmm.features.unrestricted) {
    throw new GuestKilled('The guest switches to real-address mode, which this VMM has only on an unrestricted guest.');
  }
  const cr4 = guestCr4(vmm);
  if (vmm.shadow !== null) {
    if (!switchShadow(vmm, vcpu[V_CR3] as number, value, cr4)) return false;
  } else if (!vmm.features.unrestricted && ((value ^ old) & CR0_PG) !== 0) {
    if (!switchIdentity(vmm, (value & CR0_PG) !== 0, cr4)) return false;
  }
  vcpu[V_CR0] = value;
  vmm.write(FIELD.cr0Shadow, value);
  vmm.write(FIELD.guestCr0, realCr0(vmm, value));
  return true;
}

function setCr3(vmm: Vmm, value: number): boolean {
  const { vcpu } = vmm;
  if (vmm.shadow !== null && !switchShadow(vmm, value, vcpu[V_CR0] as number, vcpu[V_CR4] as number)) return false;
  vcpu[V_CR3] = value;
  return true;
}

function setCr4(vmm: Vmm, value: number): boolean {
  const { vcpu } = vmm;
  if ((value & ~CR4_ALLOWED) !== 0) return false;
  const paging = ((vcpu[V_CR0] as number) & CR0_PG) !== 0;
  if (vmm.shadow !== null && !switchShadow(vmm, vcpu[V_CR3] as number, vcpu[V_CR0] as number, value)) return false;
  if (vmm.shadow === null && paging && (value & CR4_PAE) !== 0 && !loadPdptes(vmm, vmm.read(FIELD.guestCr3)))
    return false;
  vcpu[V_CR4] = value;
  vmm.write(FIELD.cr4Shadow, value);
  vmm.write(FIELD.guestCr4, realCr4(vmm, value, paging));
  if (vmm.features.ept) flushGuest(vmm);
  return true;
}

/** Shadow paging for the guest's new paging registers; its TLB flush is the architecture's at these writes. */
function switchShadow(vmm: Vmm, cr3: number, cr0: number, cr4: number): boolean {
  const root = vmm.shadow?.activate(cr3, cr0, cr4, vmm.state[EFER] as number) ?? -1;
  if (root < 0) return false;
  vmm.write(FIELD.guestCr3, root);
  flushGuest(vmm);
  return true;
}

/** EPT without unrestricted guest: between the VMM's identity directory and the guest's own tables. */
function switchIdentity(vmm: Vmm, paging: boolean, cr4: number): boolean {
  const { vcpu } = vmm;
  if (paging) {
    if ((cr4 & CR4_PAE) !== 0 && !loadPdptes(vmm, vcpu[V_CR3] as number)) return false;
    vmm.write(FIELD.guestCr3, vcpu[V_CR3] as number);
  } else {
    vcpu[V_CR3] = vmm.read(FIELD.guestCr3);
    vmm.write(FIELD.guestCr3, IDENTITY_FRAME << 12);
  }
  vmm.write(FIELD.guestCr4, realCr4(vmm, cr4, paging));
  const cr3Exits = PROC_CR3_LOAD | PROC_CR3_STORE;
  vcpu[V_PROC] = paging ? (vcpu[V_PROC] as number) & ~cr3Exits : (vcpu[V_PROC] as number) | cr3Exits;
  // Makes the next entry write the controls.
  vcpu[V_WINDOW] = -1;
  flushGuest(vmm);
  return true;
}

/** Under EPT, VM entry takes the PDPTEs from the VMCS. False: one has reserved bits set. */
function loadPdptes(vmm: Vmm, cr3: number): boolean {
  const { memory } = vmm.machine;
  const words: number[] = [];
  for (let word = 0; word < 8; word++) {
    const at = vmm.frames.toMachine(((cr3 & ~0x1f) >>> 0) + 4 * word);
    words.push(at === null ? 0 : memory.read32(at) | 0);
  }
  vmm.ledger.charge(TOUCH, 4);
  for (let slot = 0; slot < 4; slot++) {
    const low = words[2 * slot] as number;
    if ((low & 1) !== 0 && ((low & 0x1e6) !== 0 || ((words[2 * slot + 1] as number) & ~0xf) !== 0)) return false;
  }
  for (let word = 0; word < 8; word++) {
    vmm.write(FIELD.guestPdpte0 + 2 * (word >>> 1) + (word & 1), words[word] as number);
  }
  return true;
}

/** Forgets the guest's translations. Without VPID the coming transition does it anyway. */
export function flushGuest(vmm: Vmm): void {
  if (!vmm.features.vpid) return;
  vmm.ledger.charge(TLB_FLUSH);
  vmm.cpu.mmu.flushTag(GUEST_VPID);
}
