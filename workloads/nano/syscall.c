/* A null system call. The kernel counts the calls and returns the count; the program sums what it gets. */
#include "workload.h"

WORKLOAD(run_syscall, "nano/syscall", "From user mode to the kernel and back: a null system call.", 20000, 2000,
	 "kernel-entry", "method=int80:int80|sysenter",
	 "");

#ifdef USER_PROGRAM
static NOINLINE u32 run_int80(u32 operations)
{
	u32 sum = 0;
	for (u32 i = 0; i < operations; i++) sum += call_int80(CALL_NULL, i);
	return sum;
}

static NOINLINE u32 run_sysenter(u32 operations)
{
	u32 sum = 0;
	for (u32 i = 0; i < operations; i++) sum += call_sysenter(CALL_NULL, i);
	return sum;
}

static NOINLINE u32 empty(u32 operations)
{
	u32 sum = 0;
	for (u32 i = 0; i < operations; i++) {
		sum += i;
		asm volatile("" : "+r"(sum));
	}
	return sum;
}

u32 user_main(u32 operations, u32 sysenter)
{
	return measure(sysenter ? run_sysenter : run_int80, empty, operations);
}
#else
INCLUDE_USER_PROGRAM(user_program);

static u32 run_syscall(u32 operations)
{
	u32 sysenter = parameter_choice("method");
	if (sysenter && !arch_sysenter())
		return skip(ARCH_PARAVIRT ? "a ring-1 kernel has no SYSENTER" : "the processor has no SYSENTER");
	null_calls = 0;
	return program_once(user_program, operations, sysenter);
}
#endif
