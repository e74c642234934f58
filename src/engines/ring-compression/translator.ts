/**
 * The translator: guest instructions in, x86 bytes in the translation cache out. On demand, one unit at a time: at most
 * twelve instructions or up to a control transfer (Adams & Agesen, ASPLOS 2006, 3.2). Nearly all instructions are copied
 * (IDENT); `SEQUENCES` names those that are not, by meaning.
 */

import { GP, UD } from '../../core/signals.ts';
import { eventNumber } from '../../cost/event.ts';
import type { Ledger } from '../../cost/ledger.ts';
import { createDecoded, decode } from '../../isa/decode.ts';
import { DECODE_INVALID, DECODE_OK, DECODE_TOO_LONG, DECODE_TRUNCATED } from '../../isa/instruction.ts';
import { Emitter } from './emitter.ts';
import { CALLOUTS } from './translate/callouts.ts';
import { DIRECT } from './translate/direct.ts';
import { FLAGS } from './translate/flags.ts';
import { INDIRECT } from './translate/indirect.ts';
import { CALLOUT_CHECK, CALLOUT_EMULATE, CALLOUT_RAISE, CALLOUT_TRACED_STORE } from './translate/kinds.ts';
import { REGISTERS } from './translate/registers.ts';
import { type Sequence, Unit } from './translate/unit.ts';
import type { TranslationCache } from './translation-cache.ts';

const TRANSLATE = eventNumber('translateInstruction');
/** Most instructions in one unit. */
export const UNIT_INSTRUCTIONS = 12;
const PAGE = 4096;
const LONGEST = 15;
const CS = 1;
const GS = 5;

export const SEQUENCES: Readonly<Record<string, Sequence>> = {
  ...DIRECT,
  ...INDIRECT,
  ...FLAGS,
  ...REGISTERS,
  ...CALLOUTS,
};

/** Where the translator gets guest code from. */
export interface CodeSource {
  /** Machine address of the byte at guest-linear `linear`, for a supervisor fetch; -1 if that faults. */
  fetch(linear: number): number;
  /** Guest frame of the last `fetch`. */
  readonly frame: number;
  /** The unit reads this guest frame: stores to it must be reported. */
  traceCode(frame: number): void;
  /** Whether the store at `pc` has been adapted. */
  isAdapted(pc: number): boolean;
}

export interface TranslatorOptions {
  readonly cache: TranslationCache;
  readonly memory: { readonly ram: Uint8Array };
  readonly ledger: Ledger;
  readonly source: CodeSource;
  readonly chaining: boolean;
}

export class Translator {
  /** [units, instructions, IDENT instructions, bytes] since the start. */
  readonly counts: Float64Array = new Float64Array(4);
  /** After `translate` gave -1: the linear address whose fetch faults. */
  faultAddress = 0;

  readonly #cache: TranslationCache;
  readonly #ram: Uint8Array;
  readonly #ledger: Ledger;
  readonly #source: CodeSource;
  readonly #chaining: boolean;
  readonly #emitter: Emitter = new Emitter();
  readonly #unit: Unit;
  readonly #joined: Uint8Array = new Uint8Array(16);
  #frame0 = -1;
  #frame1 = -1;

  constructor(options: TranslatorOptions) {
    this.#cache = options.cache;
    this.#ram = options.memory.ram;
    this.#ledger = options.ledger;
    this.#source = options.source;
    this.#chaining = options.chaining;
    this.#unit = new Unit(this.#emitter, createDecoded(), options.cache);
  }

  /**
   * Translates the unit at guest address `pc`, at the cache's top, and returns its cache address; -1 if its first
   * instruction cannot be fetched (see `faultAddress`). `single`: that instruction alone, then a check for interrupts; such
   * a unit is not entered in the hash. The caller has seen to it that the cache has room.
   */
  translate(pc: number, single: boolean): number {
    const unit = this.#unit;
    const { e } = unit;
    e.reset(this.#cache.top);
    unit.ended = false;
    unit.unchained = single || !this.#chaining;
    unit.next = pc;
    this.#frame0 = this.#frame1 = -1;
    const limit = single ? 1 : UNIT_INSTRUCTIONS;
    let count = 0;
    while (count < limit && !unit.ended) {
      unit.pc = unit.next;
      const outcome = this.#decode(unit.pc);
      if (outcome < 0) {
        if (count === 0) return -1;
        break;
      }
      this.#instruction(outcome);
      count++;
    }
    if (!unit.ended) {
      if (single) {
        unit.boundary(unit.next);
        unit.callout(CALLOUT_CHECK, unit.next);
      } else unit.continueAt(unit.next);
    }
    while (e.length < Unit.LEAST) e.put(0x90);
    this.#ledger.charge(TRANSLATE, count);
    this.counts[0] = (this.counts[0] as number) + 1;
    this.counts[1] = (this.counts[1] as number) + count;
    this.counts[3] = (this.counts[3] as number) + e.length;
    this.#cache.addUnit(pc, e, unit.next - pc, this.#frame0, this.#frame1, !single);
    this.#source.traceCode(this.#frame0);
    if (this.#frame1 >= 0) this.#source.traceCode(this.#frame1);
    return e.base;
  }

  /** Whether the longest instruction at `pc` could be fetched. */
  isFetchable(pc: number): boolean {
    return this.#source.fetch(pc) >= 0 && this.#source.fetch((pc + LONGEST - 1) >>> 0) >= 0;
  }

  /** Decodes the instruction at `pc`: a DECODE_ code, or -1 if a page of it cannot be fetched. */
  #decode(pc: number): number {
    const unit = this.#unit;
    const first = this.#fetch(pc);
    if (first < 0) return -1;
    const room = PAGE - (pc & (PAGE - 1));
    unit.source = this.#ram;
    unit.offset = first;
    const outcome = decode(this.#ram, first, first + Math.min(room, LONGEST), true, unit.d);
    if (room >= LONGEST || (outcome !== DECODE_TRUNCATED && outcome !== DECODE_TOO_LONG)) return outcome;
    const second = this.#fetch((pc + room) >>> 0);
    if (second < 0) return -1;
    this.#joined.set(this.#ram.subarray(first, first + room));
    this.#joined.set(this.#ram.subarray(second, second + LONGEST - room), room);
    unit.source = this.#joined;
    unit.offset = 0;
    return decode(this.#joined, 0, LONGEST, true, unit.d);
  }

  #fetch(linear: number): number {
    const at = this.#source.fetch(linear);
    if (at < 0) {
      this.faultAddress = linear;
      return -1;
    }
    const frame = this.#source.frame;
    if (this.#frame0 < 0) this.#frame0 = frame;
    else if (frame !== this.#frame0) this.#frame1 = frame;
    return at;
  }

  #instruction(outcome: number): void {
    const unit = this.#unit;
    const { d } = unit;
    if (outcome !== DECODE_OK) {
      unit.boundary();
      unit.callout(CALLOUT_RAISE, unit.pc, outcome === DECODE_INVALID ? UD : GP, outcome === DECODE_INVALID ? 0 : 1);
      unit.ended = true;
      return;
    }
    unit.next = (unit.pc + d.length) >>> 0;
    const sequence = SEQUENCES[d.instruction.semantics];
    if (sequence !== undefined) {
      sequence(unit);
      return;
    }
    this.counts[2] = (this.counts[2] as number) + 1;
    if (reachesVmm(unit) || SHOWS_POINTERS.has(d.instruction.semantics)) unit.instruction(CALLOUT_EMULATE);
    else if (this.#source.isAdapted(unit.pc)) unit.instruction(CALLOUT_TRACED_STORE);
    else unit.ident();
    // UD2 ends every unit: what follows is no code.
    if (d.instruction.semantics === 'ud2') unit.ended = true;
  }
}

/** Store the x87 instruction pointer, which is that of a copy in the cache: the VMM puts the guest's there first. */
const SHOWS_POINTERS: ReadonlySet<string> = new Set(['fnstenv', 'fnsave', 'fxsave']);

/** Meanings whose memory operand at a register's address, DS or an override's, is none of the listed operands. */
const IMPLICIT_OPERAND: ReadonlySet<string> = new Set(['xlat', 'maskMove']);

function isStringOrOffset(code: string): boolean {
  return code[0] === 'O' || code[0] === 'X';
}

/** A memory operand through GS, the VMM's escape, or CS, which reaches the cache. */
function reachesVmm(unit: Unit): boolean {
  const { d } = unit;
  if (d.segment !== GS && d.segment !== CS) return false;
  if (d.mod >= 0 && d.mod !== 3) return d.instruction.semantics !== 'lea' && d.instruction.semantics !== 'nop';
  return IMPLICIT_OPERAND.has(d.instruction.semantics) || d.instruction.operands.some(isStringOrOffset);
}
