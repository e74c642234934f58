/*
 * Returns by IRET: to user mode, where one instruction comes straight back by int 0x80, or within the kernel. Under paravirt
 * the way to user mode is an IRET in ring 1, or the iret hypercall (via=hypercall); elsewhere `via` changes nothing.
 */
#include "workload.h"

WORKLOAD(run_iret, "nano/iret", "One IRET: to user mode (and straight back by int 0x80), or within the kernel.", 20000, 2000,
	 "kernel-entry", "to=user:user|kernel,via=direct:direct|hypercall", "");

#ifdef USER_PROGRAM
extern const char bounce[];
asm(".text\nbounce:\n\tint $0x80\n\tjmp bounce");

/* Tells the kernel where the one instruction is, and exits with what the kernel measured. */
u32 user_main(u32 operations, u32 argument)
{
	(void)operations;
	(void)argument;
	return call_int80(CALL_HOOK, (u32)bounce);
}
#else
INCLUDE_USER_PROGRAM(user_program);

static u32 count, to_kernel;
static struct trap_frame outside;

static NOINLINE u32 run_user(u32 operations)
{
	u32 sum = 0;
	outside.eax = CALL_EXIT;
	for (u32 i = 0; i < operations; i++) {
		outside.ebx = i;
		sum += enter_user(&outside);
	}
	return sum;
}

static NOINLINE u32 run_kernel(u32 operations)
{
	u32 sum = 0;
	for (u32 i = 0; i < operations; i++) {
		asm volatile("pushfl\n\tpushl %%cs\n\tpushl $1f\n\tiret\n1:" : : : "memory", "cc");
		sum += i;
	}
	return sum;
}

static NOINLINE u32 empty(u32 operations)
{
	u32 sum = 0;
	for (u32 i = 0; i < operations; i++) {
		COMPILER_BARRIER();
		sum += i;
	}
	return sum;
}

static u32 measure_it(u32 bounce)
{
	outside.eip = bounce;
	return measure(to_kernel ? run_kernel : run_user, empty, count);
}

static u32 run_iret(u32 operations)
{
	count = operations;
	to_kernel = parameter_choice("to");
	outside = (struct trap_frame){.ds = USER_DATA, .es = USER_DATA, .cs = USER_CODE, .eflags = 0x202,
				      .esp = USER_STACK_TOP - 16, .ss = USER_DATA};
	hooked_call = measure_it;
	arch_iret_by_hypercall(parameter_choice("via"));
	u32 sum = program_once(user_program, operations, 0);
	arch_iret_by_hypercall(false);
	return sum;
}
#endif
