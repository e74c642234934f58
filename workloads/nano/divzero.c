/* Divide errors of a program: the handler steps over the instruction. An exception's way to the kernel and back, no MMU. */
#include "workload.h"

WORKLOAD(run_divzero, "nano/divzero", "A user division by zero: the exception, the handler that steps over it, the return.",
	 20000, 2000, "kernel-entry", "", "");

#ifdef USER_PROGRAM
static NOINLINE u32 run(u32 operations)
{
	u32 sum = 0;
	for (u32 i = 0; i < operations; i++) {
		u32 low = i, high = 0;
		/* div %ecx, two bytes; the handler leaves its mark in EAX. */
		asm volatile(".byte 0xf7, 0xf1" : "+a"(low), "+d"(high) : "c"(0) : "cc");
		sum += low;
	}
	return sum;
}

static NOINLINE u32 empty(u32 operations)
{
	u32 sum = 0;
	for (u32 i = 0; i < operations; i++) {
		u32 low = i, high = 0;
		asm volatile("" : "+a"(low), "+d"(high) : "c"(0) : "cc");
		sum += low;
	}
	return sum;
}

u32 user_main(u32 operations, u32 argument)
{
	(void)argument;
	return measure(run, empty, operations);
}
#else
#define DIVIDE_SIZE 2

INCLUDE_USER_PROGRAM(user_program);

static u32 errors;

static bool step_over(struct trap_frame *frame)
{
	if (!from_user(frame)) return false;
	frame->eax += ++errors;
	frame->eip += DIVIDE_SIZE;
	return true;
}

static u32 run_divzero(u32 operations)
{
	errors = 0;
	trap_hooks[VECTOR_DIVIDE] = step_over;
	return program_once(user_program, operations, 0);
}
#endif
