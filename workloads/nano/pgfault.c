/*
 * True page faults: a program writes to pages that its tables say are not present. The handler makes the page present and
 * returns; when the arena is used up, one system call takes all its pages away again, in one batch. With fix=skip the
 * handler only steps over the instruction, which leaves the fault's own cost.
 */
#include "workload.h"

WORKLOAD(run_pgfault, "nano/pgfault",
	 "A user write to a page that is not present: the fault, the handler that maps the page, the return.", 8192, 2048,
	 "kernel-entry,mmu", "fix=map:map|skip", "");

#ifdef USER_PROGRAM
static u32 skipping;

static NOINLINE u32 run(u32 operations)
{
	u32 sum = 0;
	for (u32 done = 0; done < operations;) {
		for (u32 page = 0; page < USER_ARENA_PAGES && done < operations; page++, done++) {
			volatile u32 *word = (volatile u32 *)(USER_ARENA + (page << 12));
			/* Two bytes, which the handler of fix=skip relies on. */
			asm volatile(".byte 0x89, 0x02" : : "a"(done), "d"(word) : "memory");
			if (!skipping) sum = mix(sum, word[1] + word[0]);
		}
		sum = mix(sum, call_int80(CALL_HOOK, 0));
	}
	return sum;
}

static NOINLINE u32 empty(u32 operations)
{
	u32 sum = 0;
	static u32 word[2];
	for (u32 done = 0; done < operations;) {
		for (u32 page = 0; page < USER_ARENA_PAGES && done < operations; page++, done++) {
			asm volatile(".byte 0x89, 0x02" : : "a"(done), "d"(word) : "memory");
			if (!skipping) sum = mix(sum, word[1] + word[0]);
		}
	}
	return sum;
}

u32 user_main(u32 operations, u32 skip)
{
	skipping = skip;
	return measure(run, empty, operations);
}
#else
#define ARENA_FRAMES 8
#define PRESENT (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED | PTE_DIRTY)
#define STORE_SIZE 2

INCLUDE_USER_PROGRAM(user_program);

static pte_t *entries;
static pte_t absent[USER_ARENA_PAGES];
static u32 faults;

static bool map_page(struct trap_frame *frame)
{
	u32 address = arch_fault_address(), page = (address - USER_ARENA) >> PAGE_SHIFT;
	if (page >= USER_ARENA_PAGES || !from_user(frame) || (frame->error & PTE_PRESENT)) return false;
	faults++;
	arch_set_entry(address, &entries[page], absent[page] | PTE_PRESENT);
	return true;
}

static bool step_over(struct trap_frame *frame)
{
	if (arch_fault_address() - USER_ARENA >= USER_ARENA_PAGES << PAGE_SHIFT || !from_user(frame)) return false;
	faults++;
	frame->eip += STORE_SIZE;
	return true;
}

static u32 take_away(u32 argument)
{
	(void)argument;
	arch_batch_begin();
	for (u32 page = 0; page < USER_ARENA_PAGES; page++)
		if (entries[page] & PTE_PRESENT)
			arch_set_entry(USER_ARENA + (page << PAGE_SHIFT), &entries[page], absent[page]);
	arch_batch_flush();
	arch_flush();
	return faults;
}

static u32 run_pgfault(u32 operations)
{
	struct program program;
	u32 skipping = parameter_choice("fix"), frames[ARENA_FRAMES];
	program_load(&program, user_program);
	for (u32 i = 0; i < ARENA_FRAMES; i++) {
		frames[i] = frame_allocate();
		((u32 *)frame_address(frames[i]))[1] = 0x9e3779b9u * (i + 1);
	}
	for (u32 page = 0; page < USER_ARENA_PAGES; page++)
		space_map(&program.space, USER_ARENA + (page << PAGE_SHIFT), frames[page % ARENA_FRAMES], PRESENT);
	entries = space_entry(&program.space, USER_ARENA);
	for (u32 page = 0; page < USER_ARENA_PAGES; page++) {
		absent[page] = entries[page] & ~(pte_t)PTE_PRESENT;
		entries[page] = absent[page];
	}
	faults = 0;
	space_seal(&program.space);
	trap_hooks[VECTOR_PAGE] = skipping ? step_over : map_page;
	hooked_call = take_away;
	u32 sum = program_run(&program, operations, skipping);
	/* The frames are this workload's to free, each once. */
	for (u32 page = 0; page < USER_ARENA_PAGES; page++)
		arch_set_entry(USER_ARENA + (page << PAGE_SHIFT), &entries[page], 0);
	space_destroy(&program.space);
	for (u32 i = 0; i < ARENA_FRAMES; i++) frame_free(frames[i]);
	return sum;
}
#endif
