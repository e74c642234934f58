/* The seam, native side: the kernel owns the machine, and each operation is the instruction that does it. */
#pragma once

#define ARCH_PARAVIRT 0

/* Selectors. SYSENTER and SYSEXIT fix the order of the first four. */
#define KERNEL_CODE 0x08u
#define KERNEL_DATA 0x10u
#define USER_CODE 0x1bu
#define USER_DATA 0x23u
#define TASK_STATE 0x28u
#define LOCAL_TABLE 0x30u
/* A data selector from the LDT that arch_local_table() loads. */
#define LOCAL_DATA 0x07u

/* Interrupts. */
static inline void arch_irq_disable(void) { asm volatile("cli" : : : "memory"); }
static inline void arch_irq_enable(void) { asm volatile("sti" : : : "memory"); }
/* Inverts the interrupt flag the way a critical section's end restores it. */
static inline void arch_irq_flip(void)
{
	asm volatile("pushfl\n\txorl $0x200, (%%esp)\n\tpopfl" : : : "memory", "cc");
}
/* Waits for an interrupt with interrupts enabled; they are enabled on return. */
static inline void arch_wait(void) { asm volatile("sti\n\thlt" : : : "memory"); }
bool arch_interrupt(u32 vector); /* false: nobody's */
u32 arch_fault_address(void);

/* Ports. */
static inline u32 arch_in8(u32 port)
{
	u8 value;
	asm volatile("inb %w1, %0" : "=a"(value) : "d"(port));
	return value;
}
static inline void arch_out8(u32 port, u32 value) { asm volatile("outb %b0, %w1" : : "a"(value), "d"(port)); }

/* Page tables. An entry holds a frame's number as the processor's tables need it. */
static inline pte_t arch_make_entry(u32 frame, u32 flags) { return (pte_t)frame << PAGE_SHIFT | flags; }
static inline u32 arch_entry_frame(pte_t entry) { return (u32)(entry >> PAGE_SHIFT); }
/*
 * Changes one entry of a sealed space, of which `address` is the page. The high half is written only when it changes:
 * a second store to a traced page table would be a second trap, and no kernel that cares does it.
 */
static inline void arch_set_entry(u32 address, pte_t *entry, pte_t value)
{
	volatile u32 *half = (volatile u32 *)entry;
	(void)address;
	if (half[1] != (u32)(value >> 32)) {
		half[0] = 0;
		half[1] = (u32)(value >> 32);
	}
	half[0] = (u32)value;
}
/* Between these, entries may change late; after the flush they have. Natively there is nothing to gather. */
static inline void arch_batch_begin(void) {}
static inline void arch_batch_flush(void) {}
/* One operation of nano/ptemod. */
static inline void arch_modify_entry(u32 way, u32 address, pte_t *entry, pte_t value, bool both)
{
	volatile u32 *half = (volatile u32 *)entry;
	(void)way;
	(void)address;
	if (both) half[1] = (u32)(value >> 32);
	half[0] = (u32)value;
}
static inline void arch_modify_flush(u32 way) { (void)way; }

static inline void arch_invalidate_page(u32 address) { asm volatile("invlpg (%0)" : : "r"(address) : "memory"); }
static inline void arch_space_load(u32 root) { asm volatile("movl %0, %%cr3" : : "r"(root << PAGE_SHIFT) : "memory"); }
/* Loads the root that is loaded: flushes what is not global. */
static inline void arch_flush(void)
{
	u32 root;
	asm volatile("movl %%cr3, %0\n\tmovl %0, %%cr3" : "=r"(root) : : "memory");
}
void arch_space_load_kernel(void);
void arch_space_init(pte_t *root);
static inline void arch_space_seal(u32 root) { (void)root; }
static inline void arch_space_unseal(u32 root) { (void)root; }
static inline void arch_space_clean(pte_t *root) { (void)root; }

/* Descriptors and the stack for a change of rings. */
void arch_set_kernel_stack(u32 top);
/* Loads a one-entry LDT: LOCAL_DATA is a flat data segment. arch_local_table_drop() unloads it. */
void arch_local_table(void);
void arch_local_table_drop(void);
/* Sets up SYSENTER; false if the processor has none. */
bool arch_sysenter(void);

/* Whether enter_user goes by a hypercall; natively there is only IRET. */
static inline void arch_iret_by_hypercall(bool yes) { (void)yes; }

/* Devices. */
void arch_timer_start(u32 hertz);
void arch_timer_stop(void);
void arch_console_write(const char *text, u32 size);
const char *arch_command_line(void);
void arch_exit(u32 status) NORETURN;

/* A null call to the hypervisor: finds out whether there is one that answers. */
bool arch_hypercall_present(void);
static inline void arch_hypercall(void)
{
	u32 number = 0xffffffffu;
	asm volatile("vmcall" : "+a"(number) : "b"(0), "c"(0), "d"(0) : "memory");
}
