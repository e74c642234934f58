/** One handler for each exit reason that this VMM's guest can cause. */
import { FAULT } from '../../core/signals.ts';
import {
  CR2,
  EAX,
  EBX,
  ECX,
  EDX,
  EFER,
  EVENT_ERROR,
  EVENT_HAS_ERROR,
  EVENT_VECTOR,
  HOST_INTR,
} from '../../core/state.ts';
import { INFO_VALID } from '../../core/vmx/controls.ts';
import { FIELD } from '../../core/vmx/fields.ts';
import { EXIT } from '../../core/vmx/reasons.ts';
import { eventNumber } from '../../cost/event.ts';
import { controlRegisterExit, flushGuest } from './control-registers.ts';
import type { Emulator } from './emulation.ts';
import { injectException } from './events.ts';
import { COUNT_ABANDONED, GuestKilled, V_CR0, V_CR3, V_CR4, V_HALTED, V_VECTORING, type Vmm } from './vmm.ts';

const INTERRUPT = eventNumber('interruptEntry');
const HOST_RESUME = eventNumber('hostResume');
const DEVICE_MODEL = eventNumber('vmmDeviceModel');
const USER_TRANSITION = eventNumber('hostUserTransition');
const HYPERCALL = eventNumber('hypercallDispatch');
const TOUCH = eventNumber('vmmTouch');
const EXECUTE = eventNumber('emulateExecute');

const UD = 6;
const GP = 13;
const PAGE_FAULT = 14;
/** The leaf that names the hypervisor, and its signature "TrivisorVTx " in EBX, ECX, EDX. */
const HYPERVISOR_LEAF = 0x40000000;
const SIGNATURE = [0x76697254, 0x726f7369, 0x20785456] as const;
const FEATURE_VMX = 1 << 5;
const FEATURE_HYPERVISOR = 1 << 31;
/** What a hypercall that does not exist returns (KVM's -KVM_ENOSYS), and one from user mode. */
const NO_SUCH_HYPERCALL = -1000;
const NOT_PERMITTED = -1;
const IA32_FEATURE_CONTROL = 0x3a;

/** Handles one exit. False: the guest triple-faulted in it. */
export type ExitHandler = (vmm: Vmm, emulator: Emulator) => boolean;

function handlers(rows: readonly (readonly [reason: number, handler: ExitHandler])[]): (ExitHandler | undefined)[] {
  const table: (ExitHandler | undefined)[] = [];
  for (const [reason, handler] of rows) table[reason] = handler;
  return table;
}

/** VMX instructions do not exist for the guest: CPUID does not report VMX. */
const VMX_INSTRUCTIONS = [
  EXIT.vmclear,
  EXIT.vmlaunch,
  EXIT.vmptrld,
  EXIT.vmptrst,
  EXIT.vmread,
  EXIT.vmresume,
  EXIT.vmwrite,
  EXIT.vmxoff,
  EXIT.vmxon,
  EXIT.invept,
  EXIT.invvpid,
];

export const EXIT_HANDLERS: readonly (ExitHandler | undefined)[] = handlers([
  [EXIT.exception, exception],
  [EXIT.externalInterrupt, externalInterrupt],
  [EXIT.tripleFault, () => false],
  [EXIT.interruptWindow, () => true],
  [EXIT.taskSwitch, taskSwitch],
  [EXIT.cpuid, cpuid],
  [EXIT.hlt, hlt],
  [EXIT.invd, nothing],
  [EXIT.wbinvd, nothing],
  [EXIT.invlpg, invlpg],
  [EXIT.rdpmc, (vmm) => injectException(vmm, GP, 0, true)],
  [EXIT.vmcall, vmcall],
  [EXIT.controlRegister, controlRegister],
  [EXIT.port, port],
  [EXIT.rdmsr, (vmm) => msr(vmm, false)],
  [EXIT.wrmsr, (vmm) => msr(vmm, true)],
  [EXIT.eptViolation, eptViolation],
  ...VMX_INSTRUCTIONS.map((reason) => [reason, (vmm: Vmm) => injectException(vmm, UD, 0, false)] as const),
]);

function nothing(vmm: Vmm): boolean {
  vmm.skip();
  return true;
}

/** Only page faults exit, and only without EPT. CR2 is still the guest's: the exit has left it alone. */
function exception(vmm: Vmm, emulator: Emulator): boolean {
  const { shadow } = vmm;
  const info = vmm.read(FIELD.exitInterruptionInfo);
  if (shadow === null || (info & 0xff) !== PAGE_FAULT)
    throw new GuestKilled(`The guest caused exception ${info & 0xff}, which does not exit.`);
  const error = vmm.read(FIELD.exitInterruptionError);
  const linear = vmm.read(FIELD.exitQualification);
  switch (shadow.handlePageFault(linear, error)) {
    case 'hidden':
      return true;
    case 'true':
      vmm.state[CR2] = linear;
      return injectException(vmm, PAGE_FAULT, shadow.faultError, true);
    case 'traced':
      if (!isVectoring(vmm)) return emulator.emulate();
      // The processor was pushing an exception frame, which no instruction emulation can do for it.
      vmm.count(COUNT_ABANDONED);
      if (!shadow.abandon(Math.floor(shadow.faultPhysical / 4096))) {
        throw new GuestKilled("The guest kernel's stack lies in its current page directory.");
      }
      return true;
    default:
      return outsideRam(vmm, emulator, linear);
  }
}

function isVectoring(vmm: Vmm): boolean {
  return ((vmm.vcpu[V_VECTORING] as number) & INFO_VALID) !== 0;
}

/** An access to a device register. Fetching from one finds no code, as on the bare machine. */
function outsideRam(vmm: Vmm, emulator: Emulator, linear: number): boolean {
  const { vmcs } = vmm.vmx;
  const page = ((vmcs.get(FIELD.guestCsBase) + vmcs.get(FIELD.guestRip)) ^ linear) & ~0xfff;
  if (page === 0) return injectException(vmm, UD, 0, false);
  if (isVectoring(vmm)) throw new GuestKilled('The guest delivered an exception to a stack outside RAM.');
  return emulator.emulate();
}

function eptViolation(vmm: Vmm, emulator: Emulator): boolean {
  const qualification = vmm.read(FIELD.exitQualification);
  if ((qualification & 0x100) === 0) throw new GuestKilled('The guest has page tables outside RAM.');
  return outsideRam(vmm, emulator, vmm.read(FIELD.guestLinearAddress));
}

/** The host takes the interrupt through its own IDT and runs the device model; the guest gets its part at the entry. */
function externalInterrupt(vmm: Vmm): boolean {
  takeHostInterrupt(vmm);
  return true;
}

/** A physical interrupt, arrived while the guest ran or the host idled. */
export function takeHostInterrupt(vmm: Vmm): void {
  vmm.state[HOST_INTR] = 0;
  vmm.ledger.charge(INTERRUPT);
  vmm.ledger.charge(HOST_RESUME);
  vmm.ledger.charge(DEVICE_MODEL);
}

/** Task switches are not built: a task gate raises #GP, as on the bare machine. */
function taskSwitch(vmm: Vmm): boolean {
  const info = vmm.vcpu[V_VECTORING] as number;
  const error = (info & INFO_VALID) !== 0 ? ((info & 0xff) << 3) | 2 : vmm.read(FIELD.exitQualification) & 0xfffc;
  return injectException(vmm, GP, error, true);
}

function cpuid(vmm: Vmm): boolean {
  const { state, cpu } = vmm;
  const leaf = state[EAX] as number;
  vmm.ledger.charge(TOUCH);
  if (leaf === HYPERVISOR_LEAF) {
    state[EAX] = HYPERVISOR_LEAF;
    state[EBX] = SIGNATURE[0];
    state[ECX] = SIGNATURE[1];
    state[EDX] = SIGNATURE[2];
  } else {
    cpu.system.cpuid();
    if (leaf === 1) state[ECX] = ((state[ECX] as number) & ~FEATURE_VMX) | FEATURE_HYPERVISOR;
  }
  vmm.skip();
  return true;
}

function hlt(vmm: Vmm): boolean {
  vmm.skip();
  vmm.vcpu[V_HALTED] = 1;
  return true;
}

function invlpg(vmm: Vmm): boolean {
  vmm.shadow?.invalidatePage(vmm.read(FIELD.exitQualification));
  vmm.skip();
  return true;
}

/** There are no hypercalls but the null one; as in KVM the number is in EAX and user mode has none. */
function vmcall(vmm: Vmm): boolean {
  vmm.ledger.charge(HYPERCALL);
  vmm.state[EAX] = ((vmm.read(FIELD.guestSsRights) >>> 5) & 3) === 0 ? NO_SUCH_HYPERCALL : NOT_PERMITTED;
  vmm.skip();
  return true;
}

function controlRegister(vmm: Vmm): boolean {
  if (!controlRegisterExit(vmm, vmm.read(FIELD.exitQualification))) return injectException(vmm, GP, 0, true);
  vmm.skip();
  return true;
}

/** IN and OUT reach the device model; INS and OUTS are emulated with it. */
function port(vmm: Vmm, emulator: Emulator): boolean {
  const qualification = vmm.read(FIELD.exitQualification);
  if (vmm.features.userspaceIo) vmm.ledger.charge(USER_TRANSITION);
  if ((qualification & 0x10) !== 0) return emulator.emulate();
  const { state, machine } = vmm;
  const size = (qualification & 7) + 1;
  const number = qualification >>> 16;
  vmm.ledger.charge(DEVICE_MODEL);
  const mask = size === 4 ? -1 : size === 2 ? 0xffff : 0xff;
  const value = state[EAX] as number;
  if ((qualification & 8) !== 0) state[EAX] = (value & ~mask) | (machine.ports.read(number, size) & mask);
  else machine.ports.write(number, (value & mask) >>> 0, size);
  vmm.skip();
  return true;
}

/** The host's own RDMSR and WRMSR, but for VMX's MSRs, which the guest has not; SYSENTER's never exit. */
function msr(vmm: Vmm, write: boolean): boolean {
  const { state, cpu } = vmm;
  const index = state[ECX] as number;
  vmm.ledger.charge(EXECUTE);
  const isVmx = index === IA32_FEATURE_CONTROL || (index >= 0x480 && index <= 0x4ff);
  if (isVmx) return injectException(vmm, GP, 0, true);
  const efer = state[EFER];
  try {
    if (write) cpu.system.wrmsr();
    else cpu.system.rdmsr();
  } catch (signal) {
    if (signal !== FAULT) throw signal;
    return injectException(
      vmm,
      state[EVENT_VECTOR] as number,
      state[EVENT_ERROR] as number,
      state[EVENT_HAS_ERROR] !== 0,
    );
  }
  if (state[EFER] !== efer && vmm.shadow !== null) {
    const { vcpu } = vmm;
    const root = vmm.shadow.activate(
      vcpu[V_CR3] as number,
      vcpu[V_CR0] as number,
      vcpu[V_CR4] as number,
      state[EFER] as number,
    );
    if (root >= 0) vmm.write(FIELD.guestCr3, root);
    flushGuest(vmm);
  }
  vmm.skip();
  return true;
}
