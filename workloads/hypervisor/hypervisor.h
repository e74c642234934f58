/*
 * A small hypervisor that runs as a guest of the machine: it uses the VMX instructions as the SDM has them (volume 3C) and
 * says of each outcome whether it is the manual's. Host and guest share page tables and descriptors, so that a guest is
 * a few instructions of this image.
 */
#pragma once
#include "workload.h"

/* VMCS fields (SDM volume 3D, appendix B). */
enum {
	VPID = 0x0000,
	GUEST_SELECTORS = 0x0800, /* ES CS SS DS FS GS LDTR TR, 2 apart */
	GUEST_TR = 0x080e,
	HOST_SELECTORS = 0x0c00, /* ES CS SS DS FS GS TR */
	HOST_TR = 0x0c0c,
	IO_BITMAP_A = 0x2000,
	IO_BITMAP_B = 0x2002,
	MSR_BITMAP = 0x2004,
	ENTRY_MSR_LOAD = 0x200a,
	TSC_OFFSET = 0x2010,
	EPT_POINTER = 0x201a,
	GUEST_PHYSICAL = 0x2400,
	LINK_POINTER = 0x2800,
	GUEST_PDPTE0 = 0x280a,
	PIN_CONTROLS = 0x4000,
	PROCESSOR_CONTROLS = 0x4002,
	EXCEPTION_BITMAP = 0x4004,
	PAGE_FAULT_MASK = 0x4006,
	PAGE_FAULT_MATCH = 0x4008,
	CR3_TARGET_COUNT = 0x400a,
	EXIT_CONTROLS = 0x400c,
	EXIT_MSR_STORE_COUNT = 0x400e,
	EXIT_MSR_LOAD_COUNT = 0x4010,
	ENTRY_CONTROLS = 0x4012,
	ENTRY_MSR_LOAD_COUNT = 0x4014,
	ENTRY_INFORMATION = 0x4016,
	ENTRY_ERROR = 0x4018,
	ENTRY_LENGTH = 0x401a,
	SECONDARY_CONTROLS = 0x401e,
	INSTRUCTION_ERROR = 0x4400,
	EXIT_REASON = 0x4402,
	EXIT_INFORMATION = 0x4404,
	EXIT_ERROR = 0x4406,
	VECTORING_INFORMATION = 0x4408,
	EXIT_LENGTH = 0x440c,
	GUEST_LIMITS = 0x4800, /* as the selectors, then GDTR IDTR */
	GUEST_GDTR_LIMIT = 0x4810,
	GUEST_IDTR_LIMIT = 0x4812,
	GUEST_RIGHTS = 0x4814,
	GUEST_INTERRUPTIBILITY = 0x4824,
	GUEST_ACTIVITY = 0x4826,
	CR0_MASK = 0x6000,
	CR4_MASK = 0x6002,
	CR0_SHADOW = 0x6004,
	CR4_SHADOW = 0x6006,
	CR3_TARGET0 = 0x6008,
	EXIT_QUALIFICATION = 0x6400,
	EXIT_LINEAR = 0x640a,
	GUEST_CR0 = 0x6800,
	GUEST_CR3 = 0x6802,
	GUEST_CR4 = 0x6804,
	GUEST_BASES = 0x6806, /* as the selectors, then GDTR IDTR */
	GUEST_TR_BASE = 0x6814,
	GUEST_GDTR_BASE = 0x6816,
	GUEST_IDTR_BASE = 0x6818,
	GUEST_DR7 = 0x681a,
	GUEST_ESP = 0x681c,
	GUEST_EIP = 0x681e,
	GUEST_EFLAGS = 0x6820,
	HOST_CR0 = 0x6c00,
	HOST_CR3 = 0x6c02,
	HOST_CR4 = 0x6c04,
	HOST_TR_BASE = 0x6c0a,
	HOST_GDTR_BASE = 0x6c0c,
	HOST_IDTR_BASE = 0x6c0e,
	HOST_ESP = 0x6c14,
	HOST_EIP = 0x6c16,
};

/* Basic exit reasons (SDM volume 3D, appendix C). */
enum {
	REASON_EXCEPTION = 0,
	REASON_INTERRUPT = 1,
	REASON_TRIPLE_FAULT = 2,
	REASON_WINDOW = 7,
	REASON_TASK_SWITCH = 9,
	REASON_VMCALL = 18,
	REASON_CONTROL_REGISTER = 28,
	REASON_DEBUG_REGISTER = 29,
	REASON_PORT = 30,
	REASON_ENTRY_STATE = 33,
	REASON_ENTRY_MSR = 34,
	REASON_EPT_VIOLATION = 48,
	REASON_EPT_MISCONFIGURATION = 49,
};
#define ENTRY_FAILED 0x80000000u

/* Controls (SDM volume 3C, 24.6). */
enum {
	PIN_INTERRUPT = 1u << 0,
	PROC_WINDOW = 1u << 2,
	PROC_OFFSET = 1u << 3,
	PROC_HLT = 1u << 7,
	PROC_INVLPG = 1u << 9,
	PROC_RDPMC = 1u << 11,
	PROC_RDTSC = 1u << 12,
	PROC_LOAD_CR3 = 1u << 15,
	PROC_STORE_CR3 = 1u << 16,
	PROC_DEBUG = 1u << 23,
	PROC_IO = 1u << 24,
	PROC_IO_BITMAPS = 1u << 25,
	PROC_MSR_BITMAPS = 1u << 28,
	PROC_SECONDARY = 1u << 31,
	SECOND_EPT = 1u << 1,
	SECOND_TABLES = 1u << 2,
	SECOND_VPID = 1u << 5,
	SECOND_WBINVD = 1u << 6,
	EXIT_ACKNOWLEDGE = 1u << 15,
};
#define INFORMATION_VALID 0x80000000u
#define INFORMATION_ERROR 0x800u
enum { EVENT_INTERRUPT = 0, EVENT_NMI = 2, EVENT_HARDWARE = 3, EVENT_SOFTWARE = 4, EVENT_SOFTWARE_EXCEPTION = 6 };
#define INFORMATION(type, vector) (INFORMATION_VALID | (u32)(type) << 8 | (u32)(vector))

/* Outcome of a VMX instruction (SDM volume 3C, 30.2). */
enum vmx_outcome { VM_SUCCEED, VM_FAIL_INVALID, VM_FAIL_VALID };

#define VMX(instruction, ...)                                                             \
	({                                                                                \
		bool invalid_, valid_;                                                    \
		asm volatile(instruction : "=@ccc"(invalid_), "=@ccz"(valid_) : __VA_ARGS__ : "memory"); \
		invalid_ ? VM_FAIL_INVALID : valid_ ? VM_FAIL_VALID : VM_SUCCEED;         \
	})

static inline enum vmx_outcome vmwrite(u32 field, u32 value) { return VMX("vmwrite %3, %2", "r"(field), "rm"(value)); }
static inline enum vmx_outcome vmread(u32 field, u32 *value)
{
	bool invalid, valid;
	asm volatile("vmread %3, %2" : "=@ccc"(invalid), "=@ccz"(valid), "=rm"(*value) : "r"(field) : "memory");
	return invalid ? VM_FAIL_INVALID : valid ? VM_FAIL_VALID : VM_SUCCEED;
}
static inline u32 field(u32 encoding)
{
	u32 value = 0;
	vmread(encoding, &value);
	return value;
}

/* operation.c: into VMX operation and out of it. */
bool vmx_available(void);
void vmx_on(void);
void vmx_off(void);
u64 read_msr(u32 number);
extern u8 vmcs_region[], vmxon_region[];
static inline u64 physical(const void *address) { return (u32)address - KERNEL_BASE; }
/* Makes `vmcs_region` current and clear. */
void vmcs_fresh(void);
/* The controls that may be 1 of those wanted, with those that must (SDM volume 3D, appendix A). */
u32 allowed(u32 capability, u32 wanted);
bool has_secondary(u32 control);

/* guest.c: a guest that is a few instructions of this image. */
struct registers {
	u32 eax, ecx, edx, ebx, esi, edi, ebp;
};
extern struct registers guest_registers;
/* What the guest's interrupt handlers saw last: the vector, the error code or 0, the EIP in the frame. */
extern struct arrival {
	u32 vector, error, eip;
} arrival;
/* A VMCS for a guest at `code`, with these controls beside those that must be 1. */
void guest_prepare(const char *code, u32 pin, u32 processor, u32 secondary);
/* Enters it; the result is of the entry instruction, VM_SUCCEED after an exit. */
enum vmx_outcome guest_enter(void);

/* report.c: prints `<what>: ok`, or what is and what the manual says. */
void expect(const char *what, const char *aspect, u32 is, u32 should);
void expectations_begin(void);
u32 expectations_end(void); /* prints the counts; returns the checksum of the outcomes */
