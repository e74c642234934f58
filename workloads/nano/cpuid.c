/* CPUID, which always exits under VT-x. What it says differs between processors; that it has a leaf 1 does not. */
#include "workload.h"

WORKLOAD(run_cpuid, "nano/cpuid", "One CPUID of leaf 0, in the kernel.", 20000, 2000, "processor", "", "");

#ifndef USER_PROGRAM
static u32 done;

static NOINLINE u32 run(u32 operations)
{
	for (u32 i = 0; i < operations; i++) {
		u32 a = 0, b, c, d;
		asm volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
		done += a >= 1;
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

static u32 run_cpuid(u32 operations)
{
	done = 0;
	return measure(run, empty, operations);
}
#endif
