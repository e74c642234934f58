/** Paravirtualization: the guest kernel in ring 1 on a hypervisor with Xen's x86-32 PAE ABI. */
import type { MachineAddress } from '../../core/address.ts';
import { STOP_DEADLINE, STOP_HALT, STOP_MARKER, STOP_REQUESTED, STOP_SHUTDOWN, STOP_TRAP } from '../../core/signals.ts';
import { CYCLES, EBX, ECX, EDX, EIP, EVENT_CYCLES_TOTAL, FOLD_MARK, MARKER_CODE } from '../../core/state.ts';
import type { Ledger } from '../../cost/ledger.ts';
import { Machine } from '../../machine/machine.ts';
import type { Snapshot } from '../../machine/snapshot.ts';
import type { Engine, EngineDefinition, EngineOptions, GuestStop } from '../engine.ts';
import { FrameMap } from '../frames.ts';
import { buildDomain } from './builder.ts';
import { handleTrap } from './dispatch.ts';
import { DomainCrash } from './domain-crash.ts';
import { HYPERCALL_NAMES } from './hypercalls/table.ts';
import { Hypervisor } from './hypervisor.ts';
import { hypervisorFrames } from './hypervisor-area.ts';
import { EMULATION_NAMES } from './privileged.ts';
import { SHUTDOWN } from './vcpu.ts';

/** sched_op shutdown reasons (public/sched.h). */
const SHUTDOWN_CRASH = 3;

export class ParavirtEngine implements Engine {
  readonly name: string;
  readonly machine: Machine;
  readonly ledger: Ledger;
  readonly hypervisor: Hypervisor;
  /** What the domain was killed for; a killed domain stays dead until a restore. */
  #crash: string | null = null;

  constructor(options: EngineOptions) {
    this.name = ['paravirt', ...options.variation].join('~');
    const { profile, ramBytes } = options;
    // One more: frame 0 stays unused, so that no frame number of the hypervisor's is 0.
    const own = hypervisorFrames(ramBytes >>> 12) + 1;
    this.machine = new Machine({ profile, ramBytes, machineBytes: ramBytes + own * 4096 });
    this.ledger = this.machine.ledger;
    const frames = new FrameMap(this.machine);
    frames.allocate();
    this.hypervisor = new Hypervisor({
      machine: this.machine,
      firstFrame: frames.allocate(own - 1),
      batching: !options.variation.includes('nobatch'),
    });
    buildDomain(this.hypervisor, frames, options.image, options.commandLine);
    this.#startTime();
    this.machine.onRestored(() => {
      this.#crash = null;
    });
  }

  /** Virtual time begins with the guest: building the domain was another domain's work. */
  #startTime(): void {
    const { time } = this.machine.memory;
    this.ledger.counts.fill(0);
    for (const slot of [CYCLES, EVENT_CYCLES_TOTAL, FOLD_MARK]) time[slot] = 0;
    for (const counts of [this.hypervisor.counters.counts, this.hypervisor.pages.validated]) counts.fill(0);
    this.hypervisor.clock.start();
  }

  run(limit: number): GuestStop {
    if (this.#crash !== null) return { kind: 'crash', message: this.#crash };
    try {
      return this.#run(limit);
    } catch (error) {
      if (!(error instanceof DomainCrash)) throw error;
      this.#crash = error.message;
      return { kind: 'crash', message: error.message };
    }
  }

  #run(limit: number): GuestStop {
    const { state, time } = this.machine.memory;
    for (;;) {
      const ended = this.#ended();
      if (ended !== null) return ended;
      if ((time[CYCLES] as number) >= limit) return { kind: 'limit' };
      const stop = this.machine.runGuest(limit);
      switch (stop) {
        case STOP_TRAP:
          handleTrap(this.hypervisor);
          break;
        case STOP_MARKER:
          return {
            kind: 'marker',
            code: state[MARKER_CODE] as number,
            payload: [state[EBX] as number, state[ECX] as number, state[EDX] as number],
          };
        case STOP_DEADLINE:
          return { kind: 'limit' };
        case STOP_HALT:
          return { kind: 'hang', message: `The guest waits at ${this.#place()} for an event that nothing will raise.` };
        case STOP_REQUESTED:
          break;
        case STOP_SHUTDOWN:
          throw new DomainCrash(`The processor shut down (triple fault) at ${this.#place()}.`);
        default:
          throw new Error(`The processor stopped with code ${stop}, which a hosted guest cannot cause.`);
      }
    }
  }

  #ended(): GuestStop | null {
    const reason = (this.hypervisor.vcpu[SHUTDOWN] as number) - 1;
    if (reason < 0) return null;
    if (reason !== SHUTDOWN_CRASH) return { kind: 'exit', status: reason };
    return { kind: 'crash', message: 'The guest reported that it has crashed (sched_op shutdown).' };
  }

  translate(linear: number): MachineAddress | null {
    const address = this.machine.cpu.mmu.probe(linear, false, false);
    return address < 0 ? null : (address as MachineAddress);
  }

  counters(): Readonly<Record<string, number>> {
    const { counters, pages } = this.hypervisor;
    return counters.report(HYPERCALL_NAMES, EMULATION_NAMES, pages.validated);
  }

  snapshot(): Snapshot {
    return this.machine.snapshot();
  }

  restore(snapshot: Snapshot): void {
    this.machine.restore(snapshot);
  }

  #place(): string {
    return `0x${((this.machine.memory.state[EIP] as number) >>> 0).toString(16)}`;
  }
}

export const definition: EngineDefinition = {
  name: 'paravirt',
  what: "Paravirtualization: the guest kernel is built for Xen's x86-32 PAE interface and calls the hypervisor.",
  kernel: 'xen',
  variations: {
    nobatch:
      'Every operation of a multicall, mmu_update or mmuext_op list is a hypervisor entry of its own: the call is continued by executing its INT 82h again.',
  },
  create: (options) => new ParavirtEngine(options),
};
