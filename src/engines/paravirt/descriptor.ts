/**
 * Which segment descriptors a guest may have in its GDT or LDT. The processor will load them on the guest's word, so
 * the hypervisor looks at each before it gets there: nothing of privilege 0, nothing that reaches into the hypervisor's
 * private part, no system descriptor but call gates into guest code.
 */
import { FIRST_RESERVED_GDT_ENTRY, FLAT_RING1_CS, FLAT_RING3_CS, GUEST_LIMIT } from './layout.ts';

const PRESENT = 0x8000;
const DPL = 0x6000;
const DPL_1 = 0x2000;
const CODE_OR_DATA = 0x1000;
const TYPE = 0xf00;
const CODE = 0x800;
const EXPAND_DOWN = 0x400;
const CALL_GATE_32 = 0xc00;
const GRANULARITY = 0x800000;

/**
 * Checks one descriptor, given as its two words. The words to store (DPL 0 raised to 1, limit cut at the end of what
 * guests may address) are left in `low` and `high`.
 */
export class DescriptorCheck {
  low = 0;
  high = 0;

  /** False if the guest may not have it. */
  accept(low: number, high: number): boolean {
    this.low = low;
    this.high = high;
    // Whatever is not present faults at its use.
    if ((high & PRESENT) === 0) return true;
    if ((high & DPL) === 0) this.high |= DPL_1;
    if ((high & CODE_OR_DATA) === 0) return this.#acceptSystem();
    // An expand-down segment reaches from its limit to the top of the address space, hypervisor included.
    if ((high & (CODE | EXPAND_DOWN)) === EXPAND_DOWN) return false;
    return this.#truncate();
  }

  #acceptSystem(): boolean {
    const type = this.high & TYPE;
    if (type === 0) return true;
    return type === CALL_GATE_32 && gateSelectorAllowed(this.low >>> 16) && (this.high & 0xe0) === 0;
  }

  /** Cuts the limit so that no byte beyond GUEST_LIMIT is in the segment. */
  #truncate(): boolean {
    const base = ((this.high & 0xff000000) | ((this.high & 0xff) << 16) | (this.low >>> 16)) >>> 0;
    if (base >= GUEST_LIMIT + 1 - 4096) return false;
    const raw = (this.high & 0xf0000) | (this.low & 0xffff);
    const pages = (this.high & GRANULARITY) !== 0;
    const size = pages ? (raw + 1) * 4096 : raw + 1;
    if (base + size - 1 <= GUEST_LIMIT) return true;
    // A byte-granular limit that long is refused rather than guessed at.
    if (!pages) return false;
    const limit = Math.floor((GUEST_LIMIT + 1 - base) / 4096) - 1;
    this.low = (this.low & ~0xffff) | (limit & 0xffff);
    this.high = (this.high & ~0xf0000) | (limit & 0xf0000);
    return true;
  }
}

/** Whether a gate may lead to this code selector: not privilege 0, and of Xen's entries only the flat guest segments. */
export function gateSelectorAllowed(selector: number): boolean {
  if ((selector & 3) === 0) return false;
  if ((selector & 4) !== 0) return true;
  if (selector >>> 3 < FIRST_RESERVED_GDT_ENTRY) return true;
  return selector === FLAT_RING1_CS || selector === FLAT_RING3_CS;
}

/** Raises a requested privilege level of 0 to the guest kernel's. */
export function guestSelector(selector: number): number {
  return (selector & 3) === 0 ? (selector & 0xffff) | 1 : selector & 0xffff;
}
