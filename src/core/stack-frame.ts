/**
 * Several words pushed as one: every limit and page is checked before the first is written, so that a transfer that
 * faults on its stack has changed nothing. Also the reads of a frame that is about to be popped.
 */
import type { Cpu } from './cpu.ts';
import { TABLE_ENTRIES, VIEW_SHIFT, VIEW_SUPERVISOR, VIEW_USER } from './memory.ts';
import { withinLimit } from './segmentation.ts';
import { raiseWithError, SS_FAULT } from './signals.ts';
import { CPL, ESP, RIGHTS, RIGHTS_DB, SS, segmentSlot } from './state.ts';

/** SS ESP, 31 call-gate parameters, EFLAGS CS EIP and an error code. */
const MOST_WORDS = 40;

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

  /**
   * Writes the words, first one highest, below `pointer` in a stack segment, with the rights of `cpl`.
   * Raises #SS(`error`) or #PF before anything is written.
   */
  write(base: number, limit: number, rights: number, pointer: number, cpl: number, size: number, error: number): void {
    const { mmu, memory } = this.#cpu;
    const mask = (rights & RIGHTS_DB) !== 0 ? -1 : 0xffff;
    const table = (cpl === 3 ? VIEW_USER : VIEW_SUPERVISOR) << VIEW_SHIFT;
    const { fast, state, view } = memory;
    for (let i = 1; i <= this.#count; i++) {
      const offset = (pointer - i * size) & mask;
      if (!withinLimit(limit, rights, offset, size)) raiseWithError(state, SS_FAULT, error);
      const linear = (base + offset) | 0;
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
