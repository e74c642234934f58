/**
 * The hypervisor: one domain with one virtual processor, and everything it may ask for. The parts live in their own files;
 * here is what joins them: the dispatch of what reaches ring 0, and the operations that several hypercalls share.
 */

import type { MachineAddress } from '../../core/address.ts';
import type { Cpu } from '../../core/cpu.ts';
import { ACTIVITY, CPL, CR0, CR0_TS, CR3, CYCLES, NEXT_EVENT } from '../../core/state.ts';
import { eventNumber } from '../../cost/event.ts';
import type { Machine } from '../../machine/machine.ts';
import { Bounce } from './bounce.ts';
import { COUNT_TIMER, COUNT_TLB_FLUSH, Counters } from './counters.ts';
import { EINVAL, EPERM } from './errno.ts';
import { EventChannels, VIRQ_TIMER } from './event-channels.ts';
import { GuestMemory } from './guest-memory.ts';
import { fillHypercallPage } from './hypercall-page.ts';
import { HypervisorArea } from './hypervisor-area.ts';
import { HYPERVISOR_START } from './layout.ts';
import { PageTables } from './page-tables.ts';
import { PageTypes, TYPE_L3, TYPE_WRITABLE } from './page-types.ts';
import { Segments } from './segments.ts';
import { ARCH_CR2 } from './shared-info.ts';
import { SystemTime } from './time.ts';
import {
  BASE_FRAME,
  BLOCKED,
  DEBUG_REGISTERS,
  GUEST_CR2,
  GUEST_TS,
  POLL_COUNT,
  POLL_PORTS,
  SHUTDOWN,
  STATE_ENTRY,
  TIME_BLOCKED,
  TIME_RUNNING,
  TLB_CLOCK,
  VCPU_TIMES,
  VCPU_WORDS,
} from './vcpu.ts';

const TOUCH = eventNumber('vmmTouch');

/** States of BLOCKED. */
const RUNNING = 0;
const WAITING = 1;
const POLLING = 2;
/** POLL_COUNT when the wait has lasted as long as it may. */
const POLL_EXPIRED = -1;

export interface HypervisorOptions {
  readonly machine: Machine;
  /** First of the frames that are the hypervisor's own. */
  readonly firstFrame: number;
  /** False: no hypercall does more than one operation an entry (variation nobatch). */
  readonly batching: boolean;
}

export class Hypervisor {
  readonly machine: Machine;
  readonly cpu: Cpu;
  readonly batching: boolean;
  readonly vcpu: Int32Array = new Int32Array(VCPU_WORDS);
  readonly times: Float64Array = new Float64Array(VCPU_TIMES);
  readonly counters: Counters = new Counters();
  readonly area: HypervisorArea;
  readonly guest: GuestMemory;
  readonly pages: PageTypes;
  readonly tables: PageTables;
  readonly segments: Segments;
  readonly events: EventChannels;
  readonly clock: SystemTime;
  readonly bounce: Bounce;
  /** Frames that the domain has given back, as a stack of BALLOON_COUNT. */
  readonly balloon: Int32Array;
  /** Machine address of the shared page. */
  readonly shared: number;

  constructor(options: HypervisorOptions) {
    const { machine } = options;
    this.machine = machine;
    this.cpu = machine.cpu;
    this.batching = options.batching;
    this.area = new HypervisorArea(machine.cpu, options.firstFrame);
    this.shared = this.area.sharedFrame * 4096;
    this.guest = new GuestMemory(machine.cpu);
    this.pages = new PageTypes(machine.memory, machine.ledger, {
      flushTlb: () => this.flushTlb(),
      tlbClock: () => this.vcpu[TLB_CLOCK] as number,
      fillHole: (table) => this.area.fillHole(table),
    });
    this.tables = new PageTables(machine.cpu, this.pages, () => this.flushTlb());
    this.segments = new Segments(machine.cpu);
    this.events = new EventChannels(machine.cpu, this.shared);
    this.clock = new SystemTime(machine.cpu, machine.events, this.shared, this.times);
    this.clock.onTimer = () => {
      this.counters.count(COUNT_TIMER);
      this.events.raiseVirq(VIRQ_TIMER);
    };
    this.clock.onPollLimit = () => {
      this.vcpu[POLL_COUNT] = POLL_EXPIRED;
    };
    this.bounce = new Bounce(machine.cpu, this.vcpu, this.guest, this.segments, this.events, this.counters);
    this.balloon = new Int32Array(machine.memory.size >>> 12);
    this.#register();
    this.area.install();
    // The shared page is mapped and written by both sides for good: it can never become a page table.
    this.pages.allocate(this.area.sharedFrame);
    this.pages.getPageAndType(this.area.sharedFrame, TYPE_WRITABLE);
  }

  #register(): void {
    const { machine, pages, events, counters } = this;
    const arrays = {
      vcpu: this.vcpu,
      times: this.times,
      balloon: this.balloon,
      types: pages.types,
      flags: pages.flags,
      'type counts': pages.typeCounts,
      'total counts': pages.totalCounts,
      stamps: pages.stamps,
      validated: pages.validated,
      'port states': events.states,
      'port details': events.details,
      virqs: events.virqs,
      counts: counters.counts,
      hypercalls: counters.hypercalls,
      bounces: counters.bounces,
      emulations: counters.emulations,
    };
    for (const [name, array] of Object.entries(arrays)) machine.register(`xen ${name}`, array);
  }

  /** Loads CR3 again: drops all translations but the hypervisor's global ones. */
  flushTlb(): void {
    this.counters.count(COUNT_TLB_FLUSH);
    this.vcpu[TLB_CLOCK]++;
    this.cpu.mmu.setCr3(this.cpu.memory.state[CR3] as number);
  }

  /** Switches to the address space of a level-3 table, and gives back the old one. 0 or EINVAL. */
  setBase(frame: number): number {
    const V = this.vcpu;
    const error = this.pages.getPageAndType(frame, TYPE_L3);
    if (error !== 0) return error;
    const old = V[BASE_FRAME] as number;
    V[BASE_FRAME] = frame;
    V[TLB_CLOCK]++;
    this.counters.count(COUNT_TLB_FLUSH);
    this.cpu.mmu.setCr3(frame << 12);
    // Only now: undoing the old tables while the processor still walks them would be too early.
    this.pages.putPageAndType(old);
    return 0;
  }

  /** The guest's CR0.TS, which for lazy floating point is also the real one. */
  setTaskSwitched(set: boolean): void {
    const S = this.cpu.memory.state;
    this.vcpu[GUEST_TS] = set ? 1 : 0;
    S[CR0] = set ? (S[CR0] as number) | CR0_TS : (S[CR0] as number) & ~CR0_TS;
    this.cpu.updateMode();
  }

  /** A breakpoint address must be the guest's own. 0, EPERM or EINVAL. */
  setDebugRegister(index: number, value: number): number {
    if (index >>> 0 > 7) return EINVAL;
    if (index < 4 && value >>> 0 >= HYPERVISOR_START) return EPERM;
    this.vcpu[DEBUG_REGISTERS + index] = value;
    return 0;
  }

  /** WRMSR to the hypercall-page MSR: `address` is pseudo-physical, low bits the page's index. */
  fillHypercallPageAt(address: number): boolean {
    if ((address & 0xfff) !== 0) return false;
    const frame = this.pseudoFrame(address >>> 12);
    if (frame < 0 || this.pages.getPageAndType(frame, TYPE_WRITABLE) !== 0) return false;
    fillHypercallPage(this.cpu.memory, frame * 4096);
    this.pages.putPageAndType(frame);
    return true;
  }

  /** Machine frame of a pseudo-physical frame number by the machine-to-physical table, or -1. */
  pseudoFrame(pfn: number): number {
    for (let frame = 0; frame <= this.area.m2pLast; frame++) {
      if (this.pages.owned(frame) && this.area.m2p(frame) === pfn) return frame;
    }
    return -1;
  }

  /** #PF for the guest: CR2 goes to the shared page, and the user bit says whether its kernel or a program did it. */
  reportPageFault(linear: number, error: number): void {
    const kernel = this.cpu.memory.state[CPL] === 1;
    this.vcpu[GUEST_CR2] = linear;
    this.cpu.memory.write32((this.shared + ARCH_CR2) as MachineAddress, linear);
    this.cpu.ledger.charge(TOUCH);
    this.bounce.trap(14, kernel ? error & ~4 : error | 4);
  }

  /** Waits for an event; events are unmasked first, so that none can come between (public/sched.h). */
  block(): void {
    this.events.masked = false;
    if (!this.events.upcallDue) this.#wait(WAITING);
  }

  /** Waits for one of the ports in POLL_PORTS, whatever the mask. */
  poll(): void {
    if (!this.events.upcallDue && !this.#pollDone()) this.#wait(POLLING);
  }

  /** Whether a list must stop after the operation just done: without batching, or because an interrupt or event is due. */
  get preempts(): boolean {
    if (!this.batching || this.events.upcallDue) return true;
    const { time } = this.cpu.memory;
    return (time[CYCLES] as number) >= (time[NEXT_EVENT] as number);
  }

  get waiting(): boolean {
    return this.vcpu[BLOCKED] !== RUNNING;
  }

  /** Ends the wait if what it is for has come. */
  wake(): void {
    const V = this.vcpu;
    if (!this.events.upcallDue && (V[BLOCKED] !== POLLING || !this.#pollDone())) return;
    V[BLOCKED] = RUNNING;
    this.cpu.memory.state[ACTIVITY] = 0;
    this.clock.setPollLimit(0);
    this.#accountState(TIME_BLOCKED);
    this.clock.publish();
  }

  #wait(state: number): void {
    this.vcpu[BLOCKED] = state;
    this.cpu.memory.state[ACTIVITY] = 1;
    this.#accountState(TIME_RUNNING);
  }

  #pollDone(): boolean {
    const V = this.vcpu;
    if (V[POLL_COUNT] === POLL_EXPIRED) return true;
    for (let index = 0; index < (V[POLL_COUNT] as number); index++) {
      if (this.events.pending(V[POLL_PORTS + index] as number)) return true;
    }
    return false;
  }

  #accountState(slot: number): void {
    const { times, clock } = this;
    times[slot] += clock.now - (times[STATE_ENTRY] as number);
    times[STATE_ENTRY] = clock.now;
  }

  /** The domain is over; the engine reports it when the hypercall is done. */
  shutDown(reason: number): void {
    this.vcpu[SHUTDOWN] = 1 + reason;
  }
}
