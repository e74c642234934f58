/** VM exits: what intercepts, reasons, qualifications, the state that is saved and loaded; injection. */
import { beforeEach, describe, expect, test } from 'vitest';
import * as slot from '../../../src/core/state.ts';
import { FIELD as F } from '../../../src/core/vmx/fields.ts';
import { EXIT } from '../../../src/core/vmx/reasons.ts';
import { VMCS_POINTER, VMM_ATTACHED } from '../../../src/core/vmx/state.ts';
import { NEHALEM } from '../../../src/cost/profiles/nehalem.ts';
import { SANDY_BRIDGE } from '../../../src/cost/profiles/sandy-bridge.ts';
import {
  BITMAP_AT,
  GUEST_CODE,
  GUEST_IDT,
  GUEST_STACK,
  guestTables,
  HOST_CODE,
  reset,
  runGuest,
  type VmxCpu,
  vmxCpu,
} from '../../support/vmx-cpu.ts';

const unrestricted = vmxCpu(SANDY_BRIDGE);
const paged = vmxCpu(NEHALEM);
let m: VmxCpu;
let S: Int32Array;
const HANDLER = 0x120000;
const CPUID = [0x0f, 0xa2];
const VALID = 0x80000000 | 0;

function use(machine: VmxCpu): void {
  m = machine;
  S = m.S;
  reset(m);
  guestTables(m, HANDLER);
}
beforeEach(() => use(unrestricted));

const set = (field: number, bits: number): void => m.write(field, m.read(field) | bits);
const qualification = (): number => m.read(F.exitQualification);
const put = (at: number, ...bytes: number[]): void => m.cpu.memory.writeBytes(at as never, Uint8Array.from(bytes));

const PROC = F.procControls;
const ALWAYS = 0;

/** Name, code, control bit that makes it exit (ALWAYS: none needed), reason, qualification. */
const INSTRUCTIONS: [string, number[], number, number, number][] = [
  ['CPUID', CPUID, ALWAYS, EXIT.cpuid, 0],
  ['INVD', [0x0f, 0x08], ALWAYS, EXIT.invd, 0],
  ['HLT', [0xf4], 1 << 7, EXIT.hlt, 0],
  ['INVLPG', [0x0f, 0x01, 0x3d, 0x00, 0x50, 0x12, 0x00], 1 << 9, EXIT.invlpg, 0x125000],
  ['RDTSC', [0x0f, 0x31], 1 << 12, EXIT.rdtsc, 0],
  ['RDMSR', [0x0f, 0x32], ALWAYS, EXIT.rdmsr, 0],
  ['WRMSR', [0x0f, 0x30], ALWAYS, EXIT.wrmsr, 0],
  ['MOV EBX, CR3', [0x0f, 0x20, 0xdb], 1 << 16, EXIT.controlRegister, 3 | (1 << 4) | (3 << 8)],
  ['MOV CR3, ESI', [0x0f, 0x22, 0xde], 1 << 15, EXIT.controlRegister, 3 | (6 << 8)],
  ['MOV EDX, DR7', [0x0f, 0x21, 0xfa], 1 << 23, EXIT.debugRegister, 7 | (1 << 4) | (2 << 8)],
  ['MOV DR6, ECX', [0x0f, 0x23, 0xf1], 1 << 23, EXIT.debugRegister, 6 | (1 << 8)],
  ['IN AL, DX', [0x66, 0xba, 0x80, 0, 0xec], 1 << 24, EXIT.port, 0x80_0000 | (1 << 3)],
  ['OUT DX, EAX', [0x66, 0xba, 0x34, 0x12, 0xef], 1 << 24, EXIT.port, 0x1234_0003],
  ['VMCALL', [0x0f, 0x01, 0xc1], ALWAYS, EXIT.vmcall, 0],
  ['VMXOFF', [0x0f, 0x01, 0xc4], ALWAYS, EXIT.vmxoff, 0],
  ['VMREAD', [0x0f, 0x78, 0xd8], ALWAYS, EXIT.vmread, 0],
  ['VMRESUME', [0x0f, 0x01, 0xc3], ALWAYS, EXIT.vmresume, 0],
];

describe('[vtx:reasons] [vtx:proc] [vtx:qualifications] instructions that exit', () => {
  test.each(INSTRUCTIONS)('%s', (_name, code, control, reason, wanted) => {
    set(PROC, control);
    expect(runGuest(m, code)).toBe(reason);
    expect(qualification()).toBe(wanted);
    // A leading MOV DX, imm16 is four bytes of set-up.
    const start = code[0] === 0x66 ? 4 : 0;
    expect([m.read(F.guestRip), m.read(F.exitInstructionLength)]).toEqual([GUEST_CODE + start, code.length - start]);
  });

  test.each(INSTRUCTIONS.filter(([, , control]) => control !== ALWAYS))(
    '%s without its control runs on',
    (_name, code) => {
      if (code[0] === 0xf4) return;
      m.write(PROC, m.read(PROC) & ~((1 << 15) | (1 << 16)));
      expect(runGuest(m, [...code, ...CPUID])).toBe(EXIT.cpuid);
    },
  );

  test('a fault comes before the exit: HLT at CPL 3 is the guest’s #GP', () => {
    set(PROC, 1 << 7);
    put(HANDLER, ...CPUID);
    for (let segment = 0; segment < 6; segment++) {
      set(F.guestEsRights + 2 * segment, 0x60);
      set(F.guestEsSelector + 2 * segment, 3);
    }
    // The TSS has no stack for ring 0, so the #GP ends in a triple fault rather than in an HLT exit.
    expect(runGuest(m, [0xf4])).toBe(EXIT.tripleFault);
  });
});

describe('[vtx:proc-rest] more instructions that exit by a control', () => {
  test.each([
    ['RDPMC', [0x0f, 0x33], 1 << 11, EXIT.rdpmc],
    ['MOV DR3, EBX', [0x0f, 0x23, 0xdb], 1 << 23, EXIT.debugRegister],
  ])('%s', (_name, code, control, reason) => {
    set(PROC, control);
    expect(runGuest(m, [...code, ...CPUID])).toBe(reason);
  });
});

describe('[vtx:proc2-rest] instructions that exit by a secondary control', () => {
  test.each([
    ['SGDT', [0x0f, 0x01, 0x05, 0, 0x50, 0x12, 0], 1 << 2, EXIT.descriptorTableGdtIdt],
    ['SIDT', [0x0f, 0x01, 0x0d, 0, 0x50, 0x12, 0], 1 << 2, EXIT.descriptorTableGdtIdt],
    ['SLDT EAX', [0x0f, 0x00, 0xc0], 1 << 2, EXIT.descriptorTableLdtTr],
    ['STR EAX', [0x0f, 0x00, 0xc8], 1 << 2, EXIT.descriptorTableLdtTr],
    ['WBINVD', [0x0f, 0x09], 1 << 6, EXIT.wbinvd],
  ])('%s, and only then', (_name, code, control, reason) => {
    expect(runGuest(m, [...code, ...CPUID])).toBe(EXIT.cpuid);
    use(unrestricted);
    set(PROC, 1 << 31);
    set(F.procControls2, control);
    expect(runGuest(m, [...code, ...CPUID])).toBe(reason);
  });
});

describe('[vtx:bitmaps] I/O and MSR bitmaps', () => {
  test('only ports whose bit is set exit, any byte of the access counting', () => {
    set(PROC, 1 << 25);
    m.write(F.ioBitmapA, BITMAP_AT);
    m.write(F.ioBitmapB, BITMAP_AT + 0x1000);
    put(BITMAP_AT + 0x10, 1);
    expect(runGuest(m, [0xe4, 0x81, ...CPUID])).toBe(EXIT.cpuid);
    m.write(F.guestRip, GUEST_CODE);
    expect(runGuest(m, [0xe5, 0x7d])).toBe(EXIT.port);
  });
  test('MSR reads and writes apart', () => {
    set(PROC, 1 << 28);
    m.write(F.msrBitmap, BITMAP_AT);
    put(BITMAP_AT + 2048 + 0x2e, 0x40);
    // mov ecx, 0x176; rdmsr; wrmsr
    expect(runGuest(m, [0xb9, 0x76, 1, 0, 0, 0x0f, 0x32, 0x0f, 0x30])).toBe(EXIT.wrmsr);
  });
});

describe('[vtx:cr-classes] CR0 and CR4 masks and shadows', () => {
  test('a host-owned bit reads from the shadow', () => {
    m.write(F.cr0Mask, 0x20);
    m.write(F.cr0Shadow, 0);
    runGuest(m, [0x0f, 0x20, 0xc3, ...CPUID]);
    expect((S[slot.EBX] as number) & 0x20).toBe(0);
  });
  test('writing its shadow value does not exit and leaves the real bit', () => {
    m.write(F.cr0Mask, 0x20);
    m.write(F.cr0Shadow, 0);
    // mov eax, 0x11; mov cr0, eax; cpuid
    expect(runGuest(m, [0xb8, 0x11, 0, 0, 0, 0x0f, 0x22, 0xc0, ...CPUID])).toBe(EXIT.cpuid);
    expect(m.read(F.guestCr0) & 0x20).toBe(0x20);
  });
  test('writing another value exits', () => {
    m.write(F.cr4Mask, 0x2000);
    expect(runGuest(m, [0xb8, 0, 0x20, 0, 0, 0x0f, 0x22, 0xe0])).toBe(EXIT.controlRegister);
    expect(qualification()).toBe(4);
  });
  test('CLTS exits if the shadow has TS', () => {
    m.write(F.cr0Mask, 8);
    m.write(F.cr0Shadow, 8);
    expect([runGuest(m, [0x0f, 0x06]), qualification()]).toEqual([EXIT.controlRegister, 2 << 4]);
  });
  test('LMSW exits with its source', () => {
    m.write(F.cr0Mask, 2);
    // mov eax, 3; lmsw ax
    expect([runGuest(m, [0xb8, 3, 0, 0, 0, 0x0f, 0x01, 0xf0]), qualification()]).toEqual([
      EXIT.controlRegister,
      (3 << 4) | (3 << 16),
    ]);
  });
  test('a CR3 target does not exit', () => {
    set(PROC, 1 << 15);
    m.write(F.cr3TargetCount, 1);
    m.write(F.cr3Target0, 0x5000);
    // mov eax, 0x5000; mov cr3, eax (paging is off)
    expect(runGuest(m, [0xb8, 0, 0x50, 0, 0, 0x0f, 0x22, 0xd8, ...CPUID])).toBe(EXIT.cpuid);
  });
});

describe('[vtx:pf-filter] exceptions', () => {
  test('an exception in the bitmap exits with its interruption information', () => {
    m.write(F.exceptionBitmap, 1 << 13);
    // mov ax, 0x7f8; mov ds, ax: selector outside the GDT
    expect(runGuest(m, [0x66, 0xb8, 0xf8, 7, 0x8e, 0xd8])).toBe(EXIT.exception);
    expect([m.read(F.exitInterruptionInfo), m.read(F.exitInterruptionError)]).toEqual([
      VALID | (1 << 11) | (3 << 8) | 13,
      0x7f8,
    ]);
  });
  test('one not in the bitmap is the guest’s', () => {
    put(HANDLER, ...CPUID);
    expect(runGuest(m, [0x0f, 0x0b])).toBe(EXIT.cpuid);
    expect(m.read(F.guestRip)).toBe(HANDLER);
  });
  test('INT3 exits as a software exception', () => {
    m.write(F.exceptionBitmap, 1 << 3);
    expect(runGuest(m, [0xcc])).toBe(EXIT.exception);
    expect([m.read(F.exitInterruptionInfo), m.read(F.exitInstructionLength)]).toEqual([VALID | (6 << 8) | 3, 1]);
  });
  test('INT n does not exit whatever the bitmap', () => {
    put(HANDLER, ...CPUID);
    m.write(F.exceptionBitmap, -1);
    expect(runGuest(m, [0xcd, 0x0d])).toBe(EXIT.cpuid);
  });

  /** The read at 0x00700000 faults: not present. */
  function faultingRead(bitmap: number, mask: number, match: number): number {
    use(paged);
    m.cpu.memory.write32(0x450000 as never, 0x87);
    m.write(F.guestCr3, 0x450000);
    m.write(F.exceptionBitmap, bitmap);
    m.write(F.pageFaultMask, mask);
    m.write(F.pageFaultMatch, match);
    put(HANDLER, ...CPUID);
    return runGuest(m, [0xa1, 0, 0, 0x70, 0]);
  }
  test.each([
    [1 << 14, 0, 0, EXIT.exception],
    [1 << 14, 1, 1, EXIT.cpuid],
    [0, 1, 1, EXIT.exception],
    [0, 0, 0, EXIT.cpuid],
  ])('#PF with bitmap 0x%x, mask %i, match %i', (bitmap, mask, match, reason) => {
    expect(faultingRead(bitmap, mask, match)).toBe(reason);
  });
  test('a page fault that exits gives the address and leaves CR2 alone', () => {
    use(paged);
    S[slot.CR2] = 0x1234;
    m.cpu.memory.write32(0x450000 as never, 0x87);
    m.write(F.guestCr3, 0x450000);
    m.write(F.exceptionBitmap, 1 << 14);
    expect(runGuest(m, [0xa1, 0, 0, 0x70, 0])).toBe(EXIT.exception);
    expect([qualification(), S[slot.CR2], m.read(F.exitInterruptionError)]).toEqual([0x700000, 0x1234, 0]);
  });
  test('the guest keeps what it wrote to CR2 when a page fault exits', () => {
    use(paged);
    S[slot.CR2] = 0x1234;
    m.cpu.memory.write32(0x450000 as never, 0x87);
    m.write(F.guestCr3, 0x450000);
    m.write(F.exceptionBitmap, 1 << 14);
    // mov eax, 0x5678; mov cr2, eax; mov eax, [0x700000]
    expect(runGuest(m, [0xb8, 0x78, 0x56, 0, 0, 0x0f, 0x22, 0xd0, 0xa1, 0, 0, 0x70, 0])).toBe(EXIT.exception);
    expect([qualification(), S[slot.CR2]]).toEqual([0x700000, 0x5678]);
  });
  test('a page fault that the guest takes writes CR2; one that the entry injects does not', () => {
    expect(faultingRead(0, 0, 0)).toBe(EXIT.cpuid);
    expect(S[slot.CR2]).toBe(0x700000);
    S[slot.CR2] = 0x1234;
    m.write(F.entryInterruptionInfo, VALID | (1 << 11) | (3 << 8) | 14);
    m.write(F.entryErrorCode, 0);
    expect(runGuest(m, [0x90])).toBe(EXIT.cpuid);
    expect(S[slot.CR2]).toBe(0x1234);
  });
});

describe('[vtx:idt-vectoring] events broken off', () => {
  test('a fault in the delivery of an exception reports the first one', () => {
    // #UD's gate is not present, so its delivery raises #NP, which exits.
    m.cpu.memory.write32((GUEST_IDT + 6 * 8 + 4) as never, 0x0e00);
    m.write(F.exceptionBitmap, 1 << 11);
    expect(runGuest(m, [0x0f, 0x0b])).toBe(EXIT.exception);
    expect(m.read(F.exitInterruptionInfo) & 0xff).toBe(11);
    expect(m.read(F.idtVectoringInfo)).toBe(VALID | (3 << 8) | 6);
  });
  test('INT n is reported with its length, RIP at the instruction', () => {
    m.cpu.memory.write32((GUEST_IDT + 0x80 * 8 + 4) as never, 0x0e00);
    m.write(F.exceptionBitmap, 1 << 11);
    runGuest(m, [0xcd, 0x80]);
    expect([m.read(F.idtVectoringInfo), m.read(F.exitInstructionLength), m.read(F.guestRip)]).toEqual([
      VALID | (4 << 8) | 0x80,
      2,
      GUEST_CODE,
    ]);
  });
  test('without one the field is not valid', () => {
    runGuest(m, CPUID);
    expect(m.read(F.idtVectoringInfo)).toBe(0);
  });
});

describe('[vtx:triple] triple fault', () => {
  test('exits', () => {
    m.write(F.guestIdtrLimit, 0);
    expect(runGuest(m, [0x0f, 0x0b])).toBe(EXIT.tripleFault);
  });
});

describe('[vtx:pin] [vtx:interrupt-window] interrupts', () => {
  const interrupt = (): void => {
    S[slot.HOST_INTR] = 1;
    S[slot.INTR] = 1;
  };
  test('an external interrupt exits, whatever the guest’s IF', () => {
    set(F.pinControls, 1);
    interrupt();
    expect(runGuest(m, CPUID)).toBe(EXIT.externalInterrupt);
    expect([m.read(F.guestRip), m.read(F.exitInterruptionInfo)]).toEqual([GUEST_CODE, 0]);
    S[slot.HOST_INTR] = 0;
    S[slot.INTR] = 0;
  });
  test('without external-interrupt exiting the guest takes it', () => {
    interrupt();
    m.cpu.acknowledgeInterrupt = () => {
      S[slot.INTR] = 0;
      return 0x31;
    };
    set(F.guestRflags, 0x200);
    put(HANDLER, ...CPUID);
    expect(runGuest(m, [0x90, 0x90])).toBe(EXIT.cpuid);
    expect(m.read(F.guestRip)).toBe(HANDLER);
  });
  test('the window opens once IF is set and the STI shadow is over', () => {
    set(PROC, 1 << 2);
    expect(runGuest(m, [0x90, 0xfb, 0x90, 0x90])).toBe(EXIT.interruptWindow);
    expect(m.read(F.guestRip)).toBe(GUEST_CODE + 3);
  });
  test('[vtx:interruptibility] an exit in the shadow of STI and MOV SS saves the blocking', () => {
    runGuest(m, [0xfb, ...CPUID]);
    expect(m.read(F.guestInterruptibility)).toBe(1);
    use(unrestricted);
    runGuest(m, [0x66, 0xb8, 16, 0, 0x8e, 0xd0, ...CPUID]);
    expect(m.read(F.guestInterruptibility)).toBe(2);
  });
});

describe('[vtx:pin] NMIs of a hypervisor in the machine (SDM 3C 24.6.1, 27.5.5)', () => {
  const PIN_NMI = 1 << 3;
  const NMI_INFO = VALID | (2 << 8) | 2;
  const BLOCKED = 8;
  beforeEach(() => {
    S[VMM_ATTACHED] = 0;
    S[slot.NMI_PENDING] = 0;
    S[slot.NMI_BLOCKED] = 0;
    put(HOST_CODE, 0xf4);
    put(HANDLER, ...CPUID);
  });

  test('with NMI exiting it exits; the host is in blocking by NMI, the guest is not', () => {
    set(F.pinControls, PIN_NMI);
    S[slot.NMI_PENDING] = 1;
    expect(runGuest(m, CPUID)).toBe(EXIT.exception);
    expect([m.read(F.exitInterruptionInfo), m.read(F.guestRip), qualification()]).toEqual([NMI_INFO, GUEST_CODE, 0]);
    expect([S[slot.NMI_PENDING], S[slot.NMI_BLOCKED], m.read(F.guestInterruptibility)]).toEqual([0, 1, 0]);
  });
  test('without it the guest takes the NMI through its IDT, whatever the exception bitmap says', () => {
    m.write(F.exceptionBitmap, -1);
    S[slot.NMI_PENDING] = 1;
    expect(runGuest(m, [0x90])).toBe(EXIT.cpuid);
    expect([m.read(F.guestRip), m.read(F.guestInterruptibility)]).toEqual([HANDLER, BLOCKED]);
  });
  test('a guest that is in blocking by NMI gets it after its IRET', () => {
    set(F.pinControls, PIN_NMI);
    set(F.guestInterruptibility, BLOCKED);
    const stack = GUEST_STACK - 12;
    m.write(F.guestRsp, stack);
    for (const [index, value] of [GUEST_CODE + 8, 8, 2].entries()) {
      m.cpu.memory.write32((stack + 4 * index) as never, value);
    }
    S[slot.NMI_PENDING] = 1;
    put(GUEST_CODE + 8, ...CPUID);
    expect(runGuest(m, [0x90, 0xcf])).toBe(EXIT.exception);
    expect([m.read(F.exitInterruptionInfo), m.read(F.guestRip)]).toEqual([NMI_INFO, GUEST_CODE + 8]);
  });
  test('an injected NMI blocks the next one', () => {
    m.write(F.entryInterruptionInfo, NMI_INFO);
    expect(runGuest(m, [0x90])).toBe(EXIT.cpuid);
    expect([m.read(F.guestRip), m.read(F.guestInterruptibility)]).toEqual([HANDLER, BLOCKED]);
  });
});

describe('[vtx:check-injection] event injection', () => {
  function inject(info: number, error = 0, length = 0): number {
    m.write(F.entryInterruptionInfo, VALID | info);
    m.write(F.entryErrorCode, error);
    m.write(F.entryInstructionLength, length);
    put(HANDLER, ...CPUID);
    return runGuest(m, [0x90, 0x90, 0x90]);
  }
  const frame = (words: number): number[] =>
    Array.from({ length: words }, (_, i) => m.cpu.memory.read32((m.read(F.guestRsp) + 4 * i) as never));

  test('a fault with its error code, RIP unchanged', () => {
    m.write(F.exceptionBitmap, -1);
    expect(inject((3 << 8) | (1 << 11) | 13, 0x48)).toBe(EXIT.cpuid);
    expect([m.read(F.guestRip), frame(3)]).toEqual([HANDLER, [0x48, GUEST_CODE, 8]]);
  });
  test('a software interrupt returns after its instruction', () => {
    inject((4 << 8) | 0x80, 0, 2);
    expect(frame(2)).toEqual([GUEST_CODE + 2, 8]);
  });
  test('an external interrupt clears IF through its gate and wakes a halted guest', () => {
    set(F.guestRflags, 0x200);
    m.write(F.guestActivity, 1);
    expect(inject(0x31)).toBe(EXIT.cpuid);
    expect([m.read(F.guestRflags) & 0x200, m.read(F.guestActivity)]).toEqual([0, 0]);
  });
  test('the valid bit is cleared by the entry', () => {
    inject((3 << 8) | 6);
    expect(m.read(F.entryInterruptionInfo) & VALID).toBe(0);
  });
});

describe('[vtx:exit-table] state at an exit', () => {
  test('the guest’s is saved, the host’s loaded', () => {
    // mov esp, 0x17f000; stc; cpuid
    runGuest(m, [0xbc, 0, 0xf0, 0x17, 0, 0xf9, ...CPUID]);
    expect([m.read(F.guestRsp), m.read(F.guestRflags), m.read(F.guestRip)]).toEqual([0x17f000, 3, GUEST_CODE + 6]);
    const cs = slot.segmentSlot(slot.CS);
    expect([
      S[slot.EIP],
      S[slot.CR4],
      S[cs + slot.SELECTOR],
      S[cs + slot.RIGHTS],
      m.cpu.eflags(),
      S[slot.VMX_MODE],
    ]).toEqual([HOST_CODE, slot.CR4_VMXE | slot.CR4_PSE, 8, 0xc09b, 2, 1]);
  });
  test('the guest goes on where it was', () => {
    runGuest(m, [0x43, ...CPUID, 0x43, ...CPUID]);
    const before = S[slot.EBX] as number;
    m.write(F.guestRip, GUEST_CODE + 3);
    runGuest(m);
    expect(S[slot.EBX]).toBe(before + 1);
  });
  test('[vtx:vmx-abort] an MSR of the exit’s load list that cannot be loaded: abort 4 in the region (SDM 3C 27.7)', () => {
    const area = 0x440000;
    m.cpu.memory.write32(area as never, 0xc0000100 | 0);
    m.write(F.exitMsrLoadCount, 1);
    m.write(F.exitMsrLoadAddress, area);
    const indicator = ((S[VMCS_POINTER] as number) + 4) as never;
    expect(m.cpu.memory.read32(indicator)).toBe(0);
    runGuest(m, CPUID);
    expect(m.cpu.memory.read32(indicator)).toBe(4);
  });
  test('[vtx:vmx-abort] in root operation CR0 keeps PE, NE and PG, and CR4 VMXE (SDM 3C 23.8)', () => {
    expect([0x80000021, 0x80000001, 0x21, 0x80000020].map((value) => m.vmx.controlAllowed(0, value | 0))).toEqual([
      true,
      false,
      false,
      false,
    ]);
    expect([0x2000, 0, 0x2020].map((value) => m.vmx.controlAllowed(4, value))).toEqual([true, false, true]);
  });
  test('[vtx:tsc-offset] RDTSC adds the offset', () => {
    set(PROC, 1 << 3);
    m.write(F.tscOffset + 1, 5);
    runGuest(m, [0x0f, 0x31, ...CPUID]);
    expect(S[slot.EDX]).toBe(5);
  });
  test('[vtx:vpid-tags] without VPID entry and exit flush, with it the guest’s translations stay', () => {
    const load = [0xa1, 0, 0, 0x12, 0, ...CPUID];
    runGuest(m, load);
    expect(m.cpu.mmu.data.size).toBeGreaterThan(0);
    use(unrestricted);
    m.write(F.procControls2, 0x82);
    runGuest(m, load);
    expect([m.cpu.mmu.data.size, GUEST_STACK]).toEqual([0, GUEST_STACK]);
  });
});
