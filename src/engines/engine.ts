/**
 * The one interface of the four engines. An engine owns a machine, boots a guest image on it and runs it until
 * something happens that the suite must know of. Everything else (how a privileged instruction is carried out, who
 * owns the page tables) is its own affair.
 */
import type { MachineAddress } from '../core/address.ts';
import type { Ledger } from '../cost/ledger.ts';
import type { Profile } from '../cost/profile.ts';
import type { Machine } from '../machine/machine.ts';
import type { DeviceOptions } from '../machine/peripherals.ts';
import type { Snapshot } from '../machine/snapshot.ts';

export interface EngineOptions {
  readonly profile: Profile;
  /** Switches after `~` in the engine's name, sorted: ['noept', 'novpid']. */
  readonly variation: readonly string[];
  /** Guest RAM in bytes, a multiple of 4 MB. */
  readonly ramBytes: number;
  /** The guest image: an ELF32 file (multiboot, or Xen-annotated for paravirt) or a Linux bzImage. */
  readonly image: Uint8Array;
  /** An initial RAM disk, for Linux. */
  readonly initrd?: Uint8Array;
  readonly commandLine: string;
  /** Disks and virtio devices beside the chips that every machine has. */
  readonly devices?: DeviceOptions;
}

/** Why a guest came to rest. Cycles are absolute virtual time. */
export type GuestStop =
  | {
      readonly kind: 'marker';
      readonly code: number;
      readonly payload: readonly [ebx: number, ecx: number, edx: number];
    }
  | { readonly kind: 'exit'; readonly status: number }
  | { readonly kind: 'limit' }
  /** The guest reset the machine or switched it off. */
  | { readonly kind: 'reset' | 'off' }
  /** HLT with interrupts off and nothing to wake it. */
  | { readonly kind: 'hang'; readonly message: string }
  /** Triple fault, or the engine killed the guest (domain crash, internal limit): the message is a sentence. */
  | { readonly kind: 'crash'; readonly message: string };

export interface Engine {
  /** Full name with variation: 'vtx~noept'. */
  readonly name: string;
  readonly machine: Machine;
  readonly ledger: Ledger;
  /** Runs until a stop or until virtual time reaches `limit` (cycles). May be called again after 'marker' and 'limit'. */
  run(limit: number): GuestStop;
  /** Machine address of a guest-linear address under the guest's current address space, or null if not mapped. */
  translate(linear: number): MachineAddress | null;
  /** Engine-specific event counts by name ('hiddenFault', 'hypercall mmu_update', 'exit cpuid'): deterministic, part of the exact track. */
  counters(): Readonly<Record<string, number>>;
  snapshot(): Snapshot;
  restore(snapshot: Snapshot): void;
}

/** What a device asked for that stopped the processor (STOP_REQUESTED). */
export function requestedStop(machine: Machine): GuestStop {
  const { request } = machine.power;
  return request === null ? { kind: 'exit', status: machine.debugExit.status ?? 0 } : { kind: request };
}

export interface EngineDefinition {
  readonly name: string;
  /** One sentence for `trivisor list`. */
  readonly what: string;
  /** Which of the two built kernels it boots. */
  readonly kernel: 'native' | 'xen';
  /** Its switches, each with one sentence. */
  readonly variations: Readonly<Record<string, string>>;
  create(options: EngineOptions): Engine;
}
