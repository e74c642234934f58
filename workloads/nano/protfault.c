/*
 * Protection faults: a program writes to pages that its tables give it for reading. The handler makes the page writable and
 * returns; an upgrade of rights needs no flush, because a fault drops the TLB entry it was found by. When the arena is used
 * up, one system call makes all its pages read-only again, in one batch.
 */
#include "workload.h"

WORKLOAD(run_protfault, "nano/protfault",
	 "A user write to a read-only page: the fault, the handler that allows writing, the return.", 8192, 2048,
	 "kernel-entry,mmu", "", "");

#ifdef USER_PROGRAM
static NOINLINE u32 run(u32 operations)
{
	u32 sum = 0;
	for (u32 done = 0; done < operations;) {
		for (u32 page = 0; page < USER_ARENA_PAGES && done < operations; page++, done++) {
			volatile u32 *word = (volatile u32 *)(USER_ARENA + (page << 12));
			u32 before = word[1];
			word[0] = done;
			sum = mix(sum, word[0] + before);
		}
		sum = mix(sum, call_int80(CALL_HOOK, 0));
	}
	return sum;
}

static NOINLINE u32 empty(u32 operations)
{
	static volatile u32 word[2];
	u32 sum = 0;
	for (u32 done = 0; done < operations;) {
		for (u32 page = 0; page < USER_ARENA_PAGES && done < operations; page++, done++) {
			u32 before = word[1];
			word[0] = done;
			sum = mix(sum, word[0] + before);
		}
	}
	return sum;
}

u32 user_main(u32 operations, u32 argument)
{
	(void)argument;
	return measure(run, empty, operations);
}
#else
#define READABLE (PTE_PRESENT | PTE_USER | PTE_ACCESSED | PTE_DIRTY)
#define ERROR_PRESENT_WRITE_USER 7u

INCLUDE_USER_PROGRAM(user_program);

static pte_t *entries;
static pte_t readable[USER_ARENA_PAGES];
static u32 faults;

static bool allow_writing(struct trap_frame *frame)
{
	u32 address = arch_fault_address(), page = (address - USER_ARENA) >> PAGE_SHIFT;
	if (page >= USER_ARENA_PAGES || (frame->error & 7) != ERROR_PRESENT_WRITE_USER) return false;
	faults++;
	arch_set_entry(address, &entries[page], readable[page] | PTE_WRITE);
	return true;
}

static u32 forbid_writing(u32 argument)
{
	(void)argument;
	arch_batch_begin();
	for (u32 page = 0; page < USER_ARENA_PAGES; page++)
		if (entries[page] & PTE_WRITE)
			arch_set_entry(USER_ARENA + (page << PAGE_SHIFT), &entries[page], readable[page]);
	arch_batch_flush();
	arch_flush();
	return faults;
}

static u32 run_protfault(u32 operations)
{
	struct program program;
	program_load(&program, user_program);
	/* One frame for the whole arena: space_destroy frees it once. */
	u32 frame = frame_allocate();
	((u32 *)frame_address(frame))[1] = 0x9e3779b9u;
	for (u32 page = 0; page < USER_ARENA_PAGES; page++)
		space_map(&program.space, USER_ARENA + (page << PAGE_SHIFT), frame, READABLE);
	entries = space_entry(&program.space, USER_ARENA);
	for (u32 page = 0; page < USER_ARENA_PAGES; page++) readable[page] = entries[page];
	faults = 0;
	space_seal(&program.space);
	trap_hooks[VECTOR_PAGE] = allow_writing;
	hooked_call = forbid_writing;
	u32 sum = program_run(&program, operations, 0);
	space_destroy(&program.space);
	return sum;
}
#endif
