/*
 * User address spaces under PAE: a page-directory-pointer table, page directories (L2) and page tables (L1). The
 * quarter above KERNEL_BASE belongs to the arch. While a space is open its tables are ordinary memory; sealing hands
 * them to the processor (or pins them with the hypervisor), and then only arch_set_entry changes them.
 */
#include "kernel.h"

#define USER_QUARTERS 3

static pte_t *table_below(pte_t *table, u32 index, u32 flags)
{
	if (!(table[index] & PTE_PRESENT)) table[index] = arch_make_entry(frame_allocate(), flags);
	return frame_address(arch_entry_frame(table[index]));
}

void space_create(struct space *space)
{
	space->root = frame_allocate();
	arch_space_init(frame_address(space->root));
}

/* A page-directory-pointer entry has no write and user bits: they are reserved. */
static pte_t *open_entry(struct space *space, u32 address)
{
	pte_t *directory = table_below(frame_address(space->root), address >> 30, PTE_PRESENT);
	u32 flags = PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED;
	pte_t *table = table_below(directory, address >> 21 & 511, flags);
	return &table[address >> PAGE_SHIFT & 511];
}

void space_map(struct space *space, u32 address, u32 frame, u32 flags)
{
	*open_entry(space, address) = arch_make_entry(frame, flags);
}

u32 space_map_new(struct space *space, u32 address, u32 flags)
{
	u32 frame = frame_allocate();
	space_map(space, address, frame, flags);
	return frame;
}

pte_t *space_entry(struct space *space, u32 address)
{
	pte_t *root = frame_address(space->root);
	pte_t *directory = frame_address(arch_entry_frame(root[address >> 30]));
	pte_t *table = frame_address(arch_entry_frame(directory[address >> 21 & 511]));
	return &table[address >> PAGE_SHIFT & 511];
}

void space_seal(struct space *space) { arch_space_seal(space->root); }

/* The same frame may be mapped at consecutive addresses (the arenas do that); it is freed once. */
static void free_table(pte_t *table)
{
	u32 last = 0;
	for (u32 i = 0; i < 512; i++) {
		u32 frame = table[i] ? arch_entry_frame(table[i]) : 0;
		if (frame && frame != last) frame_free(frame);
		last = frame ? frame : last;
	}
	frame_free(frame_of(table));
}

void space_destroy(struct space *space)
{
	pte_t *root = frame_address(space->root);
	arch_space_unseal(space->root);
	for (u32 quarter = 0; quarter < USER_QUARTERS; quarter++) {
		if (!(root[quarter] & PTE_PRESENT)) continue;
		pte_t *directory = frame_address(arch_entry_frame(root[quarter]));
		for (u32 i = 0; i < 512; i++)
			if (directory[i] & PTE_PRESENT) free_table(frame_address(arch_entry_frame(directory[i])));
		frame_free(frame_of(directory));
	}
	arch_space_clean(root);
	frame_free(space->root);
}
