/* Flushes of one page from the TLB; with touch=yes the page is read after each, which brings the entry back. */
#include "workload.h"

WORKLOAD(run_invlpg, "nano/invlpg", "One flush of one mapped page from the TLB.", 50000, 5000, "mmu", "touch=no:no|yes", "");

#ifndef USER_PROGRAM
#define LIVE (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED | PTE_DIRTY)

static u32 flushes;

static NOINLINE u32 run_plain(u32 operations)
{
	for (u32 i = 0; i < operations; i++) {
		arch_invalidate_page(USER_ARENA);
		flushes++;
	}
	return mix(flushes, *(volatile u32 *)USER_ARENA);
}

static NOINLINE u32 run_touching(u32 operations)
{
	u32 sum = flushes;
	for (u32 i = 0; i < operations; i++) {
		arch_invalidate_page(USER_ARENA);
		sum += *(volatile u32 *)USER_ARENA;
		flushes++;
	}
	return mix(sum, flushes);
}

static NOINLINE u32 empty(u32 operations)
{
	u32 count = 0;
	for (u32 i = 0; i < operations; i++) {
		COMPILER_BARRIER();
		count++;
	}
	return count;
}

static u32 run_invlpg(u32 operations)
{
	struct space space;
	flushes = 0;
	space_create(&space);
	u32 frame = space_map_new(&space, USER_ARENA, LIVE);
	*(u32 *)frame_address(frame) = 0x13198a2e;
	space_seal(&space);
	arch_space_load(space.root);
	u32 sum = measure(parameter_choice("touch") ? run_touching : run_plain, empty, operations);
	arch_space_load_kernel();
	space_destroy(&space);
	return sum;
}
#endif
