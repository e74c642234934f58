/*
 * Segments that reach a hypervisor's range by their base, by wrapping round or by expanding down; a call gate into ring 0;
 * frames for IRET that must not be accepted.
 */
#include "workload.h"
#include "../attempt.h"

WORKLOAD(run_segments, "isolation/segments", "One read through an unusual segment.", 1, 1, "isolation", "", "");
WORKLOAD(run_frames, "isolation/frames", "One return frame or selector that must not be accepted.", 1, 1, "isolation", "", "");
WORKLOAD(run_gate, "isolation/call-gate", "One call through a call gate into ring 0.", 1, 1, "isolation", "", "");

#ifndef USER_PROGRAM
#define SLOTS 16
#define FIRST_FREE 8
#define SELECTOR(slot) ((slot) * 8u)
#define DATA 0x93u
#define DATA_DOWN 0x97u
#define CALL_GATE_RING3 0xecu

struct table_register {
	u16 limit;
	u32 base;
} __attribute__((packed));

static u64 table[SLOTS] __attribute__((aligned(64)));

/* Entered through the call gate: notes the CS it runs with. */
asm(".text\n.balign 16\ngate_target:\n\tmovl %cs, %eax\n\tmovl %eax, seen_code_of_gate\n\tlret");
extern const char gate_target[];
u32 seen_code_of_gate;

static u64 segment(u32 base, u32 pages, u32 access)
{
	u64 limit = pages - 1;
	return (limit & 0xffff) | (limit >> 16 & 15) << 48 | 0x00c0000000000000ull | (u64)access << 40 |
	       (u64)(base & 0xffffffu) << 16 | (u64)(base >> 24) << 56;
}

static u64 call_gate(u32 target)
{
	return (target & 0xffffu) | (u64)KERNEL_CODE << 16 | (u64)CALL_GATE_RING3 << 40 | (u64)(target & 0xffff0000u) << 32;
}

/* Reads base + offset through ES. */
static void read_through(const char *what, u32 slot, u32 offset)
{
	u32 value = SELECTOR(slot);
	ATTEMPT("movl %%eax, %%es\n\tmovl %%es:(%%ecx), %%eax", value, offset);
	asm volatile("movl %0, %%es" : : "r"(USER_DATA));
	report_value(what, offset, value);
}

static void try_bases(void)
{
	static volatile u32 word = 0xbe5466cf;
	table[FIRST_FREE] = segment(0xff000000, 0x100000, DATA);
	read_through("segment based at ff000000, read", FIRST_FREE, 0x00c00000);
	read_through("segment based at ff000000, read", FIRST_FREE, 0x00fffffc);
	read_through("segment based at ff000000, wrapped read", FIRST_FREE, 0x01001000);
	table[FIRST_FREE] = segment(0x40000000, 0x100000, DATA);
	/* Wraps round: 0x40000000 more than the word's address less 0x40000000. */
	u32 value = SELECTOR(FIRST_FREE);
	ATTEMPT("movl %%eax, %%es\n\tmovl %%es:(%%ecx), %%eax", value, (u32)&word - 0x40000000);
	asm volatile("movl %0, %%es" : : "r"(USER_DATA));
	report_value("segment based at 40000000, a word of the kernel's", 0, value);
	read_through("segment based at 40000000, read", FIRST_FREE, 0xbfc00000);
	table[FIRST_FREE] = segment(0, 0x10, DATA);
	read_through("segment of 64 KB, read beyond", FIRST_FREE, 0x00010000);
	table[FIRST_FREE] = segment(0, 0xf5800, DATA_DOWN);
	read_through("expand-down segment above f5800000, read", FIRST_FREE, 0xf5800000);
	read_through("expand-down segment above f5800000, read", FIRST_FREE, 0xffc00000);
	read_through("expand-down segment above f5800000, read below", FIRST_FREE, 0xf57ff000);
	table[FIRST_FREE] = segment(0, 0x100000, DATA) & ~(1ull << 47);
	read_through("segment not present, read", FIRST_FREE, 0);
	read_through("null selector, read", 0, 0);
	read_through("selector beyond the table, read", SLOTS + 1, 0);
}

/* Frames that IRET must refuse, stack segments, and a vector beyond the table. */
static void try_frames(void)
{
	u32 value = 0;
	ATTEMPT("pushl $2\n\tpushl $0\n\tpushl $1f\n\tiret", value, 0);
	report("iret to a null code segment", 0, "returned");
	ATTEMPT("pushl $2\n\tpushl $0x10\n\tpushl $1f\n\tiret", value, 0);
	report("iret to a data segment", 0, "returned");
	ATTEMPT("pushl $2\n\tpushl $0xe008\n\tpushl $1f\n\tiret", value, 0);
	report("iret beyond the table", 0, "returned");
	ATTEMPT("pushl $0x10\n\tpushl $0\n\tpushl $2\n\tpushl $0x1b\n\tpushl $1f\n\tiret", value, 0);
	report("iret to ring 3 with a ring-0 stack segment", 0, "returned");
	ATTEMPT("pushl $0x23\n\tpushl $0\n\tpushl $2\n\tpushl $0x09\n\tpushl $1f\n\tiret", value, 0);
	report("iret to ring 1 with a ring-0 code segment", 0, "returned");
	ATTEMPT("movl $0x23, %%eax\n\tmovl %%eax, %%ss", value, 0);
	report("mov to ss of a ring-3 segment", 0, "loaded");
	ATTEMPT("xorl %%eax, %%eax\n\tmovl %%eax, %%ss", value, 0);
	report("mov to ss of a null selector", 0, "loaded");
	ATTEMPT("int $0x81", value, 0);
	report("int beyond the interrupt table", 0, "returned");
}

static void try_gate(void)
{
	table[FIRST_FREE] = call_gate((u32)gate_target);
	seen_code_of_gate = 0xffffffffu;
	try_in_user_mode(TRY_FAR_CALL, SELECTOR(FIRST_FREE) | 3);
	report_value("user far call through a call gate enters with cs", 0, seen_code_of_gate);
	table[FIRST_FREE] &= ~(0x60ull << 40);
	try_in_user_mode(TRY_FAR_CALL, SELECTOR(FIRST_FREE) | 3);
	report("user far call through a call gate of ring 0", 0, "returned");
}

/* Tries it with a table that has room for more. */
static u32 with_wide_table(void (*attempts)(void))
{
	struct table_register old, wide = {sizeof(table) - 1, (u32)table};
	asm volatile("sgdt %0" : "=m"(old));
	memcpy(table, (const void *)old.base, old.limit + 1u);
	asm volatile("lgdt %0" : : "m"(wide), "m"(table));
	attempts_begin();
	attempts();
	u32 sum = attempts_end();
	asm volatile("lgdt %0" : : "m"(old));
	return sum;
}

static u32 run_segments(u32 operations)
{
	(void)operations;
	return with_wide_table(try_bases);
}

static u32 run_frames(u32 operations)
{
	(void)operations;
	return with_wide_table(try_frames);
}

static u32 run_gate(u32 operations)
{
	(void)operations;
	return with_wide_table(try_gate);
}
#endif
