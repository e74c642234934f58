/**
 * Ring compression: a VMM in the manner of VMware Workstation's 32-bit one. The guest kernel (virtual CPL 0) runs at
 * CPL 1 from a translation cache and nowhere else; guest user code (CPL 3) runs directly. docs/engines/ says what is absent.
 *
 * Known hole, as on the real thing: user code in direct execution can read what is not its own by the sensitive
 * instructions that do not trap (SGDT, SIDT, SLDT, STR, SMSW, PUSHF).
 */
import type { MachineAddress } from '../../core/address.ts';
import { STOP_DEADLINE, STOP_MARKER, STOP_REQUESTED, STOP_SHUTDOWN, STOP_TRAP } from '../../core/signals.ts';
import {
  BUDGET,
  CPL,
  CR0,
  CYCLES,
  DR0,
  DS,
  EBX,
  ECX,
  EDX,
  EIP,
  ES,
  FS,
  GS,
  MARKER_CODE,
  SELECTOR,
  SS,
  segmentSlot,
} from '../../core/state.ts';
import { eventNumber } from '../../cost/event.ts';
import type { Ledger } from '../../cost/ledger.ts';
import { ALWAYS_SET, IF } from '../../isa/eflags.ts';
import { applyBootState } from '../../machine/boot-state.ts';
import { loadKernel } from '../../machine/kernel-loader.ts';
import { Machine } from '../../machine/machine.ts';
import type { Snapshot } from '../../machine/snapshot.ts';
import { type Engine, type EngineOptions, type GuestStop, requestedStop } from '../engine.ts';
import { FrameMap } from '../frames.ts';
import { ShadowPaging } from '../shadow-paging/shadow-paging.ts';
import { Adaptation } from './adaptation.ts';
import { Counts } from './counts.ts';
import { dispatch } from './dispatch.ts';
import { GuestCode } from './guest-code.ts';
import { GuestKilled } from './guest-killed.ts';
import { GuestMemory } from './guest-memory.ts';
import { allocateHost, enterHostMode, fillTop, type HostFrames } from './host.ts';
import {
  CACHE_BASE,
  GUEST_LIMIT,
  HOST_GDT_BASE,
  INDIRECT_BASE,
  SHADOW_LDT_BASE,
  TOP_SLOT,
  VCPU_BASE,
  VMM_FRAMES,
} from './layout.ts';
import { Monitor } from './monitor.ts';
import { activatePaging } from './paging.ts';
import { Segments } from './segments.ts';
import { ShadowDescriptors } from './shadow-descriptors.ts';
import { TranslationCache } from './translation-cache.ts';
import { Translator } from './translator.ts';
import { hostTrap } from './traps.ts';
import {
  V_CPL,
  V_CR0,
  V_CS,
  V_DIRECT,
  V_DR0,
  V_GS,
  V_GS_LIMIT,
  V_GS_RIGHTS,
  V_HALTED,
  V_IF,
  V_IOPL_DELTA,
  V_PC,
  V_SS,
  vcpuWords,
} from './vcpu.ts';

const INTERRUPT = eventNumber('interruptEntry');
/** Frames for shadow tables: more than a guest of some tens of processes needs at once. */
const SHADOW_FRAMES = 512;
const KERNEL_DATA_RIGHTS = 0xc0b3;

export class RingCompressionEngine implements Engine {
  readonly name: string;
  readonly machine: Machine;
  readonly ledger: Ledger;
  readonly monitor: Monitor;

  constructor(options: EngineOptions) {
    this.name = ['ring-compression', ...options.variation].join('~');
    const vmmBytes = (VMM_FRAMES + SHADOW_FRAMES) * 4096;
    this.machine = new Machine({
      profile: options.profile,
      ramBytes: options.ramBytes,
      devices: options.devices ?? {},
      machineBytes: options.ramBytes + vmmBytes,
    });
    this.ledger = this.machine.ledger;
    const frames = new FrameMap(this.machine);
    const host = allocateHost(this.machine.memory, frames);
    this.monitor = buildMonitor(this.machine, frames, host, options.variation);
    applyBootState(this.machine.cpu, loadKernel(options, frames));
    takeOver(this.monitor, this.machine, host);
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
    const { monitor: m, machine } = this;
    const { state, time } = machine.memory;
    for (;;) {
      if (m.v[V_HALTED] !== 0) {
        const stop = this.#idle(limit);
        if (stop !== null) return stop;
      }
      time[BUDGET] = limit;
      if (m.settling && !m.settleStep()) dispatch(m);
      switch (machine.cpu.run()) {
        case STOP_TRAP:
          hostTrap(m);
          break;
        case STOP_DEADLINE:
          if ((time[CYCLES] as number) >= limit) return { kind: 'limit' };
          break;
        case STOP_MARKER:
          return {
            kind: 'marker',
            code: state[MARKER_CODE] as number,
            payload: [state[EBX] as number, state[ECX] as number, state[EDX] as number],
          };
        case STOP_REQUESTED:
          return requestedStop(machine);
        case STOP_SHUTDOWN:
          return { kind: 'crash', message: `The processor shut down at ${this.#place()}.` };
        default:
          throw new Error('The processor stopped for a reason that a hosted guest cannot cause.');
      }
    }
  }

  /** The virtual CPU is halted: lets time pass until it has an interrupt to take. */
  #idle(limit: number): GuestStop | null {
    const { monitor: m, machine } = this;
    for (;;) {
      if (m.eventDue()) break;
      if ((machine.memory.time[CYCLES] as number) >= limit) return { kind: 'limit' };
      if (m.v[V_IF] === 0 || !machine.idleUntilEvent(limit)) {
        return { kind: 'hang', message: `The guest halted at ${this.#place()} with nothing that could wake it.` };
      }
    }
    m.quiet();
    this.ledger.charge(INTERRUPT);
    m.v[V_HALTED] = 0;
    m.pc = (m.v[V_PC] as number) >>> 0;
    dispatch(m);
    return null;
  }

  translate(linear: number): MachineAddress | null {
    const { quiet } = this.monitor.guest;
    quiet.walk(linear);
    if (!quiet.present) return null;
    const address = this.monitor.guest.machine(quiet.frame * 4096 + (linear & 0xfff));
    return address < 0 ? null : (address as MachineAddress);
  }

  counters(): Readonly<Record<string, number>> {
    const { counts, shadow, translator } = this.monitor;
    const [units = 0, instructions = 0, ident = 0, bytes = 0] = translator.counts;
    return {
      translationUnit: units,
      translatedInstruction: instructions,
      identInstruction: ident,
      cacheByte: bytes,
      ...counts.entries(),
      ...shadow.counters(),
    };
  }

  snapshot(): Snapshot {
    return this.machine.snapshot();
  }

  restore(snapshot: Snapshot): void {
    this.machine.restore(snapshot);
  }

  #place(): string {
    const { monitor: m, machine } = this;
    const eip = (machine.memory.state[EIP] as number) >>> 0;
    if (m.v[V_HALTED] !== 0) return `0x${((m.v[V_PC] as number) >>> 0).toString(16)}`;
    if (m.direct || eip < CACHE_BASE) return `0x${eip.toString(16)}`;
    m.cache.resolve(eip);
    return `0x${m.cache.guestPc.toString(16)}`;
  }
}

function buildMonitor(machine: Machine, frames: FrameMap, host: HostFrames, variation: readonly string[]): Monitor {
  const { memory, ledger, cpu } = machine;
  const v = vcpuWords(memory, host.machine(VCPU_BASE));
  const adaptation = new Adaptation(!variation.includes('noadapt'));
  const shadow = new ShadowPaging({
    memory,
    ledger,
    frames,
    tables: frames.allocate(SHADOW_FRAMES) * 4096,
    tableFrames: SHADOW_FRAMES,
    hooks: {
      invalidatePage: (linear) => cpu.mmu.invalidatePage(linear),
      flush: () => cpu.mmu.flush(true),
      tracedStore: (kinds, physical, size) => monitor.tracedStore(kinds, physical, size),
    },
    top: { firstSlot: TOP_SLOT, fill: (table) => fillTop(memory, host, table) },
  });
  const guest = new GuestMemory(memory, frames, shadow, machine.mmio);
  const cache = new TranslationCache(memory, ledger, host.machine(CACHE_BASE));
  const source = new GuestCode(shadow, guest, adaptation);
  const translator = new Translator({ cache, memory, ledger, source, chaining: !variation.includes('nochain') });
  const tables = [host.machine(HOST_GDT_BASE), host.machine(SHADOW_LDT_BASE)] as const;
  const descriptors = new ShadowDescriptors(memory, ledger, guest, shadow, v, tables);
  const monitor = new Monitor({
    cpu,
    v,
    guest,
    shadow,
    cache,
    translator,
    descriptors,
    adaptation,
    segments: new Segments(cpu, guest, v),
    counts: new Counts(),
    indirect: new Int32Array(memory.memory.buffer, memory.ramBase + host.machine(INDIRECT_BASE), 512),
    acknowledgeInterrupt: () => machine.cpu.acknowledgeInterrupt(),
  });
  registerState(machine, monitor);
  return monitor;
}

function registerState(machine: Machine, m: Monitor): void {
  for (const [name, array] of m.shadow.arrays()) machine.register(`shadow ${name}`, array);
  for (const [name, array] of m.cache.arrays()) machine.register(`translation cache ${name}`, array);
  machine.register('adaptation', m.adaptation.table);
  machine.register('ring compression counts', m.counts.values);
  machine.register('translator counts', m.translator.counts);
  machine.register('traced descriptor frames', m.descriptors.frames);
  machine.register('stale code frames', m.stale);
  machine.register('settling', m.flags);
  machine.onRestored(() => m.guest.restored());
}

/** The boot state becomes the virtual CPU's, and the real one the VMM's. */
function takeOver(m: Monitor, machine: Machine, host: HostFrames): void {
  const { cpu } = machine;
  const { state } = machine.memory;
  const { v } = m;
  v[V_CR0] = state[CR0] as number;
  v[V_CS] = state[segmentSlot(1) + SELECTOR] as number;
  v[V_SS] = state[segmentSlot(SS) + SELECTOR] as number;
  v[V_GS] = state[segmentSlot(GS) + SELECTOR] as number;
  v[V_GS_LIMIT] = GUEST_LIMIT | 0;
  v[V_GS_RIGHTS] = KERNEL_DATA_RIGHTS;
  v[V_IF] = 0;
  v[V_IOPL_DELTA] = -IF;
  v[V_CPL] = 0;
  v[V_DIRECT] = 0;
  for (let register = 0; register < 8; register++) v[V_DR0 + register] = state[DR0 + register] as number;
  const entry = (state[EIP] as number) >>> 0;
  enterHostMode(cpu, host);
  for (const segment of [ES, SS, DS, FS]) {
    const selector = state[segmentSlot(segment) + SELECTOR] as number;
    cpu.segmentation.setSegment(segment, segment === SS ? selector | 1 : selector, 0, GUEST_LIMIT, KERNEL_DATA_RIGHTS);
  }
  m.segments.enterCache();
  state[CPL] = 1;
  cpu.setEflags(ALWAYS_SET | IF);
  m.flushCache();
  activatePaging(m);
  m.pc = entry;
  dispatch(m);
}
