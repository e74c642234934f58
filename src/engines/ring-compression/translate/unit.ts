/** One translation unit under construction: code, back-map records and callout records of the sequences so far. */
import type { Decoded } from '../../../isa/instruction.ts';
import { CALLOUT_BYTES, type Emitter } from '../emitter.ts';
import type { TranslationCache } from '../translation-cache.ts';
import {
  CALLOUT_CONTINUE,
  CALLOUT_INSTRUCTION,
  RECIPE_BOUNDARY,
  SITE_CONDITION,
  SITE_DISTANCE,
  SITE_INLINE,
  SITE_NONE,
} from './kinds.ts';

export class Unit {
  readonly e: Emitter;
  readonly d: Decoded;
  readonly cache: TranslationCache;
  /** Guest address of the current instruction and of the next. */
  pc = 0;
  next = 0;
  /** The current instruction's bytes: source[offset ..]. */
  source: Uint8Array = new Uint8Array(0);
  offset = 0;
  /** Set by a sequence after which nothing of the unit follows. */
  ended = false;
  /** Exits of this unit are never patched. */
  unchained = false;
  /** The kind of callout for this instruction if it has been adapted, else -1. */
  adapted = -1;

  constructor(e: Emitter, d: Decoded, cache: TranslationCache) {
    this.e = e;
    this.d = d;
    this.cache = cache;
  }

  /** Begins a guest instruction: the state at the next byte emitted is the guest's before `pc`. */
  boundary(pc: number = this.pc): void {
    this.cache.record(this.e.address, pc, RECIPE_BOUNDARY);
  }

  /** The bytes from here on run with guest registers moved as `recipe` says. */
  inside(recipe: number): void {
    this.cache.record(this.e.address, this.pc, recipe);
  }

  /** Copies the instruction unchanged. */
  ident(): void {
    this.boundary();
    this.e.copy(this.source, this.offset, this.d.length);
  }

  callout(kind: number, pc: number, a = 0, b = 0): void {
    this.e.callout(this.cache.callout(kind, pc, a, b));
  }

  /** The VMM carries the instruction out: its bytes follow as the callout's operand. */
  instruction(kind: number = CALLOUT_INSTRUCTION): void {
    this.boundary();
    this.instructionHere(kind);
  }

  /** The callout of `instruction` without its boundary. */
  instructionHere(kind: number = CALLOUT_INSTRUCTION): void {
    this.callout(kind, this.pc, this.d.length);
    this.e.copy(this.source, this.offset, this.d.length);
  }

  /** As `instruction`, for one that always leaves the unit. */
  transfer(): void {
    this.instruction();
    this.ended = true;
  }

  /** Ends the unit: on to `pc`. */
  continueAt(pc: number): void {
    this.boundary(pc);
    this.callout(CALLOUT_CONTINUE, pc, this.e.address, this.unchained ? SITE_NONE : SITE_INLINE);
    this.ended = true;
  }

  /** Ends the unit: jcc to `target`, else `next`. The first to be executed will follow without a jump. */
  branch(condition: number, target: number): void {
    this.boundary();
    const site = this.e.jcc(condition, 0);
    this.#stub(site, target, SITE_CONDITION);
    this.continueAt(this.next);
  }

  /** A jump to a stub that continues at `target`. */
  jumpTo(target: number): void {
    this.boundary(target);
    this.#stub(this.e.jmp(0), target, SITE_DISTANCE);
  }

  #stub(site: number, target: number, how: number): void {
    const stub = this.cache.stub(CALLOUT_CONTINUE, target, site, this.unchained ? SITE_NONE : how);
    const at = this.e.length;
    this.e.length = at - 4;
    this.e.word32(stub - (site + 4));
  }

  /** Number of bytes that a unit must have so that its entry can be patched. */
  static readonly LEAST: number = CALLOUT_BYTES;
}

export type Sequence = (u: Unit) => void;
