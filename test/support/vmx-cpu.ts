/**
 * A processor in VMX root operation with a current VMCS that passes every entry check: a flat 32-bit ring-0 guest, over
 * EPT tables that map guest-physical memory to itself, or without EPT over a page directory that does.
 */
import { Cpu } from '../../src/core/cpu.ts';
import { MachineMemory } from '../../src/core/memory.ts';
import { STOP_NONE } from '../../src/core/signals.ts';
import * as slot from '../../src/core/state.ts';
import { REVISION } from '../../src/core/vmx/capabilities.ts';
import {
  PROC_CR3_LOAD,
  PROC_CR3_STORE,
  PROC_SECONDARY,
  PROC2_EPT,
  PROC2_UNRESTRICTED,
  PROC2_VPID,
} from '../../src/core/vmx/controls.ts';
import { FIELD } from '../../src/core/vmx/fields.ts';
import { Vmx } from '../../src/core/vmx/vmx.ts';
import { Ledger } from '../../src/cost/ledger.ts';
import type { Profile } from '../../src/cost/profile.ts';
import { DEFAULT_PROFILE } from '../../src/cost/profiles/index.ts';

export const BYTES = 8 << 20;
export const VMXON_AT = 0x400000;
export const VMCS_AT = 0x401000;
export const BITMAP_AT = 0x402000;
export const EPT_AT = 0x410000;
/** Page directory of 4 MB pages, identity. */
export const DIRECTORY_AT = 0x420000;
/** Four PDPTEs and four directories of 2 MB pages, identity. */
export const PDPT_AT = 0x430000;
export const GUEST_CODE = 0x100000;
export const GUEST_STACK = 0x180000;
export const HOST_CODE = 0x200000;
export const HOST_STACK = 0x280000;
export const GUEST_GDT = 0x110000;
export const GUEST_IDT = 0x112000;

export interface VmxCpu {
  readonly cpu: Cpu;
  readonly vmx: Vmx;
  readonly S: Int32Array;
  read(field: number): number;
  write(field: number, value: number): void;
}

export function vmxCpu(profile: Profile = DEFAULT_PROFILE): VmxCpu {
  const memory = new MachineMemory(BYTES);
  const ledger = new Ledger(profile, memory.state, memory.time);
  const silent = { read: () => -1, write: () => {} };
  const cpu = new Cpu({ memory, profile, ledger, ports: silent, mmio: silent });
  const vmx = new Vmx(cpu);
  cpu.vmx = vmx;
  const machine: VmxCpu = {
    cpu,
    vmx,
    S: memory.state,
    read: (field) => vmx.vmcs.read(field),
    write: (field, value) => {
      const error = vmx.vmcs.write(field, value);
      if (error !== 0) throw new Error(`VMWRITE of 0x${field.toString(16)}: error ${error}`);
    },
  };
  reset(machine);
  return machine;
}

/** The machine as `vmxCpu` gives it; far cheaper than a new one. */
export function reset(machine: VmxCpu): void {
  const { cpu, vmx } = machine;
  const { memory } = cpu;
  memory.ram.fill(0);
  memory.state.fill(0, 0, slot.HOST_INTR + 1);
  cpu.code.flush();
  cpu.mmu.flushAllTags();
  cpu.mmu.ept = null;
  const word = (at: number, value: number): void => memory.write32(at as never, value);
  for (let i = 0; i < 1024; i++) word(DIRECTORY_AT + 4 * i, (i << 22) | 0xe7);
  for (let i = 0; i < 4; i++) {
    word(PDPT_AT + 8 * i, (PDPT_AT + 0x1000 * (i + 1)) | 1);
    for (let j = 0; j < 512; j++) word(PDPT_AT + 0x1000 * (i + 1) + 8 * j, (i << 30) | (j << 21) | 0xe7);
  }
  // EPT: PML4, PDPT, one directory of 2 MB pages for the 8 MB of memory.
  word(EPT_AT, (EPT_AT + 0x1000) | 7);
  word(EPT_AT + 0x1000, (EPT_AT + 0x2000) | 7);
  for (let i = 0; i < 4; i++) word(EPT_AT + 0x2000 + 8 * i, (i << 21) | 0xb7);
  word(VMXON_AT, REVISION);
  word(VMCS_AT, REVISION);
  flatHost(cpu);
  vmx.attach(VMXON_AT);
  vmx.clear(VMCS_AT);
  vmx.load(VMCS_AT);
  fillVmcs(machine);
}

/** Root mode as VMXON wants it: protected, paging on, NE, VMXE. */
export function flatHost(cpu: Cpu): void {
  const S = cpu.memory.state;
  for (let segment = 0; segment < 6; segment++) {
    const at = slot.segmentSlot(segment);
    S[at + slot.SELECTOR] = segment === slot.CS ? 8 : 16;
    S[at + slot.BASE] = 0;
    S[at + slot.LIMIT] = -1;
    S[at + slot.RIGHTS] = segment === slot.CS ? 0xc09b : 0xc093;
  }
  S[slot.CR0] = slot.CR0_PE | slot.CR0_NE | slot.CR0_PG | slot.CR0_ET;
  S[slot.CR3] = DIRECTORY_AT;
  S[slot.CR4] = slot.CR4_VMXE | slot.CR4_PSE;
  S[slot.CPL] = 0;
  S[slot.EIP] = HOST_CODE;
  S[slot.ESP] = HOST_STACK;
  cpu.setEflags(2);
  cpu.mmu.controlsChanged();
}

/** Every field that a check looks at, valid. */
export function fillVmcs({ vmx, write }: Pick<VmxCpu, 'vmx' | 'write'>): void {
  const { capabilities: c } = vmx;
  write(FIELD.pinControls, c.pin.must);
  write(FIELD.procControls, c.proc.must | (c.ept ? PROC_SECONDARY : PROC_CR3_LOAD | PROC_CR3_STORE));
  if (c.ept) {
    write(FIELD.procControls2, PROC2_EPT | (c.vpid ? PROC2_VPID : 0) | (c.unrestricted ? PROC2_UNRESTRICTED : 0));
    write(FIELD.eptPointer, EPT_AT | 0x1e);
    write(FIELD.vpid, 1);
  }
  write(FIELD.exitControls, c.exit.must);
  write(FIELD.entryControls, c.entry.must);
  write(FIELD.vmcsLinkPointer, -1);
  write(FIELD.vmcsLinkPointer + 1, -1);
  write(FIELD.hostCr0, slot.CR0_PE | slot.CR0_NE | slot.CR0_PG | slot.CR0_ET);
  write(FIELD.hostCr3, DIRECTORY_AT);
  write(FIELD.hostCr4, slot.CR4_VMXE | slot.CR4_PSE);
  write(FIELD.hostCsSelector, 8);
  for (const field of [FIELD.hostSsSelector, FIELD.hostDsSelector, FIELD.hostEsSelector]) write(field, 16);
  write(FIELD.hostTrSelector, 24);
  write(FIELD.hostRip, HOST_CODE);
  write(FIELD.hostRsp, HOST_STACK);
  const paged = !c.unrestricted;
  write(FIELD.guestCr0, slot.CR0_PE | slot.CR0_NE | slot.CR0_ET | (paged ? slot.CR0_PG : 0));
  write(FIELD.guestCr3, DIRECTORY_AT);
  write(FIELD.guestCr4, slot.CR4_VMXE | slot.CR4_PSE);
  for (let segment = 0; segment < 6; segment++) {
    write(FIELD.guestEsSelector + 2 * segment, segment === slot.CS ? 8 : 16);
    write(FIELD.guestEsLimit + 2 * segment, -1);
    write(FIELD.guestEsRights + 2 * segment, segment === slot.CS ? 0xc09b : 0xc093);
  }
  write(FIELD.guestTrSelector, 24);
  write(FIELD.guestTrLimit, 0x67);
  write(FIELD.guestTrRights, 0x8b);
  write(FIELD.guestLdtrRights, 0x10000);
  write(FIELD.guestGdtrBase, GUEST_GDT);
  write(FIELD.guestGdtrLimit, 0xff);
  write(FIELD.guestIdtrBase, GUEST_IDT);
  write(FIELD.guestIdtrLimit, 0x7ff);
  write(FIELD.guestRflags, 2);
  write(FIELD.guestRip, GUEST_CODE);
  write(FIELD.guestRsp, GUEST_STACK);
}

/** A flat GDT and an IDT whose every gate goes to `handler`. */
export function guestTables({ cpu }: VmxCpu, handler: number): void {
  const word = (at: number, value: number): void => cpu.memory.write32(at as never, value);
  word(GUEST_GDT + 8, 0x0000ffff);
  word(GUEST_GDT + 12, 0x00cf9b00);
  word(GUEST_GDT + 16, 0x0000ffff);
  word(GUEST_GDT + 20, 0x00cf9300);
  for (let vector = 0; vector < 256; vector++) {
    word(GUEST_IDT + 8 * vector, (8 << 16) | (handler & 0xffff));
    word(GUEST_IDT + 8 * vector + 4, (handler & 0xffff0000) | 0x8e00);
  }
}

/** Enters the guest (VMLAUNCH the first time) and runs it until it exits. Returns the exit reason. */
export function runGuest({ cpu, vmx, S }: VmxCpu, code?: readonly number[]): number {
  if (code !== undefined) cpu.memory.writeBytes(GUEST_CODE as never, Uint8Array.from(code));
  const error = vmx.transitions.enter(!vmx.vmcs.launched);
  if (error !== 0) throw new Error(`VM entry failed: error ${error}`);
  cpu.memory.time[slot.BUDGET] = (cpu.memory.time[slot.CYCLES] as number) + 1e6;
  if (S[slot.VMX_MODE] === 2 && cpu.run() === STOP_NONE) throw new Error('the guest did not stop');
  return vmx.vmcs.read(FIELD.exitReason);
}
