/* Every VMCS field of the manual's appendix B that 32-bit operation has is written, the others' values in place, and read back. */
#include "hypervisor.h"

WORKLOAD(run_fields, "hypervisor/fields", "One VMCS field written and read back.", 1, 1, "hypervisor", "", "no VMX in a domain");

struct range {
	u16 first, last; /* even encodings, inclusive */
	u8 read_only, needs; /* needs: 0 nothing, else bits of NEEDS_ */
};
enum { NEEDS_NOTHING, NEEDS_EPT, NEEDS_VPID, NEEDS_SECONDARY };

static const struct range ranges[] = {
	{0x0000, 0x0000, 0, NEEDS_VPID},
	{0x0800, 0x080e, 0, 0},
	{0x0c00, 0x0c0c, 0, 0},
	{0x2000, 0x200c, 0, 0},
	{0x2010, 0x2010, 0, 0},
	{0x201a, 0x201a, 0, NEEDS_EPT},
	{0x2400, 0x2400, 1, NEEDS_EPT},
	{0x2800, 0x2802, 0, 0},
	{0x2806, 0x2806, 0, NEEDS_EPT},
	{0x280a, 0x2810, 0, NEEDS_EPT},
	{0x2c02, 0x2c02, 0, NEEDS_EPT},
	{0x4000, 0x401a, 0, 0},
	{0x401e, 0x401e, 0, NEEDS_SECONDARY},
	{0x4400, 0x440e, 1, 0},
	{0x4800, 0x482a, 0, 0},
	{0x4c00, 0x4c00, 0, 0},
	{0x6000, 0x600e, 0, 0},
	{0x6400, 0x640a, 1, 0},
	{0x6800, 0x6826, 0, 0},
	{0x6c00, 0x6c16, 0, 0},
};

static bool present(const struct range *range)
{
	switch (range->needs) {
	case NEEDS_EPT: return has_secondary(SECOND_EPT);
	case NEEDS_VPID: return has_secondary(SECOND_VPID);
	case NEEDS_SECONDARY: return has_secondary(~0u);
	default: return true;
	}
}

/* A value that no other field has, cut to the field's width (bits 14:13 of the encoding). */
static u32 pattern(u32 encoding)
{
	u32 value = encoding * 0x9e3779b1u;
	return encoding >> 13 & 3 ? value : value & 0xffff;
}

static bool is_64_bit(u32 encoding) { return (encoding >> 13 & 3) == 1; }

static void each(const struct range *range, void (*act)(const struct range *, u32))
{
	for (u32 encoding = range->first; encoding <= range->last; encoding += 2) {
		act(range, encoding);
		if (is_64_bit(encoding)) act(range, encoding + 1);
	}
}

static void write_one(const struct range *range, u32 encoding)
{
	enum vmx_outcome outcome = vmwrite(encoding, pattern(encoding));
	enum vmx_outcome should = !present(range) || range->read_only ? VM_FAIL_VALID : VM_SUCCEED;
	if (outcome != should) print("field %x: ", encoding);
	expect("vmwrite", "outcome", outcome, should);
	if (should == VM_FAIL_VALID)
		expect("vmwrite", "error", field(INSTRUCTION_ERROR), present(range) ? 13 : 12);
}

static void read_one(const struct range *range, u32 encoding)
{
	u32 value = 0;
	enum vmx_outcome outcome = vmread(encoding, &value);
	enum vmx_outcome should = present(range) ? VM_SUCCEED : VM_FAIL_VALID;
	bool wrong = outcome != should || (should == VM_SUCCEED && !range->read_only && value != pattern(encoding));
	if (wrong) print("field %x: ", encoding);
	expect("vmread", "outcome", outcome, should);
	if (should == VM_SUCCEED && !range->read_only) expect("vmread", "value", value, pattern(encoding));
}

static u32 run_fields(u32 operations)
{
	(void)operations;
	if (!vmx_available()) return skip("this processor has no VMX");
	expectations_begin();
	vmx_on();
	vmcs_fresh();
	for (u32 i = 0; i < COUNT(ranges); i++) each(&ranges[i], write_one);
	for (u32 i = 0; i < COUNT(ranges); i++) each(&ranges[i], read_one);
	vmx_off();
	return expectations_end();
}
