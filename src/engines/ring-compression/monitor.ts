/**
 * The VMM's parts and the state that they share: the virtual CPU (`v`), the real one (`state`), guest memory, shadow
 * tables, translation cache. `pc` is the guest address at which the virtual CPU goes on.
 */
import type { Cpu } from '../../core/cpu.ts';
import {
  BUDGET,
  CYCLES,
  EAX,
  EFLAGS_SYSTEM,
  EIP,
  ESP,
  FPU_CS,
  FPU_DS,
  FPU_IP,
  HOST_INTR,
  INTR,
  NMI_BLOCKED,
  NMI_PENDING,
  REG_STRIDE,
  SHADOW,
} from '../../core/state.ts';
import { eventNumber } from '../../cost/event.ts';
import type { Ledger } from '../../cost/ledger.ts';
import { ARITHMETIC, IF, IOPL, NT, RF, TF, VM } from '../../isa/eflags.ts';
import type { ShadowPaging } from '../shadow-paging/shadow-paging.ts';
import { TRACE_CODE, TRACE_DESCRIPTORS } from '../shadow-paging/types.ts';
import type { Adaptation } from './adaptation.ts';
import { COUNT, type Counts } from './counts.ts';
import type { GuestMemory } from './guest-memory.ts';
import { CACHE_BASE, CACHE_CS } from './layout.ts';
import type { Segments } from './segments.ts';
import type { ShadowDescriptors } from './shadow-descriptors.ts';
import { RECIPE_BOUNDARY } from './translate/kinds.ts';
import { type TranslationCache, U_FRAME0, U_FRAME1 } from './translation-cache.ts';
import type { Translator } from './translator.ts';
import {
  V_CPL,
  V_CS,
  V_DIRECT,
  V_HALTED,
  V_IF,
  V_IOPL_DELTA,
  V_PC,
  V_PENDING,
  V_SHADOW,
  V_SPILL0,
  V_SPILL1,
  V_SS,
} from './vcpu.ts';

const TOUCH = eventNumber('vmmTouch');
const HASH = eventNumber('vmmHash');
const RESUME = eventNumber('hostResume');

export interface MonitorParts {
  readonly cpu: Cpu;
  readonly v: Int32Array;
  readonly guest: GuestMemory;
  readonly shadow: ShadowPaging;
  readonly cache: TranslationCache;
  readonly translator: Translator;
  readonly segments: Segments;
  readonly descriptors: ShadowDescriptors;
  readonly adaptation: Adaptation;
  readonly counts: Counts;
  /** Word view of the indirect-branch table: (-guest address, cache address) pairs. */
  readonly indirect: Int32Array;
  readonly acknowledgeInterrupt: () => number;
}

export class Monitor {
  readonly cpu: Cpu;
  readonly state: Int32Array;
  readonly time: Float64Array;
  readonly ledger: Ledger;
  readonly v: Int32Array;
  readonly guest: GuestMemory;
  readonly shadow: ShadowPaging;
  readonly cache: TranslationCache;
  readonly translator: Translator;
  readonly segments: Segments;
  readonly descriptors: ShadowDescriptors;
  readonly adaptation: Adaptation;
  readonly counts: Counts;
  readonly indirect: Int32Array;
  readonly acknowledgeInterrupt: () => number;

  /** Guest address of the instruction being carried out, then of the next to run. */
  pc = 0;
  /** Guest frames whose translations must go at the next instruction boundary; [0] is how many. */
  readonly stale: Int32Array = new Int32Array(64);
  /** [0]: a sequence is being finished one instruction at a time. */
  readonly flags: Int32Array = new Int32Array(1);

  constructor(parts: MonitorParts) {
    this.cpu = parts.cpu;
    this.state = parts.cpu.memory.state;
    this.time = parts.cpu.memory.time;
    this.ledger = parts.cpu.ledger;
    this.v = parts.v;
    this.guest = parts.guest;
    this.shadow = parts.shadow;
    this.cache = parts.cache;
    this.translator = parts.translator;
    this.segments = parts.segments;
    this.descriptors = parts.descriptors;
    this.adaptation = parts.adaptation;
    this.counts = parts.counts;
    this.indirect = parts.indirect;
    this.acknowledgeInterrupt = parts.acknowledgeInterrupt;
  }

  get direct(): boolean {
    return this.v[V_DIRECT] !== 0;
  }
  get cpl(): number {
    return this.v[V_CPL] as number;
  }
  get settling(): boolean {
    return this.flags[0] !== 0;
  }

  touch(times = 1): void {
    this.ledger.charge(TOUCH, times);
  }

  register(number: number): number {
    return this.state[EAX + REG_STRIDE * number] as number;
  }
  setRegister(number: number, value: number): void {
    this.state[EAX + REG_STRIDE * number] = value;
  }

  // Flags.

  /** The guest's EFLAGS. */
  flagsImage(): number {
    const v = this.v;
    const iopl = (v[V_IOPL_DELTA] as number) + IF;
    return (this.cpu.eflags() & ~(IF | IOPL)) | (v[V_IF] as number) | iopl;
  }

  /** Loads the guest's EFLAGS, IF and IOPL included. */
  setFlagsImage(value: number): void {
    const v = this.v;
    v[V_IF] = value & IF;
    this.setIopl(value & IOPL);
    this.cpu.setEflags((value & ~IOPL & ~VM) | IF);
  }

  setIopl(iopl: number): void {
    this.v[V_IOPL_DELTA] = iopl - IF;
    if (this.cache.virtualIopl === iopl) return;
    this.cache.virtualIopl = iopl;
    this.flushCache();
  }

  setArithmetic(mask: number, value: number): void {
    this.cpu.setEflags((this.cpu.eflags() & ~(mask & ARITHMETIC)) | (value & mask));
  }

  /** What delivery of an event does to the real flags. */
  clearForDelivery(): void {
    this.state[EFLAGS_SYSTEM] = ((this.state[EFLAGS_SYSTEM] as number) & ~(TF | NT | RF | VM)) | IF;
    this.cpu.updateMode();
  }

  // The translation cache.

  flushCache(): void {
    this.restoreFpuPointers();
    this.cache.flush();
    this.adaptation.clear();
    this.indirect.fill(0);
    // An empty entry must not match the targets that index it.
    for (let index = 0; index < 256; index++) this.indirect[2 * index] = -(index ^ 1);
    this.counts.add(COUNT.cacheFlush);
  }

  /** Cache address for guest address `pc`, translating it if need be; -1 if its fetch faults. */
  lookUp(pc: number, single = false): number {
    if (!single) {
      this.ledger.charge(HASH);
      const found = this.cache.find(pc);
      if (found >= 0) return found;
    }
    if (!this.cache.hasRoom()) this.flushCache();
    return this.translator.translate(pc, single);
  }

  /** A store has changed code that may be translated. It goes once the storing instruction is complete. */
  codeStored(frame: number): void {
    const { stale } = this;
    const count = stale[0] as number;
    for (let i = 1; i <= count; i++) if (stale[i] === frame) return;
    if (count === stale.length - 1) return;
    stale[0] = count + 1;
    stale[count + 1] = frame;
  }

  /** Invalidates what `codeStored` collected. Only at an instruction boundary. */
  dropStale(): void {
    const { stale } = this;
    const count = stale[0] as number;
    if (count !== 0) this.restoreFpuPointers();
    for (let i = 1; i <= count; i++) {
      const frame = stale[i] as number;
      const dropped = this.cache.invalidateWhere((u, at) => u[at + U_FRAME0] === frame || u[at + U_FRAME1] === frame);
      this.counts.add(COUNT.smcInvalidation);
      this.counts.add(COUNT.smcUnits, dropped);
      this.shadow.untrace(frame, TRACE_CODE);
      this.touch(dropped + 1);
    }
    stale[0] = 0;
  }

  tracedStore(kinds: number, physical: number, size: number): void {
    if ((kinds & TRACE_CODE) !== 0) this.codeStored(Math.floor(physical / 4096));
    if ((kinds & TRACE_DESCRIPTORS) !== 0) this.descriptors.stored(physical, size);
  }

  // Leaving and entering the guest.

  /**
   * The pointers to the last x87 instruction become the guest's if it was translated. They must before the guest can see
   * them, in user code or in what FNSTENV, FNSAVE and FXSAVE store, and before its translation or its CS may be forgotten.
   */
  restoreFpuPointers(): void {
    const { cache, state, v } = this;
    if (state[FPU_CS] !== CACHE_CS) return;
    const address = (state[FPU_IP] as number) >>> 0;
    // FLDENV may have loaded anything.
    if (address < CACHE_BASE || address >= cache.top) return;
    cache.resolve(address);
    state[FPU_IP] = cache.guestPc;
    state[FPU_CS] = v[V_CS] as number;
    if (state[FPU_DS] === CACHE_CS) state[FPU_DS] = v[V_CS] as number;
    else if (state[FPU_DS] === ((v[V_SS] as number) | 1)) state[FPU_DS] = v[V_SS] as number;
  }

  /** At a stop inside translated code: guest registers and `pc` as they are between guest instructions. */
  rollBack(): void {
    const { cache, state, v } = this;
    cache.resolve((state[EIP] as number) >>> 0);
    this.pc = cache.guestPc;
    const { recipe } = cache;
    if ((recipe & 15) !== 0) this.setRegister((recipe & 15) - 1, v[V_SPILL0] as number);
    if (((recipe >> 4) & 15) !== 0) this.setRegister(((recipe >> 4) & 15) - 1, v[V_SPILL1] as number);
    state[ESP] = (state[ESP] as number) + ((recipe >> 8) & 0xff);
  }

  /** True if the real EIP stands between two guest instructions; sets `pc` then. */
  atBoundary(): boolean {
    this.cache.resolve((this.state[EIP] as number) >>> 0);
    if ((this.cache.recipe & RECIPE_BOUNDARY) === 0) return false;
    this.pc = this.cache.guestPc;
    return true;
  }

  /** Runs the rest of the current sequence one instruction at a time, then dispatches. */
  settle(): void {
    this.flags[0] = 1;
  }

  /** Prepares the next step while settling. False: the boundary is reached, `pc` set, and the guest may be dispatched. */
  settleStep(): boolean {
    if (this.direct || this.atBoundary()) {
      this.flags[0] = 0;
      return false;
    }
    this.state[SHADOW] = 1;
    this.time[BUDGET] = (this.time[CYCLES] as number) + 1;
    return true;
  }

  interruptWaits(): boolean {
    return this.state[INTR] !== 0;
  }

  /** An NMI has arrived and the guest is not in the handler of one. */
  nmiDue(): boolean {
    return this.state[NMI_PENDING] !== 0 && this.state[NMI_BLOCKED] === 0;
  }

  /** An interrupt or an NMI that the guest would take now. */
  eventDue(): boolean {
    return (this.v[V_IF] !== 0 && this.interruptWaits()) || this.nmiDue();
  }

  /**
   * Back to the interrupted place, nothing of the guest having changed. Every way into the VMM leaves by IRET, callouts too: the VMM
   * runs with interrupts off and the guest's flags put aside, and IRET alone loads flags, ring and address in one step. A far
   * RET, the counterpart of the call gate, is cheaper (Prescott: 160 cycles for 325) but loads no flags: a POPF before it would open
   * interrupts in ring 0 on the guest's flags. What VMware's monitor did here is not published.
   */
  resume(): void {
    this.v[V_PENDING] = this.interruptWaits() ? IF : 0;
    this.ledger.charge(RESUME);
  }

  /** Enters the guest at `pc` in direct execution. */
  enterDirect(): void {
    this.flags[0] = 0;
    this.state[EIP] = this.pc;
    this.resume();
  }

  /** Enters the guest in the cache at `address`. */
  enterCache(address: number): void {
    this.flags[0] = 0;
    this.state[EIP] = address;
    this.resume();
  }

  halt(pc: number): void {
    this.v[V_HALTED] = 1;
    this.v[V_PC] = pc;
  }

  takeShadow(): boolean {
    const shadow = this.v[V_SHADOW] !== 0;
    this.v[V_SHADOW] = 0;
    return shadow;
  }

  /** The physical interrupt has been seen: its rising edge needs no second trap. */
  quiet(): void {
    this.state[HOST_INTR] = 0;
  }
}
