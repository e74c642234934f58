/** Every sensitive and every privileged instruction of the guest kernel: what it sees is what it sees natively. */
import { describe, expect, it } from 'vitest';
import { shadowDescriptor } from '../../../src/engines/ring-compression/shadow-descriptors.ts';
import { Assembler } from '../../../src/isa/assemble.ts';
import { GUESTS, tinyImage } from '../../support/tiny-image.ts';
import { both, DATA_AT, program, ring, runToEnd, STACK_AT, strays } from './guest.ts';
import {
  BASED_DATA,
  enterUser,
  gate,
  KERNEL_CODE,
  KERNEL_DATA,
  LOCAL_TABLE,
  loadTables,
  put,
  USER_DATA,
} from './small-kernel.ts';

/** Where `cases` keeps the address to go on at. */
const NEXT_AT = 0x250000;

/** Runs `body` in ring 0 with tables loaded; a #GP, #NP, #SS or #UD handler adds error codes into EDI and ends the run. */
function kernel(body: (a: Assembler) => void): Uint8Array {
  return program((a) => {
    const start = a.label();
    const end = a.label();
    a.jmp(start);
    const withError = a.bind();
    a.bytes(0x5f, 0x5e);
    a.jmp(end);
    const withoutError = a.bind();
    a.bytes(0xbf, 0x99, 0, 0, 0, 0x5e);
    a.jmp(end);
    a.bind(start);
    loadTables(a);
    for (const vector of [10, 11, 12, 13, 14]) gate(a, vector, withError);
    for (const vector of [1, 3, 4, 5, 6, 7]) gate(a, vector, withoutError, 3);
    a.bytes(0xbb).value(DATA_AT, 4);
    a.bytes(0x31, 0xff, 0x31, 0xf6);
    body(a);
    a.bind(end);
  });
}

function same(body: (a: Assembler) => void): void {
  const [expected, actual, engine] = both(kernel(body));
  expect(actual).toEqual(expected);
  expect(expected.stop.kind).toBe('marker');
  expect(strays(engine)).toEqual([0, 0]);
}

/** As `same`, for several bodies in one guest: an exception mixes its error code into EDI and goes on with the next. */
function cases(bodies: readonly ((a: Assembler) => void)[]): void {
  const image = program((a) => {
    const start = a.label();
    a.jmp(start);
    const handler = a.bind();
    a.bytes(0x58, 0x01, 0xc7, 0xd1, 0xc7, 0xb8).value(KERNEL_DATA, 4);
    for (const segment of [0, 2, 3, 4, 5]) a.bytes(0x8e, 0xc0 | (segment << 3));
    a.bytes(0xbc).value(STACK_AT, 4).bytes(0xff, 0x25).value(NEXT_AT, 4);
    a.bind(start);
    loadTables(a);
    for (const vector of [10, 11, 12, 13]) gate(a, vector, handler);
    a.bytes(0x31, 0xff);
    for (const body of bodies) {
      // The address after this case is known once it has been emitted: its store is patched by assembling twice.
      const trial = new Assembler(a.address + 10);
      body(trial);
      put(a, NEXT_AT, a.address + 10 + trial.length);
      body(a);
      a.bytes(0xd1, 0xc7);
    }
  });
  const [expected, actual, engine] = both(image);
  expect(actual).toEqual(expected);
  expect(expected.stop.kind).toBe('marker');
  expect(strays(engine)).toEqual([0, 0]);
}

const moveAx = (a: Assembler, value: number): Assembler => a.bytes(0xb8).value(value, 4);
const moveCx = (a: Assembler, value: number): Assembler => a.bytes(0xb9).value(value, 4);
const SELECTORS = [0, KERNEL_CODE, KERNEL_DATA, 0x1b, USER_DATA, 0x28, BASED_DATA, LOCAL_TABLE, 0x13, 0x48, 0xffd0, 4];

describe('tables and registers', () => {
  const stores: Readonly<Record<string, number[]>> = {
    'sgdt [ebx]': [0x0f, 0x01, 0x03],
    'sidt [ebx+8]': [0x0f, 0x01, 0x4b, 8],
    'sgdt [eax+ecx*2+4]': [0x0f, 0x01, 0x44, 0x48, 4],
    'str [ebx]': [0x0f, 0x00, 0x0b],
    'str eax': [0x0f, 0x00, 0xc8],
    'str ax': [0x66, 0x0f, 0x00, 0xc8],
    'sldt ecx': [0x0f, 0x00, 0xc1],
    'smsw eax': [0x0f, 0x01, 0xe0],
    'smsw [esp]': [0x0f, 0x01, 0x24, 0x24],
  };
  for (const [name, bytes] of Object.entries(stores)) {
    it(`[rc:table-stores] ${name}`, () => same((a) => moveCx(moveAx(a, DATA_AT), 8).bytes(...bytes)));
  }
  for (const [number, modrm] of [
    [0, 0xc0],
    [2, 0xd1],
    [3, 0xda],
    [4, 0xe2],
  ] as const) {
    it(`[rc:privileged] mov from cr${number}`, () => same((a) => a.bytes(0x0f, 0x20, modrm)));
  }
  it('[rc:debug-registers] mov to and from DR0 and DR3', () =>
    same((a) => moveAx(a, 0x1234).bytes(0x0f, 0x23, 0xc0, 0x0f, 0x23, 0xd8, 0x0f, 0x21, 0xc1, 0x0f, 0x21, 0xda)));
  it('[rc:privileged] clts, lmsw and mov to cr0, cr2, cr4', () =>
    same((a) => {
      a.bytes(0x0f, 0x20, 0xc0, 0x83, 0xc8, 8, 0x0f, 0x22, 0xc0, 0x0f, 0x20, 0xc1, 0x0f, 0x06, 0x0f, 0x20, 0xc2);
      moveAx(a, 0x0b).bytes(0x0f, 0x01, 0xf0, 0x0f, 0x01, 0xe5);
      moveAx(a, 0x5678).bytes(0x0f, 0x22, 0xd0, 0x0f, 0x20, 0xd6);
      moveAx(a, 0x90).bytes(0x0f, 0x22, 0xe0, 0x0f, 0x20, 0xe7);
    }));
  it('[rc:privileged] reserved bits in cr0 and cr4 are #GP(0)', () => {
    same((a) => moveAx(a, 0x80000000).bytes(0x0f, 0x22, 0xc0));
    same((a) => moveAx(a, 0x8000_0000 | 0).bytes(0x0f, 0x22, 0xe0));
  });
  it('[rc:privileged] invlpg, wbinvd, invd, lldt 0', () =>
    same((a) => a.bytes(0x0f, 0x01, 0x3b, 0x0f, 0x09, 0x0f, 0x08, 0x31, 0xc0, 0x0f, 0x00, 0xd0)));
  it('[rc:privileged] SYSENTER MSRs, and an unknown MSR is #GP(0)', () => {
    same((a) => moveCx(moveAx(a, 0x77), 0x175).bytes(0x31, 0xd2, 0x0f, 0x30, 0x31, 0xc0, 0x0f, 0x32));
    same((a) => moveCx(a, 0xdead).bytes(0x0f, 0x32));
  });
  it('[rc:cpuid-rdtsc] CPUID answers as natively, except that VMX is hidden', () =>
    same((a) => {
      for (const leaf of [0, 1]) {
        moveAx(a, leaf).bytes(0x0f, 0xa2, 0x83, 0xe1, 0xdf, 0x01, 0xc6, 0x01, 0xce, 0x01, 0xd6, 0x01, 0xde);
      }
    }));
});

describe('descriptor probes', () => {
  for (const [name, opcode] of [
    ['lar', 0x02],
    ['lsl', 0x03],
  ] as const) {
    it(`[rc:probes] ${name} of every selector`, () =>
      same((a) => {
        for (const selector of SELECTORS) {
          moveAx(a, selector).bytes(0x31, 0xc9, 0x0f, opcode, 0xc8, 0x9c, 0x5a, 0x01, 0xd7, 0x31, 0xcf);
        }
      }));
  }
  for (const [name, modrm] of [
    ['verr', 0xe0],
    ['verw', 0xe8],
  ] as const) {
    it(`[rc:probes] ${name} of every selector`, () =>
      same((a) => {
        for (const selector of SELECTORS)
          moveAx(a, selector).bytes(0x0f, 0x00, modrm, 0x9c, 0x5a, 0x01, 0xd7, 0xd1, 0xc7);
      }));
  }
});

describe('segment registers', () => {
  it('[rc:double-triple] a stack segment too small for the next exception is a triple fault', () => {
    const image = kernel((a) => moveAx(a, BASED_DATA).bytes(0x8e, 0xd0, 0x8e, 0xd8).bytes(0xcd, 0x55));
    const [expected, actual] = both(image);
    expect([expected.stop.kind, actual.stop.kind]).toEqual(['crash', 'crash']);
  });
  for (const segment of [0, 2, 3, 4, 5]) {
    it(`[rc:segments] mov to segment ${segment} of good and bad selectors`, () =>
      cases(
        SELECTORS.filter((selector) => segment !== 2 || selector !== BASED_DATA).map((selector) => (a) => {
          moveAx(a, selector).bytes(0x8e, 0xc0 | (segment << 3));
          a.bytes(0x8c, 0xc0 | (segment << 3) | 1, 0x01, 0xcf);
        }),
      ));
  }
  it('[rc:segments] push and pop of every segment register', () =>
    same((a) => {
      for (const [push, pop] of [
        [[0x06], [0x07]],
        [[0x16], [0x17]],
        [[0x1e], [0x1f]],
        [
          [0x0f, 0xa0],
          [0x0f, 0xa1],
        ],
        [
          [0x0f, 0xa8],
          [0x0f, 0xa9],
        ],
      ]) {
        a.bytes(...(push as number[]), ...(pop as number[]), ...(push as number[]), 0x58, 0x01, 0xc7);
      }
      a.bytes(0x0e, 0x58, 0x01, 0xc7, 0x66, 0x0e, 0x66, 0x58, 0x8c, 0x0b, 0x8c, 0x53, 4, 0x8c, 0x6b, 8);
    }));
  it('[rc:gs-escape] a guest GS with a base of its own', () =>
    same((a) => {
      put(a, DATA_AT + 0x44, 0xabcdef);
      moveAx(a, BASED_DATA).bytes(0x8e, 0xe8);
      a.bytes(0x65, 0x8b, 0x0d).value(4, 4);
      a.bytes(0x65, 0xff, 0x05).value(8, 4);
      a.bytes(0x65, 0xa1).value(8, 4);
      a.bytes(0x65, 0x8b, 0x15).value(0x1000, 4);
    }));
  it('[rc:gs-escape] CS overrides read guest memory, never the VMM', () =>
    same((a) => {
      put(a, DATA_AT, 77);
      a.bytes(0x2e, 0x8b, 0x0b, 0x2e, 0x8b, 0x15).value(0xffc00000, 4);
    }));
  it('[rc:nonreversible] a segment outlives a change of its descriptor', () =>
    same((a) => {
      moveAx(a, BASED_DATA).bytes(0x8e, 0xe0);
      put(a, 0x220000 + BASED_DATA + 4, 0);
      put(a, DATA_AT + 0x40, 5);
      a.bytes(0x64, 0x8b, 0x0d).value(0, 4);
    }));
  it('[rc:descriptor-traces] a changed GDT entry is what the next load gets', () =>
    same((a) => {
      put(a, 0x220000 + BASED_DATA + 4, 0x00409200 | 0x23);
      put(a, 0x230040, 9);
      moveAx(a, BASED_DATA).bytes(0x8e, 0xe0, 0x64, 0x8b, 0x0d).value(0, 4);
    }));
  /** Clears the accessed bits of a table's first eight descriptors, keeping their types. */
  const clearAccessed = (a: Assembler): void => {
    for (let at = 0x220008; at < 0x220028; at += 8)
      a.bytes(0x80, 0x25)
        .value(at + 5, 4)
        .bytes(0xfe);
  };
  /** Adds the descriptors' rights to EDI, rotating, so that every accessed bit shows. */
  const addRights = (a: Assembler): void => {
    for (let at = 0x220008; at < 0x220040; at += 8)
      a.bytes(0x0f, 0xb6, 0x15)
        .value(at + 5, 4)
        .bytes(0x01, 0xd7, 0xc1, 0xc7, 5);
  };
  for (const [name, load] of Object.entries({
    'mov ds': [0x8e, 0xd8],
    'mov ss': [0x8e, 0xd0],
    'mov gs': [0x8e, 0xe8],
    'push, pop es': [0x50, 0x07],
    'push, pop fs': [0x50, 0x0f, 0xa1],
    'a refused load': [0x66, 0xb8, 0x30, 0, 0x8e, 0xd0],
    'verw and lar': [0x0f, 0x00, 0xe8, 0x0f, 0x02, 0xc8],
  })) {
    it(`[rc:accessed-descriptors] ${name} leaves native's accessed bits in the guest's table`, () => {
      for (const selector of name === 'a refused load'
        ? [KERNEL_DATA]
        : [KERNEL_DATA, ...(name.includes('ss') ? [] : [BASED_DATA])]) {
        cases([
          (a) => {
            clearAccessed(a);
            addRights(a);
            moveAx(a, selector).bytes(...load);
            addRights(a);
            moveAx(a, KERNEL_DATA).bytes(0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0);
          },
          (a) => addRights(a),
        ]);
      }
    });
  }
  it('[rc:accessed-descriptors] far jumps, INT, IRET to ring 3 and its own loads too', () =>
    same((a) => {
      const user = a.label();
      const kernelAgain = a.label();
      const over = a.label();
      a.jmp(over);
      a.bind(user);
      a.bytes(0xb8).value(USER_DATA, 4).bytes(0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, 0xcd, 0x40);
      const handler = a.bind();
      a.bytes(0xb8).value(KERNEL_DATA, 4).bytes(0x8e, 0xd8, 0x8e, 0xc0);
      addRights(a);
      a.jmp(kernelAgain);
      a.bind(over);
      gate(a, 0x40, handler, 3);
      clearAccessed(a);
      a.bytes(0xea)
        .value(a.address + 6, 4)
        .value(KERNEL_CODE, 2);
      addRights(a);
      a.bytes(0xcd, 0x40);
      a.bind(kernelAgain);
      const second = a.label();
      a.bytes(0x85, 0xf6).jcc(5, second);
      a.bytes(0x46);
      clearAccessed(a);
      enterUser(a, user, STACK_AT - 128);
      a.bind(second);
      addRights(a);
    }));
  it('[rc:accessed-descriptors] it costs one fault a descriptor', () => {
    const engine = ring(
      kernel((a) => {
        clearAccessed(a);
        moveAx(a, KERNEL_DATA);
        for (let i = 0; i < 10; i++) a.bytes(0x8e, 0xd8, 0x8e, 0xc0);
      }),
    );
    runToEnd(engine);
    expect(engine.counters().descriptorAccess).toBe(1);
  });
  it('[rc:descriptor-traces] LDT selectors', () =>
    same((a) => {
      moveAx(a, LOCAL_TABLE).bytes(0x0f, 0x00, 0xd0, 0x0f, 0x00, 0xc1);
      put(a, DATA_AT, 3);
      moveAx(a, 4).bytes(0x8e, 0xe0, 0x64, 0x8b, 0x13);
    }));
  it('[rc:descriptor-shadow-rules] conforming code keeps its DPL, other DPL 0 becomes 1, system descriptors are not present', () => {
    const dpl = (high: number): number => (shadowDescriptor(0xffff, high)[1] >>> 13) & 3;
    expect([0x00cf9f00, 0x00cf9b00, 0x00cf9300, 0x00cfff00, 0x00cff300].map(dpl)).toEqual([0, 1, 1, 3, 3]);
    for (const type of [0x82, 0x89, 0x8b, 0x8c, 0x8e, 0xe5]) expect(shadowDescriptor(0x67, type << 8)).toEqual([0, 0]);
  });
  it("[rc:shadow-descriptors] the VMM's own selectors are beyond the guest's table", () => {
    for (const selector of [0xffc0, 0xffd9, 0xffe1, 0xffe9]) same((a) => moveAx(a, selector).bytes(0x8e, 0xd8));
  });
});

describe('transfers', () => {
  it('[rc:gates] far call, far return, far jump', () =>
    same((a) => {
      const over = a.label();
      a.jmp(over);
      const target = a.bind();
      a.bytes(0x8b, 0x3c, 0x24, 0x8b, 0x74, 0x24, 4, 0xcb);
      a.bind(over);
      a.bytes(0x9a).value(target.address, 4).value(KERNEL_CODE, 2);
      a.bytes(0xea)
        .value(a.address + 8, 4)
        .value(KERNEL_CODE, 2);
      a.bytes(0x90, 0x47);
    }));
  /** Puts at `address`: pop of what a 16-bit call pushed into AX (if `pop`), then a jump to `back`. */
  const landing = (a: Assembler, address: number, back: number, pop: boolean): void => {
    const code = [...(pop ? [0x66, 0x58] : [0x66, 0x90]), 0x46, 0xbf, ...word32(back), 0xff, 0xe7, 0x90, 0x90];
    for (let at = 0; at < 12; at += 4) {
      const [b0 = 0, b1 = 0, b2 = 0, b3 = 0] = code.slice(at, at + 4);
      put(a, address + at, b0 | (b1 << 8) | (b2 << 16) | (b3 << 24));
    }
  };
  /** The three stores of a landing, ten bytes each, come before the code under test. */
  const PUT_BYTES = 30;
  const word32 = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);
  const word16 = (value: number): number[] => word32(value).slice(0, 2);
  const NEAR: Readonly<Record<string, { code: (next: number) => number[]; length: number; pop?: boolean }>> = {
    'call rel16': { code: (next) => [0x66, 0xe8, ...word16(0x8000 - next)], length: 4, pop: true },
    'call ax': { code: () => [0xb8, 0, 0x80, 0x34, 0x12, 0x66, 0xff, 0xd0], length: 8, pop: true },
    'jmp ax': { code: () => [0xb8, 0, 0x80, 0x34, 0x12, 0x66, 0xff, 0xe0], length: 8 },
    'jmp rel16': { code: (next) => [0x66, 0xe9, ...word16(0x8000 - next)], length: 4 },
    'je rel16': { code: (next) => [0x39, 0xc0, 0x66, 0x0f, 0x84, ...word16(0x8000 - next)], length: 7 },
    'ret of 16 bits': { code: () => [0x66, 0x68, 0, 0x80, 0x66, 0xc3], length: 6 },
    'ret imm16 of 16 bits': { code: () => [0x6a, 1, 0x66, 0x68, 0, 0x80, 0x66, 0xc2, 4, 0], length: 10 },
    'call gs:[mem]': { code: () => [0x65, 0xff, 0x15, ...word32(DATA_AT + 0x40)], length: 7 },
    'jmp cs:[mem]': { code: () => [0x2e, 0xff, 0x25, ...word32(DATA_AT + 0x40)], length: 7 },
  };
  for (const [name, { code, length, pop = false }] of Object.entries(NEAR)) {
    it(`[rc:indirect] ${name} goes where it goes natively`, () =>
      same((a) => {
        put(a, DATA_AT + 0x40, 0x8000);
        const next = a.address + PUT_BYTES + length;
        landing(a, 0x8000, next, pop);
        a.bytes(...code(next));
        a.bytes(0x47);
      }));
  }
  for (const [name, opcode, ecx] of [
    ['loop', 0xe2, 3],
    ['jecxz', 0xe3, 0],
  ] as const) {
    it(`[rc:indirect] ${name} with an operand-size prefix cuts the target`, () =>
      same((a) => {
        const next = a.address + PUT_BYTES + 5 + 3;
        landing(a, (next + 0x10) & 0xffff, next, false);
        a.bytes(0xb9).value(ecx, 4).bytes(0x66, opcode, 0x10);
        a.bytes(0x47);
      }));
  }
  it('[rc:gates] a far jump to a bad selector is #GP with it', () => same((a) => a.bytes(0xea, 0, 0, 0, 0, 0x48, 0)));
  it('[rc:int3-into-bound] INT3, INTO, BOUND', () => {
    same((a) => a.bytes(0xcc));
    same((a) => a.bytes(0xb0, 0x7f, 0x04, 1, 0xce));
    same((a) => a.bytes(0x31, 0xc0, 0xce, 0x47));
    same((a) => {
      put(a, DATA_AT, 1);
      put(a, DATA_AT + 4, 5);
      a.bytes(0xb8, 9, 0, 0, 0, 0x62, 0x03);
    });
  });
  it('[rc:gates] INT n without a gate is #GP of the vector, at the INT', () => same((a) => a.bytes(0xcd, 0x55)));
  it('[rc:back-map] UD2 and undefined bytes are #UD at themselves', () => {
    same((a) => a.bytes(0x47, 0x0f, 0x0b));
    same((a) => a.bytes(0x47, 0x0f, 0xff));
  });
  it('[rc:sysenter] [rc:sysexit] user to kernel and back', () =>
    same((a) => {
      const over = a.label();
      const end = a.label();
      a.jmp(over);
      const entry = a.bind();
      a.bytes(0x9c, 0x58, 0x01, 0xc7, 0x83, 0xfe, 2).jcc(4, end);
      a.bytes(0xb9).value(DATA_AT + 200, 4);
      a.bytes(0x8b, 0xd5, 0x0f, 0x35);
      const user = a.bind();
      a.bytes(0xbd).value(user.address + 5, 4);
      a.bytes(0x46, 0x8c, 0xc8, 0x01, 0xc7, 0x0f, 0x34);
      a.bind(over);
      for (const [msr, value] of [
        [0x174, KERNEL_CODE],
        [0x175, 0x1e0000],
        [0x176, entry.address],
      ] as const) {
        moveCx(moveAx(a, value), msr).bytes(0x31, 0xd2, 0x0f, 0x30);
      }
      enterUser(a, user, DATA_AT + 128);
      a.bind(end);
    }));
});

describe('flags', () => {
  it("[rc:virtual-if] [rc:flags] PUSHF shows the guest's IF after CLI, STI and POPF", () =>
    same((a) => {
      a.bytes(0xfa, 0x9c, 0x58, 0x01, 0xc7, 0xfb, 0x9c, 0x58, 0x01, 0xc7);
      a.bytes(0x6a, 2, 0x9d, 0x9c, 0x58, 0x01, 0xc7, 0x68, 2, 2, 0, 0, 0x9d, 0x9c, 0x58, 0x01, 0xc7);
      a.bytes(0x66, 0x9c, 0x66, 0x58, 0x01, 0xc6, 0x66, 0x50, 0x66, 0x9d);
    }));
  it('[rc:popf-rules] IOPL set in ring 0 shows, and lets ring 3 use CLI', () =>
    same((a) => {
      const over = a.label();
      const end = a.label();
      a.jmp(over);
      const call = a.bind();
      a.jmp(end);
      const user = a.bind();
      a.bytes(0xfa, 0xfb, 0x47, 0xcd, 0x80);
      a.bind(over);
      gate(a, 0x80, call, 3);
      a.bytes(0x68, 2, 0x30, 0, 0, 0x9d, 0x9c, 0x58, 0x01, 0xc6);
      a.bytes(0x6a, 0x23, 0x68).value(DATA_AT + 128, 4);
      a.bytes(0x68, 2, 0x32, 0, 0, 0x6a, 0x1b, 0x68).value(user.address, 4);
      a.bytes(0xcf);
      a.bind(end);
      a.bytes(0x6a, 2, 0x9d);
    }));
});

describe('ports', () => {
  it('[rc:privileged] IN and OUT in every size', () =>
    same((a) => a.bytes(0xb0, 0x5a, 0xe6, 0x21, 0xe4, 0x21, 0xba, 0x99, 0, 0, 0, 0x66, 0xed, 0xed, 0xec)));
  it('[rc:string-io] INS and OUTS, repeated', () =>
    same((a) => {
      a.bytes(0x8b, 0xfb, 0xb9, 5, 0, 0, 0, 0xba, 0x21, 0, 0, 0, 0xf3, 0x6c);
      a.bytes(0x8b, 0xf3, 0xb9, 3, 0, 0, 0, 0xba, 0x80, 0, 0, 0, 0xf3, 0x6e);
    }));
});

describe('the top of the address space', () => {
  it('[rc:top-access] [rc:truncation-gp] the kernel reads and writes there as natively', () =>
    same((a) => {
      a.bytes(0xa1).value(0xffc00000, 4);
      a.bytes(0xa3).value(0xffd00000, 4);
      a.bytes(0x8b, 0x0d).value(0xffd00000, 4);
      a.bytes(0x8b, 0x15).value(0xfffffffc, 4);
    }));
  it('[rc:placement] user code reads there as natively', () =>
    same((a) => {
      const over = a.label();
      const end = a.label();
      a.jmp(over);
      const call = a.bind();
      a.jmp(end);
      const user = a.bind();
      a.bytes(0x8b, 0x0d).value(0xffc00000, 4);
      a.bytes(0x8b, 0x15).value(0xffd00010, 4);
      a.bytes(0xcd, 0x80);
      a.bind(over);
      gate(a, 0x80, call, 3);
      enterUser(a, user, DATA_AT + 128);
      a.bind(end);
    }));
});

describe('paging', () => {
  /** Two-level paging with one 4 MB page. */
  function page(a: Assembler): void {
    put(a, 0x230000, 0x83);
    moveAx(a, 0x90).bytes(0x0f, 0x22, 0xe0);
    moveAx(a, 0x230000).bytes(0x0f, 0x22, 0xd8);
    moveAx(a, 0x80000011).bytes(0x0f, 0x22, 0xc0);
  }
  it('[rc:roll-back] a fault in the middle of a sequence leaves the registers as before the instruction', () => {
    same((a) => {
      page(a);
      a.bytes(0xb8, 1, 1, 0, 0, 0xb9, 2, 2, 0, 0);
      a.bytes(0x0f, 0x01, 0x05).value(0x3ffffe, 4);
    });
    same((a) => {
      page(a);
      a.bytes(0xb8, 1, 1, 0, 0, 0xb9, 2, 2, 0, 0);
      a.bytes(0xff, 0x15).value(0x800000, 4);
    });
  });
  it('[rc:roll-back] a page fault has the address and error code of native', () =>
    same((a) => {
      page(a);
      a.bytes(0xc7, 0x05).value(0x800004, 4).value(1, 4);
      a.bytes(0x0f, 0x20, 0xd0);
    }));
  it('[rc:back-map] a jump to an unmapped page faults there', () =>
    same((a) => {
      page(a);
      a.bytes(0xb8).value(0x900000, 4).bytes(0xff, 0xe0);
    }));
  it('[rc:double-triple] an undeliverable exception is a triple fault', () => {
    const engine = ring(tinyImage(GUESTS.tripleFaults));
    expect(runToEnd(engine).kind).toBe('marker');
    expect(runToEnd(engine)).toMatchObject({ kind: 'crash', message: expect.stringContaining('triple fault') });
  });
});

describe('isolation', () => {
  for (const target of [0xffc00000, 0xffd00000, 0xfffffff0]) {
    it(`[rc:code-reach] a kernel jump to ${target.toString(16)} ends as natively`, () => {
      same((a) => a.bytes(0xb8).value(target, 4).bytes(0xff, 0xe0));
      same((a) => {
        put(a, DATA_AT, 0x83);
        a.bytes(0xb8).value(DATA_AT, 4).bytes(0x0f, 0x22, 0xd8, 0xb8, 0x90, 0, 0, 0, 0x0f, 0x22, 0xe0);
        a.bytes(0xb8).value(0x80000011, 4).bytes(0x0f, 0x22, 0xc0, 0xb8).value(target, 4).bytes(0xff, 0xe0);
      });
    });
  }
  for (const [what, bytes] of [
    ['jump', [0xff, 0xe0]],
    ['read', [0x8b, 0x08]],
    ['write', [0x89, 0x08]],
    ['stack', [0x94, 0x50]],
  ] as const) {
    for (const paging of [false, true]) {
      it(`[rc:placement] a user ${what} at the cache ends as natively ${paging ? 'with paging' : ''}`, () =>
        same((a) => {
          const over = a.label();
          a.jmp(over);
          const user = a.bind();
          a.bytes(0xb8)
            .value(0xffd00000, 4)
            .bytes(...bytes, 0xcd, 0x03);
          a.bind(over);
          if (paging) {
            put(a, DATA_AT, 0x87);
            a.bytes(0xb8).value(DATA_AT, 4).bytes(0x0f, 0x22, 0xd8, 0xb8, 0x90, 0, 0, 0, 0x0f, 0x22, 0xe0);
            a.bytes(0xb8).value(0x80000011, 4).bytes(0x0f, 0x22, 0xc0);
          }
          enterUser(a, user, DATA_AT + 512);
        }));
    }
  }
  it('[rc:accessed-dirty] [rc:hidden-true] A and D bits of the guest tables are those of native', () =>
    same((a) => {
      put(a, DATA_AT, 0x83);
      put(a, DATA_AT + 4, DATA_AT + 0x1000 + 3);
      for (let i = 0; i < 8; i++) put(a, DATA_AT + 0x1000 + 4 * i, 0x300000 + 0x1000 * i + 3);
      a.bytes(0xb8).value(DATA_AT, 4).bytes(0x0f, 0x22, 0xd8, 0xb8, 0x90, 0, 0, 0, 0x0f, 0x22, 0xe0);
      a.bytes(0xb8).value(0x80010011, 4).bytes(0x0f, 0x22, 0xc0);
      a.bytes(0xa1).value(0x400000, 4).bytes(0xa3).value(0x401000, 4).bytes(0xa1).value(0x402000, 4);
      a.bytes(0xa3).value(0x402004, 4);
      // Copies the entries to where the test looks, then maps one page elsewhere.
      for (let i = 0; i < 8; i++) {
        a.bytes(0xa1)
          .value(DATA_AT + 0x1000 + 4 * i, 4)
          .bytes(0xa3)
          .value(DATA_AT + 0x40 + 4 * i, 4);
      }
      put(a, DATA_AT + 0x1000, 0x301003);
      a.bytes(0x0f, 0x01, 0x3d).value(0x400000, 4).bytes(0xa1).value(0x400000, 4);
    }));
});
