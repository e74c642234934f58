/**
 * Emulating one guest instruction: a store to a traced page, or an access to a device register. The instruction's own
 * handler runs on the guest's state, with its data accesses going through the guest's page tables in software.
 */
import { FAULT } from '../../core/signals.ts';
import { CR2, EIP, ESP, EVENT_ADDRESS, EVENT_ERROR, EVENT_HAS_ERROR, EVENT_VECTOR } from '../../core/state.ts';
import { FIELD } from '../../core/vmx/fields.ts';
import { eventNumber } from '../../cost/event.ts';
import type { GuestWalk } from '../shadow-paging/guest-walk.ts';
import { injectException } from './events.ts';
import { GuestPort } from './guest-port.ts';
import { COUNT_EMULATED, type Vmm } from './vmm.ts';

const TOUCH = eventNumber('vmmTouch');
const DECODE = eventNumber('emulateDecode');
const EXECUTE = eventNumber('emulateExecute');
const VMREAD = eventNumber('vmread');

/** RIP, RSP, RFLAGS, CS base and rights, SS rights, CR0, CR3: what an emulator needs of the VMCS (as KVM's reads). */
const CONTEXT_READS = 8;
const PAGE_FAULT = 14;

export class Emulator {
  readonly #vmm: Vmm;
  readonly #port: GuestPort;
  readonly #loadWalk: () => void;

  /** `loadWalk` brings the guest's paging registers into `walk`. */
  constructor(vmm: Vmm, walk: GuestWalk, loadWalk: () => void) {
    this.#vmm = vmm;
    this.#loadWalk = loadWalk;
    this.#port = new GuestPort(vmm, walk);
  }

  /** Carries out the instruction at the guest's RIP, or injects the fault it raises. False: triple fault. */
  emulate(): boolean {
    const vmm = this.#vmm;
    const { state, cpu, ledger, vmx } = vmm;
    const { transitions } = vmx;
    vmm.count(COUNT_EMULATED);
    ledger.charge(VMREAD, CONTEXT_READS);
    ledger.charge(TOUCH);
    ledger.charge(DECODE);
    ledger.charge(EXECUTE);
    this.#loadWalk();
    this.#port.faulted = false;
    transitions.assumeGuest();
    const stack = state[ESP] as number;
    const start = state[EIP] as number;
    let faulted = false;
    try {
      cpu.emulateOne(this.#port);
    } catch (signal) {
      if (signal !== FAULT) {
        transitions.resumeHost();
        throw signal;
      }
      faulted = true;
    }
    const next = state[EIP] as number;
    const newStack = state[ESP] as number;
    const flags = cpu.eflags();
    const vector = state[EVENT_VECTOR] as number;
    transitions.resumeHost();
    if (faulted) {
      // The fetch found the shadow of the code page gone: the guest's own fetch will bring it back.
      if (vector === PAGE_FAULT) {
        if (!this.#port.faulted) return true;
        state[CR2] = state[EVENT_ADDRESS] as number;
      }
      return injectException(vmm, vector, state[EVENT_ERROR] as number, state[EVENT_HAS_ERROR] !== 0);
    }
    vmm.write(FIELD.guestRip, next);
    vmm.write(FIELD.guestRflags, flags);
    if (newStack !== stack) vmm.write(FIELD.guestRsp, newStack);
    vmm.endShadow();
    if (next !== start) cpu.retireEmulated(vmm.guestCpl);
    return true;
  }
}
