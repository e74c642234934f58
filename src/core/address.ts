/**
 * Three address spaces meet in a hypervisor, and confusing them is its classic bug.
 * The brands make a mix-up a compile error; at run time they are plain numbers.
 *
 * Addresses are unsigned 32-bit numbers (0 .. 2^32-1) where a function takes or returns a brand.
 */
declare const space: unique symbol;

/** What a guest program computes and paging translates (after segmentation). */
export type LinearAddress = number & { readonly [space]?: 'linear' };
/** What a guest's own page tables hold. Equal to a machine address only under `native`. */
export type GuestPhysicalAddress = number & { readonly [space]: 'guest-physical' };
/** An index into machine memory: what the core's page walker fetches from. */
export type MachineAddress = number & { readonly [space]: 'machine' };

export const PAGE_SIZE = 4096;
export const PAGE_SHIFT = 12;
