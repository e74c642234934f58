/* Writes to port 0x80, the power-on diagnostic port: no effect, no device behind it that takes time. */
#include "workload.h"

WORKLOAD(run_out, "nano/out", "One byte written to port 0x80, in the kernel.", 20000, 2000, "device", "", "");

#ifndef USER_PROGRAM
static u32 done;

static NOINLINE u32 run(u32 operations)
{
	for (u32 i = 0; i < operations; i++) {
		arch_out8(0x80, i);
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

static u32 run_out(u32 operations)
{
	done = 0;
	return measure(run, empty, operations);
}
#endif
