/**
 * The cases: every user-mode form of the instruction table, with register and memory operands, in each operand size,
 * with LOCK and REP where they apply, and random states in which the instruction has something to do: effective
 * addresses fall into the memory window, branch targets into the code page, quotients mostly fit. Of the fault cases the
 * addresses fall on the edges of pages that are absent or read-only.
 */
import { createDecoded, decode } from '../../dist/isa/decode.js';
import { DECODE_OK } from '../../dist/isa/instruction.js';
import { INSTRUCTIONS, usesModrm } from '../../dist/isa/table.js';
import { caseSeed, fillMemory, fillRegisters, interestingValue, Random } from './random.mjs';

export const WINDOW = 0x4f00;
export const WINDOW_BYTES = 256;
export const CODE_START = 0x6800;
const CODE_FIRST = 0x6000;
const CODE_LAST = 0x6fff;

/** Not here: what needs privilege or segments of its own, what depends on the host kernel, what reads time. */
const EXCLUDED = new Set([
  ...['movSegmentLoad', 'movSegmentStore', 'pushSegment', 'popSegment', 'loadFar', 'farJump', 'farCall', 'farRet'],
  ...[
    'int',
    'int3',
    'iret',
    'sysenter',
    'sysexit',
    'sgdt',
    'sidt',
    'sldt',
    'str',
    'smsw',
    'lar',
    'lsl',
    'verr',
    'verw',
  ],
  ...['rdtsc', 'rdpmc', 'cpuid'],
]);
/** Meanings whose result depends on the operand size without an operand that shows it. */
const SIZED = new Set(['pusha', 'popa', 'pushf', 'popf', 'cbw', 'cwd', 'enter', 'leave', 'ret', 'call', 'jmp', 'jcc']);
const LOOPS = new Set(['loop', 'loope', 'loopne', 'jecxz']);
const STACK = new Set([
  'push',
  'pop',
  'pusha',
  'popa',
  'pushf',
  'popf',
  'call',
  'callIndirect',
  'ret',
  'enter',
  'leave',
]);
const [EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI] = [0, 1, 2, 3, 4, 5, 6, 7];
const ARITHMETIC = 0x8d5;
const DF = 0x400;
/** EFLAGS outside the arithmetic ones as a user process has them: bit 1, IF. */
const USER_EFLAGS = 0x202;

/** x87, MMX and SSE have states of their own, and vectors of their own. */
function isInteger({ encoding, operands }) {
  if (encoding.map === 0 && (encoding.opcode === 0x9b || (encoding.opcode & 0xf8) === 0xd8)) return false;
  if (encoding.map === 1 && encoding.opcode === 0xae && encoding.extension >= 0) return encoding.extension === 7;
  if (encoding.map === 1 && (encoding.opcode === 0x77 || encoding.opcode === 0xc3)) return false;
  return !operands.some((code) => /^[PQVWNU]/.test(code));
}

/** The forms: one row in one operand size, address size and kind of operand. */
function forms() {
  const list = [];
  for (const row of INSTRUCTIONS) {
    if (row.privilege !== 'user' || row.cost === 'vmx' || EXCLUDED.has(row.semantics) || !isInteger(row)) continue;
    const hasRm = row.operands.some((code) => /^[EM]/.test(code) && code !== 'ES');
    const hasMemory = hasRm || row.operands.some((code) => /^[XYO]/.test(code)) || row.semantics === 'xlat';
    const sized =
      SIZED.has(row.semantics) ||
      LOOPS.has(row.semantics) ||
      row.operands.some((code) => /v$|z$|Ibs|Ma|eAX/.test(code));
    const kinds = hasRm
      ? row.operands.some((code) => code[0] === 'M')
        ? ['memory']
        : ['register', 'memory']
      : ['none'];
    for (const kind of kinds) {
      for (const operandSize of sized && row.semantics !== 'bswap' ? [4, 2] : [4]) {
        const addressSizes = kind === 'memory' || hasMemory || LOOPS.has(row.semantics) ? [4, 2] : [4];
        for (const addressSize of addressSizes) {
          const base = { row, kind, operandSize, addressSize, prefix: 0 };
          // 16-bit addressing is the same for every row: one operand size of it is enough.
          if (addressSize === 2 && operandSize === 2 && sized) continue;
          list.push(base);
          if (addressSize === 4 && kind === 'memory' && row.lockable) list.push({ ...base, prefix: 0xf0 });
          if (row.repeat !== 'none') list.push({ ...base, prefix: 0xf3 });
          if (row.repeat === 'repe') list.push({ ...base, prefix: 0xf2 });
        }
      }
    }
  }
  return list;
}

/**
 * Meanings without fault cases: LEA and NOP touch no memory, and a POPA that faults may have loaded some registers already
 * (it starts again and loads them again), which processors do differently.
 */
const NO_FAULTS = new Set(['lea', 'nop', 'popa']);

/** Does this form access memory through an operand or the stack? */
function accessesMemory({ row, kind }) {
  if (NO_FAULTS.has(row.semantics)) return false;
  return (
    kind === 'memory' ||
    STACK.has(row.semantics) ||
    row.semantics === 'xlat' ||
    row.operands.some((code) => /^[XYO]/.test(code))
  );
}

/** Addresses inside the memory window, at a distance from its ends. */
const inWindow = (random, first = 64, last = 191) => WINDOW + random.between(first, last);

const DATA_PAGE = 0x4000;
const ABSENT_PAGE = 0x5000;
/** Addresses around the ends of the data page: before it a read-only one, after it none. */
function onEdge(random) {
  const kind = random.below(8);
  if (kind === 0) return random.between(DATA_PAGE - 0x800, DATA_PAGE - 0x100);
  if (kind < 3) return DATA_PAGE + random.between(-8, 8);
  return ABSENT_PAGE + random.between(-10, 10);
}

/** `states` cases of each form; with `faults`, only of forms that access memory, at the edges of pages. */
export function* cases(states, seed, faults = false) {
  const random = new Random(seed);
  const decoded = createDecoded();
  let number = 0;
  for (const form of faults ? forms().filter(accessesMemory) : forms()) {
    for (let i = 0; i < states; i++) {
      const made = makeCase(form, random, caseSeed(seed, number), faults ? onEdge : inWindow);
      if (decode(made.bytes, 0, made.bytes.length, true, decoded) !== DECODE_OK || decoded.instruction !== form.row) {
        // Another row has the shorter claim to these bytes (NOP on XCHG EAX, EAX).
        if (form.row.mnemonic !== 'xchg') throw new Error(`Bad case of ${form.row.mnemonic}: ${made.bytes}`);
        continue;
      }
      made.number = number++;
      yield made;
    }
  }
}

/** A case under construction. */
class Draft {
  constructor(form, random, seed, place) {
    this.form = form;
    this.random = random;
    /** Gives an address for the instruction to access. */
    this.place = place;
    this.seed = seed;
    this.registers = fillRegisters(seed);
    this.memory = new Uint8Array(WINDOW_BYTES);
    fillMemory(this.memory, seed);
    this.patches = [];
    this.eflags = USER_EFLAGS | (random.next() & ARITHMETIC) | (random.chance(50) ? DF : 0);
  }

  /** Sets `size` bytes at a linear address in the window. */
  patch(address, value, size) {
    for (let i = 0; i < size; i++) {
      const offset = address + i - WINDOW;
      if (offset < 0 || offset >= WINDOW_BYTES) continue;
      this.memory[offset] = value >>> (8 * i);
      this.patches.push([offset, this.memory[offset]]);
    }
  }
}

function makeCase(form, random, seed, place) {
  const draft = new Draft(form, random, seed, place);
  draft.reg = random.below(8);
  draft.rm = random.below(8);
  draft.address = place(random);
  prepareRegisters(draft);
  const operand = form.kind === 'memory' ? memoryOperand(draft) : [];
  prepareOperands(draft);
  const bytes = encode(draft, operand);
  const { registers, eflags, memory, patches } = draft;
  return { bytes: Uint8Array.from(bytes), seed, registers, eflags, memory, patches, form };
}

const partial = (value, keep, size) => (size === 4 ? value >>> 0 : ((keep & ~0xffff) | (value & 0xffff)) >>> 0);

/** Registers with a fixed part in the instruction, before addresses are computed from them. */
function prepareRegisters(draft) {
  const { form, random, registers, place } = draft;
  const { row, operandSize, addressSize } = form;
  const meaning = row.semantics;
  if (STACK.has(meaning)) registers[ESP] = place(random, 96, 159);
  if (meaning === 'leave') registers[EBP] = place(random, 32, 220);
  if (meaning === 'enter') registers[EBP] = place(random, 64, 200);
  if (row.operands.some((code) => /^[XY]/.test(code))) {
    const high = () => (addressSize === 2 ? random.next() & 0xffff0000 : 0);
    // Of two accesses only one may fault: which comes first is not defined.
    const sourcePlace = random.chance(50) ? place : inWindow;
    const destinationPlace =
      sourcePlace === place && row.operands.every((code) => /^[XY]/.test(code)) ? inWindow : place;
    registers[ESI] = (high() | sourcePlace(random, 72, 180)) >>> 0;
    registers[EDI] = (high() | destinationPlace(random, 72, 180)) >>> 0;
    registers[ECX] = partial(random.between(0, 9), random.next(), addressSize);
  }
  if (meaning === 'xlat') registers[EBX] = partial(draft.address - (registers[EAX] & 0xff), random.next(), addressSize);
  if (LOOPS.has(meaning) && random.chance(60))
    registers[ECX] = partial(random.between(0, 2), random.next(), addressSize);
  if (meaning === 'div' || meaning === 'idiv') prepareDividend(draft);
  // A count of more than 16 is undefined for 16-bit operands of SHLD and SHRD.
  if ((meaning === 'shld' || meaning === 'shrd') && operandSize === 2) {
    registers[ECX] = ((registers[ECX] & ~0x1f) | random.below(17)) >>> 0;
  }
  // A bit offset in a register reaches beyond the operand: keep it within the window.
  const bitOffset = /^bt/.test(meaning) && row.operands[1] === 'Gv' && form.kind === 'memory';
  if (bitOffset) registers[draft.reg] = partial(random.between(-256, 255), random.next(), operandSize);
  if (meaning === 'jmpIndirect' || meaning === 'callIndirect') {
    if (form.kind === 'register') {
      while (draft.rm === ESP) draft.rm = random.below(8);
      registers[draft.rm] = partial(codeTarget(random), random.next(), operandSize);
    }
  }
}

/** A dividend whose high half is near zero or near the sign, so that most quotients fit. */
function prepareDividend({ form, random, registers }) {
  if (random.chance(15)) return;
  const small = random.chance(70) ? 0 : random.between(0, 200);
  if (form.row.operands[0] === 'Eb') {
    registers[EAX] = partial(
      random.pick([random.below(256), small << 8, random.below(0x4000), -random.below(0x4000)]),
      random.next(),
      2,
    );
    return;
  }
  const signed = form.row.semantics === 'idiv' && random.chance(50);
  registers[EDX] = partial(signed ? -1 - small : small, random.next(), form.operandSize);
}

const codeTarget = (random) => {
  const target = random.between(CODE_FIRST + 64, CODE_LAST - 64);
  // Not into the instruction itself.
  return target >= CODE_START && target < CODE_START + 16 ? CODE_START - 16 : target;
};

/** ModRM (without reg), SIB and displacement that address draft.address; LEA, NOP and the like take any. */
function memoryOperand(draft) {
  const { form, random, registers } = draft;
  return form.addressSize === 2 ? memoryOperand16(draft) : memoryOperand32(draft, random, registers);
}

function memoryOperand16(draft) {
  const { random, registers } = draft;
  const rm = random.below(8);
  const parts = [[EBX, ESI], [EBX, EDI], [EBP, ESI], [EBP, EDI], [ESI], [EDI], [EBP], [EBX]][rm];
  if (rm === 6 && random.chance(50)) return [rm, ...little(draft.address, 2)];
  const sum = parts.reduce((total, number) => total + registers[number], 0);
  const displacement = (draft.address - sum) & 0xffff;
  return [0x80 | rm, ...little(displacement, 2)];
}

function memoryOperand32(draft, random, registers) {
  const useSib = random.chance(50);
  let base = useSib ? random.below(8) : random.pick([0, 1, 2, 3, 5, 6, 7]);
  const index = useSib ? random.below(8) : ESP;
  const scale = random.below(4);
  const noBase = random.chance(15);
  if (noBase) base = EBP;
  const indexPart = index === ESP ? 0 : registers[index] << scale;
  const needed = (draft.address - indexPart) | 0;
  // POP's address uses the stack pointer after the pop.
  const popped = draft.form.row.semantics === 'pop' && base === ESP && !noBase ? draft.form.operandSize : 0;
  const displacement = noBase ? needed : (needed - (registers[base] | 0) - popped) | 0;
  const short = !noBase && displacement >= -128 && displacement <= 127;
  const mod = noBase ? 0 : short ? (displacement === 0 && base !== EBP ? 0 : 1) : 2;
  const bytes = useSib ? [(mod << 6) | ESP, (scale << 6) | (index << 3) | base] : [(mod << 6) | base];
  return bytes.concat(little(displacement, noBase || mod === 2 ? 4 : mod));
}

/** Values in memory that the instruction needs, now that addresses are known. */
function prepareOperands(draft) {
  const { form, random, registers } = draft;
  const { row, operandSize, kind } = form;
  const meaning = row.semantics;
  const inMemory = kind === 'memory';
  if ((meaning === 'jmpIndirect' || meaning === 'callIndirect') && inMemory)
    draft.patch(draft.address, codeTarget(random), operandSize);
  if (meaning === 'ret') draft.patch(registers[ESP], codeTarget(random), operandSize);
  if (meaning === 'cmpxchg' && inMemory && random.chance(50)) draft.patch(draft.address, registers[EAX], 4);
  if (meaning === 'cmpxchg8b' && random.chance(60)) {
    draft.patch(draft.address, registers[EAX], 4);
    draft.patch(draft.address + 4, registers[EDX], 4);
  }
  if ((meaning === 'bsf' || meaning === 'bsr') && inMemory && random.chance(20)) draft.patch(draft.address, 0, 4);
  if (meaning === 'popf') {
    // Not TF, which would trap, nor AC, which would trap later; NT, RF, VM and the rest as they come.
    draft.patch(registers[ESP], random.next() & ~0x40100, operandSize);
  }
  if (meaning === 'bound' && random.chance(60)) {
    const value = operandSize === 4 ? registers[draft.reg] | 0 : (registers[draft.reg] << 16) >> 16;
    draft.patch(draft.address, value - random.between(-1, 9), operandSize);
    draft.patch(draft.address + operandSize, value + random.between(-1, 9), operandSize);
  }
  // Comparisons of strings that differ somewhere, but not at once.
  if (row.repeat === 'repe' && random.chance(70)) {
    const word = random.below(256) * 0x01010101;
    for (let at = WINDOW + 40; at < WINDOW + 216; at += 4) if (!random.chance(6)) draft.patch(at, word, 4);
    if (meaning === 'scas' && random.chance(60)) registers[EAX] = word >>> 0;
  }
}

function little(value, size) {
  return Array.from({ length: size }, (_, i) => (value >>> (8 * i)) & 0xff);
}

function encode(draft, operand) {
  const { form, random } = draft;
  const { row, operandSize, addressSize, kind, prefix } = form;
  const bytes = [];
  const memory = kind === 'memory' || row.operands.some((code) => /^[XO]/.test(code)) || row.semantics === 'xlat';
  // All data segments of a user process are the same, so an override must change nothing.
  if (memory && random.chance(10)) bytes.push(random.pick([0x26, 0x36, 0x3e]));
  if (operandSize === 2) bytes.push(0x66);
  if (addressSize === 2) bytes.push(0x67);
  if (prefix !== 0) bytes.push(prefix);
  const { encoding } = row;
  if (encoding.prefix > 0) bytes.push(encoding.prefix);
  if (encoding.map > 0) bytes.push(0x0f);
  bytes.push(encoding.opcode + (encoding.register ? draft.rm : 0));
  if (usesModrm(row)) {
    const reg = encoding.extension >= 0 ? encoding.extension : draft.reg;
    if (encoding.modrmFirst >= 0) bytes.push(encoding.modrmFirst);
    else if (operand.length > 0) bytes.push(operand[0] | (reg << 3), ...operand.slice(1));
    else bytes.push(0xc0 | (reg << 3) | draft.rm);
  }
  for (const code of row.operands) bytes.push(...immediate(draft, code, bytes.length));
  return bytes;
}

function immediate({ form, random, address }, code, sofar) {
  const { row, operandSize, addressSize } = form;
  const meaning = row.semantics;
  switch (code) {
    case 'Ib':
      if (meaning === 'enter') return [random.pick([0, 0, 1, 2, 3, 32])];
      if ((meaning === 'shld' || meaning === 'shrd') && operandSize === 2)
        return [random.below(17) | (random.below(8) << 5)];
      return [random.chance(30) ? random.pick([0, 1, 7, 8, 16, 31, 0x7f, 0x80, 0xff]) : random.below(256)];
    case 'Ibs':
      return [random.below(256)];
    case 'Iw':
      return little(meaning === 'enter' ? random.below(64) : random.below(0x10000), 2);
    case 'Iz':
      return little(interestingValue(random), operandSize);
    case 'Ob':
    case 'Ov':
      return little(address, addressSize);
    case 'Jb': {
      const displacement = random.between(-128, 127);
      return [(displacement < 0 && displacement > -24 ? 24 : displacement) & 0xff];
    }
    case 'Jz':
      return little(codeTarget(random) - (CODE_START + sofar + operandSize), operandSize);
    default:
      return [];
  }
}
