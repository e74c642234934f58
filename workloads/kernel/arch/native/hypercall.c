/* Whether a hypervisor answers VMCALL: its CPUID bit says there is one, and the instruction does not raise #UD. */
#include "kernel.h"

#define FEATURE_HYPERVISOR (1u << 31)
#define VMCALL_SIZE 3

static bool refused;

static bool note_refusal(struct trap_frame *frame)
{
	refused = true;
	frame->eip += VMCALL_SIZE;
	return true;
}

bool arch_hypercall_present(void)
{
	u32 a = 1, b, c, d;
	asm volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
	if (!(c & FEATURE_HYPERVISOR)) return false;
	refused = false;
	trap_hooks[VECTOR_UNDEFINED] = note_refusal;
	arch_hypercall();
	trap_hooks[VECTOR_UNDEFINED] = NULL;
	return !refused;
}
