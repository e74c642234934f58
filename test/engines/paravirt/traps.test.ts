import { describe, expect, it } from 'vitest';
import {
  CPL,
  CS,
  EAX,
  EBX,
  ECX,
  EDX,
  EIP,
  ESP,
  EVENT_ADDRESS,
  SELECTOR,
  SS,
  segmentSlot,
} from '../../../src/core/state.ts';
import { BASE, CODE, DATA, Domain, HYPERCALL_PAGE, STACK_TOP } from './domain.ts';

const KERNEL_CS = 0xe019;
const KERNEL_DS = 0xe021;
const USER_CS = 0xe02b;
const USER_DS = 0xe033;
const HANDLER = CODE + 0x800;
const IF = 0x200;
const CS_SELECTOR = segmentSlot(CS) + SELECTOR;
const SS_SELECTOR = segmentSlot(SS) + SELECTOR;

/** Sets one trap-table entry: flags are DPL and 4 for masking events. */
function setTrap(domain: Domain, vector: number, flags: number, selector = KERNEL_CS): void {
  domain.write(DATA, vector | (flags << 8) | (selector << 16), HANDLER, 0, 0);
  expect(domain.call(0, DATA)).toBe(0);
}

/** Puts the domain into ring 3 at `eip`, by the iret hypercall. */
function enterUser(domain: Domain, eip: number, esp: number, eflags = IF): void {
  domain.S[ESP] = STACK_TOP - 24;
  domain.write(STACK_TOP - 24, 0x77, eip, USER_CS, eflags, esp, USER_DS);
  domain.call(23);
}

function frame(domain: Domain, words: number): number[] {
  const esp = (domain.S[ESP] as number) >>> 0;
  return Array.from({ length: words }, (_, index) => domain.read(esp + 4 * index));
}

describe('bounce frames', () => {
  it('[pv:bounce] from ring 1: error code, EIP, CS with the mask in bits 16-23, EFLAGS with IF = not masked', () => {
    const domain = new Domain();
    setTrap(domain, 13, 0);
    domain.mask = true;
    domain.S[EIP] = CODE + 5;
    domain.S[ESP] = STACK_TOP;
    domain.xen.cpu.setEflags(IF | 0x4102 | 1);
    domain.fault(13, 0x48);
    expect(frame(domain, 4)).toEqual([0x48, CODE + 5, KERNEL_CS | 0x10000, 0x4103]);
    expect((domain.S[EIP] as number) >>> 0).toBe(HANDLER);
    // TF and NT are clear in the handler, and the hypervisor's IF is set.
    expect(domain.xen.cpu.eflags() & 0x4300).toBe(IF);
    expect(domain.mask).toBe(true);
  });

  it('[pv:bounce] masks events for a handler that asks for it, and shows the mask that was', () => {
    const domain = new Domain();
    setTrap(domain, 6, 4);
    domain.mask = false;
    domain.S[ESP] = STACK_TOP;
    domain.fault(6);
    expect(frame(domain, 3).slice(1)).toEqual([KERNEL_CS, 2 | IF]);
    expect(domain.mask).toBe(true);
  });

  it('[pv:bounce] [pv:stack-switch] from ring 3: onto the stack that stack_switch named, with ESP and SS', () => {
    const domain = new Domain();
    setTrap(domain, 0, 0);
    expect(domain.call(3, KERNEL_DS, STACK_TOP)).toBe(0);
    domain.mask = false;
    enterUser(domain, 0x1000, 0x2000);
    expect(domain.cpl).toBe(3);
    domain.fault(0);
    expect(domain.cpl).toBe(1);
    expect(domain.S[SS_SELECTOR]).toBe(KERNEL_DS);
    expect((domain.S[ESP] as number) >>> 0).toBe(STACK_TOP - 20);
    expect(frame(domain, 5)).toEqual([0x1000, USER_CS, 2 | IF, 0x2000, USER_DS]);
  });

  it('[pv:cr2] gives the address of a page fault in vcpu_info, and the user bit by the ring', () => {
    const domain = new Domain();
    setTrap(domain, 14, 0);
    domain.call(3, KERNEL_DS, STACK_TOP);
    domain.S[EVENT_ADDRESS] = 0x12345;
    domain.S[ESP] = STACK_TOP - 256;
    domain.fault(14, 4);
    expect(domain.shared(8)).toBe(0x12345);
    expect(frame(domain, 1)).toEqual([0]);
    enterUser(domain, 0x1000, 0x2000);
    domain.S[EVENT_ADDRESS] = 0x1000;
    domain.fault(14, 4);
    expect(frame(domain, 1)).toEqual([4]);
  });

  it('[pv:bad-stack] kills a domain whose kernel stack cannot be written, or that has no handler', () => {
    const unmapped = new Domain([0x0f, 0x0b]);
    setTrap(unmapped, 6, 0);
    unmapped.S[ESP] = 0x1000;
    expect(unmapped.run()).toMatchObject({ kind: 'crash', message: expect.stringContaining('kernel stack') });
    expect(unmapped.run()).toMatchObject({ kind: 'crash' });
    const none = new Domain([0x0f, 0x0b]);
    expect(none.run()).toMatchObject({ kind: 'crash', message: expect.stringContaining('no handler for exception 6') });
    const table = new Domain([0x0f, 0x0b]);
    setTrap(table, 6, 0);
    table.S[ESP] = table.startInfo(60) + 64;
    expect(table.run()).toMatchObject({ kind: 'crash' });
  });
});

describe('traps', () => {
  /** mov $0x11, %eax; int $0x80; then 1: jmp 1b */
  const SYSTEM_CALL = [0xb8, 0x11, 0, 0, 0, 0xcd, 0x80, 0xeb, 0xfe];

  /** A domain in ring 3 with a program of its own, mapped for users. */
  function withProgram(code: readonly number[], flags: number): Domain {
    const domain = new Domain();
    setTrap(domain, 0x80, flags);
    // The handler: marker 4.
    domain.write(HANDLER, 0x04801f0f, 0x90545600);
    domain.call(3, KERNEL_DS, STACK_TOP);
    const pfn = domain.free;
    const at = BASE + 4096 * pfn;
    for (const [index, byte] of code.entries()) domain.xen.cpu.memory.write8(domain.machine(at + index), byte);
    expect(domain.call(14, at, (domain.frame(pfn) << 12) | 0x67, 0, 2)).toBe(0);
    domain.mask = false;
    enterUser(domain, at, at + 2048);
    return domain;
  }

  it('[pv:direct-int80] leads int 0x80 straight to the kernel: no hypervisor entry, hardware’s own frame', () => {
    const domain = withProgram(SYSTEM_CALL, 3);
    const { counts } = domain.xen.cpu.ledger;
    const before = Array.from(counts);
    expect(domain.run()).toMatchObject({ kind: 'marker', code: 4 });
    expect(domain.cpl).toBe(1);
    expect(frame(domain, 5).slice(1)).toEqual([USER_CS, 2 | IF, BASE + 4096 * domain.free + 2048, USER_DS]);
    expect(domain.engine.counters()).not.toHaveProperty('bounce 128');
    expect(Array.from(counts).reduce((sum, value, index) => sum + (value !== before[index] ? 1 : 0), 0)).toBeLessThan(
      4,
    );
  });

  it('[pv:direct-int80] goes through the hypervisor when the handler masks events', () => {
    const domain = withProgram(SYSTEM_CALL, 7);
    expect(domain.run()).toMatchObject({ kind: 'marker', code: 4 });
    expect(domain.engine.counters()).toMatchObject({ 'bounce 128': 1 });
    expect(domain.mask).toBe(true);
  });

  it('[pv:direct-int80] refuses int 0x80 from ring 3 to a handler of privilege 1', () => {
    const domain = withProgram(SYSTEM_CALL, 1);
    setTrapQuietly(domain, 13);
    expect(domain.run()).toMatchObject({ kind: 'marker', code: 4 });
    expect(domain.engine.counters()).toMatchObject({ 'bounce 13': 1 });
    expect(frame(domain, 1)).toEqual([0x80 * 8 + 2]);
  });

  function setTrapQuietly(domain: Domain, vector: number): void {
    const at = vector * 4;
    domain.xen.vcpu[at + 1] = KERNEL_CS;
    domain.xen.vcpu[at + 2] = HANDLER;
  }

  it('[pv:hypercall-page] fills the page with mov, int 0x82, ret; iret saves EAX first', () => {
    const domain = new Domain();
    expect(domain.read(HYPERCALL_PAGE + 17 * 32)).toBe(0x000011b8);
    expect(domain.read(HYPERCALL_PAGE + 17 * 32 + 4)).toBe(0xc382cd00);
    expect(domain.read(HYPERCALL_PAGE + 23 * 32)).toBe(0x0017b850);
  });

  it('[pv:hypercall-page] refuses hypercalls from ring 3 with #GP', () => {
    const domain = withProgram([0xb8, 17, 0, 0, 0, 0xcd, 0x82], 3);
    setTrapQuietly(domain, 13);
    expect(domain.run()).toMatchObject({ kind: 'marker' });
    expect(domain.engine.counters()).not.toHaveProperty('hypercall xen_version');
    expect(frame(domain, 1)).toEqual([0x82 * 8 + 2]);
  });

  it('[pv:sep-hidden] raises #GP for SYSENTER and refuses its callback', () => {
    const domain = withProgram([0x0f, 0x34], 3);
    setTrapQuietly(domain, 13);
    expect(domain.run()).toMatchObject({ kind: 'marker' });
    expect(domain.engine.counters()).toMatchObject({ 'bounce 13': 1 });
    domain.write(DATA, 5, KERNEL_CS, HANDLER);
    expect(domain.call(30, 0, DATA)).toBe(-22);
  });

  it('[pv:iret] returns to ring 3 with the mask from IF, and raises a forged privilege 0 to 1', () => {
    const domain = new Domain();
    domain.mask = true;
    enterUser(domain, 0x1000, 0x2000);
    expect(domain.mask).toBe(false);
    expect([domain.S[EAX], domain.S[EIP], domain.S[ESP], domain.cpl]).toEqual([0x77, 0x1000, 0x2000, 3]);
    const forged = new Domain();
    forged.S[ESP] = STACK_TOP - 24;
    forged.write(STACK_TOP - 24, 1, CODE, KERNEL_CS & ~3, 0x3000 | IF, 0, 0);
    forged.call(23);
    expect(forged.cpl).toBe(1);
    expect(forged.S[CS_SELECTOR]).toBe(KERNEL_CS);
    // The frame's IOPL is not the guest's to choose.
    expect(forged.xen.cpu.eflags() & 0x3000).toBe(0);
  });

  it('[pv:failsafe] calls the failsafe callback when a frame cannot be loaded, with the selectors on top', () => {
    const domain = new Domain();
    domain.call(4, KERNEL_CS, HANDLER, KERNEL_CS, HANDLER + 64);
    domain.S[ESP] = STACK_TOP - 24;
    // The hypervisor's own code selector, privilege 0 dressed as 1.
    domain.write(STACK_TOP - 24, 1, 0x1000, 0xe009, IF, 0, 0);
    domain.call(23);
    expect((domain.S[EIP] as number) >>> 0).toBe(HANDLER + 64);
    expect(domain.cpl).toBe(1);
    expect(frame(domain, 5)).toEqual([KERNEL_DS, KERNEL_DS, KERNEL_DS, KERNEL_DS, 0x1000]);
    expect(domain.engine.counters()).toMatchObject({ 'failsafe callback': 1 });
  });

  // As Xen 3 and 4 (fixup_guest_stack_selector): privilege 0 becomes 1, anything else is found out when it is used.
  it('[pv:stack-switch] raises privilege 0 to 1, and kills the domain when another selector cannot be loaded', () => {
    const domain = new Domain();
    setTrap(domain, 0, 0);
    expect(domain.call(3, KERNEL_DS & ~3, STACK_TOP)).toBe(0);
    enterUser(domain, 0x1000, 0x2000);
    domain.fault(0);
    expect([domain.cpl, domain.S[SS_SELECTOR]]).toEqual([1, KERNEL_DS]);
    for (const selector of [USER_DS, 0xe008, KERNEL_CS]) {
      const other = new Domain();
      setTrap(other, 0, 0);
      expect(other.call(3, selector, STACK_TOP)).toBe(0);
      enterUser(other, 0x1000, 0x2000);
      expect(() => other.fault(0)).toThrow('kernel stack');
    }
  });

  it('[pv:ring1] starts in ring 1 on the flat selectors, with segments that end where the hypervisor begins', () => {
    const domain = new Domain();
    expect(domain.S[CPL]).toBe(1);
    expect([domain.S[CS_SELECTOR], domain.S[SS_SELECTOR]]).toEqual([KERNEL_CS, KERNEL_DS]);
    // mov 0xf6800000, %eax: beyond every guest segment.
    const reader = new Domain([0xa1, 0x00, 0x00, 0x80, 0xf6]);
    setTrapQuietly(reader, 13);
    reader.write(HANDLER, 0x04801f0f, 0x90545600);
    reader.S[ESP] = STACK_TOP;
    expect(reader.run()).toMatchObject({ kind: 'marker' });
    expect(reader.engine.counters()).toMatchObject({ 'bounce 13': 1 });
    expect(reader.xen.cpu.memory.time[8]).toBe(0);
  });
});

describe('emulated instructions', () => {
  const HALTED = 0x90545600;

  /** Runs ring-1 code that ends in marker 4 at HANDLER or in the code itself. */
  function execute(code: readonly number[], prepare: (domain: Domain) => void = () => {}): Domain {
    const domain = new Domain([...code, 0x0f, 0x1f, 0x80, 0x04, 0x00, 0x56, 0x54]);
    domain.xen.vcpu[13 * 4 + 1] = KERNEL_CS;
    domain.xen.vcpu[13 * 4 + 2] = HANDLER;
    domain.write(HANDLER, 0x04801f0f, HALTED);
    prepare(domain);
    expect(domain.run()).toMatchObject({ kind: 'marker', code: 4 });
    return domain;
  }

  it('[pv:virtual-iopl] [pv:platform-physdev] lets ports through only at virtual IOPL 1, and then reads all ones', () => {
    const refused = execute([0xe4, 0x80]);
    expect(refused.engine.counters()).toMatchObject({ 'bounce 13': 1 });
    const allowed = execute([0x31, 0xc0, 0xe4, 0x80, 0xfa, 0xfb], (domain) => {
      domain.write(DATA, 1);
      expect(domain.call(33, 6, DATA)).toBe(0);
    });
    expect(allowed.S[EAX]).toBe(0xff);
    expect(allowed.engine.counters()).toMatchObject({ 'emulated in': 1, 'emulated cli': 1, 'emulated sti': 1 });
    expect(allowed.call(33, 5, DATA)).toBe(-38);
  });

  it('[pv:privop] emulates control registers, CLTS, MSRs and cache control on the guest’s own state', () => {
    // mov %cr3,%eax; clts; wbinvd; mov %cr0,%ebx
    const domain = execute([0x0f, 0x20, 0xd8, 0x0f, 0x06, 0x0f, 0x09, 0x0f, 0x20, 0xc3]);
    expect((domain.S[EAX] as number) >>> 12).toBe(domain.xen.vcpu[1035]);
    expect((domain.S[EBX] as number) & 8).toBe(0);
    expect(domain.engine.counters()).toMatchObject({
      'emulated readControl': 2,
      'emulated clts': 1,
      'emulated wbinvd': 1,
    });
    // An MSR that the guest has not: #GP.
    const missing = execute([0xb9, 0x99, 0, 0, 0, 0x0f, 0x32]);
    expect(missing.engine.counters()).toMatchObject({ 'bounce 13': 1 });
  });

  it('[pv:forced-cpuid] answers a prefixed CPUID with the hypervisor’s leaves and hidden features', () => {
    const leaf = (number: number): Domain =>
      execute([0xb8, number & 0xff, 0, 0, number >>> 24, 0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x0f, 0xa2]);
    const signature = leaf(0x40000000);
    const text = [EBX, ECX, EDX].map((slot) => signature.S[slot] as number);
    expect(Buffer.from(Int32Array.from(text).buffer).toString()).toBe('XenVMMXenVMM');
    // SEP and PSE are not for a ring-1 kernel.
    expect((leaf(1).S[EDX] as number) & ((1 << 11) | (1 << 3))).toBe(0);
  });

  it('[pv:fpu-taskswitch] sets and clears the real CR0.TS', () => {
    const domain = new Domain();
    expect(domain.call(5, 1)).toBe(0);
    expect((domain.S[30] as number) & 8).toBe(8);
    expect(domain.call(5, 0)).toBe(0);
    expect((domain.S[30] as number) & 8).toBe(0);
  });
});
