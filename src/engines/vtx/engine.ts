/**
 * Hardware-assisted virtualization in the manner of KVM: the guest keeps its rings in VMX non-root operation, and what it
 * may not do exits to this VMM in root operation. Guest memory is virtualized by EPT, or (`~noept`, or a processor without
 * it) by shadow paging, where page faults, CR3 loads and INVLPG exit.
 */
import type { MachineAddress } from '../../core/address.ts';
import { STOP_DEADLINE, STOP_MARKER, STOP_REQUESTED, STOP_VM_EXIT } from '../../core/signals.ts';
import {
  BUDGET,
  CR0,
  CR3,
  CR4,
  CYCLES,
  EBX,
  ECX,
  EDX,
  EFER,
  INTR,
  MARKER_CODE,
  NMI_PENDING,
  STOP_REQUEST,
  TLB_TAG,
  VMX_MODE,
} from '../../core/state.ts';
import { FIELD } from '../../core/vmx/fields.ts';
import { ENTRY_FAILURE, EXIT_NAMES } from '../../core/vmx/reasons.ts';
import { Vmx } from '../../core/vmx/vmx.ts';
import { eventNumber } from '../../cost/event.ts';
import type { Ledger } from '../../cost/ledger.ts';
import { applyBootState } from '../../machine/boot-state.ts';
import { loadKernel } from '../../machine/kernel-loader.ts';
import { Machine } from '../../machine/machine.ts';
import type { Snapshot } from '../../machine/snapshot.ts';
import { type Engine, type EngineOptions, type GuestStop, requestedStop } from '../engine.ts';
import { FrameMap } from '../frames.ts';
import { GuestWalk } from '../shadow-paging/guest-walk.ts';
import { ShadowPaging } from '../shadow-paging/shadow-paging.ts';
import { Emulator } from './emulation.ts';
import { buildEpt, buildIdentity, eptFrames } from './ept-tables.ts';
import { haltedWithInterrupts, noteVectoring, prepareEvents } from './events.ts';
import { EXIT_HANDLERS, takeHostInterrupt } from './exits.ts';
import { GUEST_VPID, setUpVmcs } from './setup.ts';
import {
  COUNT_ABANDONED,
  COUNT_EMULATED,
  COUNT_INJECTED_EXCEPTION,
  COUNT_INJECTED_INTERRUPT,
  COUNT_REINJECTED,
  type Features,
  GuestKilled,
  V_CR0,
  V_CR3,
  V_CR4,
  V_HALTED,
  V_LAUNCHED,
  Vmm,
} from './vmm.ts';

const DISPATCH = eventNumber('vmmDispatch');
const TLB_FLUSH = eventNumber('tlbFlush');
/** Frames for shadow tables: more than a guest of some tens of processes needs at once. */
const SHADOW_FRAMES = 512;
/** VMXON region, VMCS, MSR bitmap, identity directory. */
const FIXED_FRAMES = 4;
/** Charges nothing: for look-ups that are the suite's, not the VMM's. */
const FREE = { charge: () => {} } as unknown as Ledger;

export class VtxEngine implements Engine {
  readonly name: string;
  readonly machine: Machine;
  readonly ledger: Ledger;
  readonly vmm: Vmm;
  readonly #emulator: Emulator;
  /** A walker for look-ups. */
  readonly #quiet: GuestWalk;

  constructor(options: EngineOptions) {
    this.name = ['vtx', ...options.variation].join('~');
    const features = effectiveFeatures(options);
    const guestFrames = options.ramBytes / 4096;
    const vmmFrames = FIXED_FRAMES + (features.ept ? eptFrames(guestFrames) : SHADOW_FRAMES);
    this.machine = new Machine({
      profile: options.profile,
      ramBytes: options.ramBytes,
      devices: options.devices ?? {},
      machineBytes: options.ramBytes + vmmFrames * 4096,
    });
    this.ledger = this.machine.ledger;
    const { machine } = this;
    const { memory, cpu } = machine;
    const frames = new FrameMap(machine);
    const vmx = new Vmx(cpu);
    cpu.vmx = vmx;
    this.vmm = new Vmm({ machine, vmx, frames, features });
    applyBootState(cpu, loadKernel(options, frames));
    let eptPointer = 0;
    if (features.ept) {
      const identity = features.unrestricted ? -1 : frames.allocate();
      if (identity >= 0) buildIdentity(memory, identity);
      eptPointer = buildEpt(memory, frames, identity);
    }
    setUpVmcs(this.vmm, frames, eptPointer);
    if (!features.ept) this.#setUpShadow(frames);
    this.#quiet = new GuestWalk(memory, FREE, frames);
    // Under shadow paging its own walker serves, whose registers are the guest's already.
    const walk = this.vmm.shadow?.guest ?? new GuestWalk(memory, this.ledger, frames);
    this.#emulator = new Emulator(this.vmm, walk, () => this.#loadWalk(walk));
    machine.onRestored(() => vmx.transitions.restored());
  }

  #setUpShadow(frames: FrameMap): void {
    const { vmm, machine, ledger } = this;
    const { cpu } = machine;
    const hasVpid = vmm.features.vpid;
    const shadow = new ShadowPaging({
      memory: machine.memory,
      ledger,
      frames,
      tables: frames.allocate(SHADOW_FRAMES) * 4096,
      tableFrames: SHADOW_FRAMES,
      hooks: {
        // Without VPID the entry that follows flushes everything.
        invalidatePage: (linear) => {
          if (!hasVpid) return;
          const tag = vmm.state[TLB_TAG] as number;
          vmm.state[TLB_TAG] = GUEST_VPID;
          cpu.mmu.invalidatePage(linear);
          vmm.state[TLB_TAG] = tag;
        },
        flush: () => {
          if (!hasVpid) return;
          ledger.charge(TLB_FLUSH);
          cpu.mmu.flushTag(GUEST_VPID);
        },
        tracedStore: () => {},
      },
    });
    vmm.shadow = shadow;
    for (const [name, array] of shadow.arrays()) machine.register(`shadow ${name}`, array);
    const { vcpu } = vmm;
    const root = shadow.activate(vcpu[V_CR3] as number, vcpu[V_CR0] as number, vcpu[V_CR4] as number, 0);
    vmm.vmx.vmcs.write(FIELD.guestCr3, root);
  }

  run(limit: number): GuestStop {
    try {
      return this.#run(limit);
    } catch (error) {
      if (!(error instanceof GuestKilled)) throw error;
      return { kind: 'crash', message: `${error.message} (at ${this.#place()})` };
    }
  }

  #run(limit: number): GuestStop {
    const { machine, vmm } = this;
    const { state, time } = machine.memory;
    time[BUDGET] = limit;
    for (;;) {
      if (state[VMX_MODE] !== 2) {
        const stop = this.#inRoot(limit);
        if (stop !== null) return stop;
        this.#enter();
        if (state[VMX_MODE] !== 2) {
          if (!this.#handleExit()) return this.#tripleFault();
          continue;
        }
      }
      switch (machine.cpu.run()) {
        case STOP_VM_EXIT:
          if (!this.#handleExit()) return this.#tripleFault();
          break;
        case STOP_DEADLINE:
          return { kind: 'limit' };
        case STOP_MARKER:
          return {
            kind: 'marker',
            code: state[MARKER_CODE] as number,
            payload: [state[EBX] as number, state[ECX] as number, state[EDX] as number],
          };
        case STOP_REQUESTED:
          return requestedStop(machine);
        default:
          throw new Error(
            `The processor stopped in the guest ${vmm.vmx.vmcs.get(FIELD.exitReason)} for no reason a VMX guest can cause.`,
          );
      }
    }
  }

  /** What may end the run, or pass the time, between an exit and the next entry. */
  #inRoot(limit: number): GuestStop | null {
    const { machine, vmm } = this;
    const { state, time } = machine.memory;
    if (state[STOP_REQUEST] !== 0) {
      state[STOP_REQUEST] = 0;
      return requestedStop(machine);
    }
    if (vmm.vcpu[V_HALTED] !== 0) {
      while (state[INTR] === 0 && state[NMI_PENDING] === 0) {
        if ((time[CYCLES] as number) >= limit) return this.#limit();
        if (!haltedWithInterrupts(vmm) || !machine.idleUntilEvent(limit)) return this.#hang();
      }
      if (state[NMI_PENDING] === 0 && !haltedWithInterrupts(vmm)) return this.#hang();
      takeHostInterrupt(vmm);
      vmm.vcpu[V_HALTED] = 0;
    }
    return (time[CYCLES] as number) >= limit ? this.#limit() : null;
  }

  #limit(): GuestStop {
    this.ledger.fold();
    return { kind: 'limit' };
  }
  #hang(): GuestStop {
    return { kind: 'hang', message: `The guest halted at ${this.#place()} with nothing that could wake it.` };
  }
  #tripleFault(): GuestStop {
    this.ledger.fold();
    return { kind: 'crash', message: `The guest triple-faulted at ${this.#place()}.` };
  }

  #enter(): void {
    const { vmm } = this;
    prepareEvents(vmm);
    if (!vmm.features.vpid) vmm.shadow?.flushed();
    const launched = vmm.vcpu[V_LAUNCHED] !== 0;
    const error = vmm.vmx.transitions.enter(!launched);
    if (error !== 0) throw new Error(`VM entry failed with VM-instruction error ${error}.`);
    vmm.vcpu[V_LAUNCHED] = 1;
  }

  #handleExit(): boolean {
    const { vmm } = this;
    this.ledger.charge(DISPATCH);
    const reason = vmm.read(FIELD.exitReason);
    if ((reason & ENTRY_FAILURE) !== 0) {
      throw new GuestKilled(
        `VM entry failed: reason ${reason & 0xffff}, qualification ${vmm.read(FIELD.exitQualification)}.`,
      );
    }
    vmm.count(reason & 63);
    noteVectoring(vmm);
    const handler = EXIT_HANDLERS[reason];
    if (handler === undefined)
      throw new GuestKilled(`The guest caused exit reason ${reason}, which this VMM never asked for.`);
    return handler(vmm, this.#emulator);
  }

  /** Under EPT the guest's paging registers are its own: the walker takes them from where they are. */
  #loadWalk(walk: GuestWalk): void {
    const { vmm } = this;
    if (vmm.shadow !== null) return;
    const { vmcs } = vmm.vmx;
    const quiet = this.#quiet;
    // Without unrestricted guest the VMCS holds the identity directory while the guest has paging off.
    const cr0 = vmcs.get(FIELD.guestCr0) & (vmm.features.unrestricted ? -1 : (vmm.vcpu[V_CR0] as number));
    quiet.load(vmcs.get(FIELD.guestCr3), cr0, vmcs.get(FIELD.guestCr4), vmm.state[EFER] as number);
    walk.context.set(quiet.context);
  }

  translate(linear: number): MachineAddress | null {
    const { vmm } = this;
    const { state } = vmm;
    const quiet = this.#quiet;
    if (vmm.shadow !== null) quiet.context.set(vmm.shadow.guest.context);
    else if (state[VMX_MODE] === 2) {
      quiet.load(state[CR3] as number, state[CR0] as number, state[CR4] as number, state[EFER] as number);
    } else this.#loadWalk(quiet);
    quiet.walk(linear);
    if (!quiet.present) return null;
    return vmm.frames.toMachine(quiet.frame * 4096 + (linear & 0xfff));
  }

  counters(): Readonly<Record<string, number>> {
    const { counts, shadow } = this.vmm;
    const result: Record<string, number> = {};
    for (const [reason, name] of EXIT_NAMES.entries()) {
      if (name !== undefined && counts[reason] !== 0) result[`exit ${name}`] = counts[reason] as number;
    }
    result['interrupt injected'] = counts[COUNT_INJECTED_INTERRUPT] as number;
    result['exception injected'] = counts[COUNT_INJECTED_EXCEPTION] as number;
    result['event reinjected'] = counts[COUNT_REINJECTED] as number;
    result['instruction emulated'] = counts[COUNT_EMULATED] as number;
    if (shadow !== null) {
      result['traced stack given up'] = counts[COUNT_ABANDONED] as number;
      Object.assign(result, shadow.counters());
    }
    return result;
  }

  snapshot(): Snapshot {
    return this.machine.snapshot();
  }

  restore(snapshot: Snapshot): void {
    this.machine.restore(snapshot);
  }

  #place(): string {
    return `0x${(this.vmm.vmx.vmcs.get(FIELD.guestRip) >>> 0).toString(16)}`;
  }
}

/** A switch that takes away what the profile's processor never had changes nothing: the variation is an alias. */
function effectiveFeatures({ profile, variation }: EngineOptions): Features {
  const ept = profile.features.ept && !variation.includes('noept');
  return {
    ept,
    vpid: profile.features.vpid && !variation.includes('novpid'),
    unrestricted: ept && profile.features.unrestrictedGuest,
    userspaceIo: variation.includes('userspace-io'),
  };
}
