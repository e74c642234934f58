/* Reads of port 0x80, which no device answers and nobody waits for. What is read differs between machines and does not count. */
#include "workload.h"

WORKLOAD(run_in, "nano/in", "One byte read from port 0x80, in the kernel.", 20000, 2000, "device", "", "");

#ifndef USER_PROGRAM
static u32 done;

static NOINLINE u32 run(u32 operations)
{
	for (u32 i = 0; i < operations; i++) {
		arch_in8(0x80);
		done++;
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

static u32 run_in(u32 operations)
{
	done = 0;
	return measure(run, empty, operations);
}
#endif
