/** The system procedures: call gates, SYSENTER, flags, control registers, MSRs, ports, probes. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { MachineAddress } from '../../src/core/address.ts';
import { FAULT, GP, NP, STOP_NONE, STOP_TRAP, UD } from '../../src/core/signals.ts';
import * as slot from '../../src/core/state.ts';
import { eventNumber } from '../../src/cost/event.ts';
import { IF, IOPL, ZF } from '../../src/isa/eflags.ts';
import {
  code,
  data,
  enterRing,
  FREE_SELECTOR,
  faultOf,
  GDT_AT,
  processorState,
  protectedCpu,
  RING_STACKS,
  setUp,
  stackWords,
  TSS_AT,
  TSS_SELECTOR,
  writeDescriptor,
  writeGate,
} from '../support/protected-cpu.ts';

const TARGET = 0x12000;
const STACK = 0x30000;
const USER_STACK = 0x31000;
const GATE = FREE_SELECTOR;

const cpu = protectedCpu();
const { system } = cpu;
const { state: S, time: T } = cpu.memory;
const CS_SELECTOR = slot.segmentSlot(slot.CS) + slot.SELECTOR;
const gp = (error: number) => ({ vector: GP, error });

beforeEach(() => {
  setUp(cpu);
  S[slot.CR4] = 0;
  S[slot.EFER] = 0;
});

function callGate(selector: number, dpl: number, parameters = 0, type = 12): void {
  writeGate(cpu, 0, selector, TARGET, { type, dpl, parameters, at: GDT_AT + GATE });
}

describe('far transfers', () => {
  test('JMP to code of the same ring loads CS with the current ring in it', () => {
    expect(system.farJump(code(0), TARGET, 4)).toBe(STOP_NONE);
    expect([S[CS_SELECTOR], S[slot.EIP]]).toEqual([code(0), TARGET]);
  });

  test.each<[string, number, number]>([
    ['a null selector', 0, 0],
    ['an outer ring', code(3), code(3) & 0xfc],
    ['a data segment', data(0), data(0)],
    ['a TSS: task switches are absent', TSS_SELECTOR, TSS_SELECTOR],
  ])('JMP to %s is #GP', (_, selector, error) => {
    const before = processorState(cpu);
    expect(faultOf(cpu, () => system.farJump(selector, TARGET, 4))).toEqual(gp(error));
    expect(processorState(cpu)).toEqual(before);
  });

  test('JMP through a call gate stays in its ring', () => {
    callGate(code(0), 3);
    enterRing(cpu, 3, USER_STACK);
    expect(faultOf(cpu, () => system.farJump(GATE, 0, 4))).toEqual(gp(code(0)));
    callGate(code(3), 3);
    system.farJump(GATE, 0, 4);
    expect([S[slot.CPL], S[slot.EIP]]).toEqual([3, TARGET]);
  });

  test('CALL and RET within a ring', () => {
    system.farCall(code(0), TARGET, 4);
    expect(stackWords(cpu, 2)).toEqual([0x10000, code(0)]);
    system.farReturn(0, 4);
    expect([S[slot.EIP], S[slot.ESP]]).toEqual([0x10000, STACK]);
  });

  test('CALL through a gate to ring 0 switches stacks and copies parameters; RET goes back and releases both', () => {
    callGate(code(0), 3, 2);
    enterRing(cpu, 3, USER_STACK);
    cpu.memory.write32(USER_STACK as MachineAddress, 0xaaaa);
    cpu.memory.write32((USER_STACK + 4) as MachineAddress, 0xbbbb);
    const before = processorState(cpu);
    system.farCall(GATE, 0, 4);
    expect([S[slot.CPL], S[slot.EIP], S[slot.ESP]]).toEqual([0, TARGET, RING_STACKS[0] - 24]);
    expect(stackWords(cpu, 6)).toEqual([0x10000, code(3), 0xaaaa, 0xbbbb, USER_STACK, data(3)]);
    system.farReturn(8, 4);
    expect(S[slot.ESP]).toBe(USER_STACK + 8);
    S[slot.ESP] = USER_STACK;
    expect(processorState(cpu)).toEqual(before);
  });

  test('a gate needs its own DPL to admit CPL and RPL, and to be present', () => {
    callGate(code(0), 1);
    enterRing(cpu, 3, USER_STACK);
    expect(faultOf(cpu, () => system.farCall(GATE, 0, 4))).toEqual(gp(GATE));
    writeGate(cpu, 0, code(0), TARGET, { type: 12, dpl: 3, present: false, at: GDT_AT + GATE });
    expect(faultOf(cpu, () => system.farCall(GATE, 0, 4))).toEqual({ vector: NP, error: GATE });
  });

  test('a hosted processor traps a gate to ring 0 and delivers one to ring 1', () => {
    S[slot.HOSTED] = 1;
    callGate(code(0), 3);
    enterRing(cpu, 3, USER_STACK);
    expect(system.farCall(GATE, 0, 4)).toBe(STOP_TRAP);
    expect([S[slot.EVENT_KIND], S[slot.EVENT_VECTOR]]).toEqual([slot.EVENT_CALL_GATE, GATE]);
    callGate(code(1), 3);
    expect(system.farCall(GATE, 0, 4)).toBe(STOP_NONE);
    expect(S[slot.CPL]).toBe(1);
  });

  test('RET to an inner ring is #GP', () => {
    enterRing(cpu, 3, USER_STACK);
    cpu.memory.write32((USER_STACK + 4) as MachineAddress, code(0));
    expect(faultOf(cpu, () => system.farReturn(0, 4))).toEqual(gp(code(0)));
  });
});

describe('SYSENTER and SYSEXIT', () => {
  test('go to ring 0 and back with flat segments', () => {
    S[slot.SYSENTER_CS] = code(0);
    S[slot.SYSENTER_EIP] = TARGET;
    S[slot.SYSENTER_ESP] = STACK;
    enterRing(cpu, 3, USER_STACK);
    cpu.setEflags(2 | IF);
    system.sysenter();
    expect([S[slot.CPL], S[slot.EIP], S[slot.ESP], cpu.eflags() & IF]).toEqual([0, TARGET, STACK, 0]);
    S[slot.EDX] = 0x13000;
    S[slot.ECX] = USER_STACK;
    system.sysexit();
    expect([S[slot.CPL], S[slot.EIP], S[slot.ESP], S[CS_SELECTOR]]).toEqual([
      3,
      0x13000,
      USER_STACK,
      (code(0) + 16) | 3,
    ]);
  });

  test('need SYSENTER_CS', () => {
    S[slot.SYSENTER_CS] = 3;
    expect(faultOf(cpu, () => system.sysenter())).toEqual(gp(0));
  });
});

describe('flags', () => {
  test.each<[number, number, number]>([
    [0, 0, IF | IOPL],
    [1, 1, IF],
    [1, 0, 0],
    [3, 3, IF],
  ])('POPF in ring %i with IOPL %i changes %i of IF and IOPL', (ring, iopl, changed) => {
    enterRing(cpu, ring, STACK);
    const before = 2 | (iopl << 12);
    cpu.setEflags(before);
    system.popf((before ^ (IF | IOPL)) | 0, 4);
    expect(cpu.eflags() ^ before).toBe(changed);
  });

  test('CLI and STI need CPL <= IOPL', () => {
    enterRing(cpu, 1, STACK);
    expect(faultOf(cpu, () => system.cli())).toEqual(gp(0));
    expect(faultOf(cpu, () => system.sti())).toEqual(gp(0));
    cpu.setEflags(2 | 0x1000);
    system.sti();
    expect([cpu.eflags() & IF, S[slot.SHADOW]]).toEqual([IF, 1]);
    S[slot.SHADOW] = 0;
    system.sti();
    expect(S[slot.SHADOW]).toBe(0);
  });
});

test('everything privileged is #GP(0) outside ring 0', () => {
  enterRing(cpu, 1, STACK);
  const actions = [
    () => system.hlt(),
    () => system.clts(),
    () => system.lmsw(1),
    () => system.invlpg(0),
    () => system.invd(),
    () => system.wbinvd(),
    () => system.rdmsr(),
    () => system.wrmsr(),
    () => system.lldt(0),
    () => system.ltr(TSS_SELECTOR),
    () => system.sysexit(),
    () => system.lgdt(0, 0, 4),
    () => system.lidt(0, 0, 4),
    () => system.readControl(0, 0),
    () => system.writeControl(3, 0, 0),
    () => system.readDebug(7, 0),
    () => system.writeDebug(7, 0, 0),
  ];
  expect(actions.map((action) => faultOf(cpu, action))).toEqual(actions.map(() => gp(0)));
});

describe('control registers', () => {
  test.each<[string, number, number]>([
    ['PG without PE', 0, slot.CR0_PG],
    ['NW without CD', 0, slot.CR0_PE | slot.CR0_NW],
    ['a reserved CR4 bit', 4, 1 << 20],
    ['VMXE without VMX', 4, slot.CR4_VMXE],
    ['OSXSAVE without XSAVE', 4, 0x40000],
  ])('%s is #GP(0)', (_, n, value) => {
    expect(faultOf(cpu, () => system.writeControl(n, value, 0))).toEqual(gp(0));
  });

  test('CR1 and CR8 do not exist', () => {
    expect(faultOf(cpu, () => system.readControl(1, 0))).toEqual({ vector: UD, error: null });
    expect(faultOf(cpu, () => system.writeControl(8, 0, 0))).toEqual({ vector: UD, error: null });
  });

  test('turning PAE paging on loads the PDPTEs, and reserved bits in them stop it', () => {
    S[slot.CR3] = 0x8000;
    S[slot.CR4] = slot.CR4_PAE;
    cpu.memory.write32(0x8008 as MachineAddress, 0x9003);
    expect(faultOf(cpu, () => system.writeControl(0, slot.CR0_PE | slot.CR0_PG, 0))).toEqual(gp(0));
    expect(S[slot.CR0]).toBe(slot.CR0_PE);
    cpu.memory.write32(0x8008 as MachineAddress, 0x9001);
    system.writeControl(0, slot.CR0_PE | slot.CR0_PG, 0);
    expect(S[slot.PDPTE + 2]).toBe(0x9001);
  });

  test('TLB flushes are charged as what they are', () => {
    const count = (name: string): number => cpu.ledger.counts[eventNumber(name)]!;
    const names = ['tlbFlush', 'tlbFlushGlobal', 'tlbInvalidatePage'];
    const before = names.map(count);
    system.writeControl(3, 0x8000, 0);
    system.writeControl(4, slot.CR4_PGE, 0);
    system.writeControl(4, slot.CR4_PGE | slot.CR4_TSD, 0);
    system.invlpg(0x1000);
    expect(names.map(count).map((n, i) => n - before[i]!)).toEqual([1, 1, 1]);
  });

  test('LMSW sets PE but does not clear it', () => {
    system.lmsw(slot.CR0_TS);
    expect(S[slot.CR0]! & 0xf).toBe(slot.CR0_PE | slot.CR0_TS);
    system.clts();
    expect(S[slot.CR0]! & 0xf).toBe(slot.CR0_PE);
  });
});

describe('descriptor tables', () => {
  test('LGDT takes 24 bits of base with a 16-bit operand; SGDT gives back what there is', () => {
    cpu.memory.writeBytes(0x9000 as MachineAddress, Uint8Array.of(0xff, 0x01, 0x78, 0x56, 0x34, 0x12));
    system.lgdt(0x9000, 0, 2);
    expect([S[slot.GDTR_LIMIT], S[slot.GDTR_BASE]]).toEqual([0x1ff, 0x345678]);
    system.lgdt(0x9000, 0, 4);
    system.sgdt(0xa000, 0);
    expect(cpu.memory.ram.slice(0xa000, 0xa006)).toEqual(cpu.memory.ram.slice(0x9000, 0x9006));
  });

  test('LTR makes the TSS busy, and refuses a busy one', () => {
    system.ltr(TSS_SELECTOR);
    expect(cpu.memory.read8((GDT_AT + TSS_SELECTOR + 5) as MachineAddress) & 0xf).toBe(0xb);
    expect(S[slot.segmentSlot(slot.TR) + slot.RIGHTS]! & 0xf).toBe(0xb);
    expect(faultOf(cpu, () => system.ltr(TSS_SELECTOR))).toEqual(gp(TSS_SELECTOR));
  });

  test('LLDT takes an LDT or null', () => {
    expect(faultOf(cpu, () => system.lldt(TSS_SELECTOR))).toEqual(gp(TSS_SELECTOR));
    writeDescriptor(cpu, FREE_SELECTOR, { type: 2, system: true, dpl: 0, base: 0x5000, limit: 0xff, granular: false });
    system.lldt(FREE_SELECTOR);
    expect([system.sldt(), S[slot.segmentSlot(slot.LDTR) + slot.BASE]]).toEqual([FREE_SELECTOR, 0x5000]);
    system.lldt(0);
    expect(system.sldt()).toBe(0);
  });
});

describe('probes', () => {
  const zero = (): boolean => (cpu.eflags() & ZF) !== 0;

  test('LAR and LSL tell what a visible descriptor says', () => {
    expect(system.lar(code(0))).toBe(0x00c09b00);
    expect(zero()).toBe(true);
    expect(system.lsl(data(3)) >>> 0).toBe(0xffffffff);
    expect(system.lsl(TSS_SELECTOR)).toBe(0x67);
    expect(zero()).toBe(true);
  });

  test('they fail for what the ring may not see, what is beyond the table, and null', () => {
    enterRing(cpu, 3, STACK);
    for (const selector of [code(0), 0x7f8, 0, 3]) {
      cpu.setEflags(2 | ZF);
      system.lar(selector);
      expect(zero()).toBe(false);
    }
  });

  test('a call gate has rights but no limit', () => {
    callGate(code(0), 3);
    system.lar(GATE);
    expect(zero()).toBe(true);
    system.lsl(GATE);
    expect(zero()).toBe(false);
  });

  test('VERR and VERW', () => {
    const results = [code(0), data(0), TSS_SELECTOR].map((selector) => {
      system.verr(selector);
      const readable = zero();
      system.verw(selector);
      return [readable, zero()];
    });
    expect(results).toEqual([
      [true, false],
      [true, true],
      [false, false],
    ]);
  });

  test('do not exist in real mode', () => {
    S[slot.CR0] = 0;
    expect(faultOf(cpu, () => system.lar(8))).toEqual({ vector: UD, error: null });
  });
});

describe('model-specific registers', () => {
  function read(index: number): [number, number] {
    S[slot.ECX] = index;
    system.rdmsr();
    return [S[slot.EAX]! >>> 0, S[slot.EDX]! >>> 0];
  }
  function write(index: number, low: number, high = 0): void {
    S[slot.ECX] = index;
    S[slot.EAX] = low;
    S[slot.EDX] = high;
    system.wrmsr();
  }

  test('SYSENTER registers and EFER.NXE keep what is written', () => {
    write(0x174, 8);
    write(0x176, 0xc0100000);
    write(0xc0000080, slot.EFER_NXE);
    expect([read(0x174)[0], read(0x176)[0], read(0xc0000080)[0]]).toEqual([8, 0xc0100000, slot.EFER_NXE]);
  });

  test('long mode cannot be enabled, and an unknown register is #GP(0)', () => {
    expect(faultOf(cpu, () => write(0xc0000080, 0x100))).toEqual(gp(0));
    expect(faultOf(cpu, () => read(0x3a))).toEqual(gp(0));
    expect(faultOf(cpu, () => write(0x123, 0))).toEqual(gp(0));
  });

  test('the TSC runs with virtual time, from where it was set', () => {
    T[slot.CYCLES] = 5 * 2 ** 32 + 7;
    system.rdtsc();
    expect([S[slot.EAX], S[slot.EDX]]).toEqual([7, 5]);
    write(0x10, 100, 2);
    T[slot.CYCLES] = T[slot.CYCLES]! + 50;
    expect(read(0x10)).toEqual([150, 2]);
    T[slot.TSC_BASE] = 0;
    T[slot.CYCLES] = 0;
  });

  test('RDTSC obeys CR4.TSD', () => {
    S[slot.CR4] = slot.CR4_TSD;
    system.rdtsc();
    enterRing(cpu, 3, STACK);
    expect(faultOf(cpu, () => system.rdtsc())).toEqual(gp(0));
  });

  test('CPUID names the profile’s processor and masks long mode', () => {
    S[slot.EAX] = 0;
    system.cpuid();
    const words = Int32Array.of(S[slot.EBX]!, S[slot.EDX]!, S[slot.ECX]!);
    expect(new TextDecoder().decode(words)).toBe(cpu.profile.cpuid.vendor);
    S[slot.EAX] = 0x80000001 | 0;
    system.cpuid();
    expect(S[slot.EDX]).toBe(1 << 20);
  });
});

describe('ports', () => {
  const seen: number[][] = [];
  beforeEach(() => {
    seen.length = 0;
    cpu.ports.read = (port, size) => {
      seen.push([port, size]);
      return -1;
    };
  });
  const bitmap = (base: number, ...bytes: number[]): void => {
    cpu.memory.write16((TSS_AT + 102) as MachineAddress, base);
    cpu.memory.writeBytes((TSS_AT + base) as MachineAddress, Uint8Array.from(bytes));
    S[slot.segmentSlot(slot.TR) + slot.LIMIT] = base + bytes.length - 1;
  };

  test('ring 0 needs no permission, and the access is charged', () => {
    const before = cpu.ledger.counts[eventNumber('portRead')]!;
    expect(system.portIn(0x60, 1)).toBe(0xff);
    expect(seen).toEqual([[0x60, 1]]);
    expect(cpu.ledger.counts[eventNumber('portRead')]! - before).toBe(1);
  });

  test('beyond IOPL the bitmap decides, bit by bit of the access', () => {
    enterRing(cpu, 3, STACK);
    bitmap(0x68, 0b0000_0100, 0xff);
    expect(system.portIn(0, 2)).toBe(0xffff);
    expect(faultOf(cpu, () => system.portIn(1, 2))).toEqual(gp(0));
    expect(faultOf(cpu, () => system.portIn(7, 2))).toEqual(gp(0));
    expect(system.portIn(7, 1)).toBe(0xff);
  });

  test('a port beyond the bitmap is forbidden, and so is every port without one', () => {
    enterRing(cpu, 3, STACK);
    bitmap(0x68, 0, 0xff);
    expect(faultOf(cpu, () => system.portIn(8, 1))).toEqual(gp(0));
    bitmap(0x68);
    expect(faultOf(cpu, () => system.portIn(0, 1))).toEqual(gp(0));
  });

  test('a refused access reaches no device', () => {
    enterRing(cpu, 3, STACK);
    bitmap(0x68);
    expect(() => system.portIn(0x60, 1)).toThrow(FAULT as never);
    expect(seen).toEqual([]);
  });
});
