/**
 * Events into the guest: exceptions that the VMM raises, interrupts from the guest's interrupt controller, and events
 * whose delivery an exit broke off and that must be injected again (SDM 3C 31.7.1).
 */
import { NMI } from '../../core/signals.ts';
import {
  EVENT_EXTERNAL,
  EVENT_HARDWARE,
  EVENT_NMI,
  EVENT_SOFTWARE,
  HOST_INTR,
  INTR,
  NMI_PENDING,
} from '../../core/state.ts';
import {
  BLOCKED_MOV_SS,
  BLOCKED_NMI,
  BLOCKED_STI,
  INFO_ERROR,
  INFO_TYPE_SHIFT,
  INFO_VALID,
  PROC_INTERRUPT_WINDOW,
} from '../../core/vmx/controls.ts';
import { FIELD } from '../../core/vmx/fields.ts';
import { eventNumber } from '../../cost/event.ts';
import { IF } from '../../isa/eflags.ts';
import {
  COUNT_INJECTED_EXCEPTION,
  COUNT_INJECTED_INTERRUPT,
  COUNT_REINJECTED,
  V_INJECT,
  V_INJECT_ERROR,
  V_INJECT_LENGTH,
  V_PROC,
  V_VECTORING,
  V_WINDOW,
  type Vmm,
} from './vmm.ts';

const DEVICE_MODEL = eventNumber('vmmDeviceModel');

const DOUBLE_FAULT = 8;
const PAGE_FAULT = 14;
/** #DE, #TS, #NP, #SS, #GP (SDM 3A table 6-4). */
const CONTRIBUTORY = (1 << 0) | (1 << 10) | (1 << 11) | (1 << 12) | (1 << 13);

/** After an exit: takes note of an event whose delivery it broke off. */
export function noteVectoring(vmm: Vmm): void {
  const { vcpu } = vmm;
  const info = vmm.read(FIELD.idtVectoringInfo);
  vcpu[V_VECTORING] = info;
  if ((info & INFO_VALID) === 0) return;
  vmm.count(COUNT_REINJECTED);
  // Bit 12 is undefined in the information word and reserved in the injection.
  vcpu[V_INJECT] = info & ~0x1000;
  vcpu[V_INJECT_ERROR] = (info & INFO_ERROR) !== 0 ? vmm.read(FIELD.idtVectoringError) : 0;
  const kind = (info >>> INFO_TYPE_SHIFT) & 7;
  vcpu[V_INJECT_LENGTH] = kind >= EVENT_SOFTWARE ? vmm.read(FIELD.exitInstructionLength) : 0;
}

/**
 * Raises an exception in the guest at the next entry. An event whose delivery was broken off gives way to it, or
 * becomes a double fault with it (SDM 3A table 6-5). False: triple fault.
 */
export function injectException(vmm: Vmm, vector: number, error: number, hasError: boolean): boolean {
  const { vcpu } = vmm;
  const before = vcpu[V_VECTORING] as number;
  vmm.count(COUNT_INJECTED_EXCEPTION);
  if ((before & INFO_VALID) !== 0 && ((before >>> INFO_TYPE_SHIFT) & 7) === EVENT_HARDWARE) {
    const first = before & 0xff;
    if (first === DOUBLE_FAULT) return false;
    const isContributory = ((CONTRIBUTORY >>> vector) & 1) !== 0;
    const doubles =
      ((CONTRIBUTORY >>> first) & 1) !== 0
        ? isContributory
        : first === PAGE_FAULT && (isContributory || vector === PAGE_FAULT);
    if (doubles) {
      vector = DOUBLE_FAULT;
      error = 0;
      hasError = true;
    }
  }
  vcpu[V_INJECT] = INFO_VALID | (EVENT_HARDWARE << INFO_TYPE_SHIFT) | (hasError ? INFO_ERROR : 0) | vector;
  vcpu[V_INJECT_ERROR] = error;
  vcpu[V_INJECT_LENGTH] = 0;
  return true;
}

/** Before an entry: writes what is to be injected, and asks for an interrupt window if an interrupt must wait. */
export function prepareEvents(vmm: Vmm): void {
  const { vcpu, state } = vmm;
  if ((vcpu[V_INJECT] as number) !== 0) {
    writeInjection(vmm, vcpu[V_INJECT] as number);
    vcpu[V_INJECT] = 0;
  } else if (state[NMI_PENDING] !== 0 && nmisOpen(vmm)) {
    vmm.ledger.charge(DEVICE_MODEL);
    state[NMI_PENDING] = 0;
    vmm.count(COUNT_INJECTED_INTERRUPT);
    vmm.write(FIELD.entryInterruptionInfo, INFO_VALID | (EVENT_NMI << INFO_TYPE_SHIFT) | NMI);
  } else if (state[INTR] !== 0 && interruptsOpen(vmm)) {
    vmm.ledger.charge(DEVICE_MODEL);
    const vector = vmm.cpu.acknowledgeInterrupt();
    vmm.count(COUNT_INJECTED_INTERRUPT);
    vmm.write(FIELD.entryInterruptionInfo, INFO_VALID | (EVENT_EXTERNAL << INFO_TYPE_SHIFT) | vector);
  }
  const window = state[INTR] !== 0 ? 1 : 0;
  if (window !== vcpu[V_WINDOW]) {
    vcpu[V_WINDOW] = window;
    vmm.write(FIELD.procControls, (vcpu[V_PROC] as number) | (window !== 0 ? PROC_INTERRUPT_WINDOW : 0));
  }
  // The VMM has seen the controller's output; only a new edge is a new physical interrupt.
  state[HOST_INTR] = 0;
}

function writeInjection(vmm: Vmm, info: number): void {
  vmm.write(FIELD.entryInterruptionInfo, info);
  if ((info & INFO_ERROR) !== 0) vmm.write(FIELD.entryErrorCode, vmm.vcpu[V_INJECT_ERROR] as number);
  if (((info >>> INFO_TYPE_SHIFT) & 7) >= EVENT_SOFTWARE) {
    vmm.write(FIELD.entryInstructionLength, vmm.vcpu[V_INJECT_LENGTH] as number);
  }
}

function interruptsOpen(vmm: Vmm): boolean {
  return (vmm.read(FIELD.guestRflags) & IF) !== 0 && (vmm.read(FIELD.guestInterruptibility) & 3) === 0;
}

/**
 * No blocking by STI, MOV SS or an NMI before. Without virtual NMIs there is no window to ask for: an NMI that finds the
 * guest in the handler of another waits for the next exit after its IRET.
 */
function nmisOpen(vmm: Vmm): boolean {
  return (vmm.read(FIELD.guestInterruptibility) & (BLOCKED_STI | BLOCKED_MOV_SS | BLOCKED_NMI)) === 0;
}

/** Whether the halted guest has interrupts enabled. Not charged: the VMM knows from the HLT exit. */
export function haltedWithInterrupts(vmm: Vmm): boolean {
  return (vmm.vmx.vmcs.get(FIELD.guestRflags) & IF) !== 0;
}
