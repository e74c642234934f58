/**
 * Entering the guest kernel: the frame that stands in for the one a processor pushes (public/arch-x86/xen-x86_32.h).
 * From the stack's top: [error code] EIP, CS with the event mask in bits 16-23, EFLAGS with IF = not masked, and if the
 * guest came from ring 3 its ESP and SS. A failsafe frame has DS ES FS GS on top instead of an error code.
 */

import type { Cpu } from '../../core/cpu.ts';
import { BASE, CPL, CS, DS, EIP, ES, ESP, FS, GS, SELECTOR, SS, segmentSlot } from '../../core/state.ts';
import { eventNumber } from '../../cost/event.ts';
import { IF, IOPL, NT, RF, TF, VM } from '../../isa/eflags.ts';
import { COUNT_FAILSAFE, COUNT_UPCALL, type Counters } from './counters.ts';
import { DomainCrash } from './domain-crash.ts';
import type { EventChannels } from './event-channels.ts';
import type { GuestMemory } from './guest-memory.ts';
import type { Segments } from './segments.ts';
import {
  EVENT_CS,
  EVENT_EIP,
  FAILSAFE_CS,
  FAILSAFE_EIP,
  FAILSAFE_MASKS,
  KERNEL_SP,
  KERNEL_SS,
  TRAP_ADDRESS,
  TRAP_CS,
  TRAP_FLAGS,
  TRAP_STRIDE,
  TRAPS,
  VIRTUAL_IOPL,
} from './vcpu.ts';

const DELIVER = eventNumber('deliverEvent');
/** trap_info flag: the handler starts with events masked. */
export const TRAP_MASKS = 4;

const CS_SELECTOR = segmentSlot(CS) + SELECTOR;
const SS_SELECTOR = segmentSlot(SS) + SELECTOR;
const SS_BASE = segmentSlot(SS) + BASE;

export class Bounce {
  readonly #cpu: Cpu;
  readonly #vcpu: Int32Array;
  readonly #guest: GuestMemory;
  readonly #segments: Segments;
  readonly #events: EventChannels;
  readonly #counters: Counters;
  #sp = 0;

  constructor(
    cpu: Cpu,
    vcpu: Int32Array,
    guest: GuestMemory,
    segments: Segments,
    events: EventChannels,
    counters: Counters,
  ) {
    this.#cpu = cpu;
    this.#vcpu = vcpu;
    this.#guest = guest;
    this.#segments = segments;
    this.#events = events;
    this.#counters = counters;
  }

  /** Sends the guest to its handler of `vector`. `error` is undefined if the exception has no error code. */
  trap(vector: number, error?: number): void {
    const V = this.#vcpu;
    const at = TRAPS + TRAP_STRIDE * vector;
    if (V[at + TRAP_CS] === 0) {
      throw new DomainCrash(`The guest has no handler for exception ${vector}, raised at ${this.#place()}.`);
    }
    this.#counters.bounces[vector]++;
    const masks = ((V[at + TRAP_FLAGS] as number) & TRAP_MASKS) !== 0;
    this.#begin(`exception ${vector}`, masks);
    if (error !== undefined) this.#push(error);
    this.#enter(V[at + TRAP_CS] as number, V[at + TRAP_ADDRESS] as number);
  }

  /** Calls the guest's event callback, with further events masked. */
  upcall(): void {
    const V = this.#vcpu;
    if (V[EVENT_CS] === 0) throw new DomainCrash('The guest unmasked events without setting an event callback.');
    this.#counters.count(COUNT_UPCALL);
    this.#begin('an event', true);
    this.#enter(V[EVENT_CS] as number, V[EVENT_EIP] as number);
  }

  /** Calls the failsafe callback: a frame or segment that the guest wanted loaded cannot be. */
  failsafe(): void {
    const V = this.#vcpu;
    const S = this.#cpu.memory.state;
    if (V[FAILSAFE_CS] === 0) {
      throw new DomainCrash('The guest returned to a frame that cannot be loaded, and has no failsafe callback.');
    }
    this.#counters.count(COUNT_FAILSAFE);
    const selectors = [GS, FS, ES, DS].map((segment) => S[segmentSlot(segment) + SELECTOR] as number);
    this.#begin('a failsafe callback', V[FAILSAFE_MASKS] !== 0);
    for (const selector of selectors) this.#push(selector);
    for (const segment of [GS, FS, ES, DS]) this.#segments.clear(segment);
    this.#enter(V[FAILSAFE_CS] as number, V[FAILSAFE_EIP] as number);
  }

  /** Finds the stack and pushes what all frames have. */
  #begin(what: string, masks: boolean): void {
    const cpu = this.#cpu;
    const S = cpu.memory.state;
    const V = this.#vcpu;
    cpu.ledger.charge(DELIVER);
    const eflags = cpu.eflags();
    const masked = this.#events.masked;
    const [cs, ss, esp, eip] = [S[CS_SELECTOR], S[SS_SELECTOR], S[ESP], S[EIP]];
    if (S[CPL] !== 1) {
      if (!this.#segments.loadStack(V[KERNEL_SS] as number, 1)) {
        throw new DomainCrash(
          `The guest's kernel stack ${hex(V[KERNEL_SS])}:${hex(V[KERNEL_SP])} cannot be loaded for ${what}.`,
        );
      }
      this.#sp = V[KERNEL_SP] as number;
      this.#push(ss);
      this.#push(esp);
    } else {
      this.#sp = esp;
    }
    const kept = eflags & ~(IF | IOPL);
    this.#push(kept | (masked ? 0 : IF) | ((V[VIRTUAL_IOPL] as number) << 12));
    this.#push(cs | (masked ? 0x10000 : 0));
    this.#push(eip);
    if (masks) this.#events.masked = true;
  }

  #push(value: number): void {
    this.#sp = (this.#sp - 4) | 0;
    const linear = ((this.#cpu.memory.state[SS_BASE] as number) + this.#sp) >>> 0;
    if (!this.#guest.store32(linear, value)) {
      throw new DomainCrash(`The guest's kernel stack at ${hex(linear)} cannot be written.`);
    }
  }

  #enter(cs: number, eip: number): void {
    const { memory } = this.#cpu;
    const S = memory.state;
    S[ESP] = this.#sp;
    S[EIP] = eip;
    if (!this.#segments.loadCode(cs) || S[CPL] !== 1) {
      throw new DomainCrash(`The guest's handler ${hex(cs)}:${hex(eip)} is not in a ring 1 code segment.`);
    }
    this.#cpu.setEflags((this.#cpu.eflags() & ~(TF | VM | RF | NT)) | IF);
  }

  #place(): string {
    const S = this.#cpu.memory.state;
    return `${hex(S[CS_SELECTOR])}:${hex(S[EIP])}`;
  }
}

function hex(value: number): string {
  return `0x${(value >>> 0).toString(16)}`;
}
