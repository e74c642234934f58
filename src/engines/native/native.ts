/**
 * No virtualization: the guest owns the machine, ring 0 and the page tables. The denominator of every comparison and
 * the oracle for what a guest should do.
 */
import type { MachineAddress } from '../../core/address.ts';
import { STOP_DEADLINE, STOP_HALT, STOP_MARKER, STOP_REQUESTED, STOP_SHUTDOWN } from '../../core/signals.ts';
import { EBX, ECX, EDX, EIP, MARKER_CODE } from '../../core/state.ts';
import { Vmx } from '../../core/vmx/vmx.ts';
import type { Ledger } from '../../cost/ledger.ts';
import { applyBootState } from '../../machine/boot-state.ts';
import { loadKernel } from '../../machine/kernel-loader.ts';
import { Machine } from '../../machine/machine.ts';
import type { Snapshot } from '../../machine/snapshot.ts';
import { type Engine, type EngineDefinition, type EngineOptions, type GuestStop, requestedStop } from '../engine.ts';
import { FrameMap } from '../frames.ts';

class NativeEngine implements Engine {
  readonly name: string = 'native';
  readonly machine: Machine;
  readonly ledger: Ledger;

  constructor(options: EngineOptions) {
    this.machine = new Machine({
      profile: options.profile,
      ramBytes: options.ramBytes,
      devices: options.devices ?? {},
    });
    this.ledger = this.machine.ledger;
    // A hypervisor can itself be the guest.
    this.machine.cpu.vmx = new Vmx(this.machine.cpu);
    const ram = new FrameMap(this.machine);
    applyBootState(this.machine.cpu, loadKernel(options, ram));
  }

  run(limit: number): GuestStop {
    const { state } = this.machine.memory;
    const stop = this.machine.runGuest(limit);
    switch (stop) {
      case STOP_MARKER:
        return {
          kind: 'marker',
          code: state[MARKER_CODE] as number,
          payload: [state[EBX] as number, state[ECX] as number, state[EDX] as number],
        };
      case STOP_DEADLINE:
        return { kind: 'limit' };
      case STOP_REQUESTED:
        return requestedStop(this.machine);
      case STOP_HALT:
        return { kind: 'hang', message: `The guest halted at ${this.#place()} with nothing that could wake it.` };
      case STOP_SHUTDOWN:
        return { kind: 'crash', message: `The guest triple-faulted at ${this.#place()}.` };
      default:
        throw new Error(`The processor stopped with code ${stop}, which a native guest cannot cause.`);
    }
  }

  translate(linear: number): MachineAddress | null {
    const address = this.machine.cpu.mmu.probe(linear, false, false);
    return address < 0 ? null : (address as MachineAddress);
  }

  /** There is no VMM whose work could be counted. */
  counters(): Readonly<Record<string, number>> {
    return {};
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
  name: 'native',
  what: 'No virtualization: the guest owns the machine. The denominator and the oracle.',
  kernel: 'native',
  variations: {},
  create: (options) => new NativeEngine(options),
};
