/**
 * The cases of scripts/oracle-segments.mjs: one instruction each, in 16- and 32-bit code segments, on stacks of both sizes that grow
 * up and down, at the edges of every kind of segment that an LDT of Linux may hold.
 */

export const REGION = 0x200000;
export const DATA = REGION + 0x10000;

/** LDT entries (struct user_desc). `contents`: 0 data, 1 expand-down data, 2 code, 3 conforming code. */
const segment = (contents, base, limit, big, options = {}) => ({ contents, base, limit, big, ...options });
export const DESCRIPTORS = {
  1: segment(2, REGION, 0xffff, false),
  // Linux takes conforming code only if it is not present.
  2: segment(3, REGION, 0xffff, false, { absent: true }),
  3: segment(2, REGION, 0xffff, true),
  4: segment(2, REGION, 0xffff, true, { restricted: true }),
  5: segment(0, DATA, 0xffff, false),
  6: segment(0, DATA, 0xffff, true),
  7: segment(1, DATA, 0x0fff, false),
  8: segment(1, DATA, 0x0fff, true),
  9: segment(0, DATA, 0x0fff, true, { restricted: true }),
  10: segment(0, DATA, 0xffff, true, { absent: true }),
  11: segment(2, REGION, 0xffff, true, { absent: true }),
  12: segment(1, DATA, 0x0fff, true, { restricted: true }),
  13: segment(2, REGION, 0x0fff, false),
  14: segment(0, DATA, 0, true, { pages: true }),
  15: segment(2, REGION, 0x0fff, true),
  16: segment(2, REGION, 0x0fff, true, { restricted: true }),
};
export const local = (index) => (index << 3) | 7;
export const FLAT_CODE = 0x23;
export const FLAT_DATA = 0x2b;
/** Ring 0 code and data of the kernel's GDT: only their privilege matters. */
const KERNEL = [0x10, 0x18];

const CODE_16 = local(1);
const CODE_32 = local(3);
const CODE_AT = 0x400;
const TARGET = 0x800;

/** Effective size of code, stack address size, base and the lowest valid offset of a stack. */
const codeIs32 = (cs) => cs === FLAT_CODE || DESCRIPTORS[cs >> 3].big;
const baseOf = (selector) => ((selector & 4) === 0 ? 0 : DESCRIPTORS[selector >> 3].base);
const stackIs32 = (ss) => ss === FLAT_DATA || DESCRIPTORS[ss >> 3].big;

const words = (value, size) => Array.from({ length: size }, (_, i) => (value >>> (8 * i)) & 0xff);

export class Cases {
  list = [];

  /** Adds a case; what is not given is as in the defaults. `sizes`: prefixes that give operand and address size. */
  add({
    code,
    cs = CODE_32,
    ss = local(6),
    ds = local(6),
    es = local(6),
    fs = 0,
    at = CODE_AT,
    eflags = 0x202,
    patches = [],
    ...rest
  }) {
    const registers = {
      eax: 0x11223344,
      ecx: 0x55667788,
      edx: 0x99aabbcc,
      ebx: 0x2000,
      esp: 0x3000,
      ebp: 0x2800,
      esi: 0x2100,
      edi: 0x2200,
      ...rest,
    };
    if (code.length > 16 || patches.length > 10) throw new Error('A case is too long.');
    const padded = [...code, ...Array(16 - code.length).fill(0xcc)];
    const eip = cs === FLAT_CODE ? REGION + at : at;
    this.list.push({
      registers: ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi'].map((name) => registers[name] >>> 0),
      eip,
      eflags,
      selectors: [cs, ss, ds, es, fs],
      codeAt: REGION + at,
      code: padded,
      patches,
    });
  }
}

/** Prefix that makes the operand (66) or address size (67) what is wanted. */
function prefixes(cs, operandSize, addressSize = codeIs32(cs) ? 4 : 2) {
  const natural = codeIs32(cs) ? 4 : 2;
  return [...(operandSize === natural ? [] : [0x66]), ...(addressSize === natural ? [] : [0x67])];
}

/** A frame on the stack: `values` of `size` bytes from the stack pointer up. */
function frame(ss, pointer, size, values) {
  const mask = stackIs32(ss) ? 0xffffffff : 0xffff;
  const bytes = values.flatMap((value) => words(value, size));
  const patches = [];
  for (let i = 0; i < bytes.length; i += 4) {
    const at = baseOf(ss) + ((pointer + i) & mask);
    const inside = at >= REGION && at + 4 <= REGION + 0x30000;
    const piece = [0, 1, 2, 3].map((k) => bytes[i + k] ?? 0);
    if (inside) patches.push([at, (piece[0] | (piece[1] << 8) | (piece[2] << 16) | (piece[3] << 24)) >>> 0]);
  }
  return patches;
}

const STACKS = [local(5), local(6), local(7), local(8), FLAT_DATA];
const POINTERS = [
  0x3000, 0, 1, 2, 3, 4, 6, 7, 8, 0x10, 0x1f, 0x1000, 0x1002, 0x1004, 0x1008, 0x1010, 0xfff8, 0xfffc, 0xfffe, 0xffff,
  0x10000, 0x10002,
];

function stackCases(cases) {
  for (const cs of [CODE_16, CODE_32]) {
    for (const size of [2, 4]) {
      const p = prefixes(cs, size);
      const z = (value) => words(value, size);
      const operations = [
        [[...p, 0x50]],
        [[...p, 0x54]],
        [[...p, 0x6a, 0x85]],
        [[...p, 0x68, ...z(0x12345678)]],
        [[...p, 0x1e]],
        [[...p, 0x0f, 0xa0]],
        [[...p, 0x9c]],
        [[...p, 0x60]],
        [[...p, 0x58]],
        [[...p, 0x5c]],
        [[...p, 0x61]],
        [[...p, 0x9d], [0x00040fd5]],
        [[...p, 0x07], [local(5)]],
        [[...p, 0x17], [local(5)]],
        [[...p, 0x17], [local(6)]],
        [[...p, 0xc8, 0x10, 0x00, 0x00]],
        [[...p, 0xc8, 0x10, 0x00, 0x01]],
        [[...p, 0xc8, 0x06, 0x00, 0x03]],
        [[...p, 0xc9]],
        [[...p, 0xe8, ...z(0x100)]],
        [[...p, 0xc3], [TARGET]],
        [[...p, 0xc2, 0x06, 0x00], [TARGET]],
        [
          [...p, 0xcb],
          [TARGET, CODE_16],
        ],
        [
          [...p, 0xca, 0x08, 0x00],
          [TARGET, CODE_32],
        ],
        [
          [...p, 0xcf],
          [TARGET, CODE_16, 0x0a97],
        ],
        [
          [...p, 0xcf],
          [TARGET, CODE_32, 0x00040f02],
        ],
        [[...p, 0x9a, ...z(TARGET), ...words(CODE_32, 2)]],
        [[...p, 0x9a, ...z(TARGET), ...words(CODE_16, 2)]],
      ];
      for (const [code, values] of operations) {
        for (const ss of STACKS) {
          for (const pointer of POINTERS) {
            const esp = ss === FLAT_DATA ? DATA + pointer : pointer;
            const patches = values === undefined ? [] : frame(ss, esp, size, values);
            cases.add({ code, cs, ss, esp, ebp: code.includes(0xc9) ? esp : 0x2800, patches });
          }
        }
      }
    }
  }
  // Bits 31:16 of ESP and EBP are nobody's on a 16-bit stack.
  for (const code of [
    [0x50],
    [0x66, 0x50],
    [0x58],
    [0xc9],
    [0xc8, 8, 0, 0],
    [0x66, 0xc8, 8, 0, 2],
    [0x66, 0xc9],
    [0x60],
    [0x66, 0x61],
  ]) {
    for (const cs of [CODE_16, CODE_32]) {
      cases.add({ code, cs, ss: local(5), esp: 0xabcd3000, ebp: 0x98763010 });
    }
  }
}

function dataCases(cases) {
  const segments = [0, ...[3, 5, 6, 7, 8, 9, 12, 14, 1].map(local)];
  const offsets = [
    0,
    1,
    0xfff - 7,
    0xffc,
    0xffd,
    0xffe,
    0xfff,
    0x1000,
    0x1001,
    0xfff8,
    0xfffc,
    0xfffd,
    0xfffe,
    0xffff,
    0x10000,
  ];
  const operations = [
    [0x8a, 0x03],
    [0x66, 0x8b, 0x03],
    [0x8b, 0x03],
    [0x88, 0x03],
    [0x66, 0x89, 0x03],
    [0x89, 0x03],
    [0x01, 0x03],
    [0x84, 0x03],
    [0xc4, 0x03],
    [0x66, 0x62, 0x03],
    [0x0f, 0xc7, 0x0b],
    [0x66, 0x0f, 0xab, 0x03],
    [0xff, 0x33],
    [0x8f, 0x03],
    [0xff, 0x23],
    [0xff, 0x2b],
    [0x0f, 0xb6, 0x03],
  ];
  for (const code of operations) {
    for (const ds of segments) {
      for (const ebx of offsets) {
        // A far pointer to a valid segment, a near target, bounds: whatever the instruction wants.
        const patches =
          ds >= 4 && ebx + 8 < 0x20000 && baseOf(ds) === DATA
            ? [
                [DATA + ebx, 0x1800],
                [DATA + ebx + 4, local(6)],
              ]
            : [];
        cases.add({ code, ds, ebx, eax: 0x11220044, ecx: 5, edx: 0x1800, patches });
      }
    }
  }
  // Through ES, FS and SS, with 16-bit addresses, and as strings.
  for (const selector of segments) {
    for (const ebx of offsets) {
      cases.add({ code: [0x26, 0x8b, 0x03], es: selector, ebx });
      cases.add({ code: [0x64, 0x66, 0x89, 0x03], fs: selector, ebx });
      cases.add({ code: [0x67, 0x8b, 0x07], ds: selector, ebx });
      cases.add({ code: [0x67, 0x66, 0x8b, 0x41, 0x02], ds: selector, ebx, edi: 0 });
      cases.add({ code: [0xa5], ds: selector, esi: ebx });
      cases.add({ code: [0xa5], es: selector, edi: ebx });
      cases.add({ code: [0xf3, 0xa4], ds: selector, esi: ebx, ecx: 4 });
      cases.add({ code: [0x67, 0xf3, 0xaa], es: selector, edi: ebx, ecx: 6 });
      cases.add({ code: [0xfd, 0xad].slice(1), ds: selector, esi: ebx, eflags: 0x602 });
      cases.add({ code: [0xd7], ds: selector, ebx, eax: 0 });
      cases.add({ code: [0xa1, ...words(ebx, 4)], ds: selector });
    }
  }
  for (const ss of STACKS) {
    for (const offset of offsets) {
      const ebp = ss === FLAT_DATA ? DATA + offset : offset;
      cases.add({ code: [0x8b, 0x45, 0x00], ss, ebp, esp: ss === FLAT_DATA ? DATA + 0x3000 : 0x3000 });
      cases.add({ code: [0x67, 0x89, 0x46, 0x00], ss, ebp, esp: ss === FLAT_DATA ? DATA + 0x3000 : 0x3000 });
    }
  }
}

const SELECTORS = [
  ...[0, 1, 2, 3],
  ...Object.keys(DESCRIPTORS).flatMap((index) => [
    local(Number(index)),
    local(Number(index)) & ~3,
    local(Number(index)) & ~2,
  ]),
  local(17),
  local(18),
  local(0x1000),
  ...KERNEL,
  ...KERNEL.map((selector) => selector | 3),
  FLAT_DATA,
  FLAT_CODE,
];

function segmentLoads(cases) {
  for (const selector of SELECTORS) {
    for (const reg of [0, 2, 3, 4]) {
      cases.add({ code: [0x8e, 0xc0 | (reg << 3)], eax: 0xdead0000 | selector });
    }
    const pointer = [
      [DATA + 0x2000, 0xcafe1234],
      [DATA + 0x2004, selector],
    ];
    for (const code of [
      [0xc5, 0x0b],
      [0x0f, 0xb2, 0x0b],
      [0x0f, 0xb4, 0x0b],
    ])
      cases.add({ code, patches: pointer });
    for (const code of [[0x1f], [0x17], [0x0f, 0xa1]])
      cases.add({ code, patches: frame(local(6), 0x3000, 4, [selector]) });
    // LAR's bits 19:16 are undefined (SDM 2A), and the kernel's limits are its own affair.
    if (selector === FLAT_CODE || selector === FLAT_DATA || KERNEL.includes(selector & ~3)) continue;
    for (const opcode of [0x02, 0x03]) {
      cases.add({ code: [0x0f, opcode, 0xd8], eax: selector });
      cases.add({ code: [0x66, 0x0f, opcode, 0xd8], eax: selector });
    }
    for (const modrm of [0xe0, 0xe8]) cases.add({ code: [0x0f, 0x00, modrm], eax: selector });
  }
}

function farTransfers(cases) {
  const targets = [TARGET, 0xfff, 0x1000, 0xffff, 0x10000, 0x12000];
  for (const selector of SELECTORS) {
    if (selector === FLAT_CODE || selector === (FLAT_CODE & ~3)) continue;
    for (const offset of targets) {
      for (const cs of [CODE_16, CODE_32]) {
        for (const size of [2, 4]) {
          const p = prefixes(cs, size);
          const far = [...words(offset, size), ...words(selector, 2)];
          cases.add({ code: [...p, 0xea, ...far], cs });
          cases.add({ code: [...p, 0x9a, ...far], cs, ss: local(size === 2 ? 5 : 6) });
          const values = [offset, selector];
          cases.add({ code: [...p, 0xcb], cs, patches: frame(local(6), 0x3000, size, values) });
          cases.add({ code: [...p, 0xcf], cs, patches: frame(local(6), 0x3000, size, [...values, 0x0246]) });
        }
      }
    }
  }
  // Stack and target both bad: which is told first. (Of near calls and null selectors AMD and the SDM tell differently.)
  for (const [selector, offset] of [
    [local(15), 0x1000],
    [local(11), TARGET],
  ]) {
    for (const esp of [0, 2, 4, 6]) cases.add({ code: [0x9a, ...words(offset, 4), ...words(selector, 2)], esp });
    for (const esp of [0xfffe, 0xfffa, 0xfff8]) {
      cases.add({ code: [0xcb], esp, patches: frame(local(6), esp, 4, [offset, selector]) });
      cases.add({ code: [0xcf], esp, patches: frame(local(6), esp, 4, [offset, selector]) });
    }
  }
}

function nearTransfers(cases) {
  const targets = [TARGET, 0xffe, 0xfff, 0x1000, 0x1001, 0xf000, 0xffff, 0x10000, 0x10800, 0x7fffffff];
  for (const cs of [CODE_16, CODE_32, local(13), local(15), FLAT_CODE]) {
    for (const size of [2, 4]) {
      const p = prefixes(cs, size);
      for (const target of targets) {
        const relative = (length) => words(target - (CODE_AT + length), size);
        const at = p.length;
        cases.add({ code: [...p, 0xe9, ...relative(at + 1 + size)], cs });
        cases.add({ code: [...p, 0xe8, ...relative(at + 1 + size)], cs });
        cases.add({ code: [...p, 0x0f, 0x84, ...relative(at + 2 + size)], cs, eflags: 0x242 });
        cases.add({ code: [...p, 0x0f, 0x84, ...relative(at + 2 + size)], cs });
        const flat = cs === FLAT_CODE && size === 4 ? REGION : 0;
        cases.add({ code: [...p, 0xff, 0xe0], cs, eax: flat + target });
        cases.add({ code: [...p, 0xff, 0xd0], cs, eax: flat + target });
        cases.add({ code: [...p, 0xc3], cs, patches: frame(local(6), 0x3000, size, [flat + target]) });
        cases.add({ code: [...p, 0xc2, 4, 0], cs, patches: frame(local(6), 0x3000, size, [flat + target]) });
      }
      // Short branches near both ends of the segment.
      for (const at of [0x10, 0xff0, 0xfff0]) {
        for (const [opcode, ecx] of [
          [0xeb, 0],
          [0xe2, 2],
          [0xe2, 1],
          [0xe0, 3],
          [0xe1, 3],
          [0xe3, 0],
          [0xe3, 1],
          [0x74, 0],
          [0x75, 0],
        ]) {
          for (const displacement of [0x20, 0x0c, 0x0d, -0x20, -0x13]) {
            cases.add({ code: [...p, opcode, displacement & 0xff], cs, at, ecx: ecx | (size === 2 ? 0x10000 : 0) });
          }
        }
      }
    }
  }
  // Instructions that end at, or cross, the limit; and what cannot be an instruction before it is reached.
  const instructions = [
    [0x90],
    [0x40],
    [0xb8, 1, 2, 3, 4],
    [0x89, 0xc3],
    [0x66, 0xb8, 1, 2],
    [0x81, 0xc3, 1, 2, 3, 4],
    [0xc7, 0x43, 0x04, 1, 2, 3, 4],
    [0x0f, 0x0b],
    [0xf0, 0x90],
    [0x2e, 0x2e, 0x2e, 0x2e, 0x40],
    [0xe8, 0, 0, 0, 0],
    [0xcc],
    [0xcd, 0x41],
    [0xce],
  ];
  for (const cs of [local(13), local(15)]) {
    for (const code of instructions) for (let at = 0xff6; at <= 0x1000; at++) cases.add({ code, cs, at });
  }
  for (const cs of [CODE_16, CODE_32, FLAT_CODE]) {
    for (const count of [10, 12, 13, 14, 15]) cases.add({ code: [...Array(count).fill(0x2e), 0x90], cs });
    for (const count of [10, 11, 12, 13]) cases.add({ code: [...Array(count).fill(0x66), 0x81, 0xc3, 1], cs });
    cases.add({ code: [0xce], cs, eflags: 0xa02 });
    cases.add({ code: [0xcd, 0x41], cs });
    cases.add({ code: [0x63, 0xc8], cs, eax: 1, ecx: 2 });
    cases.add({ code: [0x63, 0xc8], cs, eax: 3, ecx: 2 });
    for (const code of [
      [0xfa],
      [0xfb],
      [0xf4],
      [0xec],
      [0x6e],
      [0x0f, 0x01, 0xf0],
      [0x0f, 0x00, 0xd0],
      [0x0f, 0x06],
      [0x0f, 0x20, 0xc0],
      [0x0f, 0x30],
    ]) {
      cases.add({ code, cs });
    }
  }
}

/** Every case, in a fixed order. */
export function segmentCases() {
  const cases = new Cases();
  stackCases(cases);
  dataCases(cases);
  segmentLoads(cases);
  farTransfers(cases);
  nearTransfers(cases);
  return cases.list;
}
