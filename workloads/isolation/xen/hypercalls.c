/*
 * What a kernel in ring 1 may not have of its hypervisor: writable page tables, shared L2 tables, foreign frames, the
 * hypervisor's slots, descriptors of ring 0, stacks and frames of ring 0, memory of the hypervisor's as argument.
 */
#include "workload.h"
#include "../attempt.h"
#include "xen.h"

WORKLOAD(run_hypercalls, "isolation/hypercalls", "One hypercall that must be refused, or must be made harmless.", 1, 1, "isolation",
	 "", "");
WORKLOAD(run_end, "isolation/ring-0-frame", "An iret hypercall to ring 0, which ends the guest.", 1, 1, "isolation",
	 "really=no:no|yes", "");

#ifndef USER_PROGRAM
#define LIVE (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED | PTE_DIRTY)
#define RING0_CODE 0xe008u
#define RING0_DATA 0xe010u
#define MMUEXT_PIN_L1_TABLE 0
#define MMUEXT_PIN_L2_TABLE 1
#define KERNEL_QUARTER 3
#define HOLE_SLOT ((HYPERVISOR_START - KERNEL_BASE) >> 21)

static void errno_is(const char *what, s32 result) { report_errno(what, (u32)-result); }

static s32 extended(u32 command, u32 argument1, u32 argument2)
{
	struct xen_mmuext_op operation = {command, argument1, argument2};
	return HYPERCALL4(mmuext_op, &operation, 1, 0, DOMID_SELF);
}

static s32 change(const pte_t *entry, pte_t value)
{
	struct xen_mmu_update update = {machine_address(entry), value};
	return HYPERCALL4(mmu_update, &update, 1, 0, DOMID_SELF);
}

static s32 map(u32 address, pte_t value) { return HYPERCALL4(update_va_mapping, address, value, value >> 32, UVMF_INVLPG_LOCAL); }

static pte_t machine_entry(u32 machine_frame, u32 flags) { return (pte_t)machine_frame << PAGE_SHIFT | flags; }

/* The lowest machine frame that is not this domain's. */
static u32 foreign_frame(u32 frames)
{
	for (u32 machine = 1;; machine++) {
		bool own = machine == shared_info_frame;
		for (u32 frame = 0; frame < frames && !own; frame++) own = machine_frames[frame] == machine;
		if (!own) return machine;
	}
}

static void try_page_tables(struct space *space)
{
	pte_t *root = frame_address(space->root), *entries = space_entry(space, USER_ARENA);
	pte_t *directory = frame_address(arch_entry_frame(root[USER_ARENA >> 30]));
	pte_t *top = frame_address(arch_entry_frame(root[KERNEL_QUARTER]));
	u32 value = 0, foreign = foreign_frame(domain_frames);
	errno_is("map the L1 table writable", change(&entries[5], arch_make_entry(frame_of(entries), LIVE)));
	errno_is("map the L2 table writable", change(&entries[5], arch_make_entry(frame_of(directory), LIVE)));
	errno_is("map the L3 table writable", change(&entries[5], arch_make_entry(space->root, LIVE)));
	errno_is("map the L1 table read-only", change(&entries[5], arch_make_entry(frame_of(entries), LIVE & ~PTE_WRITE)));
	arch_space_load(space->root);
	ATTEMPT("movl (%%ecx), %%eax", value, USER_ARENA + 5 * PAGE_SIZE);
	report("read the L1 table there", 0, "readable");
	ATTEMPT("movl %%eax, 4096(%%ecx)", value, (u32)entries - PAGE_SIZE);
	report("store to the L1 table, emulated", 0, "done");
	ATTEMPT("movl %%eax, 4096(%%ecx)", value, (u32)directory - PAGE_SIZE);
	report("store to the L2 table", 0, "done");
	ATTEMPT("movl %%eax, 4096(%%ecx)", value, (u32)root - PAGE_SIZE);
	report("store to the L3 table", 0, "done");
	errno_is("map a foreign frame read-only", change(&entries[6], machine_entry(foreign, LIVE & ~PTE_WRITE)));
	errno_is("map a foreign frame writable", change(&entries[6], machine_entry(foreign, LIVE)));
	errno_is("map a frame beyond the machine", change(&entries[6], machine_entry(0xfffff, LIVE)));
	errno_is("map with a reserved high half", change(&entries[6], arch_make_entry(frame_of(entries), LIVE) | 1ull << 40));
	errno_is("an L2 entry to an L2 table", change(&directory[1], arch_make_entry(frame_of(directory), LIVE)));
	errno_is("an L2 entry to a large page", change(&directory[1], arch_make_entry(0, LIVE | PTE_LARGE)));
	errno_is("an L2 entry in the hypervisor's range", change(&top[HOLE_SLOT], 0));
	errno_is("an L3 entry for the kernel's quarter", change(&root[KERNEL_QUARTER], 0));
	errno_is("update_va_mapping in the hypervisor's range", map(HYPERVISOR_START, 0));
	errno_is("update_va_mapping in the top 4 MB", map(0xffc00000, 0));
	errno_is("update_va_mapping where no table is", map(0x70000000, 0));
	errno_is("mmu_update of a foreign frame", ({
		struct xen_mmu_update update = {(u64)foreign << PAGE_SHIFT, 0};
		HYPERCALL4(mmu_update, &update, 1, 0, DOMID_SELF);
	}));
	errno_is("pin the L1 table as an L2 table", extended(MMUEXT_PIN_L2_TABLE, machine_frames[frame_of(entries)], 0));
	errno_is("pin a foreign frame", extended(MMUEXT_PIN_L1_TABLE, foreign, 0));
	errno_is("pin a frame that is mapped writable", extended(MMUEXT_PIN_L1_TABLE, machine_frames[frame_of(&outcome)], 0));
	errno_is("unpin what is not pinned", extended(MMUEXT_UNPIN_TABLE, machine_frames[frame_of(entries)], 0));
	errno_is("an L1 table as base", extended(MMUEXT_NEW_BASEPTR, machine_frames[frame_of(entries)], 0));
	errno_is("a foreign frame as base", extended(MMUEXT_NEW_BASEPTR, foreign, 0));
}

/* Another root whose kernel quarter is the first one's. */
static void try_sharing(struct space *space)
{
	pte_t *own = frame_address(space->root);
	u32 frame = frame_allocate();
	pte_t *root = frame_address(frame);
	root[KERNEL_QUARTER] = own[KERNEL_QUARTER];
	map((u32)root, arch_make_entry(frame, PTE_PRESENT));
	errno_is("pin an L3 table that shares the kernel's L2 table", extended(MMUEXT_PIN_L3_TABLE, machine_frames[frame], 0));
	map((u32)root, arch_make_entry(frame, PTE_PRESENT | PTE_WRITE));
	root[KERNEL_QUARTER] = 0;
	map((u32)root, arch_make_entry(frame, PTE_PRESENT));
	errno_is("pin an L3 table without a kernel's quarter", extended(MMUEXT_PIN_L3_TABLE, machine_frames[frame], 0));
	map((u32)root, arch_make_entry(frame, PTE_PRESENT | PTE_WRITE));
	frame_free(frame);
}

static s32 set_descriptor(u64 *slot, u64 descriptor)
{
	u64 at = machine_address(slot);
	return HYPERCALL4(update_descriptor, at, at >> 32, descriptor, descriptor >> 32);
}

static void try_descriptors(void)
{
	u32 frame = frame_allocate(), list = machine_frames[frame];
	u64 *table = frame_address(frame);
	errno_is("set_gdt with a table that is mapped writable", HYPERCALL2(set_gdt, &list, 64));
	map((u32)table, arch_make_entry(frame, PTE_PRESENT));
	errno_is("set_gdt with a read-only table", HYPERCALL2(set_gdt, &list, 64));
	errno_is("set_gdt that reaches the hypervisor's entries", HYPERCALL2(set_gdt, &list, 8192));
	errno_is("a code segment of ring 0", set_descriptor(&table[8], 0x00cf9b000000ffffull));
	report_value("is stored with privilege", 0, (u32)(table[8] >> 45) & 3);
	report_value("and with limit", 0, (u32)(table[8] & 0xffff) | (u32)(table[8] >> 32 & 0xf0000));
	errno_is("a data segment that expands down", set_descriptor(&table[9], 0x00cf97000000ffffull));
	errno_is("a data segment based in the hypervisor's range", set_descriptor(&table[9], 0xffcf93c00000ffffull));
	errno_is("a task state", set_descriptor(&table[9], 0x0000890000000067ull));
	errno_is("an LDT", set_descriptor(&table[9], 0x0000820000000007ull));
	errno_is("a call gate into ring 0", set_descriptor(&table[9], 0x0000ec00e0080000ull));
	errno_is("an interrupt gate", set_descriptor(&table[9], 0x0000ee00e0190000ull));
	u32 value = RING0_CODE;
	ATTEMPT("movl %%eax, %%es", value, 0);
	asm volatile("movl %0, %%es" : : "r"(USER_DATA));
	report("mov to es of the hypervisor's code segment", 0, "loaded");
	value = RING0_DATA;
	ATTEMPT("movl %%eax, %%ss", value, 0);
	report("mov to ss of the hypervisor's data segment", 0, "loaded");
	errno_is("set_gdt without frames", HYPERCALL2(set_gdt, 0, 0));
	map((u32)table, arch_make_entry(frame, PTE_PRESENT | PTE_WRITE));
	frame_free(frame);
	errno_is("an LDT in the hypervisor's range", extended(MMUEXT_SET_LDT, 0xf6800000, 1));
	errno_is("an LDT at an odd address", extended(MMUEXT_SET_LDT, (u32)&outcome | 1, 1));
}

static void try_forged_frames(void)
{
	u32 value = 0;
	ATTEMPT("pushl $2\n\tpushl $0xe008\n\tpushl $1f\n\tiret", value, 0);
	report("iret to ring 0", 0, "returned");
	ATTEMPT("pushl $2\n\tpushl $0x08\n\tpushl $1f\n\tiret", value, 0);
	report("iret to a code segment of another", 0, "returned");
	ATTEMPT("pushl $0xe010\n\tpushl $0\n\tpushl $2\n\tpushl $0xe02b\n\tpushl $1f\n\tiret", value, 0);
	report("iret to ring 3 with a ring-0 stack segment", 0, "returned");
	ATTEMPT("lcall $0xe008, $1f", value, 0);
	report("far call to ring 0", 0, "returned");
	ATTEMPT("pushl $0xe008\n\tpushl $1f\n\tlret", value, 0);
	report("far return to ring 0", 0, "returned");
	ATTEMPT("pushl $0x3202\n\tpopfl\n\tpushfl\n\tpopl %%eax\n\tandl $0x3000, %%eax", value, 0);
	report_value("popf with IOPL 3 leaves", 0, value);
	ATTEMPT("int $0x20", value, 0);
	report("int 0x20 from ring 1", 0, "returned");
}

/* Accepted with the privilege of the selector raised to 1, or refused; the own ones are set again before anything uses them. */
static void try_selectors(void)
{
	static const struct xen_trap_info ring0[2] = {{3, 3, RING0_CODE, KERNEL_BASE}};
	static const struct xen_trap_info hypervisor[2] = {{3, 3, XEN_KERNEL_CODE, 0xffc00000}};
	errno_is("stack_switch to a ring-0 stack segment", HYPERCALL2(stack_switch, RING0_DATA, KERNEL_BASE + PAGE_SIZE));
	errno_is("stack_switch into the hypervisor's range", HYPERCALL2(stack_switch, KERNEL_DATA, 0xfffff000));
	errno_is("a trap handler in ring 0", HYPERCALL1(set_trap_table, ring0));
	errno_is("a trap handler in the hypervisor's range", HYPERCALL1(set_trap_table, hypervisor));
	errno_is("callbacks in ring 0", HYPERCALL4(set_callbacks, RING0_CODE, KERNEL_BASE, RING0_CODE, KERNEL_BASE));
	traps_init();
	arch_set_kernel_stack(trap_stack);
}

static void try_pointers(void)
{
	errno_is("set_trap_table from the hypervisor's range", HYPERCALL1(set_trap_table, 0xf6800000));
	errno_is("mmu_update from the hypervisor's range", HYPERCALL4(mmu_update, 0xffc00000, 1, 0, DOMID_SELF));
	errno_is("console_io from the hypervisor's range", HYPERCALL3(console_io, CONSOLE_WRITE, 16, 0xf6800000));
	errno_is("bind_virq into the hypervisor's table", HYPERCALL2(event_channel_op, EVENT_BIND_VIRQ, 0xf5800000));
	errno_is("multicall from an unmapped page", HYPERCALL2(multicall, 0x70000000, 1));
	errno_is("hypercall 63", ({
		s32 result;
		asm volatile("movl $63, %%eax\n\tint $0x82" : "=a"(result) : : "ebx", "ecx", "edx", "esi", "edi", "memory");
		result;
	}));
}

static void try_privileged(void)
{
	u32 value = 0;
#define TRY(name, text)                          \
	ATTEMPT(text, value, &outcome);          \
	report("kernel " name, 0, "done")
	TRY("lgdt", "lgdt (%%ecx)");
	TRY("lidt", "lidt (%%ecx)");
	TRY("ltr", "movl $0x28, %%ecx\n\tltr %%cx");
	TRY("lldt", "xorl %%ecx, %%ecx\n\tlldt %%cx");
	TRY("mov to cr3", "movl %%ecx, %%cr3");
	TRY("wrmsr of SYSENTER_EIP", "movl $0x176, %%ecx\n\twrmsr");
	TRY("sysexit", "movl $1f, %%edx\n\tmovl %%esp, %%ecx\n\tsysexit");
}

static u32 run_hypercalls(u32 operations)
{
	struct space space;
	(void)operations;
	space_create(&space);
	space_map_new(&space, USER_ARENA + PAGE_SIZE, LIVE);
	space_seal(&space);

	attempts_begin();
	try_page_tables(&space);
	try_sharing(&space);
	arch_space_load_kernel();
	try_descriptors();
	try_forged_frames();
	try_pointers();
	try_privileged();
	try_selectors();
	return attempts_end();
}

/* The frame that the iret hypercall takes: EAX (pushed by the stub), EIP, CS, EFLAGS. */
static u32 run_end(u32 operations)
{
	(void)operations;
	if (!parameter_choice("really")) return skip("it ends the guest; really=yes does it");
	marker_begin(REGION_MEASURED);
	asm volatile("pushl $2\n\tpushl $0xe008\n\tpushl $1f\n\tjmp hypercall_page + 32 * 23\n1:" : : : "memory");
	print("iret hypercall to ring 0: returned\n");
	marker_end(REGION_MEASURED, 1, 0);
	return 0;
}
#endif
