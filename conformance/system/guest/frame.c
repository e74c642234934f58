/* Pristine tables before each case, entry into the code under test, and what came of it in words. */
#include "system.h"

void enter(void);
void double_fault_task(void);
extern const u8 stubs[];
extern const u8 supervisor_gdtr[];

static const char *const EXCEPTIONS[] = {"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "int 9",
					 "#TS", "#NP", "#SS", "#GP", "#PF", "int f", "#MF", "#AC", "#MC", "#XM"};
#define ERROR_CODES 0x27d00

void clear(u32 address, u32 bytes) { __builtin_memset((void *)address, 0, bytes); }

/* `flags`: GRANULAR, BIG. A limit counts bytes or, if granular, pages. */
void descriptor(u32 selector, u32 base, u32 limit, u32 access, u32 flags)
{
	u32 at = ((selector & 4) != 0 ? LDT : GDT) + (selector & 0xfff8);
	*word(at) = (limit & 0xffff) | base << 16;
	*word(at + 4) = ((base >> 16) & 0xff) | access << 8 | (limit & 0xf0000) | flags << 20 | (base & 0xff000000);
}

/* A call, task, interrupt or trap gate in the GDT or LDT. */
void gate(u32 selector, u32 target, u32 offset, u32 access, u32 parameters)
{
	u32 at = ((selector & 4) != 0 ? LDT : GDT) + (selector & 0xfff8);
	*word(at) = (offset & 0xffff) | target << 16;
	*word(at + 4) = (offset & 0xffff0000) | access << 8 | parameters;
}

void interrupt_gate(u32 vector, u32 target, u32 offset, u32 access)
{
	*word(IDT + vector * 8) = (offset & 0xffff) | target << 16;
	*word(IDT + vector * 8 + 4) = (offset & 0xffff0000) | access << 8;
}

u32 stub(u32 vector) { return (u32)stubs + vector * 16; }

u32 access_byte(u32 selector) { return *byte(((selector & 4) != 0 ? LDT : GDT) + (selector & 0xfff8) + 5); }

/* Loads LDTR with a table of `bytes` bytes at LDT; `run` leaves it null again. */
void local_table(u32 bytes)
{
	descriptor(SLOT(19), LDT, bytes - 1, LDT_TYPE, 0);
	asm volatile("lldt %w0" : : "r"(SLOT(19)));
}

static void task(u32 at, u32 eip, u32 stack)
{
	clear(at, 104);
	*word(at + 0x04) = ENTRY_STACK_0;
	*word(at + 0x08) = SUP_DATA;
	*word(at + 0x0c) = ENTRY_STACK_1;
	*word(at + 0x10) = DATA1 | 1;
	*word(at + 0x14) = ENTRY_STACK_2;
	*word(at + 0x18) = DATA2 | 2;
	*word(at + 0x20) = eip;
	*word(at + 0x24) = 2;
	*word(at + 0x38) = stack;
	*word(at + 0x48) = SUP_DATA;
	*word(at + 0x4c) = SUP_CODE;
	*word(at + 0x50) = SUP_DATA;
	*word(at + 0x54) = SUP_DATA;
	*word(at + 0x58) = SUP_DATA;
	*word(at + 0x5c) = SUP_DATA;
	/* No I/O bitmap: its offset is beyond the limit. */
	*word(at + 0x64) = 0xffff0000;
}

void ring(u32 cpl)
{
	static const u16 code[] = {SUP_CODE, CODE1, CODE2, CODE3};
	static const u16 data[] = {SUP_DATA, DATA1, DATA2, DATA3};
	static const u32 stack[] = {STACK_0, STACK_1, STACK_2, STACK_3};
	in.cs = code[cpl] | cpl;
	in.ss = in.ds = in.es = in.fs = in.gs = data[cpl] | cpl;
	in.esp = stack[cpl];
}

/* Every case begins here: the tables, `in` and the memory it works on are as if nothing had been run before. */
void fresh(void)
{
	static int ready;
	u32 tr_access = access_byte(SUP_TSS);
	clear(GDT, GDT_BYTES);
	for (u32 cpl = 0; cpl < 4; cpl++) {
		static const u16 code[] = {SUP_CODE, CODE1, CODE2, CODE3};
		descriptor(code[cpl], 0, 0xfffff, EXECUTE_READ | DPL(cpl) | 1, GRANULAR | BIG);
		descriptor(code[cpl] + 8, 0, 0xfffff, READ_WRITE | DPL(cpl) | 1, GRANULAR | BIG);
	}
	descriptor(NEAR_CODE, IMAGE_BASE, 0xfffff, EXECUTE_READ | 1, GRANULAR | BIG);
	descriptor(SUP_TSS, TSS, 0x2087, ready ? tr_access : TSS32, 0);
	descriptor(DF_TSS, TSS_OF_DF, 103, TSS32, 0);
	for (u32 vector = 0; vector < IDT_VECTORS; vector++)
		interrupt_gate(vector, SUP_CODE, stub(vector), INT32 | (vector == VECTOR_DONE || vector == 3 ? DPL(3) : 0));
	interrupt_gate(8, DF_TSS, 0, TASK_GATE);
	task(TSS, 0, 0);
	task(TSS_OF_DF, (u32)double_fault_task, STACK_DF);
	ready = 1;

	struct state pristine = {.eax = 0xa0a0a0a0, .ecx = 0xc1c1c1c1, .edx = 0xd2d2d2d2, .ebx = 0xb3b3b3b3};
	pristine.ebp = 0xb5b5b5b5;
	pristine.esi = 0x56565656;
	pristine.edi = 0xd7d7d7d7;
	pristine.eflags = 2;
	pristine.cr0 = CR0_PE | CR0_ET;
	in = pristine;
	ring(0);
	frame16 = 0;
}

void run(const u8 *code)
{
	in.eip = (u32)code;
	*word(TSS_OF_DF + 0x1c) = in.cr3;
	*word(TSS + 0x1c) = in.cr3;
	enter();
}

void run_at(u32 cpl, const u8 *code)
{
	ring(cpl);
	run(code);
}

void run_v86(const u8 *code, u32 eflags)
{
	__builtin_memcpy((void *)LOW_CODE, code, 256);
	in.cs = LOW_CODE >> 4;
	in.eip = 0;
	in.ds = in.es = in.fs = in.gs = LOW_DATA >> 4;
	in.ss = (LOW_STACK - 0xfff0) >> 4;
	in.esp = 0xfff0;
	in.eflags = FLAG_VM | eflags | 2;
	*word(TSS_OF_DF + 0x1c) = in.cr3;
	*word(TSS + 0x1c) = in.cr3;
	enter();
}

const char *exception(u32 vector) { return vector < COUNT(EXCEPTIONS) ? EXCEPTIONS[vector] : text("int %x", vector); }

/* `done`, or the exception, its error code, where it points relative to the code under test, and CR2 if it is #PF. */
void outcome(void)
{
	int v86 = (out.eflags & FLAG_VM) != 0;
	if (out.vector == VECTOR_DONE || (v86 && out.vector == 3)) {
		say("done");
		return;
	}
	say("%s", exception(out.vector));
	if (out.vector < 32 && (ERROR_CODES >> out.vector & 1) != 0)
		say("(%x)", out.error);
	u32 offset = out.eip - in.eip;
	/* Addresses elsewhere would change with every build. */
	if (out.cs == in.cs && offset < 0x1000)
		say("+%x", offset);
	else if (out.cs == in.cs)
		say(" elsewhere");
	else
		say(" at cs=%x", out.cs);
	if (out.vector == 14)
		say(" cr2=%x", out.cr2);
	if (by_task)
		say(" by task");
}
