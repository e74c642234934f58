/**
 * The x87 cases of the oracle vectors, all of it from a seed: the recording script gives them to the processor, the test
 * (test/core/fpu/vectors.test.ts) gives them to the emulated one. Written independently of the instruction table.
 */
import { caseSeed, Random } from './random.mjs';

/** An FNSAVE image in the 32-bit protected-mode format. */
export const IMAGE_BYTES = 108;
/** The memory operand, addressed by EBX. FXSAVE's is the longest. */
export const WINDOW_BYTES = 512;
const ENVIRONMENT_BYTES = 28;

/** Digits of D8 .. DF with a memory operand that are not there: undefined, or FISTTP of SSE3. */
const ABSENT_MEMORY = new Set(['d9/1', 'db/1', 'db/4', 'db/6', 'dd/1', 'dd/5', 'df/1']);
/** Kind of the memory operand by opcode and digit. */
const REAL_OPERANDS = {
  d8: ['single', 'single', 'single', 'single', 'single', 'single', 'single', 'single'],
  d9: ['single', '', 'single', 'single', 'environment', 'control', 'environment', 'control'],
  da: ['int32', 'int32', 'int32', 'int32', 'int32', 'int32', 'int32', 'int32'],
  db: ['int32', '', 'int32', 'int32', '', 'extended', '', 'extended'],
  dc: ['double', 'double', 'double', 'double', 'double', 'double', 'double', 'double'],
  dd: ['double', '', 'double', 'double', 'image', '', 'image', 'control'],
  de: ['int16', 'int16', 'int16', 'int16', 'int16', 'int16', 'int16', 'int16'],
  df: ['int16', '', 'int16', 'int16', 'bcd', 'int64', 'bcd', 'int64'],
};
/** Digits of D8 .. DF with ST(i): eight ModRM bytes each. */
const STACK_DIGITS = {
  d8: [0, 1, 2, 3, 4, 5, 6, 7],
  d9: [0, 1, 3],
  da: [0, 1, 2, 3],
  db: [0, 1, 2, 3, 5, 6],
  dc: [0, 1, 2, 3, 4, 5, 6, 7],
  dd: [0, 1, 2, 3, 4, 5],
  de: [0, 1, 2, 4, 5, 6, 7],
  df: [0, 1, 2, 3, 5, 6],
};
/** Whole ModRM bytes. */
const SINGLE_FORMS = {
  d9: [
    ...[0xd0, 0xe0, 0xe1, 0xe4, 0xe5, 0xe8, 0xe9, 0xea, 0xeb, 0xec, 0xed, 0xee],
    ...[0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff],
  ],
  da: [0xe9],
  db: [0xe0, 0xe1, 0xe2, 0xe3, 0xe4],
  de: [0xd9],
  df: [0xe0],
};
/** F2XM1 FYL2X FPTAN FPATAN FYL2XP1 FSINCOS FSIN FCOS. */
const TRANSCENDENTAL = new Set([0xf0, 0xf1, 0xf2, 0xf3, 0xf9, 0xfb, 0xfe, 0xff]);

const hex = (value) => value.toString(16).padStart(2, '0');

/** Every form: `bytes` with the ModRM byte of i = 0, `stack` if i is to vary, `operand` kind of memory. */
export function forms() {
  const list = [{ name: '9b', bytes: [0x9b], stack: false, operand: '', transcendental: false }];
  const add = (bytes, options = {}) =>
    list.push({ name: bytes.map(hex).join(' '), bytes, stack: false, operand: '', transcendental: false, ...options });
  for (let opcode = 0xd8; opcode <= 0xdf; opcode++) {
    const key = hex(opcode);
    for (let digit = 0; digit < 8; digit++) {
      if (ABSENT_MEMORY.has(`${key}/${digit}`)) continue;
      const operand = REAL_OPERANDS[key][digit];
      add([opcode, (digit << 3) | 3], { operand });
      if (operand === 'environment' || operand === 'image')
        add([0x66, opcode, (digit << 3) | 3], { operand: `${operand}16` });
    }
    for (const digit of STACK_DIGITS[key]) add([opcode, 0xc0 + 8 * digit], { stack: true });
    for (const modrm of SINGLE_FORMS[key] ?? [])
      add([opcode, modrm], { transcendental: opcode === 0xd9 && TRANSCENDENTAL.has(modrm) });
  }
  add([0x0f, 0xae, 0x03], { operand: 'fx' });
  add([0x0f, 0xae, 0x0b], { operand: 'fx' });
  return list;
}

/** Which bytes of its window an instruction fills with addresses or leaves to the processor: a predicate on offsets. */
export function pointerBytes(form) {
  if (form.operand === 'environment' || form.operand === 'image') return (offset) => offset >= 12 && offset < 28;
  if (form.operand === 'environment16' || form.operand === 'image16') return (offset) => offset >= 6 && offset < 14;
  // FXSAVE: also MXCSR, what is beside ten bytes of a register, and XMM, which belong to the recording program.
  if (form.operand === 'fx')
    return (offset) =>
      (offset >= 6 && offset < 32) || offset === 5 || offset >= 160 || (offset >= 32 && (offset & 15) >= 10);
  return () => false;
}

const BIAS = 0x3fff;
/** Mantissas: halfway cases and neighbours for 24, 53 and 64 bits among them. */
function mantissa(random) {
  const high = () => (random.next() | 0x80000000) >>> 0;
  switch (random.below(12)) {
    case 0:
      return [0x80000000, 0];
    case 1:
      return [0xffffffff, 0xffffffff];
    case 2:
      return [0x80000000, 1];
    case 3:
      return [(high() & 0xffffff00) >>> 0, 0];
    case 4: // halfway between singles, and near it
      return [((high() & 0xffffff00) | 0x80) >>> 0, random.pick([0, 0, 1])];
    case 5: // halfway between doubles, and near it
      return [high(), ((random.next() & 0xfffff800) | random.pick([0x400, 0x400, 0x401, 0x3ff])) >>> 0];
    case 6: // a double
      return [high(), (random.next() & 0xfffff800) >>> 0];
    case 7: // an integer of few bits
      return [((random.below(256) << 24) | 0x80000000) >>> 0, 0];
    case 8:
      return [0xc0000000, 0];
    default:
      return [high(), random.next() >>> 0];
  }
}

/** An extended value: [sign and exponent, high, low]. */
function extended(random) {
  const sign = random.below(2) << 15;
  const [high, low] = mantissa(random);
  switch (random.below(24)) {
    case 0:
      return [sign, 0, 0];
    case 1: // denormals
      return [sign, random.below(2) === 0 ? 0 : (high & 0x7fffffff) >>> 0, low | 1];
    case 2:
      return [sign, random.pick([0, 0x40000000, 0x7fffffff]), random.pick([1, 0xffffffff])];
    case 3: // pseudo-denormal
      return [sign, high, low];
    case 4:
      return [sign | 0x7fff, 0x80000000, 0];
    case 5:
      return [sign | 0x7fff, (high | 0xc0000000) >>> 0, low];
    case 6:
      return [sign | 0x7fff, ((high & 0xbfffffff) | 0x80000000) >>> 0, low | 1];
    case 7: // pseudo-infinity, pseudo-NaN, unnormal
      return [sign | random.pick([0x7fff, 0x7fff, BIAS, 1, 0x7ffe]), random.pick([0, (high & 0x7fffffff) >>> 0]), low];
    case 8: // the ends of the range
      return [sign | random.pick([1, 2, 64, 65, 0x7ffe, 0x7ffd, 0x7fbf]), high, low];
    case 9:
      return [sign | random.below(0x7fff), high, low];
    case 10: // the ends of single and double
      return [
        sign | (BIAS + random.pick([-1074, -1023, -1022, 1023, 1024, -149, -150, -127, -126, 127, 128])),
        high,
        low,
      ];
    case 11: // the ends of the integers
      return [sign | (BIAS + random.pick([14, 15, 16, 30, 31, 32, 59, 60, 62, 63, 64])), high, low];
    case 12: // n + 1/2
      return [sign | (BIAS + random.below(8)), ((random.below(256) << 24) | 0x80000000) >>> 0, 0];
    case 13:
    case 14:
      return [sign | BIAS, 0x80000000, 0];
    default:
      return [sign | (BIAS - 40 + random.below(80)), high, low];
  }
}

/** An argument that suits a transcendental function: of moderate size. */
function moderate(random) {
  const [high, low] =
    random.below(3) === 0 ? mantissa(random) : [(random.next() | 0x80000000) >>> 0, random.next() >>> 0];
  const exponent = random.below(4) === 0 ? -70 + random.below(75) : -6 + random.below(8);
  return [(random.below(2) << 15) | (BIAS + exponent), high, low];
}

function single(random) {
  const sign = (random.below(2) << 31) >>> 0;
  const fraction = random.next() & random.pick([0x7fffff, 0x7fffff, 1, 0x400000, 0x7f0000]);
  const exponent = random.pick([0, 0, 1, 127, 128, 254, 255, 255, ...Array(8).fill(87 + random.below(80))]);
  return (sign | (exponent << 23) | fraction) >>> 0;
}
function double(random) {
  const sign = (random.below(2) << 31) >>> 0;
  const low = random.next() & random.pick([-1, -1, 0, 1]);
  const high = random.next() & random.pick([0xfffff, 0xfffff, 0, 0x80000, 1]);
  const exponent = random.pick([0, 0, 1, 1023, 1024, 2046, 2047, 2047, ...Array(8).fill(980 + random.below(80))]);
  return [(sign | (exponent << 20) | high) >>> 0, low >>> 0];
}
const INTEGERS = [0, 1, -1, 2, 10, 0x7fff, -0x8000, 0x7fffffff, -0x80000000];

function fillWindow(random, operand, window) {
  const view = new DataView(window.buffer, window.byteOffset, window.byteLength);
  const integer = () => (random.below(3) === 0 ? random.pick(INTEGERS) : random.next() >> random.below(32));
  for (let at = 0; at < 16; at += 4) view.setUint32(at, random.next(), true);
  switch (operand) {
    case 'single':
      view.setUint32(0, single(random), true);
      break;
    case 'double': {
      const [high, low] = double(random);
      view.setUint32(0, low, true);
      view.setUint32(4, high, true);
      break;
    }
    case 'extended':
      putExtended(view, 0, extended(random));
      break;
    case 'int16':
      view.setInt16(0, integer(), true);
      break;
    case 'int32':
      view.setInt32(0, integer(), true);
      break;
    case 'int64':
      view.setInt32(0, integer(), true);
      view.setInt32(4, random.below(2) === 0 ? view.getInt32(0, true) >> 31 : integer(), true);
      break;
    case 'bcd':
      for (let at = 0; at < 9; at++) window[at] = random.below(10) | (random.below(10) << 4);
      if (random.below(3) === 0) window.fill(0, random.below(9), 9);
      window[9] = random.below(2) << 7;
      break;
    case 'control':
      view.setUint16(0, controlWord(random), true);
      break;
    case 'environment':
    case 'image':
      image(random, view, false);
      break;
    case 'environment16':
    case 'image16':
      image16(random, view);
      break;
    case 'fx':
      fxImage(random, view);
      break;
    default:
  }
}

function putExtended(view, at, [se, high, low]) {
  view.setUint32(at, low, true);
  view.setUint32(at + 4, high, true);
  view.setUint16(at + 8, se, true);
}

function controlWord(random) {
  const masks = random.below(6) === 0 ? random.below(64) : 0x3f;
  return masks | 0x40 | (random.pick([0, 2, 3, 3]) << 8) | (random.below(4) << 10);
}
/** Exceptions of which none is unmasked, conditions, TOP. */
function statusWord(random, control) {
  const exceptions = random.below(3) === 0 ? random.below(64) & control : 0;
  return exceptions | (random.next() & 0x4700) | (random.below(8) << 11) | (random.below(16) === 0 ? 0x40 : 0);
}
/** Which physical registers are in use: mostly ST(0) and some after it. */
function usedRegisters(random, top, depth) {
  if (random.below(8) === 0) return random.below(256);
  let used = 0;
  for (let i = 0; i < depth; i++) used |= 1 << ((top + i) & 7);
  return used;
}
/** FRSTOR looks only at whether a tag is 3. */
function tagWord(used) {
  let tag = 0;
  for (let register = 0; register < 8; register++) if (((used >> register) & 1) === 0) tag |= 3 << (2 * register);
  return tag;
}

function operandValue(random, transcendental) {
  return transcendental && random.below(4) !== 0 ? moderate(random) : extended(random);
}

/** Writes an FNSAVE image; ST(1) is often close to ST(0). */
function image(random, view, transcendental) {
  const control = controlWord(random);
  const status = statusWord(random, control);
  view.setUint32(0, 0xffff0000 | control, true);
  view.setUint32(4, 0xffff0000 | status, true);
  view.setUint32(8, 0xffff0000 | tagWord(usedRegisters(random, (status >> 11) & 7, 1 + random.below(8))), true);
  for (let at = 12; at < ENVIRONMENT_BYTES; at += 4) view.setUint32(at, 0, true);
  const first = operandValue(random, transcendental);
  putExtended(view, ENVIRONMENT_BYTES, first);
  for (let i = 1; i < 8; i++) {
    let value = operandValue(random, transcendental);
    if (random.below(5) === 0)
      value = [
        Math.max(0, Math.min(0x7ffe, (first[0] & 0x7fff) + random.pick([0, 0, 1, -1, 2, -2, 63, 64, 65, -64]))) |
          (random.below(2) << 15),
        random.below(2) === 0 ? first[1] : value[1],
        random.below(2) === 0 ? first[2] : (first[2] + 1) >>> 0,
      ];
    putExtended(view, ENVIRONMENT_BYTES + 10 * i, value);
  }
}
function image16(random, view) {
  const control = controlWord(random);
  const status = statusWord(random, control);
  view.setUint16(0, control, true);
  view.setUint16(2, status, true);
  view.setUint16(4, tagWord(random.below(256)), true);
  for (let at = 6; at < 14; at += 2) view.setUint16(at, 0, true);
  for (let i = 0; i < 8; i++) putExtended(view, 14 + 10 * i, extended(random));
}
function fxImage(random, view) {
  const control = controlWord(random);
  view.setUint16(0, control, true);
  view.setUint16(2, statusWord(random, control), true);
  view.setUint16(4, random.below(256), true);
  view.setUint32(24, 0x1f80, true);
  view.setUint32(28, 0xffff, true);
  for (let i = 0; i < 8; i++) putExtended(view, 32 + 16 * i, extended(random));
}

/** All cases, form by form: `states` of each. */
export function* x87Cases(states, seed) {
  let number = 0;
  for (const form of forms()) {
    for (let state = 0; state < states; state++) {
      const random = new Random(caseSeed(seed, number));
      number++;
      const bytes = [...form.bytes];
      if (form.stack) bytes[bytes.length - 1] += random.below(4) === 0 ? random.below(8) : random.below(3);
      const before = new Uint8Array(IMAGE_BYTES);
      image(random, new DataView(before.buffer), form.transcendental);
      const window = new Uint8Array(WINDOW_BYTES);
      fillWindow(random, form.operand, window);
      yield { form, bytes, image: before, window, eflags: 0x202 | (random.next() & 0x8d5), eax: random.next() >>> 0 };
    }
  }
}
