/*
 * The hypervisors' ranges: the top 4 MB (ring compression) and what is above 0xF5800000 (Xen's hole, its read-only table,
 * its private part). Read, written and jumped to, from the kernel and from a program; a program tries the kernel's too.
 */
#include "workload.h"
#include "../attempt.h"

WORKLOAD(run_probe, "isolation/probe", "One access to a hypervisor's range.", 1, 1, "isolation", "", "");

#ifndef USER_PROGRAM
static void probe_from_kernel(u32 address)
{
	u32 value = 0;
	ATTEMPT("movl (%%ecx), %%eax", value, address);
	bool readable = !outcome.faulted;
	report("kernel read", address, "readable");
	ATTEMPT("movl $0, (%%ecx)", value, address);
	report("kernel write", address, "writable");
	/* Whatever lies in memory that may be read is no code to be tried. */
	if (readable) return;
	ATTEMPT("call *%%ecx", value, address);
	report("kernel jump", address, "returned");
}

static void probe_from_user(u32 address)
{
	try_in_user_mode(TRY_READ, address);
	bool readable = !outcome.faulted;
	report("user read", address, "readable");
	try_in_user_mode(TRY_WRITE, address);
	report("user write", address, "writable");
	if (readable) return;
	try_in_user_mode(TRY_JUMP, address);
	report("user jump", address, "returned");
}

static u32 run_probe(u32 operations)
{
	static const u32 addresses[] = {
		0xf5800000, 0xf5fffffc, 0xf6800000, 0xf6820000, 0xf6821000, 0xffbffffc,
		0xffc00000, 0xffc01000, 0xffe00000, 0xfffff000, 0xfffffffc,
	};
	(void)operations;
	attempts_begin();
	for (u32 i = 0; i < COUNT(addresses); i++) {
		probe_from_kernel(addresses[i]);
		probe_from_user(addresses[i]);
	}
	probe_from_user((u32)frame_address(0x100));
	return attempts_end();
}
#endif
