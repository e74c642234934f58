/* What the VMX instructions answer when they cannot do what they are asked (SDM volume 3C, chapter 30). */
#include "hypervisor.h"

WORKLOAD(run_errors, "hypervisor/errors", "One VMX instruction that must fail.", 1, 1, "hypervisor", "", "no VMX in a domain");

static enum vmx_outcome pointed(u32 which, u64 address)
{
	switch (which) {
	case 0: return VMX("vmxon %2", "m"(address));
	case 1: return VMX("vmclear %2", "m"(address));
	default: return VMX("vmptrld %2", "m"(address));
	}
}

static void expect_error(const char *what, enum vmx_outcome outcome, u32 error)
{
	expect(what, "outcome", outcome, VM_FAIL_VALID);
	expect(what, "error", field(INSTRUCTION_ERROR), error);
}

static void without_current(void)
{
	u32 value;
	expect("vmread without a current VMCS", "outcome", vmread(GUEST_CR0, &value), VM_FAIL_INVALID);
	expect("vmwrite without a current VMCS", "outcome", vmwrite(GUEST_CR0, 0), VM_FAIL_INVALID);
	expect("vmlaunch without a current VMCS", "outcome", VMX("vmlaunch", "r"(0)), VM_FAIL_INVALID);
	expect("vmresume without a current VMCS", "outcome", VMX("vmresume", "r"(0)), VM_FAIL_INVALID);
	u64 pointer = 0;
	asm volatile("vmptrst %0" : "=m"(pointer) : : "cc");
	expect("vmptrst without a current VMCS", "low half", (u32)pointer, ~0u);
	expect("vmptrst without a current VMCS", "high half", (u32)(pointer >> 32), ~0u);
}

static void with_current(void)
{
	u32 value;
	vmcs_fresh();
	u64 pointer = 0;
	asm volatile("vmptrst %0" : "=m"(pointer) : : "cc");
	expect("vmptrst", "pointer", (u32)pointer, (u32)physical(vmcs_region));
	expect_error("vmcall in root operation", VMX("vmcall", "r"(0)), 1);
	expect_error("vmclear of an unaligned address", pointed(1, physical(vmcs_region) + 8), 2);
	expect_error("vmclear beyond physical memory", pointed(1, 1ull << 52), 2);
	expect_error("vmclear of the VMXON pointer", pointed(1, physical(vmxon_region)), 3);
	expect_error("vmresume of a clear VMCS", VMX("vmresume", "r"(0)), 5);
	expect_error("vmptrld of an unaligned address", pointed(2, physical(vmcs_region) + 8), 9);
	expect_error("vmptrld of the VMXON pointer", pointed(2, physical(vmxon_region)), 10);
	static u8 wrong[PAGE_SIZE] __attribute__((aligned(4096)));
	*(u32 *)wrong = *(u32 *)vmcs_region ^ 1;
	expect_error("vmptrld of another revision", pointed(2, physical(wrong)), 11);
	expect_error("vmread of no field", vmread(0x0fff, &value), 12);
	expect_error("vmwrite of no field", vmwrite(0x0fff, 0), 12);
	expect_error("vmwrite of a read-only field", vmwrite(EXIT_REASON, 0), 13);
	expect_error("vmxon in root operation", pointed(0, physical(vmxon_region)), 15);
}

static void bad_states(void)
{
	extern const char exit_vmcall[];
	guest_prepare(exit_vmcall, 0, 0, 0);
	vmwrite(PIN_CONTROLS, 0); /* some must be 1 */
	expect_error("vmlaunch with reserved pin controls", guest_enter(), 7);
	guest_prepare(exit_vmcall, 0, 0, 0);
	vmwrite(CR3_TARGET_COUNT, 5);
	expect_error("vmlaunch with five CR3 targets", guest_enter(), 7);
	guest_prepare(exit_vmcall, 0, 0, 0);
	vmwrite(HOST_TR, 0);
	expect_error("vmlaunch with a null host TR", guest_enter(), 8);
	guest_prepare(exit_vmcall, 0, 0, 0);
	vmwrite(HOST_SELECTORS + 2, KERNEL_CODE | 3);
	expect_error("vmlaunch with host CS of RPL 3", guest_enter(), 8);
	guest_prepare(exit_vmcall, 0, 0, 0);
	expect("vmlaunch", "outcome", guest_enter(), VM_SUCCEED);
	expect_error("vmlaunch of a launched VMCS", VMX("vmlaunch", "r"(0)), 4);

	/* A guest state that the entry refuses is an exit, not an error (SDM volume 3C, 26.7). */
	guest_prepare(exit_vmcall, 0, 0, 0);
	vmwrite(GUEST_EFLAGS, 0);
	expect("entry with EFLAGS bit 1 clear", "outcome", guest_enter(), VM_SUCCEED);
	expect("entry with EFLAGS bit 1 clear", "reason", field(EXIT_REASON), ENTRY_FAILED | REASON_ENTRY_STATE);
	guest_prepare(exit_vmcall, 0, 0, 0);
	vmwrite(LINK_POINTER, 8);
	vmwrite(LINK_POINTER + 1, 0);
	guest_enter();
	expect("entry with a bad link pointer", "reason", field(EXIT_REASON), ENTRY_FAILED | REASON_ENTRY_STATE);
	expect("entry with a bad link pointer", "qualification", field(EXIT_QUALIFICATION), 4);
	static const u32 area[4] __attribute__((aligned(16))) = {0xc0000100u, 0, 0, 0}; /* IA32_FS_BASE may not be loaded */
	guest_prepare(exit_vmcall, 0, 0, 0);
	vmwrite(ENTRY_MSR_LOAD, (u32)physical(area));
	vmwrite(ENTRY_MSR_LOAD_COUNT, 1);
	guest_enter();
	expect("entry that loads a forbidden MSR", "reason", field(EXIT_REASON), ENTRY_FAILED | REASON_ENTRY_MSR);
	expect("entry that loads a forbidden MSR", "qualification", field(EXIT_QUALIFICATION), 1);
}

static u32 run_errors(u32 operations)
{
	(void)operations;
	if (!vmx_available()) return skip("this processor has no VMX");
	expectations_begin();
	vmx_on();
	without_current();
	with_current();
	bad_states();
	vmx_off();
	return expectations_end();
}
