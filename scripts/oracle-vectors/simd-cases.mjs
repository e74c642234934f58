/**
 * The MMX and SSE cases of the oracle vectors, all of it from a seed: the recording script gives them to the processor, the
 * test (test/core/simd/vectors.test.ts) gives them to the emulated one. The cases of a form depend on its name alone.
 */
import { Random } from './random.mjs';

export const WINDOW_BYTES = 64;
const PAGE = 4096;
export const READ_ONLY_PAGE = 0x10000000;
export const DATA_PAGE = READ_ONLY_PAGE + PAGE;
export const CODE_START = DATA_PAGE + 2 * PAGE;
export const WINDOW = DATA_PAGE + PAGE - WINDOW_BYTES;

const EBX = 3;
const EDI = 7;
const PREFIXES = { np: [], 66: [0x66], f3: [0xf3], f2: [0xf2] };
const MEMORY_BYTES = { w: 2, d: 4, q: 8, dq: 16 };

/** A small hash of a name: the same operands for the register and the memory form of one opcode. */
function hashOf(text) {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** What kind of numbers an instruction's operands should be. */
function kindOf(name, operands) {
  if (/^(cvtpi2|cvtsi2|cvtdq2)/.test(name)) return 'integer';
  if (/^cvtt?[sp]s2/.test(name)) return 'single';
  if (/^ps(r|l)(l|a)/.test(name) && operands[1] !== 'Ib') return 'shift';
  if (/^(p|mask|mov|emms|ldm|stm)/.test(name)) return 'packed';
  if (/(sd|pd)$|^cvtt?[sp]d2/.test(name)) return 'double';
  return 'single';
}

/** The forms of rows `[encoding, name, ...operands]` of the opcode table: with registers, and with memory. */
export function formsOf(rows) {
  const forms = [];
  for (const [encoding, fullName, ...operands] of rows) {
    const name = fullName.split('=')[0];
    const parts = encoding.split(' ');
    const prefix = PREFIXES[parts.shift()];
    parts.shift();
    const opcode = Number.parseInt(parts.shift(), 16);
    const digit = parts.length > 0 ? Number(parts[0].slice(1)) : -1;
    const place = operands.findIndex((code) => /^[EMQW]/.test(code));
    const common = { row: encoding, mnemonic: name, operands, prefix, opcode, digit, kind: kindOf(name, operands) };
    const isMasked = name.startsWith('maskmov');
    if (place < 0 || !operands[place].startsWith('M')) {
      forms.push({ ...common, name: `${encoding} ${name} ${operands.join()}`, memoryBytes: 0, isMasked });
    }
    if (place >= 0) {
      const memoryBytes = MEMORY_BYTES[operands[place].slice(1)];
      forms.push({ ...common, name: `${encoding} ${name} ${operands.join()} memory`, memoryBytes, isMasked: false });
    }
  }
  return forms;
}

const WORDS = [0, 1, 0xffffffff, 0x7fffffff, 0x80000000, 0x7fff8000, 0x80007fff, 0x7f80ff00, 0x8001fffe, 0x00ff0100];
function packedWord(random) {
  const kind = random.below(4);
  if (kind === 0) return random.pick(WORDS);
  if (kind === 1) return Math.imul(random.below(256), 0x01010101) >>> 0;
  return random.next();
}

/** Format of a single or double by fraction bits in the high word, exponent bias. */
const SINGLE = { exponents: 255, bias: 127 };
const DOUBLE = { exponents: 2047, bias: 1023 };

/** A floating-point number as [high bits, low bits]: sign, exponent field and fraction as a float would have them. */
function fields(random, { exponents, bias }, near) {
  const sign = random.below(2);
  switch (random.below(16)) {
    case 0: // zero, infinity
      return [sign, random.below(2) === 0 ? 0 : exponents, 0, 0];
    case 1: // NaNs: quiet or signalling by the top fraction bit
      return [sign, exponents, random.pick([1, 0x400001, 0x400000, 0x7fffff, 0x3fffff]), random.next()];
    case 2: // denormals
      return [
        sign,
        0,
        random.pick([0, 1, 0x7fffff, 0x400000, random.below(0x800000)]),
        random.pick([1, 0, random.next()]),
      ];
    case 3: // the ends of the range
      return [
        sign,
        random.pick([1, 2, exponents - 1, exponents - 2]),
        random.pick([0, 1, 0x7fffff]),
        random.pick([0, 0xffffffff]),
      ];
    case 4: // where products and quotients of two leave it
      return [
        sign,
        random.pick([(bias + 1) >> 1, bias + (bias >> 1)]) + random.below(5) - 2,
        random.below(0x800000),
        random.next(),
      ];
    case 5: // small exact numbers
      return [sign, bias + random.below(4), random.below(16) << 19, 0];
    case 6: // halves and whole numbers near the limits of integers
      return [
        sign,
        bias + random.pick([-2, -1, 0, 1, 29, 30, 31, 32]),
        random.pick([0, 0x400000, 0x7fffff, 0x7ffffe]),
        random.pick([0, 0xffffffff, 0xffe00000, 0xfff00000]),
      ];
    case 7:
      return [sign, random.below(exponents + 1), random.below(0x800000), random.next()];
    default: // close to one another
      return [
        sign,
        bias + near + random.below(9) - 4,
        random.below(4) === 0 ? random.pick([0, 0x7fffff, 0x555555]) : random.below(0x800000),
        random.pick([0, 0xffffffff, random.next(), random.next()]),
      ];
  }
}
function singleWord(random, near) {
  const [sign, exponent, fraction] = fields(random, SINGLE, near);
  return ((sign << 31) | (exponent << 23) | fraction) >>> 0;
}
function doubleWords(random, near) {
  const [sign, exponent, fraction, low] = fields(random, DOUBLE, near);
  return [low >>> 0, ((sign << 31) | (exponent << 20) | (fraction >> 3)) >>> 0];
}

/** The four words of a register. `like`: another operand, of which this one is sometimes a near relation. */
function registerWords(random, kind, like) {
  const words = [];
  if (kind === 'double') {
    const near = random.pick([0, 0, 3, 30, -60]);
    for (let lane = 0; lane < 2; lane++) words.push(...doubleWords(random, near));
  } else if (kind === 'single') {
    const near = random.pick([0, 0, 3, 12, -25]);
    for (let lane = 0; lane < 4; lane++) words.push(singleWord(random, near));
  } else if (kind === 'shift' && random.below(4) > 0) {
    words.push(random.below(72), random.below(8) === 0 ? 1 : 0, random.next(), random.next());
  } else {
    for (let i = 0; i < 4; i++) words.push(packedWord(random));
  }
  if (like !== null && random.below(5) === 0) {
    // The same with another sign or a last bit more, lane by lane.
    const step = kind === 'double' ? 2 : 1;
    for (let i = 0; i < 4; i += step) {
      words[i] = (like[i] + random.below(3)) >>> 0;
      if (step === 2) words[i + 1] = like[i + 1];
      if (random.below(2) === 0) words[i + step - 1] = (words[i + step - 1] ^ 0x80000000) >>> 0;
    }
  }
  return words;
}

function mxcsrOf(random) {
  const rounding = random.below(4) << 13;
  const flush = (random.below(3) === 0 ? 0x40 : 0) | (random.below(3) === 0 ? 0x8000 : 0);
  const masks = random.below(3) > 0 ? 0x1f80 : random.below(64) << 7;
  const flags = random.below(2) === 0 ? 0 : random.below(64);
  return rounding | flush | masks | flags;
}

/** x87 state: control, status and full tag words. Every so often an exception waits. */
function x87Of(random) {
  const top = random.below(8);
  const conditions = random.below(2) * 0x4000 + random.below(8) * 0x100;
  const waits = random.below(16) === 0;
  let tag = 0;
  const empty = random.below(3) === 0 ? 0xff : random.below(256);
  for (let i = 0; i < 8; i++) if ((empty >> i) & 1) tag |= 3 << (2 * i);
  return {
    control: waits ? 0x37b : 0x37f,
    status: (top << 11) | conditions | (waits ? 0x8084 : 0),
    tag,
    top,
  };
}

const ARITHMETIC_FLAGS = 0x8d5;

/** Floating-point forms have several times the states: modes, masks and kinds of numbers multiply. */
const FLOAT_STATES = 3;

/** The cases of a form. `address` of a memory operand: in the window, or misaligned, across its end, or not writable. */
export function* casesOf(form, states, seed) {
  const random = new Random((hashOf(form.row) ^ Math.imul(seed, 0x85ebca6b)) >>> 0 || 1);
  const count = form.kind === 'single' || form.kind === 'double' ? FLOAT_STATES * states : states;
  for (let number = 0; number < count; number++) yield oneCase(form, random, number);
}

function oneCase(form, random, number) {
  const reg = random.below(8);
  const rm = random.below(8);
  const registers = Array.from({ length: 8 }, () => packedWord(random));
  const eflags = 0x202 | (random.next() & ARITHMETIC_FLAGS);
  const mxcsr = mxcsrOf(random);
  const x87 = x87Of(random);
  const isShift = form.kind === 'shift';
  const first = registerWords(random, isShift ? 'packed' : form.kind, null);
  const second = registerWords(random, form.kind, isShift ? null : first);
  const isMmx = (code) => code !== undefined && /^[PNQ]/.test(code);
  const xmm = Array.from({ length: 8 }, () => registerWords(random, 'packed', null));
  const mm = Array.from({ length: 8 }, () => ({
    words: registerWords(random, 'packed', null).slice(0, 2),
    exponent: random.below(3) === 0 ? 0xffff : random.below(0x10000),
  }));
  // ModRM reg and rm name what the operand codes say; a source in memory is what the register would have been.
  const [regCode, rmCode] = [
    form.operands.find((code) => /^[PVG]/.test(code)),
    form.operands.find((code) => /^[NUQWE]/.test(code)),
  ];
  if (/^V/.test(regCode ?? '')) xmm[reg] = first;
  if (isMmx(regCode)) mm[reg].words = first.slice(0, 2);
  let source = second;
  if (rmCode !== undefined) {
    if (isMmx(rmCode)) mm[rm].words = second.slice(0, 2);
    else if (rmCode.startsWith('E')) source = [registers[rm], 0, 0, 0];
    else xmm[rm] = second;
  }
  if (/^E/.test(rmCode ?? '') && rm === reg && /^G/.test(regCode ?? '')) source = [registers[rm], 0, 0, 0];
  const immediate = random.below(4) === 0 ? random.below(20) : random.below(256);
  const memory = new Uint8Array(WINDOW_BYTES);
  for (let at = 0; at < WINDOW_BYTES; at++) memory[at] = random.next();

  const fault = form.memoryBytes > 0 || form.isMasked ? placeOf(number) : 'aligned';
  const size = form.isMasked ? (form.operands[0] === 'Pq' ? 8 : 16) : form.memoryBytes;
  const shift = 1 + random.below(15);
  const address =
    fault === 'aligned'
      ? WINDOW + 16
      : fault === 'misaligned'
        ? WINDOW + 16 + shift
        : fault === 'across'
          ? WINDOW + WINDOW_BYTES - (shift % Math.max(size, 1))
          : READ_ONLY_PAGE + 16;
  if (form.memoryBytes > 0) {
    const at = address - WINDOW;
    // LDMXCSR: values that may be loaded, and some that may not.
    if (form.mnemonic === 'ldmxcsr') source = [random.below(4) === 0 ? random.next() : mxcsrOf(random), 0, 0, 0];
    for (let i = 0; i < form.memoryBytes; i++) {
      if (at + i >= 0 && at + i < WINDOW_BYTES) memory[at + i] = source[i >> 2] >>> (8 * (i & 3));
    }
  }
  if (form.memoryBytes > 0) registers[EBX] = address;
  if (form.isMasked) registers[EDI] = address;

  const modrm = form.memoryBytes > 0 ? EBX : 0xc0 | rm;
  const bytes = [...form.prefix, 0x0f, form.opcode];
  if (form.operands.length > 0) bytes.push(modrm | ((form.digit >= 0 ? form.digit : reg) << 3));
  if (form.operands.includes('Ib')) bytes.push(immediate);
  return { bytes, registers, eflags, mxcsr, ...x87, xmm, mm, memory, address };
}

/** Every twentieth case or so is one that may fault. */
function placeOf(number) {
  if (number % 20 === 7) return 'misaligned';
  if (number % 40 === 13) return 'across';
  if (number % 40 === 33) return 'readOnly';
  return 'aligned';
}

/** Words of a case's state, in the order that changes are stored in. */
export const STATE_NAMES = [
  ...['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi', 'eflags', 'mxcsr', 'fsw', 'ftw'],
  ...Array.from({ length: 8 }, (_, i) => `exponent${i}`),
  ...Array.from({ length: 16 }, (_, i) => `mm${i >> 1}.${i & 1}`),
  ...Array.from({ length: 32 }, (_, i) => `xmm${i >> 2}.${i & 3}`),
  ...Array.from({ length: WINDOW_BYTES / 4 }, (_, i) => `memory+${4 * i}`),
];

/** The state before the instruction, as those words. */
export function stateOf(test) {
  const view = new DataView(test.memory.buffer);
  let valid = 0;
  for (let i = 0; i < 8; i++) if (((test.tag >> (2 * i)) & 3) !== 3) valid |= 1 << i;
  return Uint32Array.from([
    ...test.registers,
    test.eflags & ARITHMETIC_FLAGS,
    test.mxcsr,
    test.status,
    valid,
    ...test.mm.map(({ exponent }) => exponent),
    ...test.mm.flatMap(({ words }) => words),
    ...test.xmm.flat(),
    ...Array.from({ length: WINDOW_BYTES / 4 }, (_, i) => view.getUint32(4 * i, true)),
  ]);
}
