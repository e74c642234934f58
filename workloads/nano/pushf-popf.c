/* PUSHF and a POPF that changes the interrupt flag: it does not trap at CPL 1, it is silently ignored, so binary translation must find it. */
#include "workload.h"

WORKLOAD(run_pushf_popf, "nano/pushf-popf", "The flags saved and restored with the interrupt flag inverted, in the kernel.", 200000, 20000, "interrupts", "", "");

#ifndef USER_PROGRAM
static u32 done;

static NOINLINE u32 run(u32 operations)
{
	for (u32 i = 0; i < operations; i++) {
		arch_irq_flip();
		done++;
	}
	arch_irq_enable();
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

static u32 run_pushf_popf(u32 operations)
{
	done = 0;
	return measure(run, empty, operations);
}
#endif
