/**
 * Decoded code: blocks of predecoded records, keyed by machine address and code mode, so that an address-space switch
 * flushes nothing. Pages that hold decoded code are write-protected in the fast tables; a write invalidates the blocks
 * whose bytes it touches and no others.
 *
 * A block is what the architecture says it is (docs/architecture.md, Blocks and time), never what is convenient here.
 */
import { COST_CLASSES, type CostClass } from '../isa/cost-class.ts';
import { createDecoded, decode, markerCode } from '../isa/decode.ts';
import {
  DECODE_INVALID,
  DECODE_OK,
  DECODE_TOO_LONG,
  DECODE_TRUNCATED,
  type Decoded,
  type Instruction,
} from '../isa/instruction.ts';
import type { Cpu } from './cpu.ts';
import {
  END_HANDLER,
  type HandlerInfo,
  HandlerTable,
  MARKER_HANDLER,
  MODIFIED_HANDLER,
} from './interpreter/handlers.ts';
import { type Form, isMemoryOperand, operandSizeOf, registerIndex } from './interpreter/js-builder.ts';
import {
  B_BYTES,
  B_COST,
  B_COUNT,
  B_FLAGS,
  B_HEAT,
  B_LINK_EPOCH,
  B_LINK0,
  B_LINK0_EIP,
  B_LINK1,
  B_LINK1_EIP,
  B_MACHINE,
  B_MODE,
  B_NEXT_HASH,
  B_NEXT_PAGE,
  B_SECOND_PAGE,
  COMPILED,
  HEADER_WORDS,
  INFO_INDEX_SHIFT,
  INFO_LENGTH_SHIFT,
  LINKABLE,
  R_AUX,
  R_BASE,
  R_COST,
  R_DISP,
  R_HANDLER,
  R_IMM,
  R_INDEX,
  R_INFO,
  R_NEXT,
  R_REG,
  R_RM,
  R_SCALE,
  R_TABLE,
  RECORD_WORDS,
  STRADDLES,
} from './interpreter/record.ts';
import { EMULATION_VIEW, VIEW_SHIFT, VIEW_TRUNCATED, VIEW_USER } from './memory.ts';
import {
  MODE_D,
  MODE_EMULATE,
  MODE_NARROW,
  MODE_SINGLE,
  modeCpl,
  modeStackIs32,
  SHAPE_OTHER,
  SHAPE_TRUNCATED,
  shapeOf,
} from './mode.ts';
import { GP, raise, raiseWithError, UD } from './signals.ts';
import { CS, ES, FPU_REGISTER_WORDS, FPU_REGISTERS, REG_STRIDE, SS, XMM, XMM_WORDS, ZERO_REGISTER } from './state.ts';

/** Longest block, in instructions. */
const BLOCK_INSTRUCTIONS = 64;
/** Size of the record store, in words; when it is full everything is decoded afresh. */
const CODE_WORDS = 1 << 22;
const BLOCK_WORDS = HEADER_WORDS + (BLOCK_INSTRUCTIONS + 1) * RECORD_WORDS;
const BUCKETS = 1 << 16;
const JUMPS = 1 << 12;
/** Sightings that make a block hot: with the dispatcher's sampling, a thousand or two executions. */
const HOT_SIGHTINGS = 3;

/** Meanings whose handler takes a following Jcc along: 14 % faster on integer code. */
const FUSED = new Set(['cmp', 'test', 'sub', 'and', 'or', 'xor', 'add', 'inc', 'dec']);
const USES_STACK_TABLE = new Set([
  'push',
  'pop',
  'call',
  'callIndirect',
  'ret',
  'pushf',
  'popf',
  'pushSegment',
  'popSegment',
]);
/** Meanings that check their target against CS's limit, where it has one worth checking. */
const NEAR_TRANSFERS = new Set([
  'jcc',
  'jmp',
  'jmpIndirect',
  'call',
  'callIndirect',
  'ret',
  'loop',
  'loope',
  'loopne',
  'jecxz',
]);
const STRINGS = new Set(['movs', 'cmps', 'stos', 'lods', 'scas', 'ins', 'outs']);

export class CodeCache {
  /** All blocks; index 0 is never a block. */
  readonly code: Int32Array = new Int32Array(CODE_WORDS);
  readonly handlers: HandlerTable;
  /**
   * Where recently entered blocks lie, by EIP: pairs of EIP and block, direct-mapped. A hit is checked against the block's
   * machine address and mode, so that it need not be emptied when translations change.
   */
  readonly jumps: Int32Array = new Int32Array(2 * JUMPS);
  readonly jumpMask: number = JUMPS - 1;
  /** Bumped when any block dies: links made before are void. */
  epoch = 1;
  /** Blocks decoded and blocks invalidated by writes, for reports. */
  decoded = 0;
  invalidated = 0;
  /** Sightings after which a block becomes a function; Infinity keeps every block in records. No effect on the guest. */
  hotSightings: number = HOT_SIGHTINGS;
  /** Blocks turned into functions. */
  compiled = 0;
  readonly #cpu: Cpu;
  readonly #price: Int32Array;
  readonly #buckets = new Int32Array(BUCKETS);
  readonly #pages: Int32Array;
  #straddlers: number[] = [];
  #top = HEADER_WORDS;
  readonly #decoded: Decoded = createDecoded();
  readonly #window = new Uint8Array(32);

  constructor(cpu: Cpu) {
    this.#cpu = cpu;
    this.handlers = new HandlerTable(cpu, this.code);
    this.#pages = new Int32Array(cpu.memory.size >>> 12);
    const prices = cpu.ledger.profile.instructions;
    this.#price = Int32Array.from(COST_CLASSES, (name) => prices[name].cycles);
    cpu.memory.onCodeWrite = (ma, length) => this.invalidate(ma, length);
  }

  /**
   * The block at machine address `ma` (linear address `linear`) for `mode`; decodes it if needed. May raise a fault.
   * `room`: bytes up to the code segment's limit, which decoding does not look beyond. A block that is there already
   * may be longer.
   */
  find(ma: number, linear: number, mode: number, room: number = Number.POSITIVE_INFINITY): number {
    const code = this.code;
    let block = this.#buckets[hash(ma, mode)] as number;
    while (block !== 0) {
      if (code[block + B_MACHINE] === ma && code[block + B_MODE] === mode) return block;
      block = code[block + B_NEXT_HASH] as number;
    }
    return this.#decode(ma, linear, mode, room);
  }

  /** Invalidates every block with a byte in [ma, ma + length), which lies within one frame. */
  invalidate(ma: number, length: number): void {
    const frame = ma >>> 12;
    const code = this.code;
    let previous = 0;
    let block = this.#pages[frame] as number;
    while (block !== 0) {
      const next = code[block + B_NEXT_PAGE] as number;
      const start = code[block + B_MACHINE] as number;
      const end = Math.min(start + (code[block + B_BYTES] as number), (frame + 1) << 12);
      if (start < ma + length && ma < end) {
        if (previous === 0) this.#pages[frame] = next;
        else code[previous + B_NEXT_PAGE] = next;
        this.#kill(block);
      } else {
        previous = block;
      }
      block = next;
    }
    for (const straddler of this.#straddlers) {
      const second = code[straddler + B_SECOND_PAGE] as number;
      if (second !== frame << 12 || code[straddler + B_MACHINE] === -1) continue;
      const inSecond =
        (code[straddler + B_BYTES] as number) - (4096 - ((code[straddler + B_MACHINE] as number) & 0xfff));
      if (ma < second + inSecond) {
        this.#unlinkFromPage(straddler);
        this.#kill(straddler);
      }
    }
    this.#straddlers = this.#straddlers.filter((straddler) => code[straddler + B_MACHINE] !== -1);
    const inUse =
      this.#pages[frame] !== 0 || this.#straddlers.some((straddler) => code[straddler + B_SECOND_PAGE] === frame << 12);
    if (!inUse) this.#cpu.memory.codeFrames[frame] = 0;
  }

  /** Forgets all decoded code (a restored snapshot, or the store is full). */
  flush(): void {
    this.#buckets.fill(0);
    this.#pages.fill(0);
    this.#cpu.memory.codeFrames.fill(0);
    this.#straddlers = [];
    this.jumps.fill(0);
    this.#top = HEADER_WORDS;
    this.epoch++;
  }

  /** Remembers that `block`, which is not a straddler, starts at `eip`. */
  remember(eip: number, block: number): void {
    const at = ((eip ^ (eip >>> 12)) & this.jumpMask) << 1;
    this.jumps[at] = eip;
    this.jumps[at + 1] = block;
  }

  /** The dispatcher came by this block once in every few hundred: after some sightings it is worth compiling. */
  sample(block: number): void {
    const { code } = this;
    const heat = (code[block + B_HEAT] as number) + 1;
    code[block + B_HEAT] = heat;
    if (heat !== this.hotSightings) return;
    const handler = this.handlers.compile(block, code[block + B_COUNT] as number);
    // A marker alone has nothing to compile.
    if (handler === code[block + HEADER_WORDS]) return;
    code[block + HEADER_WORDS] = handler;
    code[block + B_FLAGS] = (code[block + B_FLAGS] as number) | COMPILED;
    this.compiled++;
  }

  /** Removes one block (its second page is mapped elsewhere now). */
  discard(block: number): void {
    this.#unlinkFromPage(block);
    this.#kill(block);
  }

  #unlinkFromPage(block: number): void {
    const frame = (this.code[block + B_MACHINE] as number) >>> 12;
    let at = this.#pages[frame] as number;
    if (at === block) {
      this.#pages[frame] = this.code[block + B_NEXT_PAGE] as number;
      return;
    }
    while (at !== 0) {
      const next = this.code[at + B_NEXT_PAGE] as number;
      if (next === block) {
        this.code[at + B_NEXT_PAGE] = this.code[block + B_NEXT_PAGE] as number;
        return;
      }
      at = next;
    }
  }

  /** Removes a block; if it is running, each of its remaining records now ends it. */
  #kill(block: number): void {
    const code = this.code;
    const bucket = hash(code[block + B_MACHINE] as number, code[block + B_MODE] as number);
    let at = this.#buckets[bucket] as number;
    if (at === block) this.#buckets[bucket] = code[block + B_NEXT_HASH] as number;
    while (at !== 0) {
      const next = code[at + B_NEXT_HASH] as number;
      if (next === block) {
        code[at + B_NEXT_HASH] = code[block + B_NEXT_HASH] as number;
        break;
      }
      at = next;
    }
    code[block + B_MACHINE] = -1;
    if (((code[block + B_FLAGS] as number) & COMPILED) !== 0)
      this.handlers.release(code[block + HEADER_WORDS] as number);
    let p = block + HEADER_WORDS;
    for (let left = (code[block + B_COUNT] as number) + 1; left > 0; left--, p += RECORD_WORDS)
      code[p] = MODIFIED_HANDLER;
    this.epoch++;
    this.invalidated++;
  }

  #decode(ma: number, linear: number, mode: number, room: number): number {
    if (this.#top + BLOCK_WORDS > CODE_WORDS) this.flush();
    const cpu = this.#cpu;
    const { code } = this;
    const d = this.#decoded;
    const code32 = (mode & MODE_D) !== 0;
    const alone = (mode & (MODE_SINGLE | MODE_NARROW)) !== 0;
    const limit = alone ? 1 : BLOCK_INSTRUCTIONS;
    const base = cpu.memory.ramBase;
    const inRam = ma < cpu.memory.size;
    const pageEnd = (ma & ~0xfff) + 4096;
    const block = this.#top;
    let p = block + HEADER_WORDS;
    let at = ma;
    let cost = 0;
    let count = 0;
    let flags = shapeOf(mode, CS) === SHAPE_OTHER || alone ? 0 : LINKABLE;
    let secondPage = -1;
    let previous: Form | null = null;
    let previousRecord = 0;
    let ended = false;

    while (count < limit && !ended) {
      if (at === pageEnd) break;
      const end = Math.min(pageEnd, at + room);
      let status = inRam ? decode(cpu.memory.bytes, base + at, base + end, code32, d) : DECODE_INVALID;
      if (status === DECODE_TRUNCATED && end === at + room) raiseWithError(cpu.memory.state, GP, 0);
      if (status === DECODE_TRUNCATED) {
        // The instruction runs into the next page: a block of its own, or the end of this one.
        if (count > 0) break;
        secondPage = this.#readAcross(at, linear, pageEnd);
        status = decode(this.#window, 0, Math.min(room, 15), code32, d);
        if (status === DECODE_TRUNCATED) raiseWithError(cpu.memory.state, GP, 0);
        flags = STRADDLES;
      }
      if (status !== DECODE_OK) {
        if (count > 0) break;
        if (status === DECODE_TOO_LONG) raiseWithError(cpu.memory.state, GP, 0);
        raise(cpu.memory.state, UD);
      }
      const { instruction } = d;
      code[p + R_INFO] = (at - ma) | (count << INFO_INDEX_SHIFT) | (d.length << INFO_LENGTH_SHIFT);
      code[p + R_COST] = cost;
      const next = at - ma + d.length;
      const marker = markerCode(d);
      let system = marker >= 0;
      if (marker >= 0) {
        code[p + R_IMM] = marker;
        code[p + R_NEXT] = next;
        code[p + R_HANDLER] = MARKER_HANDLER;
        cost += this.#price[MARKER_COST] as number;
      } else {
        const form = this.#record(p, d, mode, next);
        const number = this.handlers.number(form);
        const { loads, stores, endsSystem } = this.handlers.info[number] as HandlerInfo;
        system = endsSystem || instruction.ends === 'system';
        code[p + R_HANDLER] = number;
        if (previous !== null && instruction.semantics === 'jcc' && form.code === 'flat') {
          code[previousRecord + R_HANDLER] = this.handlers.fusedNumber(previous, form);
        }
        cost +=
          this.#costOf(d.lock ? 'locked' : instruction.cost) +
          loads * this.#costOf('memoryRead') +
          stores * this.#costOf('memoryWrite');
        previous =
          FUSED.has(instruction.semantics) && stores === 0 && (mode & (MODE_SINGLE | MODE_NARROW | MODE_EMULATE)) === 0
            ? form
            : null;
        previousRecord = p;
      }
      at += d.length;
      count++;
      p += RECORD_WORDS;
      ended = system || instruction.ends === 'transfer' || (flags & STRADDLES) !== 0;
      if (system) flags &= ~LINKABLE;
    }
    // Falls off the end: page end, instruction limit, or an instruction that cannot be decoded comes next.
    code[p] = END_HANDLER;
    code[p + R_INFO] = (at - ma) | (count << INFO_INDEX_SHIFT);
    code[p + R_COST] = cost;
    code[p + R_NEXT] = at - ma;
    this.#top = p + RECORD_WORDS;

    code[block + B_MACHINE] = ma;
    code[block + B_MODE] = mode;
    code[block + B_COST] = cost;
    code[block + B_COUNT] = count;
    code[block + B_BYTES] = at - ma;
    code[block + B_FLAGS] = flags;
    code[block + B_SECOND_PAGE] = secondPage;
    code[block + B_LINK_EPOCH] = 0;
    code[block + B_HEAT] = 0;
    code[block + B_LINK0] = 0;
    code[block + B_LINK1] = 0;
    code[block + B_LINK0_EIP] = 0;
    code[block + B_LINK1_EIP] = 0;
    const bucket = hash(ma, mode);
    code[block + B_NEXT_HASH] = this.#buckets[bucket] as number;
    this.#buckets[bucket] = block;
    if (inRam) {
      const frame = ma >>> 12;
      code[block + B_NEXT_PAGE] = this.#pages[frame] as number;
      this.#pages[frame] = block;
      this.#protect(frame);
    }
    if (secondPage >= 0) {
      this.#straddlers.push(block);
      if (secondPage < cpu.memory.size) this.#protect(secondPage >>> 12);
    }
    this.decoded++;
    return block;
  }

  #protect(frame: number): void {
    if (this.#cpu.memory.codeFrames[frame] !== 0) return;
    this.#cpu.memory.codeFrames[frame] = 1;
    this.#cpu.mmu.protectCode(frame);
  }

  #costOf(name: CostClass): number {
    return this.#price[COST_NUMBER.get(name) as number] as number;
  }

  /** Fetches 15 bytes across a page end into the window; returns the second machine page. May raise a page fault there. */
  #readAcross(at: number, linear: number, pageEnd: number): number {
    const cpu = this.#cpu;
    const first = pageEnd - at;
    const second = cpu.mmu.fetchPage(((linear & ~0xfff) + 4096) | 0);
    const inRam = second < cpu.memory.size;
    for (let index = 0; index < 15; index++) {
      const ma = index < first ? at + index : second + index - first;
      this.#window[index] = index < first || inRam ? (cpu.memory.ram[ma] as number) : 0xff;
    }
    return second;
  }

  /** Fills the operand words of the record at `p`; returns the form that its handler is made for. */
  #record(p: number, d: Decoded, mode: number, next: number): Form {
    const { code } = this;
    const { instruction } = d;
    const operandSize = d.operandSize as 2 | 4;
    const addressSize = d.addressSize as 2 | 4;
    const user = modeCpl(mode) === 3 ? VIEW_USER : 0;
    const emulated = (mode & MODE_EMULATE) !== 0;
    const tableFor = (segment: number): number => {
      if (emulated) return EMULATION_VIEW << VIEW_SHIFT;
      return (user | (shapeOf(mode, segment) === SHAPE_TRUNCATED ? VIEW_TRUNCATED : 0)) << VIEW_SHIFT;
    };
    // A code segment is never writable, so operands in CS are checked whatever its shape (SDM 3A 5.5.1).
    const isOdd = (segment: number): boolean => segment === CS || shapeOf(mode, segment) === SHAPE_OTHER;
    const checkedSegment = (segment: number): number => (isOdd(segment) ? segment : -1);
    const stackIsFlat = shapeOf(mode, SS) !== SHAPE_OTHER && modeStackIs32(mode);

    let reg = d.mod === -1 ? d.opcodeRegister : d.reg;
    let rm = d.rm;
    let memory: Form['memory'] = 'none';
    for (const operand of instruction.operands) {
      const size = operandSizeOf(operand, operandSize);
      const kind = operand[0];
      if (kind === 'G' || kind === 'Z') reg = registerIndex(kind === 'G' ? d.reg : d.opcodeRegister, size);
      if ((kind === 'E' && operand !== 'ES') || kind === 'R') rm = registerIndex(d.rm, kind === 'R' ? 4 : size);
      if (operand === 'STi') rm = registerIndex(d.rm, 4);
      if (kind === 'P') reg = FPU_REGISTERS + FPU_REGISTER_WORDS * d.reg;
      if (kind === 'V') reg = XMM + XMM_WORDS * d.reg;
      if (kind === 'N' || kind === 'Q') rm = FPU_REGISTERS + FPU_REGISTER_WORDS * d.rm;
      if (kind === 'U' || kind === 'W') rm = XMM + XMM_WORDS * d.rm;
      if (isMemoryOperand(operand, d.mod)) memory = 'flat';
    }
    code[p + R_REG] = reg;
    code[p + R_RM] = rm;
    code[p + R_NEXT] = next;
    code[p + R_IMM] = instruction.operands.some((operand) => operand[0] === 'J') ? next + d.immediate : d.immediate;
    // What x87 keeps of an opcode: its low three bits and the ModRM byte.
    if (isX87(instruction))
      code[p + R_IMM] = ((instruction.encoding.opcode & 7) << 8) | (d.mod << 6) | (d.reg << 3) | d.rm;
    code[p + R_TABLE] = tableFor(SS);
    code[p + R_AUX] = d.immediate2;

    const implicit = IMPLICIT_BASE[instruction.semantics];
    let repeat = 0;
    if (STRINGS.has(instruction.semantics)) {
      if (d.rep !== 0) repeat = d.rep;
      code[p + R_TABLE] = tableFor(d.segment);
      code[p + R_AUX] = (tableFor(ES) << 3) | d.segment;
      code[p + R_BASE] = checkedSegment(d.segment);
      code[p + R_INDEX] = checkedSegment(ES);
      code[p + R_SCALE] = this.#costOf('stringElement');
    } else if (memory !== 'none' || implicit !== undefined) {
      const base = implicit ?? d.base;
      memory =
        checkedSegment(d.segment) >= 0 ? 'checked' : d.index < 0 || implicit !== undefined ? 'flat' : 'flatIndexed';
      code[p + R_BASE] = base < 0 ? ZERO_REGISTER : REG_STRIDE * base;
      code[p + R_INDEX] = d.index < 0 || implicit !== undefined ? ZERO_REGISTER : REG_STRIDE * d.index;
      code[p + R_SCALE] = d.scale;
      code[p + R_DISP] = implicit === undefined ? d.displacement : 0;
      code[p + R_TABLE] = tableFor(d.segment);
      code[p + R_AUX] = (tableFor(SS) << 3) | d.segment;
    }
    const usesStack = USES_STACK_TABLE.has(instruction.semantics);
    return {
      instruction,
      operandSize,
      addressSize,
      memory,
      stack: usesStack && !stackIsFlat ? 'checked' : 'flat',
      code: shapeOf(mode, CS) === SHAPE_OTHER && NEAR_TRANSFERS.has(instruction.semantics) ? 'checked' : 'flat',
      repeat,
    };
  }
}

/** Base registers of memory operands that are not in ModRM: XLAT's EBX, the EDI of MASKMOVQ and MASKMOVDQU. */
const IMPLICIT_BASE: Readonly<Record<string, number>> = { xlat: 3, maskMove: 7 };

function isX87({ encoding }: Instruction): boolean {
  return encoding.map === 0 && (encoding.opcode & 0xf8) === 0xd8;
}

const COST_NUMBER: ReadonlyMap<CostClass, number> = new Map(COST_CLASSES.map((name, number) => [name, number]));
const MARKER_COST = COST_NUMBER.get('marker') as number;

function hash(ma: number, mode: number): number {
  return (Math.imul(ma, 0x9e3779b1) ^ Math.imul(mode, 0x85ebca6b)) >>> 16;
}
