/**
 * Changes to page tables in use. Every change checks and takes what the new entry refers to before it gives back what the old
 * one did, so that a refused change leaves everything as it was (mmu_update and update_va_mapping, public/xen.h).
 */

import type { MachineAddress } from '../../core/address.ts';
import type { Cpu } from '../../core/cpu.ts';
import { CR3, PDPTE } from '../../core/state.ts';
import { eventNumber } from '../../cost/event.ts';
import { EINVAL } from './errno.ts';
import { HOLE_SLOT, HYPERVISOR_START, PTE_ACCESSED, PTE_DIRTY, PTE_PRESENT, PTE_WRITE } from './layout.ts';
import { FRAME_XEN_L2, L1_REFUSED, type PageTypes, TYPE_L1, TYPE_L2, TYPE_L3, TYPE_WRITABLE } from './page-types.ts';

const WRITE = eventNumber('directWriteEntry');
const VALIDATE = eventNumber('directValidateEntry');
const TOUCH = eventNumber('vmmTouch');

export class PageTables {
  readonly #cpu: Cpu;
  readonly #pages: PageTypes;
  readonly #reload: () => void;

  /** `reload` loads CR3 again: the processor holds copies of the live level-3 table's entries. */
  constructor(cpu: Cpu, pages: PageTypes, reload: () => void) {
    this.#cpu = cpu;
    this.#pages = pages;
    this.#reload = reload;
  }

  /**
   * Writes the 64-bit `high:low` to machine address `at`, whatever the frame there is: a page-table entry is checked, a
   * frame that is none takes the value as data. `keepMarks`: accessed and dirty bits of the old entry stay. 0 or EINVAL.
   */
  update(at: number, low: number, high: number, keepMarks: boolean): number {
    const pages = this.#pages;
    const frame = Math.floor(at / 4096);
    if ((at & 7) !== 0 || !pages.owned(frame)) return EINVAL;
    const type = pages.typeCounts[frame] === 0 ? 0 : pages.types[frame];
    if (type >= TYPE_L1 && type <= TYPE_L3) return this.updateEntry(at, low, high, keepMarks);
    const error = pages.getPageAndType(frame, TYPE_WRITABLE);
    if (error !== 0) return error;
    this.#store(at, low, high);
    pages.putPageAndType(frame);
    return 0;
  }

  /** The same for an entry of a frame that is a page table. */
  updateEntry(at: number, low: number, high: number, keepMarks: boolean): number {
    const pages = this.#pages;
    const { memory, ledger } = this.#cpu;
    const frame = Math.floor(at / 4096);
    const type = pages.types[frame];
    const slot = (at & 0xfff) >>> 3;
    if (type === TYPE_L3 && slot >= 3) return EINVAL;
    if (type === TYPE_L2 && slot >= HOLE_SLOT && (pages.flags[frame] & FRAME_XEN_L2) !== 0) return EINVAL;
    const old = memory.read32(at as MachineAddress) | 0;
    const oldHigh = memory.read32((at + 4) as MachineAddress) | 0;
    if (keepMarks && (old & PTE_PRESENT) !== 0) low |= old & (PTE_ACCESSED | PTE_DIRTY);
    const sameTarget = ((old ^ low) & (0xfffff000 | PTE_PRESENT | PTE_WRITE)) === 0 && oldHigh === high;
    if ((low & PTE_PRESENT) !== 0) {
      // The reference that the old entry holds serves the new one; only the flags need a look.
      if (sameTarget && type === TYPE_L1) {
        ledger.charge(VALIDATE);
        if ((low & L1_REFUSED) !== 0) return EINVAL;
        this.#store(at, low, high);
        return 0;
      }
      const error = pages.getEntry(type, low, high, slot);
      if (error !== 0) return error;
    }
    this.#store(at, low, high);
    if ((old & PTE_PRESENT) !== 0) pages.putEntry(type, old);
    if (type === TYPE_L3 && frame === (this.#cpu.memory.state[CR3] as number) >>> 12) this.#reload();
    return 0;
  }

  /** Machine address of the level-1 entry that maps `linear`, or -1 if no level-1 table covers it. */
  entryOf(linear: number): number {
    const address = linear >>> 0;
    if (address >= HYPERVISOR_START) return -1;
    const { memory, ledger } = this.#cpu;
    ledger.charge(TOUCH);
    const pointer = memory.state[PDPTE + 2 * (address >>> 30)] as number;
    if ((pointer & PTE_PRESENT) === 0) return -1;
    const directory = memory.read32((((pointer & 0xfffff000) >>> 0) + ((address >>> 21) & 511) * 8) as MachineAddress);
    if ((directory & PTE_PRESENT) === 0) return -1;
    return ((directory & 0xfffff000) >>> 0) + ((address >>> 12) & 511) * 8;
  }

  #store(at: number, low: number, high: number): void {
    const { memory, ledger } = this.#cpu;
    ledger.charge(WRITE);
    memory.write32((at + 4) as MachineAddress, high);
    memory.write32(at as MachineAddress, low);
  }
}
