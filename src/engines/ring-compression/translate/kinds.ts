/** What a callout record asks of the VMM, and how a continuation's site is patched. */

/** Go on at guest address `pc`; `a` is the site to patch, `b` how. */
export const CALLOUT_CONTINUE = 0;
/** An indirect transfer missed its table: the target is in EAX, guest EAX and ECX in the spills. */
export const CALLOUT_INDIRECT = 1;
/** Carry out the guest instruction whose bytes follow the callout; `a` is their number. */
export const CALLOUT_INSTRUCTION = 2;
/** Run the instruction that follows with its accesses made by the VMM (GS or CS override); `a` as above. */
export const CALLOUT_EMULATE = 3;
/** The same for a store that used to hit traces. */
export const CALLOUT_TRACED_STORE = 4;
/** An interrupt became deliverable: look, then go on at `pc`. */
export const CALLOUT_CHECK = 5;
/** STI with an interrupt waiting: the instruction at `pc` goes first. */
export const CALLOUT_STI = 6;
/** Raise vector `a` (with error code 0 if `b`) at `pc`. */
export const CALLOUT_RAISE = 7;

/** Site of a continuation: the callout's own seven bytes, at the end of a unit. */
export const SITE_INLINE = 0;
/** The distance word of a jump to a stub. */
export const SITE_DISTANCE = 1;
/** The same, of a conditional jump directly before its inline fall-through: may be inverted. */
export const SITE_CONDITION = 2;
/** The entry of a unit that is no longer valid. */
export const SITE_ENTRY = 3;
/** Never patched (single-instruction units, ~nochain). */
export const SITE_NONE = 4;

/**
 * Recipe: how to get the guest's registers at an address inside a sequence. Bits 3:0 and 7:4: number + 1 of the register
 * that lies in SPILL0 / SPILL1; bits 15:8: bytes to add to ESP; bit 16: the address is a guest instruction boundary.
 */
export const RECIPE_BOUNDARY = 0x10000;

export function spilled(register0: number, register1 = -1): number {
  return (register0 + 1) | ((register1 + 1) << 4);
}
