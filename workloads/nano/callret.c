/* Calls of an empty function: a direct one, or one through a pointer that alternates between two targets. */
#include "workload.h"

WORKLOAD(run_callret, "nano/callret", "One call of an empty function and its return, in the kernel.", 250000, 25000,
	 "control-flow", "kind=direct:direct|indirect", "");

#ifndef USER_PROGRAM
static u32 calls;

/* The targets differ by a byte in length, so that no linker or compiler can make them one. */
asm(".text\n.balign 16\nempty_function:\n\tret\n.balign 16\nempty_function_2:\n\tnop\n\tret");
extern const char empty_function[], empty_function_2[];

static NOINLINE u32 run_direct(u32 operations)
{
	for (u32 i = 0; i < operations; i++) {
		asm volatile("call empty_function" : : : "memory");
		calls++;
	}
	return mix(calls, operations);
}

static NOINLINE u32 run_indirect(u32 operations)
{
	const char *target = empty_function, *other = empty_function_2;
	for (u32 i = 0; i < operations; i++) {
		asm volatile("call *%0" : : "r"(target) : "memory");
		calls++;
		const char *next = other;
		other = target;
		target = next;
	}
	return mix(calls, operations);
}

static NOINLINE u32 empty(u32 operations)
{
	for (u32 i = 0; i < operations; i++) {
		COMPILER_BARRIER();
		calls++;
	}
	return calls;
}

static u32 run_callret(u32 operations)
{
	calls = 0;
	return measure(parameter_choice("kind") ? run_indirect : run_direct, empty, operations);
}
#endif
