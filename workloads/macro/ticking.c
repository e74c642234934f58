/*
 * A program that enters the kernel in two ways while the timer ticks fast. Ticks land everywhere: in the program, in the
 * entry stubs, in the handlers, between the last test for events and the return. What they must not do is change a result.
 */
#include "workload.h"

WORKLOAD(run_ticking, "macro/ticking", "A null system call and a page fault that is stepped over, while the timer ticks.", 40000, 4000,
	 "interrupts,device,kernel-entry", "hz=10000:1000|10000|100000", "");

#ifdef USER_PROGRAM
u32 user_main(u32 operations, u32 argument)
{
	u32 sum = argument, random = 0x6a09e667;
	marker_begin(REGION_MEASURED);
	for (u32 i = 0; i < operations; i++) {
		sum = mix(sum, call_int80(CALL_NULL, i));
		/* Two bytes, to a page that is not there; every register must come back as it was. */
		u32 a = next_random(&random), b = ~a, c = a * 3;
		asm volatile(".byte 0x89, 0x02" : "+a"(a), "+b"(b), "+c"(c) : "d"(USER_ARENA), "S"(a), "D"(b) : "memory");
		sum = mix(sum, a + 5 * b + 7 * c);
	}
	sum = mix(sum, call_int80(CALL_HOOK, 0));
	marker_end(REGION_MEASURED, operations, sum);
	return sum;
}
#else
#define STORE_SIZE 2

INCLUDE_USER_PROGRAM(user_program);

static u32 faults;

static bool step_over(struct trap_frame *frame)
{
	if (arch_fault_address() != USER_ARENA || !from_user(frame)) return false;
	faults++;
	frame->eip += STORE_SIZE;
	return true;
}

static u32 count_of_faults(u32 argument) { return faults + argument; }

static u32 run_ticking(u32 operations)
{
	null_calls = faults = 0;
	trap_hooks[VECTOR_PAGE] = step_over;
	hooked_call = count_of_faults;
	arch_timer_start(parameter_number("hz"));
	u32 sum = program_once(user_program, operations, 0);
	arch_timer_stop();
	return sum;
}
#endif
