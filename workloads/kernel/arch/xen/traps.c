/* The trap table, the callbacks, the stack for traps from ring 3, the LDT. */
#include "kernel.h"
#include "xen.h"

#define STUB_SIZE 16
#define EXCEPTIONS 32
#define VECTOR_NMI 2
#define VECTOR_BREAKPOINT 3
#define VECTOR_OVERFLOW 4
#define FLAT_DATA_RING3 0x00cff3000000ffffull

extern char trap_stubs[], syscall_stub[], event_stub[], failsafe_stub[];

static struct xen_trap_info table[EXCEPTIONS + 2]; /* the last one ends it */
static u64 local_table[PAGE_SIZE / 8] __attribute__((aligned(4096)));

/*
 * Exceptions do not mask events, as natively they come through trap gates; the page fault does, because its address
 * lies in a word that the next one overwrites. int 0x80 must not mask, or the hypervisor would not give it a direct gate.
 */
void traps_init(void)
{
	u32 count = 0;
	for (u32 vector = 0; vector < EXCEPTIONS; vector++) {
		if (vector == VECTOR_NMI) continue;
		u8 flags = vector == VECTOR_PAGE ? TRAP_MASKS_EVENTS : 0;
		if (vector == VECTOR_BREAKPOINT || vector == VECTOR_OVERFLOW) flags = TRAP_DPL3;
		table[count++] = (struct xen_trap_info){(u8)vector, flags, XEN_KERNEL_CODE, (u32)trap_stubs + vector * STUB_SIZE};
	}
	table[count] = (struct xen_trap_info){VECTOR_SYSCALL, TRAP_DPL3, XEN_KERNEL_CODE, (u32)syscall_stub};
	HYPERCALL1(set_trap_table, table);
	HYPERCALL4(set_callbacks, KERNEL_CODE, event_stub, KERNEL_CODE, failsafe_stub);
}

void arch_set_kernel_stack(u32 top) { HYPERCALL2(stack_switch, KERNEL_DATA, top); }

/* A page that holds descriptors must not be writable; it stays so from its first use. */
void arch_local_table(void)
{
	if (!local_table[0]) {
		local_table[0] = FLAT_DATA_RING3;
		pte_t value = arch_make_entry(frame_of(local_table), PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY);
		if (HYPERCALL4(update_va_mapping, local_table, value, value >> 32, UVMF_INVLPG_LOCAL))
			panic("the LDT cannot be made read-only");
	}
	mmuext(MMUEXT_SET_LDT, (u32)local_table, 1);
}

void arch_local_table_drop(void) { mmuext(MMUEXT_SET_LDT, 0, 0); }
