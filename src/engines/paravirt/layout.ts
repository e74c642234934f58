/**
 * The address space that a 32-bit PAE guest of Xen sees (Xen public/arch-x86/xen-x86_32.h), and what the hypervisor
 * keeps in its hole at the top of it:
 *
 *   0xF5800000  machine-to-physical table, readable by the guest kernel, writable by nobody
 *   0xF6800000  end of every guest segment; from here on the hypervisor's own: GDT, LDT window, IDT, TSS
 *
 * Ring 1 is a supervisor to paging, so what keeps the guest kernel out of the upper part is the limit of its segments;
 * what keeps it from writing the table below is a read-only mapping with CR0.WP set. Ring 3 is kept out of both by the
 * user bit.
 */

/** First address of the hypervisor's hole; hypercall arguments must lie below. */
export const HYPERVISOR_START = 0xf5800000;
export const M2P_START = HYPERVISOR_START;
export const M2P_END = 0xf6800000;
/** Inclusive linear limit of the widest guest segment: guests may read the machine-to-physical table. */
export const GUEST_LIMIT = M2P_END - 1;

/** First level-2 slot of the table for 3-4 GB that is the hypervisor's, and that of its private part. */
export const HOLE_SLOT = (HYPERVISOR_START - 0xc0000000) >>> 21;
export const PRIVATE_SLOT = (M2P_END - 0xc0000000) >>> 21;

/** The private part, by page: the guest's GDT frames, then one frame of Xen's own descriptors; LDT window; IDT; TSS. */
export const PRIVATE_START = M2P_END;
export const GDT_PAGE = 0;
export const FIRST_RESERVED_GDT_PAGE = 14;
export const GDT_PAGES = 15;
export const LDT_PAGE = 16;
export const LDT_PAGES = 16;
export const IDT_PAGE = 32;
export const TSS_PAGE = 33;
export const GDT_LINEAR = PRIVATE_START;
export const LDT_LINEAR = PRIVATE_START + LDT_PAGE * 4096;
export const IDT_LINEAR = PRIVATE_START + IDT_PAGE * 4096;
export const TSS_LINEAR = PRIVATE_START + TSS_PAGE * 4096;

/** GDT entries below this one are the guest's. */
export const FIRST_RESERVED_GDT_ENTRY = FIRST_RESERVED_GDT_PAGE * 512;

/** Selectors of Xen's part of every GDT. */
export const HYPERVISOR_CS = 0xe008;
export const FLAT_RING1_CS = 0xe019;
export const FLAT_RING1_DS = 0xe021;
export const FLAT_RING3_CS = 0xe02b;
export const FLAT_RING3_DS = 0xe033;
export const TSS_SELECTOR = 0xe040;
export const LDT_SELECTOR = 0xe048;

export const HYPERCALL_VECTOR = 0x82;
/** The one software interrupt that may have a gate straight into the guest kernel. */
export const DIRECT_VECTOR = 0x80;

/** Bits of a page-table entry, low word (SDM 3A 4.4.2). */
export const PTE_PRESENT = 1;
export const PTE_WRITE = 2;
export const PTE_USER = 4;
export const PTE_ACCESSED = 0x20;
export const PTE_DIRTY = 0x40;
export const PTE_GLOBAL = 0x100;

/** Domain ids (public/xen.h): a domain's name for itself, and the id this one has. */
export const DOMID_SELF = 0x7ff0;
export const DOMAIN_ID = 1;
