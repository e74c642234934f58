/* Events that an entry injects (SDM volume 3C, 26.5), and what an exit in the middle of one says of it (27.2.3). */
#include "hypervisor.h"

WORKLOAD(run_injection, "hypervisor/injection", "One event injected.", 1, 1, "hypervisor", "", "no VMX in a domain");

extern const char exit_vmcall[];

struct injection {
	const char *name;
	u32 information, error, length;
	u32 eflags;
};

static const struct injection injections[] = {
	{"external interrupt", INFORMATION(EVENT_INTERRUPT, 0x30), 0, 0, 0x202},
	{"NMI", INFORMATION(EVENT_NMI, 2), 0, 0, 2},
	{"#UD", INFORMATION(EVENT_HARDWARE, VECTOR_UNDEFINED), 0, 0, 2},
	{"#GP", INFORMATION(EVENT_HARDWARE, VECTOR_PROTECTION) | INFORMATION_ERROR, 0x1234, 0, 2},
	{"#PF", INFORMATION(EVENT_HARDWARE, VECTOR_PAGE) | INFORMATION_ERROR, 2, 0, 2},
	{"INT 70h", INFORMATION(EVENT_SOFTWARE, 0x70), 0, 2, 2},
	{"INT3", INFORMATION(EVENT_SOFTWARE_EXCEPTION, 3), 0, 1, 2},
};

static u32 run_injection(u32 operations)
{
	(void)operations;
	if (!vmx_available()) return skip("this processor has no VMX");
	expectations_begin();
	vmx_on();
	for (u32 i = 0; i < COUNT(injections); i++) {
		const struct injection *it = &injections[i];
		guest_prepare(exit_vmcall, 0, 0, 0);
		vmwrite(GUEST_EFLAGS, it->eflags);
		vmwrite(ENTRY_INFORMATION, it->information);
		vmwrite(ENTRY_ERROR, it->error);
		vmwrite(ENTRY_LENGTH, it->length);
		expect(it->name, "entry", guest_enter(), VM_SUCCEED);
		expect(it->name, "reason", field(EXIT_REASON), REASON_VMCALL);
		expect(it->name, "vector", arrival.vector, it->information & 0xff);
		expect(it->name, "error code", arrival.error, it->error);
		expect(it->name, "EIP pushed", arrival.eip, (u32)exit_vmcall + it->length);
		expect(it->name, "information after the exit", field(ENTRY_INFORMATION) & INFORMATION_VALID, 0);
		/* Behind the handler's hypercall is its IRET, and behind that the guest's own. */
		vmwrite(GUEST_EIP, field(GUEST_EIP) + field(EXIT_LENGTH));
		if (it->information != INFORMATION(EVENT_NMI, 2)) {
			guest_enter();
			if (it->length == 0) expect(it->name, "EIP after IRET", field(GUEST_EIP), (u32)exit_vmcall);
		}
	}

	guest_prepare(exit_vmcall, 0, 0, 0);
	vmwrite(ENTRY_INFORMATION, INFORMATION(EVENT_INTERRUPT, 0x30));
	guest_enter();
	expect("external interrupt with IF = 0", "reason", field(EXIT_REASON), ENTRY_FAILED | REASON_ENTRY_STATE);

	guest_prepare(exit_vmcall, 0, 0, 0);
	vmwrite(GUEST_EFLAGS, 0x202);
	vmwrite(GUEST_IDTR_LIMIT, 0x30 * 8 - 1);
	vmwrite(EXCEPTION_BITMAP, 1u << VECTOR_PROTECTION);
	vmwrite(ENTRY_INFORMATION, INFORMATION(EVENT_INTERRUPT, 0x30));
	guest_enter();
	expect("#GP in a delivery", "reason", field(EXIT_REASON), REASON_EXCEPTION);
	expect("#GP in a delivery", "error code", field(EXIT_ERROR), 0x30 * 8 + 3);
	expect("#GP in a delivery", "vectoring", field(VECTORING_INFORMATION), INFORMATION(EVENT_INTERRUPT, 0x30));
	vmx_off();
	return expectations_end();
}
