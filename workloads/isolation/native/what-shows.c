/* What a kernel in ring 0 sees of itself through instructions that do not trap: the monitor must show it ring 0. */
#include "workload.h"
#include "../attempt.h"

WORKLOAD(run_what_shows, "isolation/what-shows", "One look at the kernel's own privilege.", 1, 1, "isolation", "", "");

#ifndef USER_PROGRAM
#define LOOK(name, text)                                    \
	do {                                                \
		u32 value = 0;                              \
		ATTEMPT(text, value, USER_DATA);            \
		report_value(name, 0, value);               \
	} while (0)

static u32 run_what_shows(u32 operations)
{
	(void)operations;
	attempts_begin();
	LOOK("mov from cs", "movl %%cs, %%eax");
	LOOK("push cs", "pushl %%cs\n\tpopl %%eax");
	LOOK("mov from ss", "movl %%ss, %%eax");
	LOOK("far call pushes cs", "lcall $0x08, $2f\n\tjmp 3f\n2:\tmovl 4(%%esp), %%eax\n\tlret\n3:");
	LOOK("pushf after cli", "cli\n\tpushfl\n\tsti\n\tpopl %%eax\n\tandl $0x3200, %%eax");
	LOOK("pushf after sti", "pushfl\n\tpopl %%eax\n\tandl $0x3200, %%eax");
	LOOK("popf with IOPL 3 leaves", "pushl $0x3202\n\tpopfl\n\tpushfl\n\tpushl $0x202\n\tpopfl\n\tpopl %%eax\n\tandl $0x3200, %%eax");
	LOOK("sldt", "sldt %%eax");
	LOOK("str", "str %%eax");
	LOOK("smsw, low half", "smsw %%eax\n\tandl $0xffff, %%eax");
	LOOK("limit by sgdt", "subl $8, %%esp\n\tsgdt (%%esp)\n\tmovzwl (%%esp), %%eax");
	LOOK("base by sgdt is the kernel's", "subl $8, %%esp\n\tsgdt (%%esp)\n\tmovl 2(%%esp), %%eax\n\tshrl $28, %%eax");
	LOOK("limit by sidt", "subl $8, %%esp\n\tsidt (%%esp)\n\tmovzwl (%%esp), %%eax");
	LOOK("base by sidt is the kernel's", "subl $8, %%esp\n\tsidt (%%esp)\n\tmovl 2(%%esp), %%eax\n\tshrl $28, %%eax");
	LOOK("lsl of user data", "lsl %%ecx, %%eax");
	LOOK("lar of user data", "larl %%ecx, %%eax");
	LOOK("lar of kernel code", "movl $0x08, %%ecx\n\tlarl %%ecx, %%eax");
	LOOK("lar of the task state", "movl $0x28, %%ecx\n\tlarl %%ecx, %%eax");
	LOOK("verw of kernel code", "movl $0x08, %%ecx\n\tverw %%cx\n\tsetz %%al\n\tmovzbl %%al, %%eax");
	LOOK("paging bits of cr0", "movl %%cr0, %%eax\n\tandl $0x80010001, %%eax");
	LOOK("paging bits of cr4", "movl %%cr4, %%eax\n\tandl $0x000000a0, %%eax");
	LOOK("cr3 is the kernel's", "movl %%cr3, %%eax\n\tshrl $24, %%eax");
	return attempts_end();
}
#endif
