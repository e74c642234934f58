/**
 * The writable page-table assist: a guest kernel that stores into a level-1 table through its read-only mapping faults,
 * and the hypervisor makes the store for it, as one checked entry update (vm_assist type 2, public/xen.h). Only level-1
 * tables, only aligned stores within one entry.
 */

import type { MachineAddress } from '../../core/address.ts';
import type { MemoryPort } from '../../core/buses.ts';
import { FAULT, PAGE_FAULT, raiseWithError } from '../../core/signals.ts';
import { CPL, EVENT_ADDRESS, EVENT_ERROR, EVENT_HAS_ERROR, EVENT_VECTOR } from '../../core/state.ts';
import { eventNumber } from '../../cost/event.ts';
import { COUNT_WRITABLE_TABLE } from './counters.ts';
import type { Hypervisor } from './hypervisor.ts';
import { PTE_PRESENT, PTE_WRITE } from './layout.ts';
import { TYPE_L1 } from './page-types.ts';
import { GUEST_CR2 } from './vcpu.ts';

const ENTRY_BYTES = 8;
const DECODE = eventNumber('emulateDecode');
const EXECUTE = eventNumber('emulateExecute');

/** The store was not one that the assist makes: the guest gets its page fault. */
const REFUSED: unique symbol = Symbol('refused');

/** Emulates the store that faulted at `linear`. True if the guest may go on (it may have been given a fault instead). */
export function emulateTableStore(xen: Hypervisor, linear: number): boolean {
  const { cpu, pages, tables } = xen;
  const at = tables.entryOf(linear);
  if (at < 0) return false;
  const entry = cpu.memory.read32(at as MachineAddress);
  if ((entry & (PTE_PRESENT | PTE_WRITE)) !== PTE_PRESENT) return false;
  const frame = entry >>> 12;
  if (!pages.owned(frame) || pages.types[frame] !== TYPE_L1 || pages.typeCounts[frame] === 0) return false;
  cpu.ledger.charge(DECODE);
  try {
    cpu.emulateOne(new TablePort(xen));
  } catch (signal) {
    if (signal === REFUSED) return false;
    if (signal !== FAULT) throw signal;
    const S = cpu.memory.state;
    if (S[EVENT_VECTOR] === PAGE_FAULT)
      xen.reportPageFault((S[EVENT_ADDRESS] as number) >>> 0, S[EVENT_ERROR] as number);
    else xen.bounce.trap(S[EVENT_VECTOR] as number, S[EVENT_HAS_ERROR] !== 0 ? (S[EVENT_ERROR] as number) : undefined);
    return true;
  }
  cpu.ledger.charge(EXECUTE);
  cpu.retireEmulated(cpu.memory.state[CPL] as number);
  xen.counters.count(COUNT_WRITABLE_TABLE);
  return true;
}

/** The emulated instruction's view of memory: loads are ordinary, stores must be to a level-1 table. */
class TablePort implements MemoryPort {
  readonly #xen: Hypervisor;

  constructor(xen: Hypervisor) {
    this.#xen = xen;
  }

  load(linear: number, size: number): number {
    const { cpu } = this.#xen;
    let value = 0;
    for (let byte = 0; byte < size; byte++) {
      const address = (linear + byte) >>> 0;
      const machine = cpu.mmu.probe(address, false, false);
      if (machine < 0) this.#fault(address, 0);
      value |= cpu.memory.read8(machine as MachineAddress) << (8 * byte);
    }
    return value >>> 0;
  }

  store(linear: number, size: number, value: number): void {
    const { cpu, pages, tables } = this.#xen;
    if ((linear & (size - 1)) !== 0) throw REFUSED;
    const machine = cpu.mmu.probe(linear, false, false);
    if (machine < 0) this.#fault(linear, 2);
    const frame = machine >>> 12;
    if (!pages.owned(frame) || pages.types[frame] !== TYPE_L1 || pages.typeCounts[frame] === 0) throw REFUSED;
    const entry = machine - (machine & 7);
    let low = cpu.memory.read32(entry as MachineAddress) | 0;
    let high = cpu.memory.read32((entry + 4) as MachineAddress) | 0;
    const shift = 8 * (linear & 3);
    const mask = size === 4 ? -1 : ((1 << (8 * size)) - 1) << shift;
    const upper = (linear & 4) !== 0;
    if (upper) high = (high & ~mask) | ((value << shift) & mask);
    else low = (low & ~mask) | ((value << shift) & mask);
    if (tables.updateEntry(entry, low, high, false) === 0) return;
    // A guest that writes the upper half of a present entry first is about to write the lower: go by way of not present.
    const halfWritten = upper && size === 4 && (low & PTE_PRESENT) !== 0;
    if (!halfWritten || tables.updateEntry(entry, low & ~PTE_PRESENT, high, false) !== 0) throw REFUSED;
  }

  /** Stores of more than an entry, or of ten bytes or the like, are not made (Xen 4.1, ptwr_emulated_write). */
  checkWrite(_linear: number, bytes: number): void {
    if (bytes > ENTRY_BYTES || (bytes & (bytes - 1)) !== 0) throw REFUSED;
  }

  #fault(linear: number, error: number): never {
    const S = this.#xen.cpu.memory.state;
    S[EVENT_ADDRESS] = linear;
    this.#xen.vcpu[GUEST_CR2] = linear;
    raiseWithError(S, PAGE_FAULT, error);
  }
}
