/**
 * Extended page tables (SDM 3C 28.2): four levels of 8-byte entries in machine memory; bits R W X, memory type and, at
 * the leaves of levels 3 to 1, a page of 1 GB, 2 MB or 4 KB. Not built: accessed and dirty flags, execute-only pages.
 */

import { eventNumber } from '../../cost/event.ts';
import type { Ledger } from '../../cost/ledger.ts';
import type { MachineAddress } from '../address.ts';
import type { MachineMemory } from '../memory.ts';
import { ACCESS_FETCH, ACCESS_WRITE, type GuestPhysicalTranslator } from '../paging/guest-physical.ts';
import { VM_EXIT } from '../signals.ts';
import { EXIT } from './reasons.ts';
import {
  EPT_ROOT,
  EXIT_LINEAR,
  EXIT_PHYSICAL_HIGH,
  EXIT_PHYSICAL_LOW,
  EXIT_QUALIFICATION,
  EXIT_REASON,
} from './state.ts';

const WALK_ACCESS = eventNumber('pageWalkAccess');

export const EPT_READ = 1;
export const EPT_WRITE = 2;
export const EPT_EXECUTE = 4;
export const EPT_LARGE = 0x80;
/** Memory type write-back, bits 5:3 of a leaf. */
export const EPT_WRITE_BACK = 6 << 3;

/** Bits 51:36 of an entry, in its high word: beyond the physical addresses of these processors. */
const RESERVED_HIGH = 0x000ffff0;
/** Outcomes of the walk that are not a machine address. */
const VIOLATION = -1;
const MISCONFIGURATION = -2;
/** Guest-physical addresses translated by four levels: 48 bits. */
const WIDTH_LIMIT = 2 ** 48;

export class Ept implements GuestPhysicalTranslator {
  pageBits = 12;
  writable = false;
  executable = false;
  readonly #memory: MachineMemory;
  readonly #ledger: Ledger;
  readonly #state: Int32Array;
  /** R W X of all levels walked together. */
  #rights = 0;
  /** Entries read. */
  #accesses = 0;

  constructor(memory: MachineMemory, ledger: Ledger) {
    this.#memory = memory;
    this.#ledger = ledger;
    this.#state = memory.state;
  }

  translate(address: number, access: number, linear: number, cause: number): number {
    const machine = this.#walk(address, access);
    this.#ledger.charge(WALK_ACCESS, this.#accesses);
    if (machine >= 0) {
      this.writable = (this.#rights & EPT_WRITE) !== 0;
      this.executable = (this.#rights & EPT_EXECUTE) !== 0;
      return machine;
    }
    const state = this.#state;
    const violation = machine === VIOLATION;
    state[EXIT_REASON] = violation ? EXIT.eptViolation : EXIT.eptMisconfiguration;
    // Qualification (SDM 3C table 27-7): the access, what the entries allow, linear address valid, final or walk.
    state[EXIT_QUALIFICATION] = violation ? access | (this.#rights << 3) | cause : 0;
    state[EXIT_LINEAR] = cause === 0 ? 0 : linear;
    state[EXIT_PHYSICAL_LOW] = address | 0;
    state[EXIT_PHYSICAL_HIGH] = Math.floor(address / 0x100000000);
    throw VM_EXIT;
  }

  probe(address: number, access: number): number {
    const machine = this.#walk(address, access);
    return machine >= 0 ? machine : -1;
  }

  #walk(address: number, access: number): number {
    this.#accesses = 0;
    this.#rights = 0;
    if (address >= WIDTH_LIMIT) return VIOLATION;
    let table = (this.#state[EPT_ROOT] as number) >>> 0;
    let rights = 7;
    for (let shift = 39; ; shift -= 9) {
      const at = table + (Math.floor(address / 2 ** shift) & 511) * 8;
      this.#accesses++;
      const low = at + 8 <= this.#memory.size ? this.#memory.read32(at as MachineAddress) | 0 : 0;
      const high = at + 8 <= this.#memory.size ? this.#memory.read32((at + 4) as MachineAddress) | 0 : 0;
      if ((low & 7) === 0) {
        this.#rights = 0;
        return VIOLATION;
      }
      // Write without read, and execute-only, which these processors lack.
      if ((low & EPT_READ) === 0 || (high & RESERVED_HIGH) !== 0) return MISCONFIGURATION;
      rights &= low;
      const leaf = shift === 12 || ((low & EPT_LARGE) !== 0 && shift <= 30);
      if (!leaf) {
        // Bits 7:3 of an entry that references a table are reserved.
        if ((low & 0xf8) !== 0) return MISCONFIGURATION;
        table = ((low & ~0xfff) >>> 0) + (high & 0xf) * 0x100000000;
        continue;
      }
      const type = (low >>> 3) & 7;
      if (type === 2 || type === 3 || type === 7) return MISCONFIGURATION;
      const size = 2 ** shift;
      const base = ((low & ~0xfff) >>> 0) + (high & 0xf) * 0x100000000;
      if (base % size !== 0) return MISCONFIGURATION;
      this.#rights = rights & 7;
      // ACCESS_READ, _WRITE, _FETCH are the R, W, X bits.
      if ((access & ~rights & (EPT_READ | ACCESS_WRITE | ACCESS_FETCH)) !== 0) return VIOLATION;
      this.pageBits = shift;
      return base + (address % size);
    }
  }
}
