/* From the entry to kernel_main, and the small services: console, exit. */
#include "kernel.h"
#include "xen.h"

static const struct xen_start_info *start_information;

const char *arch_command_line(void) { return start_information->command_line; }

void arch_boot(const struct xen_start_info *start_info);

void arch_boot(const struct xen_start_info *start_info)
{
	u32 privilege_level = 1;
	start_information = start_info;
	asm volatile("movl %0, %%ds\n\tmovl %0, %%es" : : "r"(USER_DATA));
	asm volatile("movl %0, %%fs\n\tmovl %0, %%gs" : : "r"(0));
	pages_init(start_info);
	traps_init();
	HYPERCALL2(physdev_op, PHYSDEV_SET_IOPL, &privilege_level);
	HYPERCALL2(vm_assist, VM_ASSIST_ENABLE, VM_ASSIST_WRITABLE_PAGE_TABLES);
	HYPERCALL3(vcpu_op, VCPU_STOP_PERIODIC_TIMER, 0, 0);
	kernel_main();
}

void arch_console_write(const char *text, u32 size) { HYPERCALL3(console_io, CONSOLE_WRITE, size, text); }

void arch_exit(u32 status)
{
	u32 reason = status ? SHUTDOWN_CRASH : SHUTDOWN_POWEROFF;
	for (;;) HYPERCALL2(sched_op, SCHED_SHUTDOWN, &reason);
}
