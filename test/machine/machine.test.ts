/** The chips as the machine wires them to each other and to the processor: interrupts, NMI, MSRs, CPUID, reset. */
import { beforeEach, describe, expect, it } from 'vitest';
import { GP, STOP_HALT, STOP_REQUESTED } from '../../src/core/signals.ts';
import * as slot from '../../src/core/state.ts';
import { CORE2 } from '../../src/cost/profiles/core2.ts';
import { DEFAULT_PROFILE } from '../../src/cost/profiles/index.ts';
import { pciInput } from '../../src/machine/firmware/interrupt-wiring.ts';
import { IO_APIC_BASE } from '../../src/machine/io-apic.ts';
import { APIC_BASE } from '../../src/machine/local-apic.ts';
import { Machine } from '../../src/machine/machine.ts';
import { code, faultOf, setUp, stackWords, writeGate } from '../support/protected-cpu.ts';

const CODE = 0x10000;
const HANDLER = 0x12000;
const LIMIT = 1e11;
const STI = 0xfb;
const HLT = 0xf4;
const NOP = 0x90;
const IRET = 0xcf;
const IA32_APIC_BASE = 0x1b;
const IA32_TSC_DEADLINE = 0x6e0;

let machine: Machine;
let S: Int32Array;

function make(profile = DEFAULT_PROFILE): void {
  machine = new Machine({ profile, ramBytes: 1 << 20 });
  S = machine.memory.state;
  setUp(machine.cpu);
}
const put = (address: number, ...bytes: readonly number[]): void =>
  machine.memory.writeBytes(address as never, Uint8Array.from(bytes));
const port = (number: number, ...values: readonly number[]): void => {
  for (const value of values) machine.ports.write(number, value, 1);
};
const apic = (offset: number, value: number): void => machine.mmio.write(APIC_BASE + offset, value, 4);
function redirect(input: number, low: number): void {
  machine.mmio.write(IO_APIC_BASE, 0x10 + 2 * input, 4);
  machine.mmio.write(IO_APIC_BASE + 0x10, low, 4);
}
/** The 8259 pair with vectors 20H and 28H and these inputs masked. */
function initializePic(masks: number): void {
  port(0x20, 0x11);
  port(0x21, 0x20, 0x04, 0x01, masks & 0xff);
  port(0xa0, 0x11);
  port(0xa1, 0x28, 0x02, 0x01, masks >>> 8);
}
/** A handler at each vector that halts, so that EIP tells which one was reached. */
function haltingHandlers(...vectors: readonly number[]): void {
  for (const vector of vectors) {
    writeGate(machine.cpu, vector, code(0), HANDLER + 16 * vector);
    put(HANDLER + 16 * vector, HLT);
  }
}
/** Runs `bytes` with interrupts as they are; the vector whose handler halted, or -1 if the code itself did. */
function run(...bytes: readonly number[]): number {
  put(CODE, ...bytes);
  S[slot.EIP] = CODE;
  S[slot.ACTIVITY] = 0;
  expect(machine.runGuest(LIMIT)).toBe(STOP_HALT);
  const at = S[slot.EIP]! - HANDLER - 1;
  return at >= 0 ? at / 16 : -1;
}
const rdmsr = (index: number): number => {
  S[slot.ECX] = index;
  machine.cpu.system.rdmsr();
  return S[slot.EAX]! >>> 0;
};
const wrmsr = (index: number, low: number, high = 0): void => {
  S[slot.ECX] = index;
  S[slot.EAX] = low;
  S[slot.EDX] = high;
  machine.cpu.system.wrmsr();
};
const cpuid = (leaf: number): { ebx: number; ecx: number; edx: number } => {
  S[slot.EAX] = leaf;
  machine.cpu.system.cpuid();
  return { ebx: S[slot.EBX]!, ecx: S[slot.ECX]!, edx: S[slot.EDX]! };
};

beforeEach(() => make());

describe('interrupts of the 8259 pair', () => {
  it('reach the processor as firmware leaves the local APIC: virtual wire mode', () => {
    haltingHandlers(0x20);
    initializePic(0xfffe);
    port(0x43, 0x34);
    port(0x40, 0x00, 0x10);
    expect(run(STI, NOP, HLT)).toBe(0x20);
    // ExtINT leaves nothing in service.
    expect(machine.mmio.read(APIC_BASE + 0x110, 4)).toBe(0);
  });

  it('and with the local APIC disabled in IA32_APIC_BASE', () => {
    haltingHandlers(0x20);
    initializePic(0xfffe);
    wrmsr(IA32_APIC_BASE, rdmsr(IA32_APIC_BASE) & ~0x800);
    port(0x43, 0x34);
    port(0x40, 0x00, 0x10);
    expect(run(STI, NOP, HLT)).toBe(0x20);
  });

  it('but not past a masked LINT0', () => {
    haltingHandlers(0x20);
    initializePic(0xfffe);
    apic(0x350, 0x10700);
    port(0x43, 0x38);
    port(0x40, 0x00, 0x10);
    expect(run(STI, NOP, HLT)).toBe(-1);
  });

  it('and through input 0 of the I/O APIC as ExtINT', () => {
    haltingHandlers(0x20);
    initializePic(0xfffe);
    apic(0x350, 0x10700);
    redirect(0, 0x700);
    port(0x43, 0x34);
    port(0x40, 0x00, 0x10);
    expect(run(STI, NOP, HLT)).toBe(0x20);
  });
});

describe('interrupts of the I/O APIC', () => {
  beforeEach(() => initializePic(0xffff));

  it('the timer is its input 2', () => {
    haltingHandlers(0x41);
    redirect(2, 0x41);
    port(0x43, 0x34);
    port(0x40, 0x00, 0x10);
    expect(run(STI, NOP, HLT)).toBe(0x41);
    expect(machine.mmio.read(APIC_BASE + 0x120, 4)).toBe(2);
  });

  it.each([
    ['keyboard', 1, () => port(0x60, 0xff)],
    ['serial port', 4, () => port(0x3fc, 0x08)],
    ['real-time clock', 8, () => undefined],
    ['mouse', 12, () => port(0x64, 0xd3)],
  ])('%s: input %i', (_, input, cause) => {
    haltingHandlers(0x51);
    redirect(input, 0x51);
    if (input === 4) port(0x3f9, 0x02);
    if (input === 8) {
      port(0x70, 0x0b);
      port(0x71, 0x42);
    }
    if (input === 12) port(0x64, 0x60);
    if (input === 12) port(0x60, 0x47);
    cause();
    if (input === 12) port(0x60, 0x5a);
    expect(run(STI, NOP, HLT)).toBe(0x51);
  });

  it('the SCI is a level on input 9 that comes again until it is cleared', () => {
    haltingHandlers(0x59);
    redirect(9, 0x8059);
    port(0x602, 0x01);
    expect(run(STI, HLT)).toBe(0x59);
    apic(0xb0, 0);
    expect(run(STI, NOP, NOP, HLT)).toBe(0x59);
    port(0x600, 0x01);
    apic(0xb0, 0);
    port(0x602, 0x00);
    expect(run(STI, NOP, HLT)).toBe(-1);
  });
});

describe('PCI interrupt wires', () => {
  it('idle high: unmasked as PCI has them, level and active low, nothing asks', () => {
    initializePic(0xffff);
    for (let input = 16; input < 20; input++) redirect(input, 0xa060 + input);
    expect(run(STI, NOP, HLT)).toBe(-1);
  });

  it.each([
    [4, 0, 16],
    [5, 0, 17],
    [5, 3, 16],
    [7, 1, 16],
  ])('slot %i, pin %i is on input %i', (slot, pin, input) => {
    expect(pciInput(slot, pin)).toBe(input);
  });
});

describe('the local APIC', () => {
  it('is reached by the processor at FEE00000H', () => {
    // mov dword [0xfee00300], 0x40055 (self IPI); sti; nop; hlt
    haltingHandlers(0x55);
    const ipi = [0xc7, 0x05, 0x00, 0x03, 0xe0, 0xfe, 0x55, 0x00, 0x04, 0x00];
    expect(run(...ipi, STI, NOP, HLT)).toBe(0x55);
  });

  it("its timer counts the profile's bus clock", () => {
    haltingHandlers(0x40);
    apic(0x3e0, 0x0b);
    apic(0x320, 0x40);
    apic(0x380, 1_000_000);
    expect(run(STI, HLT)).toBe(0x40);
    // A million ticks of 100 MHz, and then the interrupt's delivery.
    const cycles = machine.memory.time[slot.CYCLES]!;
    expect(cycles).toBeGreaterThanOrEqual(34_000_000);
    expect(cycles).toBeLessThan(34_001_000);
  });

  it('its TSC deadline follows the TSC that the guest has written', () => {
    haltingHandlers(0x40);
    apic(0x320, 0x40040);
    wrmsr(0x10, 0, 0x100);
    wrmsr(IA32_TSC_DEADLINE, 5_000_000, 0x100);
    expect(run(STI, HLT)).toBe(0x40);
    expect(machine.memory.time[slot.CYCLES]!).toBeGreaterThanOrEqual(5_000_000);
    expect(machine.memory.time[slot.CYCLES]!).toBeLessThan(5_001_000);
  });
});

describe('CPUID and MSRs', () => {
  it('report the local APIC, and the deadline timer where the processor has it', () => {
    expect(cpuid(1).edx & (1 << 9)).not.toBe(0);
    expect(cpuid(1).ecx & (1 << 24)).not.toBe(0);
    expect(cpuid(1).ebx >>> 24).toBe(0);
    expect(rdmsr(IA32_APIC_BASE)).toBe(0xfee00900);
    make(CORE2);
    expect(cpuid(1).edx & (1 << 9)).not.toBe(0);
    expect(cpuid(1).ecx & (1 << 24)).toBe(0);
    expect(faultOf(machine.cpu, () => rdmsr(IA32_TSC_DEADLINE))).toEqual({ vector: GP, error: 0 });
  });

  it('do not report one that is disabled', () => {
    wrmsr(IA32_APIC_BASE, 0xfee00100);
    expect(cpuid(1).edx & (1 << 9)).toBe(0);
    expect(cpuid(1).ecx & (1 << 24)).toBe(0);
  });

  it('reserved bits of IA32_APIC_BASE raise #GP(0)', () => {
    expect(faultOf(machine.cpu, () => wrmsr(IA32_APIC_BASE, 0xfee00d00))).toEqual({ vector: GP, error: 0 });
  });
});

describe('NMI (SDM 3A 6.7)', () => {
  beforeEach(() => haltingHandlers(2));

  it('through LINT1, whatever IF says; its frame returns to the interrupted place', () => {
    machine.setNmiLine(true);
    expect(run(NOP, HLT)).toBe(2);
    expect(stackWords(machine.cpu, 3)).toEqual([CODE, code(0), 2]);
  });

  it('the CMOS index port keeps it out', () => {
    port(0x70, 0x80);
    machine.setNmiLine(true);
    expect(run(NOP, HLT)).toBe(-1);
  });

  it('as an IPI to itself', () => {
    apic(0x300, 0x400);
    expect(run(NOP, HLT)).toBe(2);
  });

  it('as a message of the I/O APIC', () => {
    redirect(2, 0x400);
    port(0x43, 0x34);
    port(0x40, 0x00, 0x10);
    expect(run(NOP, HLT)).toBe(2);
  });

  it('is blocked from its delivery to the next IRET, and one more waits', () => {
    put(HANDLER + 16 * 2, NOP, IRET);
    apic(0x300, 0x400);
    put(CODE, NOP, HLT);
    machine.memory.time[slot.BUDGET] = 0;
    machine.cpu.run();
    expect(S[slot.EIP]).toBe(HANDLER + 16 * 2);
    apic(0x300, 0x400);
    apic(0x300, 0x400);
    expect(S[slot.NMI_BLOCKED]).toBe(1);
    // Two deliveries in all: the one under way, and the one latched behind it.
    expect(machine.runGuest(LIMIT)).toBe(STOP_HALT);
    expect(S[slot.EIP]).toBe(CODE + 2);
    expect([S[slot.NMI_BLOCKED], S[slot.NMI_PENDING]]).toEqual([0, 0]);
    expect(S[slot.ESP]).toBe(0x30000);
  });

  it('waits behind MOV SS', () => {
    S[slot.SHADOW] = 2;
    apic(0x300, 0x400);
    expect(run(NOP, HLT)).toBe(2);
    expect(stackWords(machine.cpu, 1)).toEqual([CODE + 1]);
  });
});

describe('reset and power', () => {
  it.each([
    ['keyboard controller', () => port(0x64, 0xfe), 'reset'],
    ['port 0x92', () => port(0x92, 0x01), 'reset'],
    ['port 0xcf9', () => port(0xcf9, 0x02, 0x06), 'reset'],
    ['ACPI sleep type 5', () => machine.ports.write(0x604, (5 << 10) | (1 << 13), 2), 'off'],
  ])('%s ends the run', (_, action, request) => {
    action();
    put(CODE, NOP, HLT);
    S[slot.EIP] = CODE;
    expect(machine.runGuest(LIMIT)).toBe(STOP_REQUESTED);
    expect(machine.power.request).toBe(request);
  });
});

it('a snapshot holds every chip', () => {
  const before = machine.snapshot();
  const hash = machine.hash();
  apic(0x80, 0x55);
  redirect(3, 0x43);
  port(0x70, 0x40);
  port(0x71, 0x77);
  port(0x64, 0xd3);
  port(0x60, 0x12);
  port(0x92, 0x00);
  machine.setNmiLine(true);
  expect(machine.hash()).not.toBe(hash);
  machine.restore(before);
  expect(machine.hash()).toBe(hash);
});
