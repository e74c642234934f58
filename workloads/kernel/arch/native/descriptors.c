/* GDT, TSS, IDT, LDT and the SYSENTER registers. */
#include "kernel.h"
#include "native.h"

#define FLAT(access) (0x00cf00000000ffffull | (u64)(access) << 40)
enum { CODE = 0x9b, DATA = 0x93, RING3 = 0x60, TSS_AVAILABLE = 0x89, LDT = 0x82 };
enum { TRAP_GATE = 0x8f, INTERRUPT_GATE = 0x8e };
#define MSR_SYSENTER_CS 0x174u
#define MSR_SYSENTER_ESP 0x175u
#define MSR_SYSENTER_EIP 0x176u
#define VECTORS 0x81
#define STUB_SIZE 16
#define VECTOR_BREAKPOINT 3
#define VECTOR_OVERFLOW 4

struct table_register {
	u16 limit;
	u32 base;
} __attribute__((packed));

/* The processor uses only the ring-0 stack of it; the rest of the 104 bytes, and the I/O map's offset past its end. */
static struct {
	u32 link, esp0, ss0, rest[22];
	u16 trap, io_map;
} task_state __attribute__((aligned(128))) = {.ss0 = KERNEL_DATA, .io_map = 104};

/* A page of its own, as real kernels have it: a VMM that traces stores to descriptors must not trace other data's. */
#define DESCRIPTORS 7
static u64 global_table[4096 / sizeof(u64)] __attribute__((aligned(4096)));
static u64 local_table[1] __attribute__((aligned(8)));
static u64 gates[VECTORS] __attribute__((aligned(64)));
static u32 processor_features;

extern char trap_stubs[], syscall_stub[], sysenter_stub[];

static u64 system_descriptor(u32 base, u32 limit, u32 access)
{
	return (u64)(base & 0xff000000u) << 32 | (u64)access << 40 | (u64)(base & 0xffffffu) << 16 | limit;
}

static void set_gate(u32 vector, const char *handler, u32 access)
{
	u32 address = (u32)handler;
	gates[vector] = (u64)(address & 0xffff0000u) << 32 | (u64)access << 40 | KERNEL_CODE << 16 | (address & 0xffffu);
}

static void load_tables(void)
{
	struct table_register gdtr = {DESCRIPTORS * sizeof(u64) - 1, (u32)global_table};
	struct table_register idtr = {sizeof(gates) - 1, (u32)gates};
	asm volatile("lgdt %0" : : "m"(gdtr), "m"(global_table));
	asm volatile("ljmp %0, $1f\n1:" : : "i"(KERNEL_CODE));
	asm volatile("movl %0, %%ss" : : "r"(KERNEL_DATA));
	asm volatile("movl %0, %%ds\n\tmovl %0, %%es" : : "r"(USER_DATA));
	asm volatile("movl %0, %%fs\n\tmovl %0, %%gs" : : "r"(0));
	asm volatile("lidt %0" : : "m"(idtr), "m"(gates));
	asm volatile("ltr %w0" : : "r"(TASK_STATE));
	asm volatile("lldt %w0" : : "r"(0));
}

void descriptors_init(u32 features)
{
	processor_features = features;
	global_table[KERNEL_CODE / 8] = FLAT(CODE);
	global_table[KERNEL_DATA / 8] = FLAT(DATA);
	global_table[USER_CODE / 8] = FLAT(CODE | RING3);
	global_table[USER_DATA / 8] = FLAT(DATA | RING3);
	global_table[TASK_STATE / 8] = system_descriptor((u32)&task_state, 103, TSS_AVAILABLE);
	global_table[LOCAL_TABLE / 8] = system_descriptor((u32)local_table, sizeof(local_table) - 1, LDT);
	local_table[0] = FLAT(DATA | RING3);
	/* Trap gates leave the interrupt flag alone; the page-fault handler must read CR2 before anything interrupts it. */
	for (u32 vector = 0; vector < VECTOR_IRQ; vector++) set_gate(vector, trap_stubs + vector * STUB_SIZE, TRAP_GATE);
	set_gate(VECTOR_PAGE, trap_stubs + VECTOR_PAGE * STUB_SIZE, INTERRUPT_GATE);
	set_gate(VECTOR_BREAKPOINT, trap_stubs + VECTOR_BREAKPOINT * STUB_SIZE, TRAP_GATE | RING3);
	set_gate(VECTOR_OVERFLOW, trap_stubs + VECTOR_OVERFLOW * STUB_SIZE, TRAP_GATE | RING3);
	for (u32 vector = VECTOR_IRQ; vector < VECTOR_IRQ + 16; vector++)
		set_gate(vector, trap_stubs + vector * STUB_SIZE, INTERRUPT_GATE);
	set_gate(VECTOR_SYSCALL, syscall_stub, TRAP_GATE | RING3);
	load_tables();
}

void arch_set_kernel_stack(u32 top) { task_state.esp0 = top; }

void arch_local_table(void) { asm volatile("lldt %w0" : : "r"(LOCAL_TABLE)); }
void arch_local_table_drop(void) { asm volatile("lldt %w0" : : "r"(0)); }

static void write_msr(u32 number, u32 value) { asm volatile("wrmsr" : : "c"(number), "a"(value), "d"(0)); }

/* The stack register is given the address of the TSS's ESP0, so that it need not be written at each change of stack. */
bool arch_sysenter(void)
{
	if (!(processor_features & FEATURE_SEP)) return false;
	write_msr(MSR_SYSENTER_CS, KERNEL_CODE);
	write_msr(MSR_SYSENTER_ESP, (u32)&task_state.esp0);
	write_msr(MSR_SYSENTER_EIP, (u32)sysenter_stub);
	return true;
}

u32 arch_fault_address(void)
{
	u32 address;
	asm volatile("movl %%cr2, %0" : "=r"(address));
	return address;
}
