/* VMXON, VMXOFF, and a current VMCS (SDM volume 3C, 23.7 and 24.11). */
#include "hypervisor.h"

#define CR4_VMXE 0x2000u
#define MSR_BASIC 0x480u

u8 vmcs_region[PAGE_SIZE] __attribute__((aligned(4096)));
u8 vmxon_region[PAGE_SIZE] __attribute__((aligned(4096)));

u64 read_msr(u32 number)
{
	u64 value;
	asm volatile("rdmsr" : "=A"(value) : "c"(number));
	return value;
}

bool vmx_available(void)
{
	u32 a = 1, b, c, d;
	asm volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
	return c >> 5 & 1;
}

static void set_vmxe(bool on)
{
	u32 control;
	asm volatile("movl %%cr4, %0" : "=r"(control));
	control = on ? control | CR4_VMXE : control & ~CR4_VMXE;
	asm volatile("movl %0, %%cr4" : : "r"(control) : "memory");
}

static void make_region(u8 *region)
{
	memset(region, 0, PAGE_SIZE);
	*(u32 *)region = (u32)read_msr(MSR_BASIC) & 0x7fffffffu;
}

void vmx_on(void)
{
	u32 control;
	asm volatile("movl %%cr0, %0" : "=r"(control));
	asm volatile("movl %0, %%cr0" : : "r"(control | 0x20)); /* NE must be 1 */
	set_vmxe(true);
	make_region(vmxon_region);
	u64 address = physical(vmxon_region);
	if (VMX("vmxon %2", "m"(address)) != VM_SUCCEED) panic("VMXON failed");
}

void vmx_off(void)
{
	asm volatile("vmxoff" : : : "cc", "memory");
	set_vmxe(false);
}

void vmcs_fresh(void)
{
	make_region(vmcs_region);
	u64 address = physical(vmcs_region);
	if (VMX("vmclear %2", "m"(address)) != VM_SUCCEED) panic("VMCLEAR failed");
	if (VMX("vmptrld %2", "m"(address)) != VM_SUCCEED) panic("VMPTRLD failed");
}

u32 allowed(u32 capability, u32 wanted)
{
	u64 value = read_msr(capability);
	return (wanted | (u32)value) & (u32)(value >> 32);
}

bool has_secondary(u32 control)
{
	if (!(read_msr(0x482) >> 32 & PROC_SECONDARY)) return false;
	return (read_msr(0x48b) >> 32 & control) != 0;
}
