/**
 * Several words pushed as one: the stack's limit is checked first (`requireRoom`), then every page, before the first word is
 * written, so that a transfer that faults on its stack has changed nothing. Between the two a transfer checks its
 * target's limit, which is the order of the SDM's pseudo-code. Also the reads of a frame that is about to be popped.
 */
import type { Cpu } from './cpu.ts';
import { TABLE_ENTRIES, VIEW_SHIFT, VIEW_SUPERVISOR, VIEW_USER } from './memory.ts';
import { withinLimit } from './segmentation.ts';
import { raiseWithError, SS_FAULT } from './signals.ts';
import { BASE, CPL, ESP, LIMIT, RIGHTS, RIGHTS_DB, SS, segmentSlot } from './state.ts';

/** SS ESP, 31 call-gate parameters, EFLAGS CS EIP and an error code. */
const MOST_WORDS = 40;

const SS_BASE = segmentSlot(SS) + BASE;
const SS_LIMIT = segmentSlot(SS) + LIMIT;
const SS_RIGHTS = segmentSlot(SS) + RIGHTS;

export class StackFrame {
  /** Stack pointer after `write`; only its low half counts on a 16-bit stack. */
  pointer = 0;
  readonly #cpu: Cpu;
  readonly #words = new Int32Array(MOST_WORDS);
  #count = 0;

  constructor(cpu: Cpu) {
    this.#cpu = cpu;
  }

  clear(): void {
    this.#count = 0;
  }
  push(word: number): void {
    this.#words[this.#count++] = word;
  }

  /** Raises #SS(`error`) unless `words` words of `size` bytes fit below `pointer` in a stack segment. */
  requireRoom(words: number, limit: number, rights: number, pointer: number, size: number, error: number): void {
    const mask = (rights & RIGHTS_DB) !== 0 ? -1 : 0xffff;
    for (let i = 1; i <= words; i++) {
      if (!withinLimit(limit, rights, (pointer - i * size) & mask, size)) {
        raiseWithError(this.#cpu.memory.state, SS_FAULT, error);
      }
    }
  }

  /** The same for the current stack. */
  requireRoomHere(words: number, size: number, error: number): void {
    const { state } = this.#cpu.memory;
    this.requireRoom(words, state[SS_LIMIT], state[SS_RIGHTS], state[ESP], size, error);
  }

  /** `write` to the current stack, at the current privilege level. */
  writeHere(size: number): void {
    const { state } = this.#cpu.memory;
    this.write(state[SS_BASE], state[SS_RIGHTS], state[ESP], state[CPL], size);
  }

  /**
   * Writes the words, first one highest, below `pointer` in a stack segment that has room for them, with the rights of
   * `cpl`. Raises #PF before anything is written.
   */
  write(base: number, rights: number, pointer: number, cpl: number, size: number): void {
    const { mmu, memory } = this.#cpu;
    const mask = (rights & RIGHTS_DB) !== 0 ? -1 : 0xffff;
    const table = (cpl === 3 ? VIEW_USER : VIEW_SUPERVISOR) << VIEW_SHIFT;
    const { fast, view } = memory;
    for (let i = 1; i <= this.#count; i++) {
      const linear = (base + ((pointer - i * size) & mask)) | 0;
      const entry = fast[table + TABLE_ENTRIES + (linear >>> 12)];
      if ((entry & 0xfff) + (linear & 0xfff) > 4096 - size) mmu.checkWrite(linear, size, table);
    }
    for (let i = 1; i <= this.#count; i++) {
      const linear = (base + ((pointer - i * size) & mask)) | 0;
      const word = this.#words[i - 1];
      const entry = fast[table + TABLE_ENTRIES + (linear >>> 12)];
      if (size === 2) mmu.store16(linear, word, table);
      else if ((entry & 0xfff) + (linear & 0xfff) > 4092) mmu.store32(linear, word, table);
      else view.setInt32((linear + entry) >>> 0, word, true);
    }
    this.pointer = (pointer - this.#count * size) & mask;
  }

  /** The word at ESP + `offset` of the current stack: 32 bits signed, or 16 zero-extended. Raises #SS(0) or #PF. */
  peek(offset: number, size: number): number {
    const { mmu, memory, segmentation } = this.#cpu;
    const { state } = memory;
    const mask = (state[SS_RIGHTS] & RIGHTS_DB) !== 0 ? -1 : 0xffff;
    const table = (state[CPL] === 3 ? VIEW_USER : VIEW_SUPERVISOR) << VIEW_SHIFT;
    const linear = segmentation.linear(SS, (state[ESP] + offset) & mask, size, false);
    return size === 4 ? mmu.load32(linear, table) : mmu.load16(linear, table);
  }
}

/** Sets ESP, or only SP, as the stack segment with these rights wants. */
export function setStackPointer(state: Int32Array, rights: number, pointer: number): void {
  state[ESP] = (rights & RIGHTS_DB) !== 0 ? pointer : (state[ESP] & ~0xffff) | (pointer & 0xffff);
}
