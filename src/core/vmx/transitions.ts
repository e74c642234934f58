/** VM entry and VM exit (SDM 3C chapters 26 and 27). */
import { eventNumber } from '../../cost/event.ts';
import type { Cpu } from '../cpu.ts';
import { FAULT, STOP_NONE, STOP_VM_EXIT, VM_EXIT } from '../signals.ts';
import {
  CR0,
  CR0_PE,
  CR4,
  EFER,
  EIP,
  EVENT_ERROR,
  EVENT_HARDWARE,
  EVENT_HAS_ERROR,
  EVENT_KIND,
  EVENT_SOFTWARE,
  EVENT_VECTOR,
  INSTRUCTION_LENGTH,
  SHADOW,
  TLB_TAG,
  VMX_MODE,
} from '../state.ts';
import type { Capabilities } from './capabilities.ts';
import { CONTROL_CHECKS, type EntryCheck, HOST_CHECKS, secondary } from './control-checks.ts';
import { INFO_ERROR, INFO_TYPE_SHIFT, INFO_VALID, PROC2_EPT, PROC2_VPID } from './controls.ts';
import type { Ept } from './ept.ts';
import { FIELD } from './fields.ts';
import { GUEST_CHECKS } from './guest-checks.ts';
import { loadGuest, loadHost, saveGuest } from './guest-state.ts';
import { loadMsrs, storeMsrs } from './msr-areas.ts';
import { ENTRY_FAILURE, ERROR, EXIT } from './reasons.ts';
import {
  CR0_MASK,
  CR0_SHADOW,
  CR4_MASK,
  CR4_SHADOW,
  DIRTY,
  DIRTY_CONTROLS,
  DIRTY_GUEST,
  DIRTY_HOST,
  EPT_ROOT,
  EXCEPTION_BITMAP,
  EXIT_INTERRUPTION,
  EXIT_INTERRUPTION_ERROR,
  EXIT_LINEAR,
  EXIT_PHYSICAL_HIGH,
  EXIT_PHYSICAL_LOW,
  EXIT_QUALIFICATION,
  EXIT_REASON,
  LAST_CONTEXT,
  PIN_CONTROLS,
  PROC_CONTROLS,
  PROC2_CONTROLS,
  VMCS_POINTER,
  VMM_ATTACHED,
} from './state.ts';
import type { Vmcs } from './vmcs.ts';

const VM_ENTRY = eventNumber('vmEntry');
const VM_EXIT_EVENT = eventNumber('vmExit');

/** `enter`: no VMCS is current (VMfailInvalid). */
export const FAIL_INVALID = -1;
/** VMX abort: an MSR of the exit's load list could not be loaded (SDM 3C 27.7). */
const ABORT_MSR = 4;

export class Transitions {
  readonly #cpu: Cpu;
  readonly #state: Int32Array;
  readonly #vmcs: Vmcs;
  readonly #capabilities: Capabilities;
  readonly #ept: Ept;

  constructor(cpu: Cpu, vmcs: Vmcs, capabilities: Capabilities, ept: Ept) {
    this.#cpu = cpu;
    this.#state = cpu.memory.state;
    this.#vmcs = vmcs;
    this.#capabilities = capabilities;
    this.#ept = ept;
  }

  /**
   * VMLAUNCH or VMRESUME after the checks of the instruction itself. Returns 0 if the guest was entered (or the entry
   * ended in a VM exit: VMX_MODE is 1 again), FAIL_INVALID, or the VM-instruction error.
   */
  enter(launch: boolean): number {
    const S = this.#state;
    const vmcs = this.#vmcs;
    if (S[VMCS_POINTER] === -1) return FAIL_INVALID;
    if (S[SHADOW] === 2) return ERROR.movSsBlocking;
    if (launch && vmcs.launched) return ERROR.launchNotClear;
    if (!launch && !vmcs.launched) return ERROR.resumeNotLaunched;
    this.#cpu.ledger.charge(VM_ENTRY);
    const dirty = S[DIRTY] as number;
    if ((dirty & DIRTY_CONTROLS) !== 0 && !this.#passes(CONTROL_CHECKS)) {
      return ERROR.controls;
    }
    if ((dirty & DIRTY_HOST) !== 0 && !this.#passes(HOST_CHECKS)) {
      return ERROR.hostState;
    }
    // Injection, a control, is checked against guest state.
    if ((dirty & (DIRTY_GUEST | DIRTY_CONTROLS)) !== 0) {
      for (const row of GUEST_CHECKS) {
        if (!row.passes(vmcs, this.#capabilities, this.#cpu.memory)) {
          this.#failEntry(EXIT.entryGuestState, row.qualification);
          return 0;
        }
      }
    }
    S[DIRTY] = 0;
    this.#activate();
    const failed = loadMsrs(this.#cpu, vmcs, FIELD.entryMsrLoadCount, FIELD.entryMsrLoadAddress);
    if (failed !== 0) {
      this.#failEntry(EXIT.entryMsrLoad, failed);
      return 0;
    }
    if (launch) vmcs.setLaunched(S[VMCS_POINTER] as number, 1);
    this.#inject();
    return 0;
  }

  #passes(checks: readonly EntryCheck[]): boolean {
    for (const row of checks) if (!row.passes(this.#vmcs, this.#capabilities)) return false;
    return true;
  }

  /** Takes the controls and the guest's state into the processor. */
  #activate(): void {
    const S = this.#state;
    const vmcs = this.#vmcs;
    const cpu = this.#cpu;
    S[PIN_CONTROLS] = vmcs.get(FIELD.pinControls);
    S[PROC_CONTROLS] = vmcs.get(FIELD.procControls);
    S[PROC2_CONTROLS] = secondary(vmcs);
    S[EXCEPTION_BITMAP] = vmcs.get(FIELD.exceptionBitmap);
    S[CR0_MASK] = vmcs.get(FIELD.cr0Mask);
    S[CR4_MASK] = vmcs.get(FIELD.cr4Mask);
    S[CR0_SHADOW] = vmcs.get(FIELD.cr0Shadow);
    S[CR4_SHADOW] = vmcs.get(FIELD.cr4Shadow);
    this.assumeGuest();
    S[VMX_MODE] = 2;
    // Without VPID every transition flushes all linear and combined translations (SDM 3C 28.3.3.1).
    if (((S[PROC2_CONTROLS] as number) & PROC2_VPID) === 0) cpu.mmu.flushTag(0);
    cpu.attention();
  }

  /**
   * Loads guest state and address translation. Also for a VMM that emulates an instruction of the guest's between exit
   * and entry; `resumeHost` ends that.
   */
  assumeGuest(): void {
    const S = this.#state;
    const vmcs = this.#vmcs;
    const cpu = this.#cpu;
    const proc2 = secondary(vmcs);
    loadGuest(cpu, vmcs);
    S[TLB_TAG] = (proc2 & PROC2_VPID) !== 0 ? vmcs.get(FIELD.vpid) & 0xffff : 0;
    S[EPT_ROOT] = (proc2 & PROC2_EPT) !== 0 ? vmcs.get(FIELD.eptPointer) & ~0xfff : -1;
    cpu.mmu.ept = S[EPT_ROOT] === -1 ? null : this.#ept;
    // The fast tables still show the guest as it was left, unless what they were projected under has changed.
    if (
      S[VMM_ATTACHED] !== 1 ||
      S[LAST_CONTEXT] !== S[TLB_TAG] ||
      S[LAST_CONTEXT + 1] !== S[EPT_ROOT] ||
      S[LAST_CONTEXT + 2] !== S[CR0] ||
      S[LAST_CONTEXT + 3] !== S[CR4] ||
      S[LAST_CONTEXT + 4] !== S[EFER]
    ) {
      cpu.mmu.controlsChanged();
    }
  }

  /** After a snapshot's state has been restored: the translator is not part of the state area. */
  restored(): void {
    const S = this.#state;
    this.#cpu.mmu.ept = S[VMX_MODE] === 2 && S[EPT_ROOT] !== -1 ? this.#ept : null;
    this.#cpu.interrupts.vectoringKind = -1;
  }

  /** Loads host state again; the guest's in the VMCS stays as it was. */
  resumeHost(): void {
    const S = this.#state;
    const cpu = this.#cpu;
    S[LAST_CONTEXT] = S[TLB_TAG] as number;
    S[LAST_CONTEXT + 1] = S[EPT_ROOT] as number;
    S[LAST_CONTEXT + 2] = S[CR0] as number;
    S[LAST_CONTEXT + 3] = S[CR4] as number;
    S[LAST_CONTEXT + 4] = S[EFER] as number;
    S[TLB_TAG] = 0;
    cpu.mmu.ept = null;
    loadHost(cpu, this.#vmcs);
    // A VMM outside fetches nothing; a hypervisor inside sees its own translations from here on.
    if (S[VMM_ATTACHED] !== 1) cpu.mmu.controlsChanged();
  }

  /** Delivers the event that the entry injects (SDM 3C 26.6). */
  #inject(): void {
    const S = this.#state;
    const vmcs = this.#vmcs;
    const info = vmcs.get(FIELD.entryInterruptionInfo);
    if ((info & INFO_VALID) === 0) return;
    vmcs.set(FIELD.entryInterruptionInfo, info & ~INFO_VALID);
    const kind = (info >>> INFO_TYPE_SHIFT) & 7;
    const rip = S[EIP] as number;
    S[EVENT_KIND] = kind;
    S[EVENT_VECTOR] = info & 0xff;
    S[EVENT_HAS_ERROR] = (info & INFO_ERROR) !== 0 ? 1 : 0;
    S[EVENT_ERROR] = vmcs.get(FIELD.entryErrorCode);
    S[INSTRUCTION_LENGTH] = kind >= EVENT_SOFTWARE ? vmcs.get(FIELD.entryInstructionLength) : 0;
    // A software event returns to the instruction after it.
    if (kind >= EVENT_SOFTWARE) S[EIP] = (rip + (S[INSTRUCTION_LENGTH] as number)) | 0;
    try {
      this.#cpu.interrupts.deliver(true);
    } catch (signal) {
      S[EIP] = rip;
      if (signal === FAULT) this.#deliverNested();
      else if (signal === VM_EXIT) this.complete();
      else throw signal;
    }
  }

  #deliverNested(): void {
    try {
      this.#cpu.interrupts.deliver();
    } catch (signal) {
      if (signal !== VM_EXIT) throw signal;
      this.complete();
    }
  }

  /** The entry fails after the checks of the VMCS: an exit without guest execution; guest fields stay (SDM 3C 26.8). */
  #failEntry(reason: number, qualification: number): void {
    const vmcs = this.#vmcs;
    vmcs.set(FIELD.exitReason, reason | ENTRY_FAILURE);
    vmcs.set(FIELD.exitQualification, qualification);
    vmcs.set(FIELD.entryInterruptionInfo, vmcs.get(FIELD.entryInterruptionInfo) & ~INFO_VALID);
    this.#state[VMX_MODE] = 1;
    this.resumeHost();
    loadMsrs(this.#cpu, vmcs, FIELD.exitMsrLoadCount, FIELD.exitMsrLoadAddress);
  }

  /** Finishes a recorded exit: information fields, guest state, host state. EIP and INSTRUCTION_LENGTH are set. */
  complete(): number {
    const S = this.#state;
    const vmcs = this.#vmcs;
    const cpu = this.#cpu;
    cpu.ledger.charge(VM_EXIT_EVENT);
    vmcs.set(FIELD.exitReason, S[EXIT_REASON] as number);
    vmcs.set(FIELD.exitQualification, S[EXIT_QUALIFICATION] as number);
    vmcs.set(FIELD.exitInterruptionInfo, S[EXIT_INTERRUPTION] as number);
    vmcs.set(FIELD.exitInterruptionError, S[EXIT_INTERRUPTION_ERROR] as number);
    vmcs.set(FIELD.exitInstructionLength, S[INSTRUCTION_LENGTH] as number);
    vmcs.set(FIELD.guestLinearAddress, S[EXIT_LINEAR] as number);
    vmcs.set(FIELD.guestPhysicalAddress, S[EXIT_PHYSICAL_LOW] as number);
    vmcs.set(FIELD.guestPhysicalAddress + 1, S[EXIT_PHYSICAL_HIGH] as number);
    this.#saveVectoring();
    saveGuest(cpu, vmcs);
    storeMsrs(cpu, vmcs, FIELD.exitMsrStoreCount, FIELD.exitMsrStoreAddress);
    S[EXIT_INTERRUPTION] = 0;
    S[VMX_MODE] = 1;
    if (((S[PROC2_CONTROLS] as number) & PROC2_VPID) === 0) cpu.mmu.flushTag(0);
    this.resumeHost();
    if (loadMsrs(cpu, vmcs, FIELD.exitMsrLoadCount, FIELD.exitMsrLoadAddress) !== 0) vmcs.setAbort(ABORT_MSR);
    return S[VMM_ATTACHED] === 1 ? STOP_VM_EXIT : STOP_NONE;
  }

  /** IDT-vectoring information: the event during whose delivery the exit arose (SDM 3C 27.2.4). */
  #saveVectoring(): void {
    const S = this.#state;
    const { interrupts } = this.#cpu;
    const kind = interrupts.vectoringKind;
    interrupts.vectoringKind = -1;
    const reason = (S[EXIT_REASON] as number) & 0xffff;
    const doubleFault =
      reason === EXIT.exception && ((S[EXIT_INTERRUPTION] as number) & 0x7ff) === ((EVENT_HARDWARE << 8) | 8);
    if (kind < 0 || doubleFault || reason === EXIT.tripleFault) {
      this.#vmcs.set(FIELD.idtVectoringInfo, 0);
      return;
    }
    const isReal = ((S[CR0] as number) & CR0_PE) === 0;
    const error = interrupts.vectoringHasError !== 0 && !isReal ? INFO_ERROR : 0;
    this.#vmcs.set(FIELD.idtVectoringInfo, INFO_VALID | error | (kind << INFO_TYPE_SHIFT) | interrupts.vectoringVector);
    this.#vmcs.set(FIELD.idtVectoringError, interrupts.vectoringError);
  }
}
