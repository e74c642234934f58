/**
 * Where the VMM lies: the top 4 MB of every address space, of which it uses the lower half. Guest data segments end
 * below it; only CS (the translation cache) and GS (the vcpu block) reach it, and its pages are supervisor pages.
 *
 *   FFC00000  vcpu block (vcpu.ts)          FFC10000  host GDT, full size: shadows the guest's
 *   FFC01000  indirect-branch table         FFC20000  shadow LDT, full size
 *   FFC02000  host IDT                      FFD00000  translation cache
 *   FFC03000  host TSS
 */
export const VMM_BASE = 0xffc00000;
/** Last linear address that guest data segments reach. */
export const GUEST_LIMIT = 0xffbfffff;

export const VCPU_BASE = VMM_BASE;
export const INDIRECT_BASE = VMM_BASE + 0x1000;
export const HOST_IDT_BASE = VMM_BASE + 0x2000;
export const HOST_TSS_BASE = VMM_BASE + 0x3000;
export const HOST_GDT_BASE = VMM_BASE + 0x10000;
export const SHADOW_LDT_BASE = VMM_BASE + 0x20000;
export const CACHE_BASE = VMM_BASE + 0x100000;
export const CACHE_BYTES = 0x80000;
export const CACHE_END = CACHE_BASE + CACHE_BYTES;
export const TABLE_BYTES = 0x10000;

/** Machine frames of each part, in the order of allocation: first page in the VMM range, and how many. */
export const PARTS: readonly (readonly [page: number, count: number])[] = [
  [0x00, 1],
  [0x01, 1],
  [0x02, 1],
  [0x03, 1],
  [0x10, 16],
  [0x20, 16],
  [0x100, CACHE_BYTES / 4096],
];
/** All of them, and one frame for the level-1 table that maps them. */
export const VMM_FRAMES: number = PARTS.reduce((sum, [, count]) => sum + count, 1);
/** PAE level-2 slot of the 2 MB that hold them; the slot after it stays empty. */
export const TOP_SLOT = 510;

/**
 * Selectors of the VMM's own descriptors, in the last slots of the host GDT. They have DPL 0, so that a guest's
 * segment load of one is refused by the processor as natively (#GP, beyond the guest's limit); the VMM loads them itself.
 */
export const FIRST_VMM_ENTRY = 8184;
export const HOST_CS: number = 8184 * 8;
export const HOST_SS: number = 8185 * 8;
export const HOST_TSS: number = 8186 * 8;
/** Code segment of the translation cache: flat, DPL 1 when loaded. */
export const CACHE_CS: number = 8187 * 8 + 1;
/** GS in translated code: flat, reaches the vcpu block. */
export const ESCAPE_GS: number = 8188 * 8 + 1;
/** Call gate from the translation cache to the VMM. */
export const CALLOUT_GATE: number = 8189 * 8 + 1;
/** Shadow LDT. */
export const SHADOW_LDT: number = 8190 * 8;
