/* The brackets of a critical section. Nothing is pending, so this is the cost of the flag alone. */
#include "workload.h"

WORKLOAD(run_cli_sti, "nano/cli-sti", "Interrupts off and on again, in the kernel.", 250000, 25000, "interrupts", "", "");

#ifndef USER_PROGRAM
static u32 done;

static NOINLINE u32 run(u32 operations)
{
	for (u32 i = 0; i < operations; i++) {
		arch_irq_disable();
		done++;
		arch_irq_enable();
	}
	return mix(done, operations);
}

static NOINLINE u32 empty(u32 operations)
{
	for (u32 i = 0; i < operations; i++) {
		COMPILER_BARRIER();
		done++;
	}
	return done;
}

static u32 run_cli_sti(u32 operations)
{
	done = 0;
	return measure(run, empty, operations);
}
#endif
