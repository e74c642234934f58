/* A program tries what belongs to the kernel: privileged instructions, gates, inner segments, forged frames. */
#include "workload.h"
#include "../attempt.h"

WORKLOAD(run_user_mode, "isolation/user-mode", "One thing that a program must not be able to do.", 1, 1, "isolation", "", "");

#ifndef USER_PROGRAM
static const char *const names[USER_ATTEMPTS] = {
	[TRY_CLI] = "user cli", [TRY_STI] = "user sti", [TRY_HLT] = "user hlt", [TRY_IN] = "user in", [TRY_OUT] = "user out",
	[TRY_LGDT] = "user lgdt", [TRY_LIDT] = "user lidt", [TRY_LTR] = "user ltr", [TRY_LLDT] = "user lldt",
	[TRY_CLTS] = "user clts", [TRY_READ_CR0] = "user mov from cr0", [TRY_WRITE_CR3] = "user mov to cr3",
	[TRY_INVLPG] = "user invlpg", [TRY_RDMSR] = "user rdmsr", [TRY_WRMSR] = "user wrmsr", [TRY_WBINVD] = "user wbinvd",
	[TRY_INT_20] = "user int 0x20", [TRY_INT_81] = "user int 0x81", [TRY_INT_82] = "user int 0x82",
	[TRY_SYSEXIT] = "user sysexit",
};

static void try_selectors(u32 selector)
{
	try_in_user_mode(TRY_LOAD_DS, selector);
	report("user mov to ds", selector, "loaded");
	try_in_user_mode(TRY_LOAD_SS, selector);
	report("user mov to ss", selector, "loaded");
	try_in_user_mode(TRY_FAR_CALL, selector);
	report("user far call", selector, "returned");
	try_in_user_mode(TRY_IRET, selector);
	report("user iret to", selector, "returned");
}

static u32 run_user_mode(u32 operations)
{
	(void)operations;
	attempts_begin();
	for (u32 attempt = 0; attempt < USER_ATTEMPTS; attempt++) {
		if (!names[attempt]) continue;
		try_in_user_mode(attempt, 0);
		report(names[attempt], 0, "done");
	}
	try_selectors(KERNEL_CODE);
	try_selectors(KERNEL_DATA);
	/* Xen's own code segment; natively beyond the table. */
	try_selectors(0xe008);
	u32 flags = try_in_user_mode(TRY_POPF, 0);
	report_value("user popf with IOPL 3 and IF 0 leaves", 0, flags);
	return attempts_end();
}
#endif
