/** What the parts of the VT-x VMM share: the processor's VMX, the guest's memory, and the virtual CPU's software state. */
import type { Cpu } from '../../core/cpu.ts';
import { ESP, REG_STRIDE } from '../../core/state.ts';
import { FIELD } from '../../core/vmx/fields.ts';
import type { Vmx } from '../../core/vmx/vmx.ts';
import type { Ledger } from '../../cost/ledger.ts';
import type { Machine } from '../../machine/machine.ts';
import type { FrameMap } from '../frames.ts';
import type { ShadowPaging } from '../shadow-paging/shadow-paging.ts';

/** Slots of Vmm.vcpu: the guest's own view where it differs from what the VMCS holds. */
export const V_CR0 = 0;
export const V_CR3 = 1;
export const V_CR4 = 2;
export const V_HALTED = 3;
/** Event to inject at the next entry: VM-entry interruption information, error code, instruction length. */
export const V_INJECT = 4;
export const V_INJECT_ERROR = 5;
export const V_INJECT_LENGTH = 6;
/** The event whose delivery the last exit interrupted (IDT-vectoring information), not yet settled. */
export const V_VECTORING = 7;
/** 1: interrupt-window exiting is on. */
export const V_WINDOW = 8;
export const V_LAUNCHED = 9;
/** Processor-based controls, window exiting aside. */
export const V_PROC = 10;
export const V_WORDS = 16;

/** Slots of Vmm.counts after the 64 exit reasons. */
export const COUNT_INJECTED_INTERRUPT = 64;
export const COUNT_INJECTED_EXCEPTION = 65;
export const COUNT_REINJECTED = 66;
export const COUNT_EMULATED = 67;
export const COUNT_ABANDONED = 68;
export const COUNTS = 72;

export interface Features {
  readonly ept: boolean;
  readonly vpid: boolean;
  readonly unrestricted: boolean;
  /** Device exits are handled in the host's user mode. */
  readonly userspaceIo: boolean;
}

/** The engine kills the guest: the message is a sentence. */
export class GuestKilled extends Error {}

export interface VmmParts {
  readonly machine: Machine;
  readonly vmx: Vmx;
  readonly frames: FrameMap;
  readonly features: Features;
}

export class Vmm {
  readonly machine: Machine;
  readonly cpu: Cpu;
  readonly state: Int32Array;
  readonly ledger: Ledger;
  readonly vmx: Vmx;
  readonly frames: FrameMap;
  readonly features: Features;
  /** Without EPT. Set once while the VMM is built. */
  shadow: ShadowPaging | null = null;
  readonly vcpu: Int32Array = new Int32Array(V_WORDS);
  /** Exits by reason, then COUNT_*. */
  readonly counts: Float64Array = new Float64Array(COUNTS);

  constructor(parts: VmmParts) {
    this.machine = parts.machine;
    this.cpu = parts.machine.cpu;
    this.state = parts.machine.memory.state;
    this.ledger = parts.machine.ledger;
    this.vmx = parts.vmx;
    this.frames = parts.frames;
    this.features = parts.features;
    parts.machine.register('vtx vcpu', this.vcpu);
    parts.machine.register('vtx counts', this.counts);
  }

  count(counter: number): void {
    this.counts[counter] = (this.counts[counter] as number) + 1;
  }

  /** VMREAD, charged. */
  read(field: number): number {
    return this.vmx.read(field);
  }
  /** VMWRITE, charged. */
  write(field: number, value: number): void {
    this.vmx.write(field, value);
  }

  /** General register by number, as the guest has it: all but ESP stay in the registers at an exit. */
  register(number: number): number {
    return number * REG_STRIDE === ESP ? this.read(FIELD.guestRsp) : (this.state[number * REG_STRIDE] as number);
  }
  setRegister(number: number, value: number): void {
    if (number * REG_STRIDE === ESP) this.write(FIELD.guestRsp, value);
    else this.state[number * REG_STRIDE] = value;
  }

  /** The guest's CPL, for book-keeping that no VMM does and that is not charged. */
  get guestCpl(): number {
    return (this.vmx.vmcs.get(FIELD.guestSsRights) >>> 5) & 3;
  }

  /** The guest's instruction has been carried out: moves past it and ends an interrupt shadow, as it would have. */
  skip(): void {
    const length = this.read(FIELD.exitInstructionLength);
    this.write(FIELD.guestRip, (this.read(FIELD.guestRip) + length) | 0);
    this.endShadow();
    this.cpu.retireEmulated(this.guestCpl);
  }

  endShadow(): void {
    const blocked = this.read(FIELD.guestInterruptibility);
    if ((blocked & 3) !== 0) this.write(FIELD.guestInterruptibility, blocked & ~3);
  }
}
