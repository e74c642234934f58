/**
 * The processor: its parts, and the run loop of tier 0.
 *
 * The loop runs blocks of predecoded records (code-cache.ts). Events are looked at only between blocks, by one compare of
 * virtual time with DEADLINE; whatever may need attention sooner sets DEADLINE to -1. A handler that cannot complete
 * throws one of two constants (signals.ts), and the record it was called with tells the precise instruction.
 */

import { eventNumber } from '../cost/event.ts';
import type { Ledger } from '../cost/ledger.ts';
import type { Profile } from '../cost/profile.ts';
import { ALWAYS_SET, ARITHMETIC, IF } from '../isa/eflags.ts';
import type { LocalApicPort, MemoryPort, MmioBus, PortBus } from './buses.ts';
import { CodeCache } from './code-cache.ts';
import { readEflags, setArithmeticFlags } from './flags.ts';
import { AGAIN, type Cursor, createDispatcher, THROWN } from './interpreter/dispatcher.ts';
import {
  B_BYTES,
  B_CLASS,
  B_COST,
  B_FLAGS,
  B_LINK_EPOCH,
  B_LINK0,
  B_LINK0_EIP,
  B_LINK1,
  B_LINK1_EIP,
  B_MODE,
  B_SECOND_PAGE,
  END_BLOCK,
  END_CHARGED,
  END_SYSTEM,
  HEADER_WORDS,
  INFO_INDEX_MASK,
  INFO_INDEX_SHIFT,
  INFO_LENGTH_SHIFT,
  INFO_OFFSET_MASK,
  LINKABLE,
  R_COST,
  R_INFO,
  STRADDLES,
} from './interpreter/record.ts';
import { Interrupts } from './interrupts.ts';
import type { MachineMemory } from './memory.ts';
import { computeMode, MODE_EMULATE, MODE_NARROW, MODE_SINGLE, SHAPE_FLAT, shapeOf } from './mode.ts';
import { Mmu } from './paging/mmu.ts';
import { resetProcessor } from './reset.ts';
import { Segmentation } from './segmentation.ts';
import {
  FAULT,
  GP,
  NMI,
  raiseWithError,
  STOP_DEADLINE,
  STOP_HALT,
  STOP_NONE,
  STOP_REQUESTED,
  STOP_TRAP,
  VM_EXIT,
} from './signals.ts';
import * as slot from './state.ts';
import { System } from './system/system.ts';
import type { VmxHooks } from './vmx-hooks.ts';

const INTERRUPT = eventNumber('interruptEntry');
const CS_BASE = slot.segmentSlot(slot.CS) + slot.BASE;
/** SDM volume 2A, 2.3.11. */
const LONGEST_INSTRUCTION = 15;
const CS_LIMIT = slot.segmentSlot(slot.CS) + slot.LIMIT;

export interface CpuParts {
  readonly memory: MachineMemory;
  readonly profile: Profile;
  readonly ledger: Ledger;
  readonly ports: PortBus;
  readonly mmio: MmioBus;
}

export class Cpu {
  readonly memory: MachineMemory;
  readonly profile: Profile;
  readonly ledger: Ledger;
  readonly ports: PortBus;
  readonly mmio: MmioBus;
  readonly mmu: Mmu;
  readonly segmentation: Segmentation;
  readonly interrupts: Interrupts;
  readonly system: System;
  readonly code: CodeCache;
  /** The VMX extension, if this processor has it. */
  vmx: VmxHooks | null = null;
  /** The local APIC, if the machine has put one in. */
  localApic: LocalApicPort | null = null;
  /** Called at a boundary when CYCLES has reached NEXT_EVENT: the machine runs the due device events. */
  onDeviceTime: () => void = () => {};
  /** Called when an external interrupt is taken through the IDT: the interrupt controller's acknowledge cycle. */
  acknowledgeInterrupt: () => number = () => 0;
  /** FERR#: an x87 exception waits and CR0.NE is 0, so that the board's interrupt must report it. */
  onFerr: () => void = () => {};

  readonly #cursor: Cursor = { block: 0, last: 0, entry: 0, signal: null };
  readonly #dispatch: (block: number) => number;

  constructor(parts: CpuParts) {
    this.memory = parts.memory;
    this.profile = parts.profile;
    this.ledger = parts.ledger;
    this.ports = parts.ports;
    this.mmio = parts.mmio;
    this.mmu = new Mmu(this);
    this.segmentation = new Segmentation(this);
    this.interrupts = new Interrupts(this);
    this.system = new System(this);
    this.code = new CodeCache(this);
    this.#dispatch = createDispatcher(this, this.#cursor);
    const { time } = this.memory;
    resetProcessor(this);
    time[slot.DEADLINE] = -1;
    time[slot.BUDGET] = Number.POSITIVE_INFINITY;
    time[slot.NEXT_EVENT] = Number.POSITIVE_INFINITY;
  }

  eflags(): number {
    return readEflags(this.memory.state);
  }

  /** Loads the whole EFLAGS register, without checks. */
  setEflags(value: number): void {
    setArithmeticFlags(this.memory.state, value);
    this.memory.state[slot.EFLAGS_SYSTEM] = (value & ~ARITHMETIC) | ALWAYS_SET;
    this.updateMode();
    this.attention();
  }

  /** Something that an event check must see has changed: the next block boundary looks. */
  attention(): void {
    this.memory.time[slot.DEADLINE] = -1;
  }

  /** The NMI pin rises, or an NMI message arrives: it is latched until it can be delivered (SDM 3A 6.7). */
  raiseNmi(): void {
    this.memory.state[slot.NMI_PENDING] = 1;
    this.attention();
  }

  /** To be called after any change of CPL, segment registers, CR0, CR4 or EFLAGS.VM. */
  updateMode(): void {
    this.memory.state[slot.MODE] = computeMode(this.memory.state, this.mmu.truncatedLimit);
    this.memory.state[slot.FETCH_PAGE] = -1;
  }

  /** Counts an instruction that a VMM carried out on the guest's behalf as retired at `cpl`. */
  retireEmulated(cpl: number): void {
    const { time } = this.memory;
    time[slot.RETIRED + cpl] = (time[slot.RETIRED + cpl] as number) + 1;
  }

  /** Runs until a stop (signals.ts). On return EIP is exact and everything up to it is charged. */
  run(): number {
    const S = this.memory.state;
    const T = this.memory.time;
    const cursor = this.#cursor;
    const C = this.code.code;
    let block = 0;
    this.attention();
    for (;;) {
      cursor.last = 0;
      let end: number;
      try {
        if ((T[slot.CYCLES] as number) >= (T[slot.DEADLINE] as number)) {
          const stop = this.#boundary();
          if (stop !== STOP_NONE) return this.#stopped(stop);
          block = 0;
        }
        if (block === 0) block = this.#enter(S[slot.SHADOW] === 0 ? 0 : MODE_SINGLE);
        end = this.#dispatch(block);
        block = 0;
        if (end === END_BLOCK && S[slot.SHADOW] === 0) block = this.#follow(cursor.block, S[slot.EIP] as number);
      } catch (signal) {
        // The fetch of the next block faulted, or an event at the boundary ended in a VM exit.
        cursor.signal = signal;
        cursor.last = 0;
        end = THROWN;
      }
      if (end === END_BLOCK || end === END_CHARGED) {
        // A block in an interrupt shadow is one instruction long and never linked, so it always comes by here.
        if (S[slot.SHADOW] !== 0) this.#endShadow();
        continue;
      }
      if (end === AGAIN) {
        block = cursor.block;
        this.code.sample(block);
        continue;
      }
      if (end === THROWN) {
        const stop = this.#recover(cursor.signal, cursor.last, cursor.entry);
        if (stop !== STOP_NONE) return this.#stopped(stop);
        block = 0;
        continue;
      }
      const ended = cursor.block;
      T[slot.CYCLES] = (T[slot.CYCLES] as number) + (C[ended + B_COST] as number) - (C[cursor.last + R_COST] as number);
      S[slot.RETIRED_PENDING] = (S[slot.RETIRED_PENDING] as number) + 1;
      S[slot.PRECHARGED] = 0;
      if (((C[ended + B_MODE] as number) & MODE_SINGLE) !== 0) this.#endShadow();
      if (end !== END_SYSTEM) return this.#stopped(END_SYSTEM - end);
    }
  }

  /** Folds the ledger, so that whoever sees the stop sees exact counters. */
  #stopped(stop: number): number {
    this.ledger.fold();
    return stop;
  }

  /** An instruction has completed in an interrupt shadow: the shadow is over, and interrupts may be due. */
  #endShadow(): void {
    this.memory.state[slot.SHADOW] = 0;
    this.attention();
  }

  /** Looks up the block at EIP for the current mode. May raise #PF or #GP(0) on the fetch. */
  #enter(modeBits: number): number {
    const S = this.memory.state;
    const eip = S[slot.EIP] as number;
    const mode = (S[slot.MODE] as number) | modeBits;
    const linear = ((S[CS_BASE] as number) + eip) | 0;
    const room =
      shapeOf(mode, slot.CS) === SHAPE_FLAT
        ? Number.POSITIVE_INFINITY
        : ((S[CS_LIMIT] as number) >>> 0) - (eip >>> 0) + 1;
    if (room <= 0) raiseWithError(S, GP, 0);
    const page = this.mmu.fetchPage(linear);
    const retired = this.#retirementClass(linear);
    if (retired !== S[slot.RETIRED_CLASS]) {
      this.ledger.fold();
      S[slot.RETIRED_CLASS] = retired;
    }
    const C = this.code.code;
    let block = room < LONGEST_INSTRUCTION ? 0 : this.code.find(page | (linear & 0xfff), linear, mode);
    if (room !== Number.POSITIVE_INFINITY && (block === 0 || (C[block + B_BYTES] as number) > room)) {
      // The code segment ends within the block: one instruction at a time, and none beyond the limit.
      block = this.code.find(page | (linear & 0xfff), linear, mode | MODE_NARROW, room);
    }
    C[block + B_CLASS] = retired;
    if (((C[block + B_FLAGS] as number) & STRADDLES) !== 0 && room > 4096 - (linear & 0xfff)) {
      const second = this.mmu.fetchPage(((linear & ~0xfff) + 4096) | 0);
      if (second !== C[block + B_SECOND_PAGE]) {
        this.code.discard(block);
        return this.#enter(modeBits);
      }
    }
    if ((C[block + B_BYTES] as number) > room) raiseWithError(S, GP, 0);
    return block;
  }

  /** The block after `block`, which ended at `eip`; remembers it as a link where that is sound. 0 if events are due first. */
  #follow(block: number, eip: number): number {
    const { code: C, epoch } = this.code;
    const T = this.memory.time;
    if ((T[slot.CYCLES] as number) >= (T[slot.DEADLINE] as number)) return 0;
    const linkable = ((C[block + B_FLAGS] as number) & LINKABLE) !== 0;
    const next = this.#enter(0);
    // Decoding may have emptied the store; then `block` is gone.
    if (!linkable || this.code.epoch !== epoch || ((C[next + B_FLAGS] as number) & STRADDLES) !== 0) return next;
    this.code.remember(eip, next);
    if (C[block + B_LINK_EPOCH] !== epoch) {
      C[block + B_LINK_EPOCH] = epoch;
      C[block + B_LINK0_EIP] = eip;
      C[block + B_LINK0] = next;
      C[block + B_LINK1] = 0;
    } else {
      C[block + B_LINK1_EIP] = eip;
      C[block + B_LINK1] = next;
    }
    return next;
  }

  #retirementClass(linear: number): number {
    const S = this.memory.state;
    const cpl = S[slot.CPL] as number;
    if (cpl !== 1) return cpl;
    const page = linear >>> 12;
    const inZone = page >= (S[slot.CACHE_ZONE_FIRST_PAGE] as number) && page < (S[slot.CACHE_ZONE_END_PAGE] as number);
    return inZone ? slot.RETIRED_IN_CACHE : 1;
  }

  /**
   * A handler (or the fetch, `last` = 0) threw: charges what had retired, restores EIP to the instruction and
   * delivers the fault or finishes the VM exit. Returns a stop, or STOP_NONE to go on.
   */
  #recover(signal: unknown, last: number, entry: number): number {
    if (signal !== FAULT && signal !== VM_EXIT) throw signal;
    const S = this.memory.state;
    const T = this.memory.time;
    S[slot.INSTRUCTION_LENGTH] = 0;
    if (last !== 0) {
      const info = this.code.code[last + R_INFO] as number;
      if (S[slot.PRECHARGED] === 0) {
        T[slot.CYCLES] = (T[slot.CYCLES] as number) + (this.code.code[last + R_COST] as number);
        S[slot.RETIRED_PENDING] = (S[slot.RETIRED_PENDING] as number) + ((info >> INFO_INDEX_SHIFT) & INFO_INDEX_MASK);
      }
      S[slot.EIP] = (entry + (info & INFO_OFFSET_MASK)) | 0;
      S[slot.INSTRUCTION_LENGTH] = info >> INFO_LENGTH_SHIFT;
    }
    S[slot.PRECHARGED] = 0;
    if (signal === FAULT) {
      // Delivery may itself exit (exception bitmap): that is thrown as VM_EXIT from here.
      try {
        const stop = this.interrupts.deliver();
        S[slot.SHADOW] = 0;
        return stop;
      } catch (nested) {
        if (nested !== VM_EXIT) throw nested;
      }
    }
    return (this.vmx as VmxHooks).completeExit();
  }

  /** Looks at everything that waits for a block boundary. Returns a stop, or STOP_NONE with DEADLINE set anew. */
  #boundary(): number {
    const S = this.memory.state;
    const T = this.memory.time;
    if ((T[slot.CYCLES] as number) >= (T[slot.NEXT_EVENT] as number)) this.onDeviceTime();
    if (S[slot.STOP_REQUEST] !== 0) {
      S[slot.STOP_REQUEST] = 0;
      return STOP_REQUESTED;
    }
    const open = S[slot.SHADOW] === 0;
    if (S[slot.NMI_PENDING] !== 0 && S[slot.NMI_BLOCKED] === 0 && open && S[slot.HOSTED] === 0) {
      const stop = this.#nonMaskable();
      if (stop !== STOP_NONE) return stop;
    }
    if (S[slot.VMX_MODE] === 2) {
      const vmx = this.vmx as VmxHooks;
      if (S[slot.HOST_INTR] !== 0 || S[slot.INTR] !== 0) vmx.externalInterrupt();
      if (open && ((S[slot.EFLAGS_SYSTEM] as number) & IF) !== 0) vmx.interruptWindow();
    } else if (S[slot.HOSTED] !== 0) {
      if (S[slot.HOST_INTR] !== 0) {
        S[slot.HOST_INTR] = 0;
        S[slot.EVENT_KIND] = slot.EVENT_EXTERNAL;
        S[slot.EVENT_VECTOR] = -1;
        S[slot.EVENT_HAS_ERROR] = 0;
        this.ledger.charge(INTERRUPT);
        return STOP_TRAP;
      }
    } else if (open && S[slot.INTR] !== 0 && ((S[slot.EFLAGS_SYSTEM] as number) & IF) !== 0) {
      S[slot.ACTIVITY] = 0;
      S[slot.EVENT_VECTOR] = this.acknowledgeInterrupt();
      S[slot.EVENT_KIND] = slot.EVENT_EXTERNAL;
      S[slot.EVENT_HAS_ERROR] = 0;
      const stop = this.interrupts.deliver();
      if (stop !== STOP_NONE) return stop;
    }
    if (S[slot.ACTIVITY] !== 0) return STOP_HALT;
    if ((T[slot.CYCLES] as number) >= (T[slot.BUDGET] as number)) return STOP_DEADLINE;
    T[slot.DEADLINE] = Math.min(T[slot.BUDGET] as number, T[slot.NEXT_EVENT] as number);
    return STOP_NONE;
  }

  /** Delivers the latched NMI. Under a VMM outside it is the guest's NMI and the VMM injects it. */
  #nonMaskable(): number {
    const S = this.memory.state;
    if (S[slot.VMX_MODE] === 2 && (this.vmx as VmxHooks).nonMaskableInterrupt()) return STOP_NONE;
    S[slot.NMI_PENDING] = 0;
    S[slot.ACTIVITY] = 0;
    S[slot.EVENT_VECTOR] = NMI;
    S[slot.EVENT_KIND] = slot.EVENT_NMI;
    S[slot.EVENT_HAS_ERROR] = 0;
    return this.interrupts.deliver();
  }

  /**
   * A VMM carries out the one instruction at EIP: the same handlers run, with every data access going to `port`.
   * Returns the instruction's length; EIP is then after it. It is neither charged nor counted as retired (see
   * retireEmulated). Throws FAULT, with EVENT_* set and no state changed, if the instruction or the port faults.
   */
  emulateOne(port: MemoryPort): number {
    const S = this.memory.state;
    const T = this.memory.time;
    const C = this.code.code;
    const entry = S[slot.EIP] as number;
    const cycles = T[slot.CYCLES] as number;
    const events = T[slot.EVENT_CYCLES_TOTAL] as number;
    const pending = S[slot.RETIRED_PENDING] as number;
    const linear = ((S[CS_BASE] as number) + entry) | 0;
    const block = this.code.find(
      this.mmu.fetchPage(linear) | (linear & 0xfff),
      linear,
      (S[slot.MODE] as number) | MODE_SINGLE | MODE_EMULATE,
    );
    const record = block + HEADER_WORDS;
    const length = (C[record + R_INFO] as number) >> INFO_LENGTH_SHIFT;
    const before = this.mmu.port;
    this.mmu.port = port;
    try {
      const p = this.code.handlers.handlers[C[record] as number]!(record);
      if (p > 0) S[slot.EIP] = (entry + length) | 0;
    } catch (signal) {
      S[slot.EIP] = entry;
      throw signal;
    } finally {
      this.mmu.port = before;
      S[slot.PRECHARGED] = 0;
      S[slot.RETIRED_PENDING] = pending;
      // Only the events that the emulation itself caused stay charged.
      T[slot.CYCLES] = cycles + (T[slot.EVENT_CYCLES_TOTAL] as number) - events;
    }
    return length;
  }
}
