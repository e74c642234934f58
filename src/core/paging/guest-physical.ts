/** The second dimension of translation: what EPT does to every guest-physical access of the processor. */

/** Access rights asked of a translation; the numbers of the EPT violation's qualification (SDM 3C table 27-7). */
export const ACCESS_READ = 1;
export const ACCESS_WRITE = 2;
export const ACCESS_FETCH = 4;

/** Why a guest-physical address is accessed: qualification bits 7 and 8. */
export const CAUSE_NO_LINEAR = 0;
/** Access to a paging-structure entry (or its accessed / dirty update) during a walk. */
export const CAUSE_WALK = 0x80;
/** Access to what the linear address translates to. */
export const CAUSE_FINAL = 0x180;

/** Set on the `Mmu` by VMX while EPT is on. */
export interface GuestPhysicalTranslator {
  /**
   * Machine address of guest-physical `address`. Charges the EPT walk's memory accesses; on a violation or
   * misconfiguration records the exit and throws VM_EXIT. `access` is a set of ACCESS_* bits, `cause` a CAUSE_*
   * number, `linear` the linear address being translated (meaningless for CAUSE_NO_LINEAR).
   * Sets `pageBits`, `writable`, `executable`.
   */
  translate(address: number, access: number, linear: number, cause: number): number;
  /** The same without charge, state change or exit: machine address, or -1. */
  probe(address: number, access: number): number;
  /** Of the last `translate`: log2 of the mapping's size (12, 21, 30) and what else it would have allowed. */
  readonly pageBits: number;
  readonly writable: boolean;
  readonly executable: boolean;
}
