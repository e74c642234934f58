/* A null call to the hypervisor: VMCALL, or int 0x82 for xen_version under paravirt. Skipped where nobody answers. */
#include "workload.h"

WORKLOAD(run_hypercall, "nano/hypercall", "One null hypercall, in the kernel.", 20000, 2000, "hypervisor", "", "");

#ifndef USER_PROGRAM
static u32 done;

static NOINLINE u32 run(u32 operations)
{
	for (u32 i = 0; i < operations; i++) {
		arch_hypercall();
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

static u32 run_hypercall(u32 operations)
{
	if (!arch_hypercall_present()) return skip("no hypervisor answers here");
	done = 0;
	return measure(run, empty, operations);
}
#endif
