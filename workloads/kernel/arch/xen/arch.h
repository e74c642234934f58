/* The seam, Xen side: the kernel runs in ring 1, and what is privileged is a hypercall or a word in shared memory. */
#pragma once
#include "xen-abi.h"

#define ARCH_PARAVIRT 1

#define KERNEL_CODE ((u32)XEN_KERNEL_CODE)
#define KERNEL_DATA ((u32)XEN_KERNEL_DATA)
#define USER_CODE ((u32)XEN_USER_CODE)
#define USER_DATA ((u32)XEN_USER_DATA)
#define LOCAL_DATA 0x07u

/* Mapped at boot over a page of the kernel's own. */
extern volatile struct xen_shared_info shared_info;

/* Interrupts are events; the mask byte is the interrupt flag. */
static inline void arch_irq_disable(void)
{
	shared_info.vcpu[0].upcall_mask = 1;
	COMPILER_BARRIER();
}
/* An event that became pending while they were masked is not delivered by itself: any hypercall delivers it. */
static inline void arch_take_pending(void)
{
	if (shared_info.vcpu[0].upcall_pending) HYPERCALL2(xen_version, VERSION_VERSION, 0);
}
static inline void arch_irq_enable(void)
{
	COMPILER_BARRIER();
	shared_info.vcpu[0].upcall_mask = 0;
	COMPILER_BARRIER();
	arch_take_pending();
}
static inline void arch_irq_flip(void)
{
	u8 mask = shared_info.vcpu[0].upcall_mask ^ 1;
	COMPILER_BARRIER();
	shared_info.vcpu[0].upcall_mask = mask;
	COMPILER_BARRIER();
	if (!mask) arch_take_pending();
}
static inline void arch_wait(void) { HYPERCALL2(sched_op, SCHED_BLOCK, 0); }
bool arch_interrupt(u32 vector);
static inline u32 arch_fault_address(void) { return shared_info.vcpu[0].cr2; }

/* Ports: the instructions, which the hypervisor emulates. */
static inline u32 arch_in8(u32 port)
{
	u8 value;
	asm volatile("inb %w1, %0" : "=a"(value) : "d"(port));
	return value;
}
static inline void arch_out8(u32 port, u32 value) { asm volatile("outb %b0, %w1" : : "a"(value), "d"(port)); }

/* Page tables hold machine frames. */
extern const u32 *machine_frames; /* by pseudo-physical frame */
extern u32 domain_frames;        /* how many there are; the kernel may use fewer */
extern u32 shared_info_frame;    /* machine frame; not in that list, but the domain's */
static inline pte_t arch_make_entry(u32 frame, u32 flags) { return (pte_t)machine_frames[frame] << PAGE_SHIFT | flags; }
static inline u32 arch_entry_frame(pte_t entry) { return MACHINE_TO_PHYSICAL[(u32)(entry >> PAGE_SHIFT)]; }
/* Machine address of something in the kernel's map of memory. */
static inline u64 machine_address(const void *address)
{
	return (u64)machine_frames[((u32)address - KERNEL_BASE) >> PAGE_SHIFT] << PAGE_SHIFT | ((u32)address & (PAGE_SIZE - 1));
}
void arch_set_entry(u32 address, pte_t *entry, pte_t value);
void arch_batch_begin(void);
void arch_batch_flush(void);
/* One operation of nano/ptemod; `way` is its parameter `via`. */
void arch_modify_entry(u32 way, u32 address, pte_t *entry, pte_t value, bool both);
void arch_modify_flush(u32 way);

void mmuext(u32 command, u32 argument1, u32 argument2);
static inline void arch_invalidate_page(u32 address) { mmuext(MMUEXT_INVLPG_LOCAL, address, 0); }
static inline void arch_space_load(u32 root) { mmuext(MMUEXT_NEW_BASEPTR, machine_frames[root], 0); }
static inline void arch_flush(void) { mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0); }
void arch_space_load_kernel(void);
void arch_space_init(pte_t *root);
void arch_space_seal(u32 root);
void arch_space_unseal(u32 root);
void arch_space_clean(pte_t *root);

extern u32 trap_stack; /* the one set */
void arch_set_kernel_stack(u32 top);
void arch_local_table(void);
void arch_local_table_drop(void);
/* SYSENTER leads to ring 0 only: a kernel in ring 1 has none. */
static inline bool arch_sysenter(void) { return false; }
extern u32 iret_by_hypercall;
static inline void arch_iret_by_hypercall(bool yes) { iret_by_hypercall = yes; }

void arch_timer_start(u32 hertz);
void arch_timer_stop(void);
void arch_console_write(const char *text, u32 size);
const char *arch_command_line(void);
void arch_exit(u32 status) NORETURN;

static inline bool arch_hypercall_present(void) { return true; }
static inline void arch_hypercall(void) { HYPERCALL2(xen_version, VERSION_VERSION, 0); }
