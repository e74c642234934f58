/** When the system half asks VMX, in which order, and that an exit leaves the guest as it was. */
import { beforeEach, describe, expect, test } from 'vitest';
import { DE, DOUBLE_FAULT, GP, STOP_NONE, UD, VM_EXIT } from '../../src/core/signals.ts';
import * as slot from '../../src/core/state.ts';
import { IO_IN, type VmxHooks } from '../../src/core/vmx-hooks.ts';
import {
  code,
  enterRing,
  faultOf,
  processorState,
  protectedCpu,
  setUp,
  TSS_SELECTOR,
  writeGate,
} from '../support/protected-cpu.ts';

const HANDLER = 0x12000;
const cpu = protectedCpu();
const { state: S, time: T } = cpu.memory;
const { system, interrupts } = cpu;

/** What was asked, and which of it exits. */
let asked: string[] = [];
let exits = new Set<string>();

/** Answers every hook alike: notes the call, throws if it is to exit, else gives back the value that was at stake. */
const hooks = new Proxy({} as VmxHooks, {
  get:
    (_, name: string) =>
    (...args: number[]) => {
      const call =
        name === 'interceptEvent'
          ? `event ${S[slot.EVENT_VECTOR]} in ${interrupts.vectoringKind}`
          : [name, ...args].join(' ');
      asked.push(call);
      if (exits.has(name) || exits.has(call)) throw VM_EXIT;
      if (name === 'writeControl' || name === 'readControl') return args[2];
      if (name === 'visibleControl') return args[1];
      if (name === 'lmsw') return args[0];
      if (name === 'tscOffset') return 1000;
      return true;
    },
});

beforeEach(() => {
  setUp(cpu);
  asked = [];
  exits = new Set();
  cpu.vmx = hooks;
  S[slot.VMX_MODE] = 2;
});

function isExit(action: () => void): boolean {
  try {
    action();
    return false;
  } catch (signal) {
    if (signal !== VM_EXIT) throw signal;
    return true;
  }
}

describe('instructions', () => {
  const intercepted: [string, () => void, string][] = [
    ['CPUID', () => system.cpuid(), 'cpuid'],
    ['HLT', () => system.hlt(), 'hlt'],
    ['INVD', () => system.invd(), 'invd'],
    ['WBINVD', () => system.wbinvd(), 'wbinvd'],
    ['INVLPG', () => system.invlpg(0x5000), 'invlpg 20480'],
    ['RDTSC', () => system.rdtsc(), 'rdtsc'],
    ['RDPMC', () => system.rdpmc(), 'rdpmc'],
    ['MOV from CR3', () => system.readControl(3, 2), 'readControl 3 2 0'],
    ['MOV to CR3', () => system.writeControl(3, 0x8000, 2), 'writeControl 3 2 32768 0'],
    ['CLTS', () => system.clts(), 'clts'],
    ['LMSW', () => system.lmsw(9), 'lmsw 9'],
    ['MOV from DR7', () => system.readDebug(7, 1), 'readDebug 7 1'],
    ['MOV to DR7', () => system.writeDebug(7, 0, 1), 'writeDebug 7 1'],
    ['IN', () => system.portIn(0x60, 1), `port 96 1 ${IO_IN} 0`],
    ['OUT', () => system.portOut(0x60, 5, 2), 'port 96 2 0 0'],
    ['RDMSR', () => system.rdmsr(), 'rdmsr 372'],
    ['WRMSR', () => system.wrmsr(), 'wrmsr 372'],
    ['LTR', () => system.ltr(TSS_SELECTOR), 'descriptorTable 7 0'],
    ['a far JMP to a TSS', () => system.farJump(TSS_SELECTOR, 0, 4), `taskSwitch ${TSS_SELECTOR} 2`],
  ];

  test.each(intercepted)('%s is offered before anything changes', (_, action, call) => {
    S[slot.ECX] = 0x174;
    S[slot.CR3] = 0;
    exits.add(call);
    const before = processorState(cpu);
    expect(isExit(action)).toBe(true);
    expect(asked.at(-1)).toBe(call);
    expect(processorState(cpu)).toEqual(before);
  });

  test('a privilege fault comes first', () => {
    enterRing(cpu, 3, 0x30000);
    exits.add('hlt');
    expect(faultOf(cpu, () => system.hlt())).toEqual({ vector: GP, error: 0 });
    expect(asked).toEqual([]);
  });

  test('nothing is asked in root operation, but what CR0 and CR4 may hold', () => {
    S[slot.VMX_MODE] = 1;
    system.cpuid();
    system.writeControl(0, slot.CR0_PE | slot.CR0_NE, 0);
    expect(asked).toEqual([`controlAllowed 0 ${slot.CR0_PE | slot.CR0_NE | slot.CR0_ET}`]);
    S[slot.VMX_MODE] = 0;
  });

  test('RDTSC adds the TSC offset', () => {
    T[slot.CYCLES] = 5;
    system.rdtsc();
    expect(S[slot.EAX]).toBe(1005);
    T[slot.CYCLES] = 0;
  });

  test('without VMX its instructions are #UD', () => {
    cpu.vmx = null;
    S[slot.VMX_MODE] = 0;
    expect(faultOf(cpu, () => system.vmx('vmxoff', 0, 0, 0, -1))).toEqual({ vector: UD, error: null });
  });
});

describe('events', () => {
  function exception(vector: number, injected = false): number {
    S[slot.EVENT_VECTOR] = vector;
    S[slot.EVENT_KIND] = slot.EVENT_HARDWARE;
    S[slot.EVENT_HAS_ERROR] = 0;
    return interrupts.deliver(injected);
  }

  test('an exception is offered, with nothing else being delivered', () => {
    writeGate(cpu, UD, code(0), HANDLER);
    expect(exception(UD)).toBe(STOP_NONE);
    expect(asked).toEqual([`event ${UD} in -1`]);
  });

  test('an injected one is not', () => {
    writeGate(cpu, UD, code(0), HANDLER);
    exception(UD, true);
    expect(asked).toEqual([]);
  });

  test('a fault in its delivery is offered before it makes a double fault, and says what was being delivered', () => {
    writeGate(cpu, DOUBLE_FAULT, code(0), HANDLER);
    exception(DE);
    const { EVENT_HARDWARE } = slot;
    expect(asked).toEqual([
      `event ${DE} in -1`,
      `event ${GP} in ${EVENT_HARDWARE}`,
      `event ${DOUBLE_FAULT} in ${EVENT_HARDWARE}`,
    ]);
    asked = [];
    exits.add(`event ${GP} in ${EVENT_HARDWARE}`);
    expect(isExit(() => exception(DE))).toBe(true);
    expect([interrupts.vectoringKind, interrupts.vectoringVector]).toEqual([EVENT_HARDWARE, DE]);
  });

  test('a fault in the delivery of INT n remembers the INT n when it is delivered in turn', () => {
    writeGate(cpu, GP, code(0), HANDLER);
    expect(faultOf(cpu, () => system.softwareInterrupt(0x20))).toEqual({ vector: GP, error: 0x102 });
    interrupts.deliver();
    expect(asked).toEqual([`event ${0x20} in -1`, `event ${GP} in ${slot.EVENT_SOFTWARE}`]);
  });

  test('a triple fault exits instead of shutting down', () => {
    exits.add('tripleFault');
    expect(isExit(() => exception(DE))).toBe(true);
    expect(S[slot.ACTIVITY]).toBe(0);
  });

  test('a task gate exits', () => {
    writeGate(cpu, UD, TSS_SELECTOR, 0, { type: 5 });
    exits.add('taskSwitch');
    expect(isExit(() => exception(UD))).toBe(true);
    expect(asked.at(-1)).toBe(`taskSwitch ${TSS_SELECTOR} 3`);
  });
});
