/*
 * Instructions that leave a guest: each alone, with the controls that it needs, and then passed over. Reason, qualification
 * and length are those of SDM volume 3C, 25.1 and 27.2.
 */
#include "hypervisor.h"

WORKLOAD(run_exits, "hypervisor/exits", "One instruction that leaves the guest.", 1, 1, "hypervisor", "", "no VMX in a domain");

/* A guest: one instruction, then the hypercall that says it has been passed. */
#define GUEST(name, instruction)                                                                        \
	asm(".text\n.globl exit_" #name "\nexit_" #name ":\n\t" instruction "\n\tvmcall\n\tud2");       \
	extern const char exit_##name[]

GUEST(vmcall, "");
GUEST(cpuid, "cpuid");
GUEST(hlt, "hlt");
GUEST(invd, "invd");
GUEST(wbinvd, "wbinvd");
GUEST(invlpg, "invlpg (%eax)");
GUEST(rdpmc, "rdpmc");
GUEST(rdtsc, "rdtsc");
GUEST(vmclear, "vmclear (%eax)");
GUEST(vmlaunch, "vmlaunch");
GUEST(vmptrld, "vmptrld (%eax)");
GUEST(vmptrst, "vmptrst (%eax)");
GUEST(vmread, "vmread %eax, %ecx");
GUEST(vmresume, "vmresume");
GUEST(vmwrite, "vmwrite %eax, %ecx");
GUEST(vmxoff, "vmxoff");
GUEST(vmxon, "vmxon (%eax)");
GUEST(invept, "invept (%eax), %ecx");
GUEST(invvpid, "invvpid (%eax), %ecx");
GUEST(to_cr0, "movl %eax, %cr0");
GUEST(to_cr3, "movl %eax, %cr3");
GUEST(to_cr4, "movl %ecx, %cr4");
GUEST(from_cr3, "movl %cr3, %edx");
GUEST(clts, "clts");
GUEST(lmsw, "lmsw %ax");
GUEST(to_dr0, "movl %ebx, %dr0");
GUEST(from_dr7, "movl %dr7, %eax");
GUEST(in_immediate, "inb $0x71, %al");
GUEST(in_dword, "inl %dx, %eax");
GUEST(out_word, "outw %ax, %dx");
GUEST(outs, "outsb");
GUEST(rep_outs, "rep outsl");
GUEST(ins, "insw");
GUEST(rdmsr, "rdmsr");
GUEST(wrmsr, "wrmsr");
GUEST(sgdt, "sgdt (%eax)");
GUEST(sidt, "sidt (%eax)");
GUEST(lgdt, "lgdt (%eax)");
GUEST(lidt, "lidt (%eax)");
GUEST(sldt, "sldt %eax");
GUEST(str, "str %eax");
GUEST(lldt, "lldt %ax");
GUEST(ltr, "ltr %ax");
GUEST(task_jump, "ljmp $0x30, $0");
GUEST(task_call, "lcall $0x30, $0");
GUEST(task_gate, "int $0x50");
GUEST(task_iret, "iret");
GUEST(ud2, "ud2");
GUEST(int3, "int3");
GUEST(into, "into");
GUEST(load, "movl (%eax), %ecx");
GUEST(segment, "movl %eax, %es");
GUEST(wait, "1: jmp 1b");

#define PORT 0x1234u
#define UNMAPPED 0x00001000u

struct exit_case {
	const char *name, *code;
	u32 processor, secondary;
	u32 eax, ecx, edx;
	u32 reason, qualification, length;
};

#define QUALIFY_PORT(port, size, flags) ((u32)(port) << 16 | ((size) - 1) | (flags))
enum { PORT_IN = 8, PORT_STRING = 16, PORT_REPEAT = 32, PORT_IMMEDIATE = 64 };
enum { CR_TO = 0, CR_FROM = 1 << 4, CR_CLTS = 2 << 4, CR_LMSW = 3 << 4 };

static const struct exit_case cases[] = {
	{"cpuid", exit_cpuid, 0, 0, 1, 0, 0, 10, 0, 2},
	{"hlt", exit_hlt, PROC_HLT, 0, 0, 0, 0, 12, 0, 1},
	{"invd", exit_invd, 0, 0, 0, 0, 0, 13, 0, 2},
	{"wbinvd", exit_wbinvd, 0, SECOND_WBINVD, 0, 0, 0, 54, 0, 2},
	{"invlpg", exit_invlpg, PROC_INVLPG, 0, 0x12345678, 0, 0, 14, 0x12345678, 3},
	{"rdpmc", exit_rdpmc, PROC_RDPMC, 0, 0, 0, 0, 15, 0, 2},
	{"rdtsc", exit_rdtsc, PROC_RDTSC, 0, 0, 0, 0, 16, 0, 2},
	{"vmclear", exit_vmclear, 0, 0, 0, 0, 0, 19, 0, 4},
	{"vmlaunch", exit_vmlaunch, 0, 0, 0, 0, 0, 20, 0, 3},
	{"vmptrld", exit_vmptrld, 0, 0, 0, 0, 0, 21, 0, 3},
	{"vmptrst", exit_vmptrst, 0, 0, 0, 0, 0, 22, 0, 3},
	{"vmread", exit_vmread, 0, 0, 0, 0, 0, 23, 0, 3},
	{"vmresume", exit_vmresume, 0, 0, 0, 0, 0, 24, 0, 3},
	{"vmwrite", exit_vmwrite, 0, 0, 0, 0, 0, 25, 0, 3},
	{"vmxoff", exit_vmxoff, 0, 0, 0, 0, 0, 26, 0, 3},
	{"vmxon", exit_vmxon, 0, 0, 0, 0, 0, 27, 0, 4},
	{"invept", exit_invept, 0, SECOND_EPT, 0, 2, 0, 50, 0, 5},
	{"invvpid", exit_invvpid, 0, SECOND_VPID, 0, 2, 0, 53, 0, 5},
	{"mov to CR3", exit_to_cr3, PROC_LOAD_CR3, 0, 0, 0, 0, REASON_CONTROL_REGISTER, 3 | CR_TO, 3},
	{"mov from CR3", exit_from_cr3, PROC_STORE_CR3, 0, 0, 0, 0, REASON_CONTROL_REGISTER, 3 | CR_FROM | 2 << 8, 3},
	{"mov to DR0", exit_to_dr0, PROC_DEBUG, 0, 0, 0, 0, REASON_DEBUG_REGISTER, 0 | 3 << 8, 3},
	{"mov from DR7", exit_from_dr7, PROC_DEBUG, 0, 0, 0, 0, REASON_DEBUG_REGISTER, 7 | CR_FROM, 3},
	{"in al, 71h", exit_in_immediate, PROC_IO, 0, 0, 0, 0, REASON_PORT, QUALIFY_PORT(0x71, 1, PORT_IN | PORT_IMMEDIATE), 2},
	{"in eax, dx", exit_in_dword, PROC_IO, 0, 0, 0, PORT, REASON_PORT, QUALIFY_PORT(PORT, 4, PORT_IN), 1},
	{"out dx, ax", exit_out_word, PROC_IO, 0, 0, 0, PORT, REASON_PORT, QUALIFY_PORT(PORT, 2, 0), 2},
	{"outsb", exit_outs, PROC_IO, 0, 0, 0, PORT, REASON_PORT, QUALIFY_PORT(PORT, 1, PORT_STRING), 1},
	{"rep outsd", exit_rep_outs, PROC_IO, 0, 0, 2, PORT, REASON_PORT, QUALIFY_PORT(PORT, 4, PORT_STRING | PORT_REPEAT), 2},
	{"insw", exit_ins, PROC_IO, 0, 0, 0, PORT, REASON_PORT, QUALIFY_PORT(PORT, 2, PORT_IN | PORT_STRING), 2},
	{"rdmsr", exit_rdmsr, 0, 0, 0, 0x174, 0, 31, 0, 2},
	{"wrmsr", exit_wrmsr, 0, 0, 0, 0x174, 0, 32, 0, 2},
	{"sgdt", exit_sgdt, 0, SECOND_TABLES, 0, 0, 0, 46, 0, 3},
	{"sidt", exit_sidt, 0, SECOND_TABLES, 0, 0, 0, 46, 0, 3},
	{"lgdt", exit_lgdt, 0, SECOND_TABLES, 0, 0, 0, 46, 0, 3},
	{"lidt", exit_lidt, 0, SECOND_TABLES, 0, 0, 0, 46, 0, 3},
	{"sldt", exit_sldt, 0, SECOND_TABLES, 0, 0, 0, 47, 0, 3},
	{"str", exit_str, 0, SECOND_TABLES, 0, 0, 0, 47, 0, 3},
	{"lldt", exit_lldt, 0, SECOND_TABLES, 0, 0, 0, 47, 0, 3},
	{"ltr", exit_ltr, 0, SECOND_TABLES, 0, 0, 0, 47, 0, 3},
};

static u8 scratch[64] __attribute__((aligned(64)));

/* Enters; checks reason, qualification, length and place of the exit. */
static void expect_exit(const char *name, const char *code, u32 reason, u32 qualification, u32 length)
{
	expect(name, "entry", guest_enter(), VM_SUCCEED);
	expect(name, "reason", field(EXIT_REASON), reason);
	expect(name, "qualification", field(EXIT_QUALIFICATION), qualification);
	expect(name, "EIP", field(GUEST_EIP), (u32)code);
	if (length) expect(name, "length", field(EXIT_LENGTH), length);
}

/* The guest goes on behind the instruction, to its hypercall. */
static void expect_passed(const char *name, const char *code, u32 length)
{
	vmwrite(GUEST_EIP, (u32)code + length);
	expect_exit(name, code + length, REASON_VMCALL, 0, 3);
}

static void instructions(void)
{
	for (u32 i = 0; i < COUNT(cases); i++) {
		const struct exit_case *it = &cases[i];
		if (it->secondary && !has_secondary(it->secondary)) continue;
		/* EPT and VPID need more than their control; the instructions exist without it. */
		guest_prepare(it->code, 0, it->processor, it->secondary & ~(SECOND_EPT | SECOND_VPID));
		guest_registers = (struct registers){.eax = it->eax ? it->eax : (u32)scratch, .ecx = it->ecx, .edx = it->edx,
						     .esi = (u32)scratch, .edi = (u32)scratch};
		expect_exit(it->name, it->code, it->reason, it->qualification, it->length);
		if (it->qualification & PORT_STRING && it->reason == REASON_PORT)
			expect(it->name, "linear address", field(EXIT_LINEAR), (u32)scratch);
		expect_passed(it->name, it->code, it->length);
	}
}

/* Bits that the hypervisor owns, as the guest sees and writes them (SDM volume 3C, 24.6.6 and 25.1.3). */
static void control_masks(void)
{
	u32 cr0, cr3;
	asm volatile("movl %%cr0, %0\n\tmovl %%cr3, %1" : "=r"(cr0), "=r"(cr3));

	guest_prepare(exit_to_cr0, 0, 0, 0);
	vmwrite(CR0_MASK, 0x20);
	vmwrite(CR0_SHADOW, 0x20);
	guest_registers.eax = cr0 & ~0x20u;
	expect_exit("mov to CR0 of an owned bit", exit_to_cr0, REASON_CONTROL_REGISTER, CR_TO, 3);

	guest_prepare(exit_to_cr0, 0, 0, 0);
	vmwrite(CR0_MASK, 0x20);
	vmwrite(CR0_SHADOW, 0x20);
	guest_registers.eax = cr0;
	expect_exit("mov to CR0 as the shadow has it", exit_to_cr0 + 3, REASON_VMCALL, 0, 3);

	guest_prepare(exit_to_cr4, 0, 0, 0);
	vmwrite(CR4_MASK, 0x10);
	guest_registers.ecx = 0x10;
	expect_exit("mov to CR4 of an owned bit", exit_to_cr4, REASON_CONTROL_REGISTER, 4 | CR_TO | 1 << 8, 3);

	guest_prepare(exit_clts, 0, 0, 0);
	vmwrite(CR0_MASK, 8);
	vmwrite(CR0_SHADOW, 8);
	expect_exit("clts of an owned TS", exit_clts, REASON_CONTROL_REGISTER, CR_CLTS, 2);

	guest_prepare(exit_clts, 0, 0, 0);
	vmwrite(CR0_MASK, 8);
	expect_exit("clts of an owned TS that reads 0", exit_clts + 2, REASON_VMCALL, 0, 3);

	guest_prepare(exit_lmsw, 0, 0, 0);
	vmwrite(CR0_MASK, 8);
	guest_registers.eax = 0xb;
	expect_exit("lmsw of an owned TS", exit_lmsw, REASON_CONTROL_REGISTER, CR_LMSW | 0xb << 16, 3);

	guest_prepare(exit_to_cr3, 0, PROC_LOAD_CR3, 0);
	vmwrite(CR3_TARGET_COUNT, 1);
	vmwrite(CR3_TARGET0, cr3);
	guest_registers.eax = cr3;
	expect_exit("mov to CR3 of a target value", exit_to_cr3 + 3, REASON_VMCALL, 0, 3);
}

static u8 bitmap_a[PAGE_SIZE] __attribute__((aligned(4096)));
static u8 bitmap_b[PAGE_SIZE] __attribute__((aligned(4096)));

static void bitmaps(void)
{
	guest_prepare(exit_in_immediate, 0, PROC_IO_BITMAPS, 0);
	vmwrite(IO_BITMAP_A, (u32)physical(bitmap_a));
	vmwrite(IO_BITMAP_B, (u32)physical(bitmap_b));
	expect_exit("in of a port whose bit is 0", exit_in_immediate + 2, REASON_VMCALL, 0, 3);
	bitmap_a[0x71 >> 3] = 1 << (0x71 & 7);
	vmwrite(GUEST_EIP, (u32)exit_in_immediate);
	expect_exit("in of a port whose bit is 1", exit_in_immediate, REASON_PORT, QUALIFY_PORT(0x71, 1, PORT_IN | PORT_IMMEDIATE), 2);
	memset(bitmap_a, 0, PAGE_SIZE);

	guest_prepare(exit_rdmsr, 0, PROC_MSR_BITMAPS, 0);
	vmwrite(MSR_BITMAP, (u32)physical(bitmap_a));
	guest_registers.ecx = 0x174;
	expect_exit("rdmsr whose bit is 0", exit_rdmsr + 2, REASON_VMCALL, 0, 3);
	bitmap_a[0x174 >> 3] = 1 << (0x174 & 7);
	vmwrite(GUEST_EIP, (u32)exit_rdmsr);
	guest_registers.ecx = 0x174;
	expect_exit("rdmsr whose bit is 1", exit_rdmsr, 31, 0, 2);
	memset(bitmap_a, 0, PAGE_SIZE);
	vmwrite(GUEST_EIP, (u32)exit_rdmsr);
	guest_registers.ecx = 0x2000;
	expect_exit("rdmsr outside both ranges", exit_rdmsr, 31, 0, 2);
}

/* Exceptions by the bitmap; which ones carry an error code (SDM volume 3C, 24.9.2). */
static void exceptions(void)
{
	u32 cr2;
	guest_prepare(exit_ud2, 0, 0, 0);
	vmwrite(EXCEPTION_BITMAP, 1u << VECTOR_UNDEFINED);
	expect_exit("#UD", exit_ud2, REASON_EXCEPTION, 0, 0);
	expect("#UD", "information", field(EXIT_INFORMATION), INFORMATION(EVENT_HARDWARE, VECTOR_UNDEFINED));

	guest_prepare(exit_ud2, 0, 0, 0);
	guest_enter();
	expect("#UD not intercepted", "reason", field(EXIT_REASON), REASON_VMCALL);
	expect("#UD not intercepted", "vector", arrival.vector, VECTOR_UNDEFINED);
	expect("#UD not intercepted", "EIP pushed", arrival.eip, (u32)exit_ud2);

	guest_prepare(exit_int3, 0, 0, 0);
	vmwrite(EXCEPTION_BITMAP, 1u << 3);
	expect_exit("INT3", exit_int3, REASON_EXCEPTION, 0, 1);
	expect("INT3", "information", field(EXIT_INFORMATION), INFORMATION(EVENT_SOFTWARE_EXCEPTION, 3));

	guest_prepare(exit_into, 0, 0, 0);
	vmwrite(EXCEPTION_BITMAP, 1u << 4);
	vmwrite(GUEST_EFLAGS, 0x802);
	expect_exit("INTO", exit_into, REASON_EXCEPTION, 0, 1);
	expect("INTO", "information", field(EXIT_INFORMATION), INFORMATION(EVENT_SOFTWARE_EXCEPTION, 4));

	guest_prepare(exit_segment, 0, 0, 0);
	vmwrite(EXCEPTION_BITMAP, 1u << VECTOR_PROTECTION);
	guest_registers.eax = 0xfff8;
	expect_exit("#GP", exit_segment, REASON_EXCEPTION, 0, 0);
	expect("#GP", "information", field(EXIT_INFORMATION), INFORMATION(EVENT_HARDWARE, VECTOR_PROTECTION) | INFORMATION_ERROR);
	expect("#GP", "error code", field(EXIT_ERROR), 0xfff8);

	asm volatile("movl %0, %%cr2" : : "r"(0x5a5a5000));
	guest_prepare(exit_load, 0, 0, 0);
	vmwrite(EXCEPTION_BITMAP, 1u << VECTOR_PAGE);
	guest_registers.eax = UNMAPPED;
	expect_exit("#PF", exit_load, REASON_EXCEPTION, UNMAPPED, 0);
	expect("#PF", "information", field(EXIT_INFORMATION), INFORMATION(EVENT_HARDWARE, VECTOR_PAGE) | INFORMATION_ERROR);
	expect("#PF", "error code", field(EXIT_ERROR), 0);
	asm volatile("movl %%cr2, %0" : "=r"(cr2));
	expect("#PF", "CR2", cr2, 0x5a5a5000);

	/* The bit and the match select those that exit: with P = 1 wanted, this one does not. */
	guest_prepare(exit_load, 0, 0, 0);
	vmwrite(EXCEPTION_BITMAP, 1u << VECTOR_PAGE);
	vmwrite(PAGE_FAULT_MASK, 1);
	vmwrite(PAGE_FAULT_MATCH, 1);
	guest_registers.eax = UNMAPPED;
	guest_enter();
	expect("#PF that does not match", "reason", field(EXIT_REASON), REASON_VMCALL);
	expect("#PF that does not match", "vector", arrival.vector, VECTOR_PAGE);
	asm volatile("movl %%cr2, %0" : "=r"(cr2));
	expect("#PF that does not match", "CR2", cr2, UNMAPPED);

	guest_prepare(exit_ud2, 0, 0, 0);
	vmwrite(GUEST_IDTR_LIMIT, 0);
	guest_enter();
	expect("triple fault", "reason", field(EXIT_REASON), REASON_TRIPLE_FAULT);
}

struct table_register {
	u16 limit;
	u32 base;
} __attribute__((packed));

/* Task switches leave the guest before they begin (SDM volume 3C, 25.4.2). The LDT's place in the GDT serves as a second TSS. */
static void task_switches(void)
{
	static u32 other_task[26];
	static u64 gates[0x51] __attribute__((aligned(8)));
	struct table_register gdtr;
	asm volatile("sgdt %0" : "=m"(gdtr));
	u64 *slot = (u64 *)gdtr.base + (LOCAL_TABLE >> 3), saved = *slot;
	u32 base = (u32)other_task;
	*slot = (u64)(base & 0xff000000u) << 32 | 0x890000000000ull | (u64)(base & 0xffffffu) << 16 | 103;

	guest_prepare(exit_task_jump, 0, 0, 0);
	expect_exit("jmp to a TSS", exit_task_jump, REASON_TASK_SWITCH, LOCAL_TABLE | 2u << 30, 7);
	guest_prepare(exit_task_call, 0, 0, 0);
	expect_exit("call of a TSS", exit_task_call, REASON_TASK_SWITCH, LOCAL_TABLE, 7);

	gates[0x50] = 0x850000000000ull | LOCAL_TABLE << 16;
	guest_prepare(exit_task_gate, 0, 0, 0);
	vmwrite(GUEST_IDTR_BASE, (u32)gates);
	expect_exit("int through a task gate", exit_task_gate, REASON_TASK_SWITCH, LOCAL_TABLE | 3u << 30, 2);
	expect("int through a task gate", "vectoring", field(VECTORING_INFORMATION), INFORMATION(EVENT_SOFTWARE, 0x50));

	u16 task;
	asm volatile("str %0" : "=r"(task));
	u64 descriptor = ((u64 *)gdtr.base)[task >> 3];
	u16 *link = (u16 *)((u32)(descriptor >> 16 & 0xffffff) | (u32)(descriptor >> 32 & 0xff000000u));
	*link = LOCAL_TABLE;
	*slot |= 0x020000000000ull; /* busy, as a task that is returned to must be */
	guest_prepare(exit_task_iret, 0, 0, 0);
	vmwrite(GUEST_EFLAGS, 0x4002); /* NT */
	expect_exit("iret of a nested task", exit_task_iret, REASON_TASK_SWITCH, LOCAL_TABLE | 1u << 30, 1);
	*link = 0;
	*slot = saved;
}

/* The host's interrupts while a guest runs, and the guest's readiness for its own (SDM volume 3C, 25.2 and 25.7.5). */
static void interrupts(void)
{
	u32 before = timer_ticks;
	arch_irq_disable();
	arch_timer_start(1000);
	guest_prepare(exit_wait, PIN_INTERRUPT, 0, 0);
	expect_exit("external interrupt", exit_wait, REASON_INTERRUPT, 0, 0);
	expect("external interrupt", "information", field(EXIT_INFORMATION) & INFORMATION_VALID, 0);
	expect("external interrupt", "ticks before the host takes it", timer_ticks, before);
	arch_irq_enable();
	asm volatile("nop");
	arch_irq_disable();
	expect("external interrupt", "ticks after the host has taken it", timer_ticks, before + 1);

	guest_prepare(exit_wait, PIN_INTERRUPT, 0, 0);
	vmwrite(EXIT_CONTROLS, allowed(0x483, EXIT_ACKNOWLEDGE));
	expect_exit("acknowledged interrupt", exit_wait, REASON_INTERRUPT, 0, 0);
	expect("acknowledged interrupt", "information", field(EXIT_INFORMATION), INFORMATION(EVENT_INTERRUPT, VECTOR_IRQ));
	arch_interrupt(VECTOR_IRQ);
	arch_timer_stop();

	guest_prepare(exit_cpuid, 0, PROC_WINDOW, 0);
	expect_exit("interrupt window, closed", exit_cpuid, 10, 0, 2);
	vmwrite(GUEST_EFLAGS, 0x202);
	expect_exit("interrupt window, open", exit_cpuid, REASON_WINDOW, 0, 0);
	vmwrite(GUEST_INTERRUPTIBILITY, 1);
	expect_exit("interrupt window, in the shadow of STI", exit_cpuid, 10, 0, 2);
	arch_irq_enable();
}

static void time_offset(void)
{
	guest_prepare(exit_rdtsc, 0, PROC_OFFSET, 0);
	vmwrite(TSC_OFFSET + 1, 0x1000);
	expect_exit("rdtsc", exit_rdtsc + 2, REASON_VMCALL, 0, 3);
	expect("rdtsc", "offset seen", guest_registers.edx & 0xfffff000u, 0x1000);
}

static u32 run_exits(u32 operations)
{
	(void)operations;
	if (!vmx_available()) return skip("this processor has no VMX");
	expectations_begin();
	vmx_on();
	instructions();
	control_masks();
	bitmaps();
	exceptions();
	task_switches();
	interrupts();
	time_offset();
	vmx_off();
	arch_irq_enable();
	return expectations_end();
}
