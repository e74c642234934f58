/**
 * The VMX extension as the rest of the processor sees it: what non-root operation intercepts (SDM 3C chapter 25), and the
 * VMX operations, which a VMM outside the machine calls directly and a hypervisor inside reaches by instructions.
 */

import { eventNumber } from '../../cost/event.ts';
import type { MachineAddress } from '../address.ts';
import type { Cpu } from '../cpu.ts';
import { GP, NMI, raiseWithError, VM_EXIT } from '../signals.ts';
import {
  CR0,
  CR0_PE,
  CR0_TS,
  EAX,
  EDX,
  EFLAGS_SYSTEM,
  EVENT_ADDRESS,
  EVENT_ERROR,
  EVENT_EXTERNAL,
  EVENT_HAS_ERROR,
  EVENT_KIND,
  EVENT_NMI,
  EVENT_SOFTWARE,
  EVENT_VECTOR,
  HOST_INTR,
  INTR,
  NMI_BLOCKED,
  NMI_PENDING,
  SHADOW,
  VMX_MODE,
} from '../state.ts';
import { TABLE_LIDT, type VmxHooks } from '../vmx-hooks.ts';
import {
  Capabilities,
  CR0_FIXED0,
  CR4_FIXED0,
  CR4_FIXED1,
  FEATURE_CONTROL_LOCKED,
  IA32_FEATURE_CONTROL,
} from './capabilities.ts';
import {
  EXIT_ACKNOWLEDGE,
  INFO_ERROR,
  INFO_TYPE_SHIFT,
  INFO_VALID,
  PIN_EXTERNAL_INTERRUPT,
  PIN_NMI,
  PROC_CR3_LOAD,
  PROC_CR3_STORE,
  PROC_DEBUG,
  PROC_HLT,
  PROC_INTERRUPT_WINDOW,
  PROC_INVLPG,
  PROC_IO,
  PROC_IO_BITMAPS,
  PROC_MSR_BITMAPS,
  PROC_PAUSE,
  PROC_RDPMC,
  PROC_RDTSC,
  PROC_TSC_OFFSET,
  PROC2_DESCRIPTOR_TABLE,
  PROC2_UNRESTRICTED,
  PROC2_WBINVD,
} from './controls.ts';
import { Ept } from './ept.ts';
import { FIELD } from './fields.ts';
import { Instructions } from './instructions.ts';
import { EXIT } from './reasons.ts';
import {
  CR0_MASK,
  CR0_SHADOW,
  CR4_MASK,
  CR4_SHADOW,
  DIRTY,
  DIRTY_ALL,
  EXCEPTION_BITMAP,
  EXIT_INTERRUPTION,
  EXIT_INTERRUPTION_ERROR,
  EXIT_LINEAR,
  EXIT_PHYSICAL_HIGH,
  EXIT_PHYSICAL_LOW,
  EXIT_QUALIFICATION,
  EXIT_REASON,
  FEATURE_CONTROL,
  PIN_CONTROLS,
  PROC_CONTROLS,
  PROC2_CONTROLS,
  VMCS_POINTER,
  VMM_ATTACHED,
  VMXON_POINTER,
} from './state.ts';
import { Transitions } from './transitions.ts';
import { Vmcs } from './vmcs.ts';

const VMREAD = eventNumber('vmread');
const VMWRITE = eventNumber('vmwrite');

const PAGE_FAULT = 14;
const IF = 0x200;

/** Access types of a control-register exit's qualification, bits 5:4 (SDM 3C table 27-3). */
const MOV_TO = 0 << 4;
const MOV_FROM = 1 << 4;
const CLTS = 2 << 4;
const LMSW = 3 << 4;

export class Vmx implements VmxHooks {
  readonly vmcs: Vmcs;
  readonly capabilities: Capabilities;
  readonly transitions: Transitions;
  readonly #cpu: Cpu;
  readonly #state: Int32Array;
  readonly #instructions: Instructions;

  /** Makes the extension for `cpu`; the caller sets `cpu.vmx`. */
  constructor(cpu: Cpu) {
    this.#cpu = cpu;
    this.#state = cpu.memory.state;
    this.capabilities = new Capabilities(cpu.profile);
    this.vmcs = new Vmcs(cpu.memory, cpu.profile);
    this.transitions = new Transitions(cpu, this.vmcs, this.capabilities, new Ept(cpu.memory, cpu.ledger));
    this.#instructions = new Instructions(cpu, this);
    this.#state[VMCS_POINTER] = -1;
    this.#state[VMXON_POINTER] = -1;
    this.#state[FEATURE_CONTROL] = FEATURE_CONTROL_LOCKED;
  }

  // What a VMM outside the machine does instead of executing the instruction: same effect, same charge, no flags.

  /** VMXON by a VMM outside: it will be told of every exit by STOP_VM_EXIT. */
  attach(vmxonRegion: number): void {
    this.#state[VMXON_POINTER] = vmxonRegion;
    this.#state[VMX_MODE] = 1;
    this.#state[VMM_ATTACHED] = 1;
  }

  /** VMCLEAR, for a region at an aligned machine address. */
  clear(region: number): void {
    this.vmcs.setLaunched(region, 0);
    if (this.#state[VMCS_POINTER] === region) this.#state[VMCS_POINTER] = -1;
  }

  /** VMPTRLD of a region with the right revision identifier. */
  load(region: number): void {
    this.#state[VMCS_POINTER] = region;
    this.#state[DIRTY] = DIRTY_ALL;
  }

  /** VMREAD of a field that exists. */
  read(encoding: number): number {
    this.#cpu.ledger.charge(VMREAD);
    return this.vmcs.read(encoding);
  }

  /** VMWRITE of a writable field; throws on any other, which is a VMM's bug. */
  write(encoding: number, value: number): void {
    this.#cpu.ledger.charge(VMWRITE);
    const error = this.vmcs.write(encoding, value);
    if (error !== 0) throw new Error(`VMWRITE of field 0x${encoding.toString(16)} failed with error ${error}.`);
  }

  // Intercepts.

  cpuid(): void {
    this.#exit(EXIT.cpuid, 0);
  }
  hlt(): void {
    this.#exitIf(PROC_HLT, EXIT.hlt);
  }
  invd(): void {
    this.#exit(EXIT.invd, 0);
  }
  wbinvd(): void {
    if (((this.#state[PROC2_CONTROLS] as number) & PROC2_WBINVD) !== 0) this.#exit(EXIT.wbinvd, 0);
  }
  pause(): void {
    this.#exitIf(PROC_PAUSE, EXIT.pause);
  }
  invlpg(linear: number): void {
    this.#exitIf(PROC_INVLPG, EXIT.invlpg, linear);
  }
  rdtsc(): void {
    this.#exitIf(PROC_RDTSC, EXIT.rdtsc);
  }
  rdpmc(): void {
    this.#exitIf(PROC_RDPMC, EXIT.rdpmc);
  }
  tscOffset(): number {
    if (((this.#state[PROC_CONTROLS] as number) & PROC_TSC_OFFSET) === 0) return 0;
    return (this.vmcs.get(FIELD.tscOffset) >>> 0) + this.vmcs.get(FIELD.tscOffset + 1) * 0x100000000;
  }

  readControl(n: number, gpr: number, value: number): number {
    if (n === 3) this.#exitIf(PROC_CR3_STORE, EXIT.controlRegister, 3 | MOV_FROM | (gpr << 8));
    return this.visibleControl(n, value);
  }

  visibleControl(n: number, value: number): number {
    if (n !== 0 && n !== 4) return value;
    const mask = this.#state[n === 0 ? CR0_MASK : CR4_MASK] as number;
    return (value & ~mask) | ((this.#state[n === 0 ? CR0_SHADOW : CR4_SHADOW] as number) & mask);
  }

  writeControl(n: number, gpr: number, value: number, current: number): number {
    if (n === 3) {
      if (!this.#isCr3Target(value)) this.#exitIf(PROC_CR3_LOAD, EXIT.controlRegister, 3 | MOV_TO | (gpr << 8));
      return value;
    }
    if (n !== 0 && n !== 4) return value;
    const mask = this.#state[n === 0 ? CR0_MASK : CR4_MASK] as number;
    const shadow = this.#state[n === 0 ? CR0_SHADOW : CR4_SHADOW] as number;
    if (((value ^ shadow) & mask) !== 0) this.#exit(EXIT.controlRegister, n | MOV_TO | (gpr << 8));
    return (value & ~mask) | (current & mask);
  }

  #isCr3Target(value: number): boolean {
    const count = this.vmcs.get(FIELD.cr3TargetCount);
    for (let i = 0; i < count; i++) if (this.vmcs.get(FIELD.cr3Target0 + 2 * i) === value) return true;
    return false;
  }

  clts(): boolean {
    if (((this.#state[CR0_MASK] as number) & CR0_TS) === 0) return true;
    if (((this.#state[CR0_SHADOW] as number) & CR0_TS) !== 0) this.#exit(EXIT.controlRegister, CLTS);
    return false;
  }

  /** LMSW sets PE but never clears it; MP, EM, TS both ways (SDM 3C 25.1.3). */
  lmsw(value: number): number {
    const mask = this.#state[CR0_MASK] as number;
    const shadow = this.#state[CR0_SHADOW] as number;
    const setsPe = (value & mask & ~shadow & CR0_PE) !== 0;
    if (setsPe || ((value ^ shadow) & mask & 0xe) !== 0)
      this.#exit(EXIT.controlRegister, LMSW | ((value & 0xffff) << 16));
    const current = this.#cpu.memory.state[CR0] as number;
    return (((value & ~mask) | (current & mask)) & 0xf) | (current & CR0_PE);
  }

  readDebug(n: number, gpr: number): void {
    this.#exitIf(PROC_DEBUG, EXIT.debugRegister, n | 0x10 | (gpr << 8));
  }
  writeDebug(n: number, gpr: number): void {
    this.#exitIf(PROC_DEBUG, EXIT.debugRegister, n | (gpr << 8));
  }

  port(port: number, size: number, flags: number, linear: number): void {
    const proc = this.#state[PROC_CONTROLS] as number;
    if ((proc & PROC_IO_BITMAPS) !== 0 ? !this.#portBitmap(port, size) : (proc & PROC_IO) === 0) return;
    this.#state[EXIT_LINEAR] = linear;
    // IO_IN, IO_STRING, IO_REPEAT, IO_IMMEDIATE are the qualification's bits 3 to 6 in order.
    this.#exit(EXIT.port, (size - 1) | (flags << 3) | ((port & 0xffff) << 16));
  }

  #portBitmap(port: number, size: number): boolean {
    if (port + size > 0x10000) return true;
    for (let at = port; at < port + size; at++) {
      const bitmap = at < 0x8000 ? FIELD.ioBitmapA : FIELD.ioBitmapB;
      const byte = this.#cpu.memory.read8((this.vmcs.address(bitmap) + ((at & 0x7fff) >>> 3)) as MachineAddress);
      if ((byte & (1 << (at & 7))) !== 0) return true;
    }
    return false;
  }

  rdmsr(index: number): void {
    if (this.#msrBitmap(index, 0)) this.#exit(EXIT.rdmsr, 0);
  }
  wrmsr(index: number): void {
    if (this.#msrBitmap(index, 2048)) this.#exit(EXIT.wrmsr, 0);
  }

  /** Four bitmaps of 1 KB: reads of MSRs 0-1FFF and C0000000-C0001FFF, then writes of the same (SDM 3C 24.6.9). */
  #msrBitmap(index: number, offset: number): boolean {
    if (((this.#state[PROC_CONTROLS] as number) & PROC_MSR_BITMAPS) === 0) return true;
    const range = index >>> 13;
    if (range !== 0 && range !== 0xc0000000 >>> 13) return true;
    const at = this.vmcs.address(FIELD.msrBitmap) + offset + (range === 0 ? 0 : 1024) + ((index & 0x1fff) >>> 3);
    return (this.#cpu.memory.read8(at as MachineAddress) & (1 << (index & 7))) !== 0;
  }

  descriptorTable(which: number, linear: number): void {
    if (((this.#state[PROC2_CONTROLS] as number) & PROC2_DESCRIPTOR_TABLE) === 0) return;
    this.#state[EXIT_LINEAR] = linear;
    this.#exit(which <= TABLE_LIDT ? EXIT.descriptorTableGdtIdt : EXIT.descriptorTableLdtTr, 0);
  }

  taskSwitch(selector: number, cause: number): void {
    this.#exit(EXIT.taskSwitch, (selector & 0xffff) | (cause << 30));
  }

  interceptEvent(): void {
    const S = this.#state;
    const kind = S[EVENT_KIND] as number;
    const vector = S[EVENT_VECTOR] as number;
    if (kind === EVENT_SOFTWARE || kind === EVENT_EXTERNAL || kind === EVENT_NMI) return;
    const bit = (((S[EXCEPTION_BITMAP] as number) >>> vector) & 1) === 1;
    let exits = bit;
    if (vector === PAGE_FAULT) {
      // Mask and match can invert the bitmap's bit (SDM 3C 25.2).
      const matches =
        ((S[EVENT_ERROR] as number) & this.vmcs.get(FIELD.pageFaultMask)) === this.vmcs.get(FIELD.pageFaultMatch);
      exits = bit === matches;
    }
    if (!exits) return;
    // In real-address mode no exception delivers an error code (SDM 3C 27.2.2).
    const error = S[EVENT_HAS_ERROR] !== 0 && ((S[CR0] as number) & CR0_PE) !== 0 ? INFO_ERROR : 0;
    S[EXIT_INTERRUPTION] = INFO_VALID | error | (kind << INFO_TYPE_SHIFT) | vector;
    S[EXIT_INTERRUPTION_ERROR] = S[EVENT_ERROR] as number;
    this.#exit(EXIT.exception, vector === PAGE_FAULT ? (S[EVENT_ADDRESS] as number) : 0);
  }

  /** Without external-interrupt exiting the guest takes the interrupt through its own IDT. */
  externalInterrupt(): void {
    const S = this.#state;
    const physical = S[VMM_ATTACHED] === 1 ? HOST_INTR : INTR;
    if (((S[PIN_CONTROLS] as number) & PIN_EXTERNAL_INTERRUPT) !== 0) {
      if (S[physical] === 0) return;
      if ((this.vmcs.get(FIELD.exitControls) & EXIT_ACKNOWLEDGE) !== 0) {
        S[EXIT_INTERRUPTION] = INFO_VALID | this.#cpu.acknowledgeInterrupt();
      }
      this.#exit(EXIT.externalInterrupt, 0);
    }
    S[HOST_INTR] = 0;
    if (S[INTR] === 0 || S[SHADOW] !== 0 || ((S[EFLAGS_SYSTEM] as number) & IF) === 0) return;
    S[EVENT_VECTOR] = this.#cpu.acknowledgeInterrupt();
    S[EVENT_KIND] = EVENT_EXTERNAL;
    S[EVENT_HAS_ERROR] = 0;
    this.#cpu.interrupts.deliver();
  }

  nonMaskableInterrupt(): boolean {
    const S = this.#state;
    if (S[VMM_ATTACHED] === 1) return true;
    if (((S[PIN_CONTROLS] as number) & PIN_NMI) !== 0) {
      S[NMI_PENDING] = 0;
      S[EXIT_INTERRUPTION] = INFO_VALID | (EVENT_NMI << INFO_TYPE_SHIFT) | NMI;
      this.#exit(EXIT.exception, 0);
    }
    return false;
  }

  interruptWindow(): void {
    this.#exitIf(PROC_INTERRUPT_WINDOW, EXIT.interruptWindow);
  }
  tripleFault(): void {
    this.#exit(EXIT.tripleFault, 0);
  }

  // Control registers and MSRs in VMX operation.

  controlAllowed(n: number, value: number): boolean {
    if (n === 0) {
      const unrestricted =
        this.#state[VMX_MODE] === 2 && ((this.#state[PROC2_CONTROLS] as number) & PROC2_UNRESTRICTED) !== 0;
      const fixed = unrestricted ? CR0_FIXED0 & ~0x80000001 : CR0_FIXED0;
      return (value & fixed) === fixed;
    }
    return n !== 4 || ((value & CR4_FIXED0) === CR4_FIXED0 && (value & ~CR4_FIXED1) === 0);
  }

  readCapability(index: number): boolean {
    const value =
      index === IA32_FEATURE_CONTROL
        ? ([this.#state[FEATURE_CONTROL] as number, 0] as const)
        : this.capabilities.msr(index);
    if (value === undefined) return false;
    this.#state[EAX] = value[0];
    this.#state[EDX] = value[1];
    return true;
  }

  /** The capability MSRs are read-only, and firmware has locked IA32_FEATURE_CONTROL. */
  writeCapability(index: number): boolean {
    if (index !== IA32_FEATURE_CONTROL && this.capabilities.msr(index) === undefined) return false;
    raiseWithError(this.#state, GP, 0);
  }

  vmxInstruction(name: string, linear: number, table: number, reg: number, rm: number): number {
    return this.#instructions.execute(name, linear, table, reg, rm);
  }

  completeExit(): number {
    const S = this.#state;
    const isNmi = S[EXIT_INTERRUPTION] === (INFO_VALID | (EVENT_NMI << INFO_TYPE_SHIFT) | NMI);
    const stop = this.transitions.complete();
    // The exit blocks further NMIs until the host's IRET (SDM 3C 27.5.5).
    if (isNmi) S[NMI_BLOCKED] = 1;
    return stop;
  }

  /** Records an exit that an instruction or event causes and leaves the guest. */
  #exit(reason: number, qualification: number): never {
    const S = this.#state;
    S[EXIT_REASON] = reason;
    S[EXIT_QUALIFICATION] = qualification;
    S[EXIT_PHYSICAL_LOW] = 0;
    S[EXIT_PHYSICAL_HIGH] = 0;
    throw VM_EXIT;
  }

  /** The exit of a VMX instruction in non-root operation. */
  exitInstruction(reason: number): never {
    this.#exit(reason, 0);
  }

  #exitIf(control: number, reason: number, qualification = 0): void {
    if (((this.#state[PROC_CONTROLS] as number) & control) !== 0) this.#exit(reason, qualification);
  }
}
