/*
 * Changes of live page-table entries, between two frames, so that each change is a change of mapping. What was written is
 * read back from the table, and after the measurement through the mapping. `via` is the way under paravirt: a hypercall an entry, one for a
 * batch, or plain stores that the hypervisor's writable-page-table assist emulates; elsewhere it is always a plain store.
 */
#include "workload.h"

WORKLOAD(run_ptemod, "nano/ptemod", "One 32-bit kernel store to the low half of a live PAE page-table entry.", 20000, 2000,
	 "mmu",
	 "halves=low:low|both,invlpg=no:no|yes,batch=1:1|2|4|8|16|32|64|128|256|512,"
	 "via=update:update|mmu_update|multicall|writable",
	 "");

#ifndef USER_PROGRAM
#define LIVE (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED | PTE_DIRTY)

static pte_t *entries, values[2];
static const u32 contents[2] = {0x243f6a88, 0x85a308d3};
static u32 batch, way, invalidates;
static bool both;

static NOINLINE u32 run(u32 operations)
{
	u32 turn = 0, sum = 0;
	for (u32 done = 0; done < operations; turn ^= 1) {
		u32 count = operations - done < batch ? operations - done : batch;
		for (u32 i = 0; i < count; i++)
			arch_modify_entry(way, USER_ARENA + (i << PAGE_SHIFT), &entries[i], values[turn], both);
		arch_modify_flush(way);
		if (invalidates)
			for (u32 i = 0; i < count; i++) arch_invalidate_page(USER_ARENA + (i << PAGE_SHIFT));
		done += count;
	}
	arch_flush();
	for (u32 i = 0; i < batch; i++) sum = mix(sum, entries[i] == values[0]);
	return mix(sum, *(volatile u32 *)USER_ARENA);
}

/* Reading all pages would be a good part of a short run's time, so it is done after it. */
static void check_mapping(void)
{
	for (u32 i = 0; i < USER_ARENA_PAGES; i++) {
		u32 expected = contents[entries[i] != values[0]];
		u32 found = *(volatile u32 *)(USER_ARENA + (i << PAGE_SHIFT));
		if (found != expected) panic("page %u of the arena reads %08x, not %08x", i, found, expected);
	}
}

static NOINLINE u32 empty(u32 operations)
{
	u32 sum = 0;
	for (u32 done = 0; done < operations;) {
		u32 count = operations - done < batch ? operations - done : batch;
		for (u32 i = 0; i < count; i++) COMPILER_BARRIER();
		done += count;
	}
	return sum;
}

static u32 run_ptemod(u32 operations)
{
	struct space space;
	u32 frames[2] = {frame_allocate(), frame_allocate()};
	for (u32 i = 0; i < 2; i++) *(u32 *)frame_address(frames[i]) = contents[i];
	both = parameter_choice("halves");
	invalidates = parameter_choice("invlpg");
	batch = parameter_number("batch");
	way = parameter_choice("via");
	space_create(&space);
	for (u32 i = 0; i < USER_ARENA_PAGES; i++) space_map(&space, USER_ARENA + (i << PAGE_SHIFT), frames[1], LIVE);
	entries = space_entry(&space, USER_ARENA);
	for (u32 i = 0; i < 2; i++) values[i] = arch_make_entry(frames[i], LIVE);
	space_seal(&space);
	arch_space_load(space.root);
	u32 sum = measure(run, empty, operations);
	check_mapping();
	/* One frame stays mapped, which the space's end frees; the other is ours. */
	for (u32 i = 0; i < USER_ARENA_PAGES; i++) arch_set_entry(USER_ARENA + (i << PAGE_SHIFT), &entries[i], values[1]);
	arch_space_load_kernel();
	space_destroy(&space);
	frame_free(frames[0]);
	return sum;
}
#endif
