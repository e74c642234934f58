/*
 * Page tables that a kernel in ring 0 may have as it likes: a writable alias of one, an L2 table shared by two quarters, a
 * page of its own in a hypervisor's range, frames beyond its memory. A monitor must follow all of it without giving up its own.
 */
#include "workload.h"
#include "../attempt.h"

WORKLOAD(run_tables, "isolation/tables", "One unusual use of page tables.", 1, 1, "isolation", "", "");
WORKLOAD(run_own_top, "isolation/own-top", "One use of a page that the kernel has mapped into the top 4 MB.", 1, 1, "isolation", "", "");

#ifndef USER_PROGRAM
#define LIVE (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED | PTE_DIRTY)
#define TABLE (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED)
#define MARK_A 0x452821e6u
#define MARK_B 0x38d01377u
#define FIRST_FOREIGN_FRAME 0x4000u /* 64 MB, what the suite gives a guest */
#define SHARED_AT 0x80000000u
#define TOP 0xffc00000u

static u32 word_at(u32 address) { return *(volatile u32 *)address; }

static void alias(struct space *space, u32 a, u32 b)
{
	u32 page = USER_ARENA + 5 * PAGE_SIZE, value = 0;
	report_value("before the store through an alias of its table", page, word_at(page));
	/* The arena's first page is the L1 table that maps the arena. */
	volatile u32 *entry = (volatile u32 *)(USER_ARENA + 5 * sizeof(pte_t));
	ATTEMPT("movl %%eax, (%%ecx)", value, &value);
	*entry = b << PAGE_SHIFT | LIVE;
	arch_invalidate_page(page);
	report_value("after it", page, word_at(page));
	*entry = 0;
	arch_invalidate_page(page);
	ATTEMPT("movl (%%ecx), %%eax", value, page);
	report_value("after clearing the entry through the alias", page, value);
	*entry = a << PAGE_SHIFT | PTE_PRESENT | PTE_USER;
	arch_invalidate_page(page);
	ATTEMPT("movl $0, (%%ecx)", value, page);
	report("kernel write after making it read-only through the alias", page, "writable");
	report_value("accessed and dirty", page, *entry & (PTE_ACCESSED | PTE_DIRTY));
	(void)space;
}

static void shared_table(struct space *space)
{
	pte_t *root = frame_address(space->root);
	u32 page = USER_ARENA + PAGE_SIZE, other = SHARED_AT + PAGE_SIZE;
	root[SHARED_AT >> 30] = root[USER_ARENA >> 30];
	arch_space_load(space->root);
	report_value("through a shared L2 table", other, word_at(other));
	*(volatile u32 *)other = MARK_B;
	report_value("written there, read here", page, word_at(page));
	root[SHARED_AT >> 30] = 0;
	arch_space_load(space->root);
	u32 value = 0;
	ATTEMPT("movl (%%ecx), %%eax", value, other);
	report_value("after taking it away", other, value);
}

/* Nothing is there natively; a monitor's own frames might be. */
static void foreign_frames(struct space *space, pte_t *entry)
{
	static const u32 frames[] = {FIRST_FOREIGN_FRAME, FIRST_FOREIGN_FRAME + 1, 0x4800, 0x8000, 0x10000, 0xfe000};
	u32 page = USER_ARENA + 6 * PAGE_SIZE, value = 0;
	for (u32 i = 0; i < COUNT(frames); i++) {
		*entry = arch_make_entry(frames[i], LIVE);
		arch_space_load(space->root);
		ATTEMPT("movl (%%ecx), %%eax", value, page);
		report_value("read beyond memory, frame", frames[i], value);
		ATTEMPT("movl $0, (%%ecx)", value, page);
		report("write beyond memory, frame", frames[i], "done");
		ATTEMPT("movl (%%ecx), %%eax", value, page);
		report_value("read again, frame", frames[i], value);
	}
	*entry = 0;
	arch_space_load(space->root);
}

static u32 run_tables(u32 operations)
{
	struct space space;
	(void)operations;
	space_create(&space);
	u32 a = space_map_new(&space, USER_ARENA + PAGE_SIZE, LIVE);
	u32 b = space_map_new(&space, USER_ARENA + 2 * PAGE_SIZE, LIVE);
	*(u32 *)frame_address(a) = MARK_A;
	*(u32 *)frame_address(b) = MARK_B;
	pte_t *entries = space_entry(&space, USER_ARENA);
	entries[0] = arch_make_entry(frame_of(entries), LIVE);
	entries[5] = arch_make_entry(a, LIVE);
	arch_space_load(space.root);

	attempts_begin();
	alias(&space, a, b);
	entries[5] = 0;
	shared_table(&space);
	foreign_frames(&space, &entries[6]);
	u32 sum = attempts_end();

	arch_space_load_kernel();
	entries[0] = 0;
	space_destroy(&space);
	return sum;
}

/* A function of the page's own: mov $MARK_A, %eax; ret. */
static void write_function(u8 *page)
{
	page[0] = 0xb8;
	*(u32 *)(page + 1) = MARK_A;
	page[5] = 0xc3;
}

static u32 run_own_top(u32 operations)
{
	u32 frame = frame_allocate(), tables = frame_allocate(), value = 0;
	pte_t *root_entry = NULL, *directory, *table = frame_address(tables);
	u32 root;
	(void)operations;
	asm volatile("movl %%cr3, %0" : "=r"(root));
	root_entry = (pte_t *)(KERNEL_BASE + root) + 3;
	directory = frame_address(arch_entry_frame(*root_entry));
	u32 slot = TOP >> 21 & 511;
	pte_t before = directory[slot];
	table[0] = arch_make_entry(frame, PTE_PRESENT | PTE_WRITE);
	directory[slot] = arch_make_entry(tables, PTE_PRESENT | PTE_WRITE);
	arch_flush();
	write_function(frame_address(frame));

	attempts_begin();
	ATTEMPT("movl $0x13131313, 0x40(%%ecx)\n\tmovl 0x40(%%ecx), %%eax", value, TOP);
	report_value("written and read back", TOP + 0x40, value);
	report_value("the frame holds", TOP + 0x40, ((u32 *)frame_address(frame))[16]);
	ATTEMPT("movl (%%ecx), %%eax", value, TOP);
	report_value("read", TOP, value);
	ATTEMPT("addl $1, 0x40(%%ecx)\n\tmovl 0x40(%%ecx), %%eax", value, TOP);
	report_value("added to", TOP + 0x40, value);
	ATTEMPT("call *%%ecx", value, TOP);
	report_value("called", TOP, value);
	ATTEMPT("movl 0x1000(%%ecx), %%eax", value, TOP);
	report_value("read the page after", TOP, value);
	try_in_user_mode(TRY_READ, TOP);
	report("user read", TOP, "readable");
	u32 sum = attempts_end();

	directory[slot] = before;
	arch_flush();
	ATTEMPT("movl (%%ecx), %%eax", value, TOP);
	report_value("after taking it away", TOP, value);
	frame_free(frame);
	frame_free(tables);
	return sum;
}
#endif
