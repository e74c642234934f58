/* Loads of CR3: the root that is loaded, or two address spaces in turn. Each load is followed by a read through it. */
#include "workload.h"

WORKLOAD(run_cr3, "nano/cr3", "One load of the page-table root, and a read in the address space it gives.", 20000, 2000,
	 "mmu", "mode=reload:reload|switch", "");

#ifndef USER_PROGRAM
#define LIVE (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED | PTE_DIRTY)

static u32 roots[2];

static NOINLINE u32 run(u32 operations)
{
	u32 sum = 0;
	for (u32 i = 0; i < operations; i++) {
		arch_space_load(roots[i & 1]);
		sum = mix(sum, *(volatile u32 *)USER_ARENA);
	}
	return sum;
}

static NOINLINE u32 empty(u32 operations)
{
	u32 sum = 0;
	for (u32 i = 0; i < operations; i++) {
		COMPILER_BARRIER();
		sum = mix(sum, *(volatile u32 *)USER_ARENA + ((volatile u32 *)roots)[i & 1]);
	}
	return sum;
}

static u32 run_cr3(u32 operations)
{
	struct space spaces[2];
	for (u32 i = 0; i < 2; i++) {
		space_create(&spaces[i]);
		u32 frame = space_map_new(&spaces[i], USER_ARENA, LIVE);
		*(u32 *)frame_address(frame) = 0x03707344 + i;
		space_seal(&spaces[i]);
	}
	roots[0] = spaces[0].root;
	roots[1] = spaces[parameter_choice("mode")].root;
	arch_space_load(roots[0]);
	u32 sum = measure(run, empty, operations);
	arch_space_load_kernel();
	for (u32 i = 0; i < 2; i++) space_destroy(&spaces[i]);
	return sum;
}
#endif
