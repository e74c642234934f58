/**
 * Delivery of exceptions and interrupts through the IDT (SDM 3A chapter 6): gates, stack switch, error codes, double and
 * triple faults. An event that reaches ring 0 of a hosted processor becomes a host trap instead, and one that VMX
 * intercepts a VM exit.
 */
import { eventNumber } from '../cost/event.ts';
import { AC, IF, NT, RF, TF, VM } from '../isa/eflags.ts';
import type { Cpu } from './cpu.ts';
import { isCode, isConforming, isWritableData, privilegeOf, withinLimit } from './segmentation.ts';
import {
  AC_FAULT,
  BR,
  DE,
  DOUBLE_FAULT,
  FAULT,
  GP,
  MF,
  NM,
  NP,
  PAGE_FAULT,
  raiseWithError,
  SS_FAULT,
  STOP_NONE,
  STOP_SHUTDOWN,
  STOP_TRAP,
  TS,
  UD,
  XM,
} from './signals.ts';
import { StackFrame, setStackPointer } from './stack-frame.ts';
import {
  ACTIVITY,
  BASE,
  CPL,
  CR0,
  CR0_PE,
  CR2,
  CS,
  DS,
  EFLAGS_SYSTEM,
  EIP,
  ES,
  ESP,
  EVENT_ADDRESS,
  EVENT_ERROR,
  EVENT_EXTERNAL,
  EVENT_HARDWARE,
  EVENT_HAS_ERROR,
  EVENT_KIND,
  EVENT_NMI,
  EVENT_SOFTWARE,
  EVENT_SOFTWARE_EXCEPTION,
  EVENT_VECTOR,
  FS,
  GS,
  HOSTED,
  IDTR_BASE,
  IDTR_LIMIT,
  LIMIT,
  NMI_BLOCKED,
  RIGHTS,
  RIGHTS_P,
  SELECTOR,
  SHADOW,
  SS,
  segmentSlot,
  TR,
  VMX_MODE,
} from './state.ts';
import { TASK_BY_GATE, type VmxHooks } from './vmx-hooks.ts';

const EXCEPTION_ENTRY = eventNumber('exceptionEntry');
const SOFTWARE_ENTRY = eventNumber('softwareInterruptEntry');
const INTERRUPT_ENTRY = eventNumber('interruptEntry');

const CS_SLOT = segmentSlot(CS);
const SS_SLOT = segmentSlot(SS);
const TR_SLOT = segmentSlot(TR);
/** In the order an event pushes them when it leaves virtual-8086 mode. */
const DATA_SEGMENTS = [GS, FS, DS, ES];

/** Gate types (SDM 3A table 3-2). */
const TASK_GATE = 5;
const INTERRUPT_GATE_16 = 6;
const TRAP_GATE_16 = 7;
const INTERRUPT_GATE = 14;
const TRAP_GATE = 15;
/** Error-code bit: the selector index is an IDT vector (SDM 3A 6.13). */
const IDT_BIT = 2;

/** Classes of SDM 3A table 6-4. */
const BENIGN = 0;
const CONTRIBUTORY = 1;
const PAGE = 2;

/** Exceptions reported as faults push RF set, so that a breakpoint on the instruction does not fire again (SDM 3B 17.3.1.1). */
const FAULTS = [DE, BR, UD, NM, TS, NP, SS_FAULT, GP, PAGE_FAULT, MF, AC_FAULT, XM].reduce(
  (set, v) => set | (1 << v),
  0,
);

function isSoftware(kind: number): boolean {
  return kind === EVENT_SOFTWARE || kind === EVENT_SOFTWARE_EXCEPTION;
}

function classOf(kind: number, vector: number): number {
  if (kind !== EVENT_HARDWARE) return BENIGN;
  if (vector === PAGE_FAULT) return PAGE;
  return vector === DE || (vector >= TS && vector <= GP) ? CONTRIBUTORY : BENIGN;
}

export class Interrupts {
  /**
   * The event whose delivery is under way, for VMX's IDT-vectoring information: kind (-1: none), vector, error code.
   * Meaningful inside `VmxHooks` methods and until the exit they record is completed.
   */
  vectoringKind = -1;
  vectoringVector = 0;
  vectoringHasError = 0;
  vectoringError = 0;
  /** Stack of the privilege level found by `readInnerStack`. */
  innerSelector = 0;
  innerPointer = 0;
  innerBase = 0;
  innerLimit = 0;
  innerRights = 0;
  readonly frame: StackFrame;
  readonly #cpu: Cpu;
  readonly #state: Int32Array;
  /** The coming `deliver` is for a fault that arose in the delivery of a software interrupt. */
  #nestedInSoftware = false;

  constructor(cpu: Cpu) {
    this.#cpu = cpu;
    this.#state = cpu.memory.state;
    this.frame = new StackFrame(cpu);
  }

  /**
   * Delivers the event in EVENT_*; S[EIP] is the return address. Returns a STOP_* code: STOP_NONE if delivered.
   * Throws VM_EXIT if VMX intercepts it. A fault in the delivery of INT n, INT3 or INTO is that instruction's and is
   * thrown as FAULT: the caller restores EIP to the instruction and delivers it; other faults are delivered from here.
   * `injected`: by a VM entry, which the exception bitmap does not intercept (SDM 3C 26.5.1.1).
   */
  deliver(injected = false): number {
    const state = this.#state;
    if (!this.#nestedInSoftware) this.vectoringKind = -1;
    this.#nestedInSoftware = false;
    if (!injected) this.#intercept();
    if (state[EVENT_KIND] === EVENT_NMI) state[NMI_BLOCKED] = 1;
    for (;;) {
      this.vectoringKind = state[EVENT_KIND];
      this.vectoringVector = state[EVENT_VECTOR];
      this.vectoringHasError = state[EVENT_HAS_ERROR];
      this.vectoringError = state[EVENT_ERROR];
      try {
        const stop = this.#deliverOnce();
        this.vectoringKind = -1;
        return stop;
      } catch (signal) {
        this.#cpu.segmentation.external = 0;
        if (signal !== FAULT) throw signal;
      }
      if (isSoftware(this.vectoringKind)) {
        this.#nestedInSoftware = true;
        throw FAULT;
      }
      this.#intercept();
      if (this.vectoringKind === EVENT_HARDWARE && this.vectoringVector === DOUBLE_FAULT) return this.#shutDown();
      if (this.#doubles()) {
        state[EVENT_KIND] = EVENT_HARDWARE;
        state[EVENT_VECTOR] = DOUBLE_FAULT;
        state[EVENT_HAS_ERROR] = 1;
        state[EVENT_ERROR] = 0;
        this.#intercept();
      }
    }
  }

  /** VMX may take the event; a page fault that it does not take writes CR2. One injected by a VM entry does not come by here. */
  #intercept(): void {
    const state = this.#state;
    if (state[VMX_MODE] === 2 && state[EVENT_KIND] !== EVENT_EXTERNAL) (this.#cpu.vmx as VmxHooks).interceptEvent();
    if (state[EVENT_KIND] === EVENT_HARDWARE && state[EVENT_VECTOR] === PAGE_FAULT) state[CR2] = state[EVENT_ADDRESS];
  }

  /** SDM 3A table 6-5: whether the exception in EVENT_* on top of the one being delivered makes a double fault. */
  #doubles(): boolean {
    const first = classOf(this.vectoringKind, this.vectoringVector);
    const second = classOf(this.#state[EVENT_KIND], this.#state[EVENT_VECTOR]);
    if (first === CONTRIBUTORY) return second === CONTRIBUTORY;
    return first === PAGE && second !== BENIGN;
  }

  #shutDown(): number {
    const state = this.#state;
    if (state[VMX_MODE] === 2) (this.#cpu.vmx as VmxHooks).tripleFault();
    state[ACTIVITY] = 2;
    return STOP_SHUTDOWN;
  }

  #charge(kind: number): void {
    const event = isSoftware(kind)
      ? SOFTWARE_ENTRY
      : kind === EVENT_EXTERNAL || kind === EVENT_NMI
        ? INTERRUPT_ENTRY
        : EXCEPTION_ENTRY;
    this.#cpu.ledger.charge(event);
  }

  #deliverOnce(): number {
    const state = this.#state;
    if ((state[CR0] & CR0_PE) === 0) return this.#deliverReal();
    const { mmu, segmentation } = this.#cpu;
    const kind = state[EVENT_KIND];
    const vector = state[EVENT_VECTOR];
    const cpl = state[CPL];
    const external = isSoftware(kind) ? 0 : 1;
    const gateError = (vector << 3) | IDT_BIT | external;
    segmentation.external = external;
    if ((vector << 3) + 7 > state[IDTR_LIMIT] >>> 0) raiseWithError(state, GP, gateError);
    const gate = (state[IDTR_BASE] + (vector << 3)) | 0;
    const low = mmu.systemLoad32(gate);
    const high = mmu.systemLoad32((gate + 4) | 0);
    const type = (high >>> 8) & 0x1f;
    const wide = type === INTERRUPT_GATE || type === TRAP_GATE;
    if (!wide && type !== INTERRUPT_GATE_16 && type !== TRAP_GATE_16 && type !== TASK_GATE) {
      raiseWithError(state, GP, gateError);
    }
    if (isSoftware(kind) && ((high >>> 13) & 3) < cpl) raiseWithError(state, GP, gateError);
    if ((high & 0x8000) === 0) raiseWithError(state, NP, gateError);
    if (type === TASK_GATE) this.#taskGate(low >>> 16, gateError);

    const selector = low >>> 16;
    const offset = wide ? (high & 0xffff0000) | (low & 0xffff) : low & 0xffff;
    if ((selector & 0xfffc) === 0) raiseWithError(state, GP, external);
    segmentation.readDescriptor(selector, GP);
    const rights = segmentation.rights();
    const dpl = privilegeOf(rights);
    const error = (selector & 0xfffc) | external;
    if (!isCode(rights) || dpl > cpl) raiseWithError(state, GP, error);
    if ((rights & RIGHTS_P) === 0) raiseWithError(state, NP, error);
    const inner = !isConforming(rights) && dpl < cpl;
    const isVirtual = (state[EFLAGS_SYSTEM] & VM) !== 0;
    // Virtual-8086 mode is left for ring 0 and no other.
    if (isVirtual && (!inner || dpl !== 0)) raiseWithError(state, GP, error);
    if (state[HOSTED] !== 0 && dpl === 0) {
      segmentation.external = 0;
      this.#charge(kind);
      return STOP_TRAP;
    }
    const base = segmentation.base();
    const limit = segmentation.limit();
    segmentation.markAccessed();
    const newCpl = inner ? dpl : cpl;
    const size = wide ? 4 : 2;
    const words = (inner ? 5 : 3) + (isVirtual ? 4 : 0) + (state[EVENT_HAS_ERROR] !== 0 ? 1 : 0);
    if (inner) {
      this.readInnerStack(newCpl);
      const stackError = (this.innerSelector & 0xfffc) | external;
      this.frame.requireRoom(words, this.innerLimit, this.innerRights, this.innerPointer, size, stackError);
    } else {
      this.frame.requireRoomHere(words, size, external);
    }
    if (!withinLimit(limit, rights, offset, 1)) raiseWithError(state, GP, external);
    this.#push(inner, newCpl, size, isVirtual);

    segmentation.external = 0;
    if (isVirtual) for (const segment of DATA_SEGMENTS) segmentation.setNull(segment, 0);
    if (inner) {
      segmentation.setSegment(SS, this.innerSelector, this.innerBase, this.innerLimit, this.innerRights);
    }
    segmentation.setSegment(CS, (selector & 0xfffc) | newCpl, base, limit, rights | 1);
    setStackPointer(state, state[SS_SLOT + RIGHTS], this.frame.pointer);
    const cleared = type === INTERRUPT_GATE || type === INTERRUPT_GATE_16 ? TF | NT | RF | VM | IF : TF | NT | RF | VM;
    state[EFLAGS_SYSTEM] &= ~cleared;
    state[CPL] = newCpl;
    state[EIP] = offset;
    this.#entered(kind);
    return STOP_NONE;
  }

  #entered(kind: number): void {
    const state = this.#state;
    state[SHADOW] = 0;
    state[ACTIVITY] = 0;
    this.#charge(kind);
    this.#cpu.updateMode();
  }

  /** Pushes the frame, on the inner stack if there is one (SDM 3A figure 6-4; from virtual-8086 mode 3B figure 20-4). */
  #push(inner: boolean, cpl: number, size: number, isVirtual: boolean): void {
    const state = this.#state;
    const { frame } = this;
    frame.clear();
    if (isVirtual) for (const segment of DATA_SEGMENTS) frame.push(state[segmentSlot(segment) + SELECTOR]);
    if (inner) {
      frame.push(state[SS_SLOT + SELECTOR]);
      frame.push(state[ESP]);
    }
    const fault =
      state[EVENT_KIND] === EVENT_HARDWARE && state[EVENT_VECTOR] < 32 && ((FAULTS >>> state[EVENT_VECTOR]) & 1) !== 0;
    frame.push(fault ? this.#cpu.eflags() | RF : this.#cpu.eflags() & ~RF);
    frame.push(state[CS_SLOT + SELECTOR]);
    frame.push(state[EIP]);
    if (state[EVENT_HAS_ERROR] !== 0) frame.push(state[EVENT_ERROR]);
    if (inner) frame.write(this.innerBase, this.innerRights, this.innerPointer, cpl, size);
    else frame.writeHere(size);
  }

  /**
   * The stack that the TSS has for ring `cpl`, checked (SDM 3A 6.12.1, 5.8.5): fills `inner*`. Raises #TS, or
   * #SS(selector) if the segment is not present.
   */
  readInnerStack(cpl: number): void {
    const state = this.#state;
    const { mmu, segmentation } = this.#cpu;
    const { external } = segmentation;
    const wide = (state[TR_SLOT + RIGHTS] & 8) !== 0;
    const at = wide ? 4 + 8 * cpl : 2 + 4 * cpl;
    if (at + (wide ? 5 : 3) > state[TR_SLOT + LIMIT] >>> 0) {
      raiseWithError(state, TS, (state[TR_SLOT + SELECTOR] & 0xfffc) | external);
    }
    const linear = (state[TR_SLOT + BASE] + at) | 0;
    const pointer = wide ? mmu.systemLoad32(linear) : mmu.systemLoad16(linear);
    const selector = mmu.systemLoad16((linear + (wide ? 4 : 2)) | 0);
    if ((selector & 0xfffc) === 0) raiseWithError(state, TS, external);
    segmentation.readDescriptor(selector, TS);
    const rights = segmentation.rights();
    const error = (selector & 0xfffc) | external;
    if ((selector & 3) !== cpl || privilegeOf(rights) !== cpl || !isWritableData(rights)) {
      raiseWithError(state, TS, error);
    }
    if ((rights & RIGHTS_P) === 0) raiseWithError(state, SS_FAULT, error);
    segmentation.markAccessed();
    this.innerSelector = selector;
    this.innerPointer = pointer;
    this.innerBase = segmentation.base();
    this.innerLimit = segmentation.limit();
    this.innerRights = segmentation.rights();
  }

  /** Task switches are absent: VMX non-root exits, as it always does; elsewhere the gate is taken for a bad one. */
  #taskGate(selector: number, error: number): never {
    if (this.#state[VMX_MODE] === 2) (this.#cpu.vmx as VmxHooks).taskSwitch(selector, TASK_BY_GATE);
    raiseWithError(this.#state, GP, error);
  }

  /** Real-address mode: a table of far pointers, no error codes (SDM 3B 20.1.4). */
  #deliverReal(): number {
    const state = this.#state;
    const { mmu } = this.#cpu;
    const kind = state[EVENT_KIND];
    const vector = state[EVENT_VECTOR];
    if ((vector << 2) + 3 > state[IDTR_LIMIT] >>> 0) raiseWithError(state, GP, 0);
    const pointer = mmu.systemLoad32((state[IDTR_BASE] + (vector << 2)) | 0);
    this.frame.requireRoomHere(3, 2, 0);
    this.#enterByPointer(pointer, this.#cpu.eflags(), IF | TF | AC | RF);
    this.#entered(kind);
    return STOP_NONE;
  }

  /**
   * INT n in virtual-8086 mode that the redirection bitmap of CR4.VME hands to the 8086 program: through the interrupt table
   * at linear address 0, with `image` pushed as FLAGS and `cleared` cleared. Raises #SS(0) or #PF.
   */
  redirect(vector: number, image: number, cleared: number): void {
    const pointer = this.#cpu.mmu.systemLoad32(vector << 2);
    this.frame.requireRoomHere(3, 2, 0);
    this.#enterByPointer(pointer, image, cleared);
    this.#entered(EVENT_SOFTWARE);
  }

  #enterByPointer(pointer: number, image: number, cleared: number): void {
    const state = this.#state;
    const { frame } = this;
    frame.clear();
    frame.push(image);
    frame.push(state[CS_SLOT + SELECTOR]);
    frame.push(state[EIP]);
    frame.writeHere(2);
    setStackPointer(state, state[SS_SLOT + RIGHTS], frame.pointer);
    this.#cpu.segmentation.loadReal(CS, pointer >>> 16);
    state[EIP] = pointer & 0xffff;
    state[EFLAGS_SYSTEM] &= ~cleared;
  }
}
