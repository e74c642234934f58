/*
 * The unprivileged instructions that tell what a kernel would rather be told by its monitor: where the tables are, what CR0
 * holds, what a descriptor allows. At CPL 1 they do not trap but tell the monitor's truth. Only what is the same everywhere
 * enters the checksum: that LAR, LSL, VERR and VERW find the flat user data segment usable.
 */
#include "workload.h"

WORKLOAD(run_sgdt_family, "nano/sgdt-family", "One of the sensitive unprivileged instructions, in the kernel.", 50000, 5000,
	 "processor", "insn=sgdt:sgdt|sidt|sldt|str|smsw|lar|lsl|verr|verw", "");

#ifndef USER_PROGRAM
static u32 done;

struct table_register {
	u16 limit;
	u32 base;
} __attribute__((packed));

#define LOOP(name, instruction)                                                              \
	static NOINLINE u32 name(u32 operations)                                             \
	{                                                                                    \
		for (u32 i = 0; i < operations; i++) {                                       \
			instruction;                                                         \
			done++;                                                              \
		}                                                                            \
		return mix(done, operations);                                                \
	}
#define STORE_TABLE(text)                                                                    \
	do {                                                                                 \
		struct table_register table;                                                 \
		asm volatile(text " %0" : "=m"(table));                                      \
	} while (0)
#define STORE_WORD(text)                                                                     \
	do {                                                                                 \
		u32 word;                                                                    \
		asm volatile(text " %0" : "=r"(word));                                       \
	} while (0)
#define LOAD_FACT(text)                                                                      \
	do {                                                                                 \
		u32 word = 0;                                                                \
		u8 usable;                                                                   \
		asm volatile(text " %2, %0\n\tsetz %1" : "+r"(word), "=q"(usable) : "r"(USER_DATA) : "cc"); \
		done += usable;                                                              \
	} while (0)
#define VERIFY(text)                                                                         \
	do {                                                                                 \
		u8 usable;                                                                   \
		asm volatile(text " %w1\n\tsetz %0" : "=q"(usable) : "r"(USER_DATA) : "cc"); \
		done += usable;                                                              \
	} while (0)

LOOP(loop_sgdt, STORE_TABLE("sgdt"))
LOOP(loop_sidt, STORE_TABLE("sidt"))
LOOP(loop_sldt, STORE_WORD("sldt"))
LOOP(loop_str, STORE_WORD("str"))
LOOP(loop_smsw, STORE_WORD("smsw"))
LOOP(loop_lar, LOAD_FACT("lar"))
LOOP(loop_lsl, LOAD_FACT("lsl"))
LOOP(loop_verr, VERIFY("verr"))
LOOP(loop_verw, VERIFY("verw"))
LOOP(empty, COMPILER_BARRIER())

static u32 run_sgdt_family(u32 operations)
{
	static u32 (*const loops[])(u32) = {loop_sgdt, loop_sidt, loop_sldt, loop_str, loop_smsw,
					    loop_lar, loop_lsl, loop_verr, loop_verw};
	done = 0;
	return measure(loops[parameter_choice("insn")], empty, operations);
}
#endif
