/* Reads of the time stamp counter. The values differ everywhere; that they do not go backwards does not. */
#include "workload.h"

WORKLOAD(run_rdtsc, "nano/rdtsc", "One RDTSC, in the kernel.", 100000, 10000, "processor", "", "");

#ifndef USER_PROGRAM
static u32 done;

static NOINLINE u32 run(u32 operations)
{
	u32 before = 0, now;
	for (u32 i = 0; i < operations; i++) {
		asm volatile("rdtsc" : "=a"(now) : : "edx");
		/* Counts the reads that do not go backwards. */
		done += i == 0 || (s32)(now - before) >= 0;
		before = now;
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

static u32 run_rdtsc(u32 operations)
{
	done = 0;
	return measure(run, empty, operations);
}
#endif
