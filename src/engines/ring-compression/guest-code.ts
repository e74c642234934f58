/**
 * Guest code as the translator reads it: fetched through the guest's own page tables, and traced once translated.
 */

import type { ShadowPaging } from '../shadow-paging/shadow-paging.ts';
import { TRACE_CODE } from '../shadow-paging/types.ts';
import type { Adaptation } from './adaptation.ts';
import type { GuestMemory } from './guest-memory.ts';
import type { CodeSource } from './translator.ts';

export class GuestCode implements CodeSource {
  frame = -1;
  readonly #shadow: ShadowPaging;
  readonly #guest: GuestMemory;
  readonly #adaptation: Adaptation;

  constructor(shadow: ShadowPaging, guest: GuestMemory, adaptation: Adaptation) {
    this.#shadow = shadow;
    this.#guest = guest;
    this.#adaptation = adaptation;
  }

  fetch(linear: number): number {
    const walk = this.#shadow.guest;
    walk.walk(linear);
    if (!walk.allows(false, false, true)) return -1;
    walk.setAccessed(false);
    this.frame = walk.frame;
    const at = this.#guest.machine(walk.frame * 4096 + (linear & 0xfff));
    return at;
  }

  traceCode(frame: number): void {
    if (((this.#shadow.traces[frame] as number) & TRACE_CODE) === 0) this.#shadow.trace(frame, TRACE_CODE);
  }

  isAdapted(pc: number): boolean {
    return this.#adaptation.isAdapted(pc);
  }
}
