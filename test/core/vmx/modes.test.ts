/** Guests in real-address and virtual-8086 mode: unrestricted guest (SDM 3C 25.6, 26.3.1), what their exits report. */
import { beforeEach, describe, expect, test } from 'vitest';
import * as slot from '../../../src/core/state.ts';
import { FIELD as F } from '../../../src/core/vmx/fields.ts';
import { EXIT } from '../../../src/core/vmx/reasons.ts';
import { SANDY_BRIDGE } from '../../../src/cost/profiles/sandy-bridge.ts';
import { GUEST_GDT, guestTables, reset, runGuest, vmxCpu } from '../../support/vmx-cpu.ts';

const m = vmxCpu(SANDY_BRIDGE);
const CODE_SEGMENT = 0x2000;
const STACK_SEGMENT = 0x3000;
const HANDLER_SEGMENT = 0x4000;
const CPUID = [0x0f, 0xa2];
const GP = 13;
const VALID = 0x80000000 | 0;

const put = (at: number, ...bytes: number[]): void => m.cpu.memory.writeBytes(at as never, Uint8Array.from(bytes));
const word = (at: number): number => m.cpu.memory.read16(at as never);

function segment(index: number, selector: number, rights: number): void {
  m.write(F.guestEsSelector + 2 * index, selector);
  m.write(F.guestEsBase + 2 * index, selector << 4);
  m.write(F.guestEsLimit + 2 * index, 0xffff);
  m.write(F.guestEsRights + 2 * index, rights);
}

/** All six segments, CS:IP at 2000:0 and SS:SP at 3000:1000. */
function segments(codeRights: number, dataRights: number): void {
  for (let index = slot.ES; index <= slot.GS; index++) segment(index, 0x1000, dataRights);
  segment(slot.CS, CODE_SEGMENT, codeRights);
  segment(slot.SS, STACK_SEGMENT, dataRights);
  m.write(F.guestRip, 0);
  m.write(F.guestRsp, 0x1000);
}

beforeEach(() => {
  reset(m);
  m.write(F.guestIdtrBase, 0);
  m.write(F.guestIdtrLimit, 0x3ff);
});

describe('a real-mode guest', () => {
  beforeEach(() => {
    segments(0x9b, 0x93);
    m.write(F.guestCr0, slot.CR0_NE | slot.CR0_ET);
  });

  test('takes INT n through its vector table', () => {
    put(0x21 * 4, 0x10, 0x00, HANDLER_SEGMENT & 0xff, HANDLER_SEGMENT >> 8);
    put((HANDLER_SEGMENT << 4) + 0x10, ...CPUID);
    put(CODE_SEGMENT << 4, 0xfb, 0x90, 0xcd, 0x21);
    expect(runGuest(m)).toBe(EXIT.cpuid);
    expect([m.read(F.guestCsSelector), m.read(F.guestCsBase), m.read(F.guestRip)]).toEqual([
      HANDLER_SEGMENT,
      HANDLER_SEGMENT << 4,
      0x10,
    ]);
    expect([m.read(F.guestRsp), m.read(F.guestRflags)]).toEqual([0x1000 - 6, 2]);
    const stack = (STACK_SEGMENT << 4) + 0x1000;
    expect([word(stack - 6), word(stack - 4), word(stack - 2)]).toEqual([4, CODE_SEGMENT, 0x202]);
  });

  test('reports an exception without an error code', () => {
    m.write(F.exceptionBitmap, 1 << GP);
    // mov ax, [0xffff]: beyond the limit
    put(CODE_SEGMENT << 4, 0xa1, 0xff, 0xff);
    expect(runGuest(m)).toBe(EXIT.exception);
    expect(m.read(F.exitInterruptionInfo)).toBe(VALID | (3 << 8) | GP);
  });

  test('exits by VMCALL, which needs no protected mode, and takes #UD for VMXOFF, which does', () => {
    put(CODE_SEGMENT << 4, 0x0f, 0x01, 0xc1);
    expect(runGuest(m)).toBe(EXIT.vmcall);
    m.write(F.exceptionBitmap, 1 << 6);
    put(CODE_SEGMENT << 4, 0x0f, 0x01, 0xc4);
    expect(runGuest(m)).toBe(EXIT.exception);
  });

  test('switches itself to protected mode and back without an exit', () => {
    guestTables(m, 0);
    m.write(F.guestGdtrBase, GUEST_GDT);
    put(
      CODE_SEGMENT << 4,
      ...[0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0],
      // jmp dword 8:20020
      ...[0x66, 0xea, 0x20, 0x00, 0x02, 0x00, 0x08, 0x00],
    );
    // mov ax, 16; mov ds, ax; mov eax, cr0; and al, fe; mov cr0, eax; CPUID
    const there = [0x66, 0xb8, 16, 0, 0x8e, 0xd8, 0x0f, 0x20, 0xc0, 0x24, 0xfe, 0x0f, 0x22, 0xc0, ...CPUID];
    put((CODE_SEGMENT << 4) + 0x20, ...there);
    expect(runGuest(m)).toBe(EXIT.cpuid);
    expect([m.read(F.guestCr0) & 1, m.read(F.guestCsBase), m.read(F.guestDsLimit)]).toEqual([0, 0, -1]);
    expect(m.read(F.guestRip)).toBe((CODE_SEGMENT << 4) + 0x20 + there.length - 2);
    // What it is now, code with D = 1 in real mode, is a state that VM entry takes.
    m.write(F.guestRip, m.read(F.guestRip) + 2);
    put((CODE_SEGMENT << 4) + 0x20 + there.length, 0x0f, 0x01, 0xc1);
    expect(runGuest(m)).toBe(EXIT.vmcall);
  });
});

describe('a virtual-8086 guest', () => {
  const enter = (iopl: number, ...code: number[]): number => {
    segments(0xf3, 0xf3);
    m.write(F.guestCr0, slot.CR0_PE | slot.CR0_PG | slot.CR0_NE | slot.CR0_ET);
    m.write(F.guestRflags, 0x20002 | (iopl << 12));
    m.write(F.exceptionBitmap, 1 << GP);
    put(CODE_SEGMENT << 4, ...code);
    return runGuest(m);
  };

  test('runs at ring 3 with 8086 segments', () => {
    // push cs; pop ds; CPUID
    expect(enter(3, 0x0e, 0x1f, ...CPUID)).toBe(EXIT.cpuid);
    expect([m.read(F.guestDsSelector), m.read(F.guestDsBase), m.read(F.guestDsRights)]).toEqual([
      CODE_SEGMENT,
      CODE_SEGMENT << 4,
      0xf3,
    ]);
    expect(m.read(F.guestRflags)).toBe(0x23002);
  });

  test('faults where IOPL demands the monitor', () => {
    expect(enter(0, 0xfa)).toBe(EXIT.exception);
    expect(m.read(F.exitInterruptionInfo)).toBe(VALID | (1 << 11) | (3 << 8) | GP);
    expect([m.read(F.guestCsRights), m.read(F.guestRflags)]).toEqual([0xf3, 0x20002]);
  });
});
