/*
 * Direct paging: the processor walks the kernel's own tables, which hold machine frames and are read-only to the kernel. The
 * hypervisor checks every change. The kernel's map of memory (the quarter at KERNEL_BASE) is made of small pages; its L1
 * tables are shared by all address spaces, its L2 table is not: each space has one of its own, because the hypervisor
 * keeps its own entries in the upper part of it.
 */
#include "kernel.h"
#include "xen.h"

#define KERNEL_PAGE (PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY)
#define TABLE_ENTRY (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED)
#define GUEST_SLOTS ((HYPERVISOR_START - KERNEL_BASE) >> 21)
#define KERNEL_QUARTER 3

const u32 *machine_frames;
u32 domain_frames, shared_info_frame;

static pte_t *kernel_root, *kernel_directory;

void mmuext(u32 command, u32 argument1, u32 argument2)
{
	struct xen_mmuext_op operation = {command, argument1, argument2};
	s32 error = HYPERCALL4(mmuext_op, &operation, 1, 0, DOMID_SELF);
	if (error) panic("mmuext_op %u of %x: %u", command, argument1, (u32)-error);
}

static void update(const struct xen_mmu_update *updates, u32 count)
{
	s32 error = HYPERCALL4(mmu_update, updates, count, 0, DOMID_SELF);
	if (error) panic("mmu_update of %u: %u", count, (u32)-error);
}

/* The entry of a page in the kernel's map, through the tables that are loaded. */
static void map_kernel_page(u32 address, pte_t value)
{
	s32 error = HYPERCALL4(update_va_mapping, address, value, value >> 32, UVMF_INVLPG_LOCAL);
	if (error) panic("update_va_mapping of %08x: %u", address, (u32)-error);
}

static void protect_frame(u32 frame, bool writable)
{
	map_kernel_page((u32)frame_address(frame), arch_make_entry(frame, KERNEL_PAGE | (writable ? PTE_WRITE : 0)));
}

/* Maps the frames of one L1 table's reach that the domain builder has not mapped. */
static void map_reach(u32 slot, u32 end)
{
	u32 first = slot << 9;
	if (kernel_directory[slot] & PTE_PRESENT) {
		pte_t *table = frame_address(arch_entry_frame(kernel_directory[slot]));
		for (u32 i = 0; i < 512 && first + i < end; i++) {
			if (table[i] & PTE_PRESENT) continue;
			struct xen_mmu_update change = {machine_address(&table[i]), arch_make_entry(first + i, KERNEL_PAGE | PTE_WRITE)};
			update(&change, 1);
		}
		return;
	}
	u32 frame = frame_allocate();
	pte_t *table = frame_address(frame);
	for (u32 i = 0; i < 512 && first + i < end; i++) table[i] = arch_make_entry(first + i, KERNEL_PAGE | PTE_WRITE);
	protect_frame(frame, false);
	struct xen_mmu_update change = {machine_address(&kernel_directory[slot]), arch_make_entry(frame, TABLE_ENTRY)};
	update(&change, 1);
}

/*
 * The builder leaves, from the kernel upward: kernel, frame list, start_info, rings, page tables, one page of stack. What it
 * has mapped beyond, at least 512 KB, is enough for the L1 tables of the rest.
 */
void pages_init(const struct xen_start_info *start_info)
{
	u32 limit = MEMORY_LIMIT >> PAGE_SHIFT, end = start_info->pages < limit ? start_info->pages : limit;
	domain_frames = start_info->pages;
	shared_info_frame = start_info->shared_info >> PAGE_SHIFT;
	machine_frames = (const u32 *)start_info->frame_list;
	kernel_root = (pte_t *)start_info->page_table;
	kernel_directory = frame_address(arch_entry_frame(kernel_root[KERNEL_QUARTER]));
	map_kernel_page((u32)&shared_info, start_info->shared_info | KERNEL_PAGE | PTE_WRITE);
	frames_init(frame_of(kernel_root) + start_info->page_table_frames + 1, end);
	for (u32 slot = 0; slot << 9 < end; slot++) map_reach(slot, end);
}

void arch_space_load_kernel(void) { arch_space_load(frame_of(kernel_root)); }

void arch_space_init(pte_t *root)
{
	u32 frame = frame_allocate();
	memcpy(frame_address(frame), kernel_directory, GUEST_SLOTS * sizeof(pte_t));
	root[KERNEL_QUARTER] = arch_make_entry(frame, PTE_PRESENT);
}

/* All tables of a space, but not the L1 tables of the kernel's quarter, which are page tables already. */
static void protect_tables(u32 root_frame, bool writable)
{
	pte_t *root = frame_address(root_frame);
	for (u32 quarter = 0; quarter < 4; quarter++) {
		if (!(root[quarter] & PTE_PRESENT)) continue;
		u32 frame = arch_entry_frame(root[quarter]);
		pte_t *directory = frame_address(frame);
		for (u32 i = 0; i < 512 && quarter != KERNEL_QUARTER; i++)
			if (directory[i] & PTE_PRESENT) protect_frame(arch_entry_frame(directory[i]), writable);
		protect_frame(frame, writable);
	}
	protect_frame(root_frame, writable);
}

void arch_space_seal(u32 root)
{
	protect_tables(root, false);
	mmuext(MMUEXT_PIN_L3_TABLE, machine_frames[root], 0);
}

void arch_space_unseal(u32 root)
{
	mmuext(MMUEXT_UNPIN_TABLE, machine_frames[root], 0);
	protect_tables(root, true);
}

void arch_space_clean(pte_t *root) { frame_free(arch_entry_frame(root[KERNEL_QUARTER])); }
