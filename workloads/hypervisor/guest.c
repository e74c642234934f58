/* A VMCS whose guest has the host's page tables and descriptors, interrupt gates of its own, and starts where it is told. */
#include "hypervisor.h"

#define CODE_RIGHTS 0xc09bu
#define DATA_RIGHTS 0xc093u
#define USER_DATA_RIGHTS 0xc0f3u
#define TSS_RIGHTS 0x8bu
#define UNUSABLE 0x10000u
#define GATES 0x81
#define GATE_STUB 16
#define STACK_WORDS 512

struct registers guest_registers;
struct arrival arrival;
static u32 guest_stack[STACK_WORDS];
static u64 guest_gates[GATES] __attribute__((aligned(8)));
static bool launched;

/*
 * u32 guest_switch(bool resume): both ways of the world switch. The processor saves and loads what the VMCS has; the general
 * registers are left to software.
 */
asm(".text\n.globl guest_switch\nguest_switch:\n\t"
    "pushl %ebp\n\tpushl %ebx\n\tpushl %esi\n\tpushl %edi\n\t"
    "movl 20(%esp), %eax\n\t"
    "movl $0x6c14, %edx\n\tvmwrite %esp, %edx\n\t" /* HOST_ESP */
    "testl %eax, %eax\n\t"
    "movl guest_registers, %eax\n\tmovl guest_registers+4, %ecx\n\tmovl guest_registers+8, %edx\n\t"
    "movl guest_registers+12, %ebx\n\tmovl guest_registers+16, %esi\n\tmovl guest_registers+20, %edi\n\t"
    "movl guest_registers+24, %ebp\n\t"
    "jnz 1f\n\tvmlaunch\n\tjmp 2f\n1:\tvmresume\n"
    "2:\tmovl $1, %eax\n\tjc 3f\n\tmovl $2, %eax\n\tjmp 3f\n"
    ".globl guest_exit\nguest_exit:\n\t"
    "movl %eax, guest_registers\n\tmovl %ecx, guest_registers+4\n\tmovl %edx, guest_registers+8\n\t"
    "movl %ebx, guest_registers+12\n\tmovl %esi, guest_registers+16\n\tmovl %edi, guest_registers+20\n\t"
    "movl %ebp, guest_registers+24\n\t"
    "xorl %eax, %eax\n"
    "3:\tpopl %edi\n\tpopl %esi\n\tpopl %ebx\n\tpopl %ebp\n\tret");
u32 guest_switch(bool resume);
extern const char guest_exit[];

/* The guest's handlers note what came and end in VMCALL; IRET if the hypervisor passes over it. */
asm(".text\n.balign 16\nguest_handlers:\n\tvector = 0\n\t.rept 129\n\t.balign 16\n\t"
    ".if (vector != 8) && ((vector < 10) || (vector > 14)) && (vector != 17)\n\tpushl $0\n\t.endif\n\t"
    "pushl $vector\n\tjmp guest_arrival\n\tvector = vector + 1\n\t.endr\n"
    "guest_arrival:\n\tpopl arrival\n\tpopl arrival+4\n\tpushl (%esp)\n\tpopl arrival+8\n\tvmcall\n\tiret");
extern const char guest_handlers[];

struct table_register {
	u16 limit;
	u32 base;
} __attribute__((packed));

static void set_segment(u32 index, u32 selector, u32 base, u32 limit, u32 rights)
{
	vmwrite(GUEST_SELECTORS + 2 * index, selector);
	vmwrite(GUEST_BASES + 2 * index, base);
	vmwrite(GUEST_LIMITS + 2 * index, limit);
	vmwrite(GUEST_RIGHTS + 2 * index, rights);
}

static u32 base_of(const u64 *descriptors, u32 selector)
{
	u64 descriptor = descriptors[selector >> 3];
	return (u32)(descriptor >> 16 & 0xffffff) | (u32)(descriptor >> 32 & 0xff000000u);
}

static void set_tables(void)
{
	struct table_register gdtr, idtr;
	u16 task;
	asm volatile("sgdt %0\n\tsidt %1\n\tstr %2" : "=m"(gdtr), "=m"(idtr), "=r"(task));
	u32 task_base = base_of((const u64 *)gdtr.base, task);
	for (u32 i = 0; i < GATES; i++) {
		u32 handler = (u32)guest_handlers + i * GATE_STUB;
		guest_gates[i] = (u64)(handler & 0xffff0000u) << 32 | 0x8e0000000000ull | KERNEL_CODE << 16 | (handler & 0xffffu);
	}
	set_segment(0, USER_DATA, 0, ~0u, USER_DATA_RIGHTS);
	set_segment(1, KERNEL_CODE, 0, ~0u, CODE_RIGHTS);
	set_segment(2, KERNEL_DATA, 0, ~0u, DATA_RIGHTS);
	set_segment(3, USER_DATA, 0, ~0u, USER_DATA_RIGHTS);
	set_segment(4, 0, 0, 0, UNUSABLE);
	set_segment(5, 0, 0, 0, UNUSABLE);
	set_segment(6, 0, 0, 0, UNUSABLE);
	set_segment(7, task, task_base, 103, TSS_RIGHTS);
	vmwrite(GUEST_GDTR_BASE, gdtr.base);
	vmwrite(GUEST_GDTR_LIMIT, gdtr.limit);
	vmwrite(GUEST_IDTR_BASE, (u32)guest_gates);
	vmwrite(GUEST_IDTR_LIMIT, sizeof(guest_gates) - 1);
	/* The host's data segments may have no RPL but 0. */
	static const u16 host[] = {KERNEL_DATA, KERNEL_CODE, KERNEL_DATA, KERNEL_DATA, 0, 0};
	for (u32 i = 0; i < COUNT(host); i++) vmwrite(HOST_SELECTORS + 2 * i, host[i]);
	vmwrite(HOST_TR, task);
	vmwrite(HOST_TR_BASE, task_base);
	vmwrite(HOST_GDTR_BASE, gdtr.base);
	vmwrite(HOST_IDTR_BASE, idtr.base);
}

void guest_prepare(const char *code, u32 pin, u32 processor, u32 secondary)
{
	u32 cr0, cr3, cr4;
	vmcs_fresh();
	launched = false;
	asm volatile("movl %%cr0, %0\n\tmovl %%cr3, %1\n\tmovl %%cr4, %2" : "=r"(cr0), "=r"(cr3), "=r"(cr4));
	vmwrite(PIN_CONTROLS, allowed(0x481, pin));
	vmwrite(PROCESSOR_CONTROLS, allowed(0x482, processor | (secondary ? PROC_SECONDARY : 0)));
	if (secondary) vmwrite(SECONDARY_CONTROLS, allowed(0x48b, secondary));
	vmwrite(EXIT_CONTROLS, allowed(0x483, 0));
	vmwrite(ENTRY_CONTROLS, allowed(0x484, 0));
	vmwrite(LINK_POINTER, ~0u);
	vmwrite(LINK_POINTER + 1, ~0u);
	set_tables();
	vmwrite(GUEST_CR0, cr0);
	vmwrite(GUEST_CR3, cr3);
	vmwrite(GUEST_CR4, cr4);
	vmwrite(GUEST_DR7, 0x400);
	vmwrite(GUEST_ESP, (u32)(guest_stack + STACK_WORDS));
	vmwrite(GUEST_EIP, (u32)code);
	vmwrite(GUEST_EFLAGS, 2);
	vmwrite(HOST_CR0, cr0);
	vmwrite(HOST_CR3, cr3);
	vmwrite(HOST_CR4, cr4);
	vmwrite(HOST_EIP, (u32)guest_exit);
	memset(&guest_registers, 0, sizeof(guest_registers));
	memset(&arrival, 0xff, sizeof(arrival));
}

enum vmx_outcome guest_enter(void)
{
	u32 outcome = guest_switch(launched);
	/* The exit loads ring 0's data segments; the kernel runs with ring 3's. */
	asm volatile("movl %0, %%ds\n\tmovl %0, %%es" : : "r"(USER_DATA) : "memory");
	if (outcome == VM_SUCCEED && !(field(EXIT_REASON) & ENTRY_FAILED)) launched = true;
	return outcome;
}
