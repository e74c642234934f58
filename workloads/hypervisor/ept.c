/* Extended page tables: an identity map in large pages with one table of small ones, and what they refuse (SDM volume 3C, 28.2). */
#include "hypervisor.h"

WORKLOAD(run_ept, "hypervisor/ept", "One access through extended page tables.", 1, 1, "hypervisor", "", "no VMX in a domain");

enum { EPT_READ = 1, EPT_WRITE = 2, EPT_EXECUTE = 4, EPT_ALL = 7, EPT_WRITE_BACK = 6 << 3, EPT_LARGE = 1 << 7 };
#define LARGE (2u << 20)
/* Four levels, write-back. */
#define POINTER_FLAGS (6u | 3u << 3)
enum { ACCESS_READ = 1, ACCESS_WRITE = 2, ACCESS_FETCH = 4, MAY_SHIFT = 3, LINEAR_VALID = 0x180 };

static u64 level4[512] __attribute__((aligned(4096)));
static u64 level3[512] __attribute__((aligned(4096)));
static u64 level2[512] __attribute__((aligned(4096)));
static u64 level1[512] __attribute__((aligned(4096)));
static u32 victim[1024] __attribute__((aligned(4096)));

asm(".text\n.globl ept_read\nept_read:\n\tmovl (%eax), %ecx\n\tvmcall\n"
    ".globl ept_write\nept_write:\n\tmovl %ecx, (%eax)\n\tvmcall\n"
    ".globl ept_fetch\nept_fetch:\n\tjmp *%eax");
extern const char ept_read[], ept_write[], ept_fetch[];

static u64 *victim_entry(void) { return &level1[physical(victim) % LARGE >> PAGE_SHIFT]; }

static void build(void)
{
	level4[0] = physical(level3) | EPT_ALL;
	level3[0] = physical(level2) | EPT_ALL;
	for (u32 i = 0; i < 512; i++) level2[i] = (u64)i * LARGE | EPT_ALL | EPT_WRITE_BACK | EPT_LARGE;
	u64 around = physical(victim) / LARGE;
	for (u32 i = 0; i < 512; i++) level1[i] = (around * LARGE + i * PAGE_SIZE) | EPT_ALL | EPT_WRITE_BACK;
	level2[around] = physical(level1) | EPT_ALL;
}

static void prepare(const char *code)
{
	u32 cr3;
	asm volatile("movl %%cr3, %0" : "=r"(cr3));
	guest_prepare(code, 0, 0, SECOND_EPT);
	vmwrite(EPT_POINTER, (u32)physical(level4) | POINTER_FLAGS);
	const u32 *roots = (const u32 *)(cr3 + KERNEL_BASE);
	for (u32 i = 0; i < 8; i++) vmwrite(GUEST_PDPTE0 + i / 2 * 2 + i % 2, roots[i]);
	guest_registers.eax = (u32)victim;
	guest_registers.ecx = 0x0f0b0f0b; /* UD2 twice, if it is run */
}

static void invalidate(void)
{
	struct {
		u64 pointer, reserved;
	} descriptor = {physical(level4) | POINTER_FLAGS, 0};
	expect("invept", "outcome", VMX("invept %2, %3", "m"(descriptor), "r"(1)), VM_SUCCEED);
}

static void violation(const char *name, const char *code, u32 rights, u32 access)
{
	u64 *entry = victim_entry(), whole = *entry;
	*entry = rights ? (whole & ~(u64)EPT_ALL) | rights : 0;
	prepare(code);
	invalidate();
	expect(name, "entry", guest_enter(), VM_SUCCEED);
	expect(name, "reason", field(EXIT_REASON), REASON_EPT_VIOLATION);
	expect(name, "qualification", field(EXIT_QUALIFICATION), access | rights << MAY_SHIFT | LINEAR_VALID);
	expect(name, "guest-physical address", field(GUEST_PHYSICAL), (u32)physical(victim));
	expect(name, "linear address", field(EXIT_LINEAR), (u32)victim);
	expect(name, "EIP", field(GUEST_EIP), access == ACCESS_FETCH ? (u32)victim : (u32)code);
	*entry = whole;
	invalidate();
	if (access == ACCESS_FETCH) return;
	guest_enter();
	expect(name, "reason once mapped", field(EXIT_REASON), REASON_VMCALL);
}

static u32 run_ept(u32 operations)
{
	(void)operations;
	if (!vmx_available() || !has_secondary(SECOND_EPT)) return skip("this processor has no EPT");
	expectations_begin();
	vmx_on();
	build();
	victim[0] = 0xcafe;
	prepare(ept_read);
	guest_enter();
	expect("read", "reason", field(EXIT_REASON), REASON_VMCALL);
	expect("read", "value", guest_registers.ecx, 0xcafe);
	violation("read of what is not mapped", ept_read, 0, ACCESS_READ);
	violation("write of what is not mapped", ept_write, 0, ACCESS_WRITE);
	violation("fetch of what is not mapped", ept_fetch, 0, ACCESS_FETCH);
	violation("write of what is read-only", ept_write, EPT_READ | EPT_EXECUTE, ACCESS_WRITE);
	violation("fetch of what is not executable", ept_fetch, EPT_READ | EPT_WRITE, ACCESS_FETCH);
	expect("write", "value", victim[0], 0x0f0b0f0b);

	u64 *entry = victim_entry(), whole = *entry;
	*entry = whole & ~(u64)EPT_READ; /* writable, not readable */
	prepare(ept_read);
	invalidate();
	guest_enter();
	expect("writable but not readable", "reason", field(EXIT_REASON), REASON_EPT_MISCONFIGURATION);
	expect("writable but not readable", "guest-physical address", field(GUEST_PHYSICAL), (u32)physical(victim));
	*entry = whole;
	vmx_off();
	return expectations_end();
}
