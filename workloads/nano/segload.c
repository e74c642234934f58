/* Loads of ES with a flat data segment, from the GDT or from an LDT with one entry. A read through ES proves each load. */
#include "workload.h"

WORKLOAD(run_segload, "nano/segload", "One load of a data segment register in the kernel, and a read through it.", 50000, 5000,
	 "segmentation", "table=gdt:gdt|ldt", "");

#ifndef USER_PROGRAM
static volatile u32 word = 0x082efa98;
static u32 selector;

static NOINLINE u32 run(u32 operations)
{
	u32 sum = 0;
	for (u32 i = 0; i < operations; i++) {
		u32 value;
		asm volatile("movl %1, %%es\n\tmovl %%es:(%2), %0" : "=r"(value) : "r"(selector), "r"(&word) : "memory");
		sum = mix(sum, value);
	}
	return sum;
}

static NOINLINE u32 empty(u32 operations)
{
	u32 sum = 0;
	for (u32 i = 0; i < operations; i++) {
		u32 value;
		asm volatile("movl %%es:(%1), %0" : "=r"(value) : "r"(&word) : "memory");
		sum = mix(sum, value);
	}
	return sum;
}

static u32 run_segload(u32 operations)
{
	u32 local = parameter_choice("table");
	if (local) arch_local_table();
	selector = local ? LOCAL_DATA : USER_DATA;
	u32 sum = measure(run, empty, operations);
	asm volatile("movl %0, %%es" : : "r"(USER_DATA));
	if (local) arch_local_table_drop();
	return sum;
}
#endif
