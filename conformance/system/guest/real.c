/* Real mode (SDM 3A 20.1): the interrupt table, what is #UD or #GP there, limits, and segments kept from protected mode. */
#include "system.h"

void enter_real(void);
extern const u8 real_begin[], real_end[];

static void real_tables(void)
{
	fresh();
	__builtin_memcpy((void *)REAL_STUBS, real_begin, (u32)(real_end - real_begin));
	for (u32 vector = 0; vector < 256; vector++)
		*word(vector * 4) = (REAL_STUBS >> 4) << 16 | (0x100 + (vector & 63) * 8);
	in.ds = in.es = in.fs = in.gs = LOW_DATA >> 4;
	in.ss = (LOW_STACK - 0xfff0) >> 4;
	in.esp = 0xfff0;
	in.eflags = 2;
}

/* Runs 16-bit code at LOW_CODE in real mode; `out` has what the stub saw, words widened. */
static void run_real(const u8 *code)
{
	__builtin_memcpy((void *)LOW_CODE, code, 256);
	in.cs = LOW_CODE >> 4;
	in.eip = 0;
	/* Where a jump beyond ffff ends if nothing stops it. */
	__builtin_memset((void *)(LOW_CODE + 0x10000), 0xcc, 16);
	clear(REAL_SAVED, 128);
	u32 stack = in.ss * 16 + in.esp;
	*half(stack - 6) = 0;
	*half(stack - 4) = (u16)in.cs;
	*half(stack - 2) = (u16)in.eflags;
	__builtin_memcpy((void *)(REAL_SAVED + 128), &in, 64);
	/* SP and SS as LSS wants them. */
	*half(REAL_SAVED + 128 + AT_ESP) = (u16)(in.esp - 6);
	*half(REAL_SAVED + 128 + AT_ESP + 2) = (u16)in.ss;
	descriptor(REAL_CODE, REAL_STUBS, 0xffff, EXECUTE_READ, 0);
	descriptor(REAL_DATA, REAL_STUBS, 0xffff, READ_WRITE, 0);
	enter_real();
	__builtin_memcpy(&out, (void *)REAL_SAVED, 112);
	by_task = 0;
	if (out.vector == 3)
		say("done");
	else
		say("%s+%x", exception(out.vector), out.eip);
}

GROUP(real, "real")
{
	real_tables();
	run_real(CODE16("movw %cs, %ax; movw %ss, %bx; movw %ds, %cx; nop"));
	say(" cs=%x ss=%x ds=%x ip=%x sp=%x", out.eax & 0xffff, out.ebx & 0xffff, out.ecx & 0xffff, out.eip, out.esp & 0xffff);
	check("3A 20.1", "done cs=2000 ss=4000 ds=3000 ip=8 sp=fff0", "segments and frame");

	static const u8 *code[24];
	static const struct {
		const char *name, *want;
	} FAULTS[] = {
		{"lldt", "#UD+0"},	{"ltr", "#UD+0"},      {"sldt", "#UD+0"},   {"str", "#UD+0"},	       {"lar", "#UD+0"},
		{"lsl", "#UD+0"},	{"verr", "#UD+0"},     {"arpl", "#UD+0"},   {"word at ffff", "#GP+0"}, {"dword at fffd", "#GP+0"},
		{"stack word at ffff", "#SS+0"}, {"byte at 10000", "#GP+0"}, {"push at sp 1", "#SS+3"}, {"jmp to 10000", "#GP+0"},
		{"sysenter", "#GP+0"},	{"sysexit", "#GP+0"},  {"divide by zero", "#DE+0"}, {"ud2", "#UD+0"},  {"lock mov", "#UD+0"},
		{"into", "#OF+1"},	{"bound", "#BR+0"},    {"int 21", "int 21+2"}, {"fifteen prefixes", "#GP+0"},
	};
	u32 n = 0;
	code[n++] = CODE16("lldt %ax");
	code[n++] = CODE16("ltr %ax");
	code[n++] = CODE16("sldt %ax");
	code[n++] = CODE16("str %ax");
	code[n++] = CODE16("lar %ax, %bx");
	code[n++] = CODE16("lsl %ax, %bx");
	code[n++] = CODE16("verr %ax");
	code[n++] = CODE16("arpl %ax, %bx");
	code[n++] = CODE16("movw (%bx), %ax");
	code[n++] = CODE16("movl -2(%bx), %eax");
	code[n++] = CODE16("movw (%bp), %ax");
	code[n++] = CODE16("addr32 movb 0x10000, %al");
	code[n++] = CODE16("movw $1, %sp; pushw %ax; movw $0xfff0, %sp");
	code[n++] = CODE16("data32 jmp .+0x10006; nop");
	code[n++] = CODE16("sysenter");
	code[n++] = CODE16("sysexit");
	code[n++] = CODE16("divw %cx");
	code[n++] = CODE16("ud2");
	code[n++] = CODE16("lock; movw %ax, (%bx)");
	code[n++] = CODE16("into");
	code[n++] = CODE16("boundw %ax, 4(%di)");
	code[n++] = CODE16("int $0x21");
	code[n++] = CODE16(".fill 15, 1, 0x26; nop");
	for (u32 i = 0; i < n; i++) {
		real_tables();
		in.ebx = in.ebp = 0xffff;
		in.edi = 0;
		in.ecx = 0;
		*word(LOW_DATA + 4) = 0;
		in.eax = 5;
		in.eflags = 2 | (i == 19 ? FLAG_OF : 0);
		/* #SS of PUSH at SP 1 cannot be delivered on that stack: shutdown on a processor; not run. */
		if (i == 12)
			continue;
		run_real(code[i]);
		check("3A 20.1, table 20-1", FAULTS[i].want, "%s", FAULTS[i].name);
	}
	/* Flags: IOPL and NT can be written; INT clears IF and TF. */
	real_tables();
	run_real(CODE16("pushw $0xfed7; popfw; pushfw; popw %ax; int $0x21"));
	say(" %x saved %x handler %x", out.eax & 0xffff, out.eflags & 0xffff, out.handler_flags & 0x300);
	check("2B POPF; 2A INT n", "int 21+8 7ed7 saved 7ed7 handler 0", "flags");
	real_tables();
	run_real(CODE16("movl %cr0, %eax; smsww %bx; sgdtl (%di); cli; sti; cli"));
	say(" %x %x", out.eax, out.ebx & 0xffff);
	check("3A 20.1", "done 10 10", "privileged instructions run");
	/* Far transfers and segment arithmetic. */
	real_tables();
	run_real(CODE16("lcall $0x2001, $1; .skip 12, 0x90; popw %ax; popw %bx"));
	say(" ax=%x bx=%x cs=%x", out.eax & 0xffff, out.ebx & 0xffff, out.cs);
	check("2A CALL", "done ax=5 bx=2000 cs=2001", "far call");
	real_tables();
	*word(LOW_DATA + 0x100) = 0x11223344;
	run_real(CODE16("movw $0x3010, %ax; movw %ax, %es; movl %es:0, %ecx"));
	say(" %x", out.ecx);
	check("3A 20.1.1", "done 11223344", "base");
	/* Single step in real mode. */
	real_tables();
	in.eflags = 2 | FLAG_TF;
	run_real(CODE16("nop; nop"));
	check("3A 17.3.1.4", "#DB+1", "single step");
	/* Big real mode: a 4 GB limit loaded in protected mode stays; a base is replaced by a load in real mode. */
	real_tables();
	in.ebx = DATA;
	*word(DATA) = 0x55667788;
	static const u8 *big;
	big = CODE16("cli; movw %ds, %dx; lgdtl %cs:0x80; movl %cr0, %eax; incw %ax; movl %eax, %cr0; jmp 1f; 1:"
		     "movw $" VALUE(SUP_DATA) ", %si; movw %si, %fs; decw %ax; movl %eax, %cr0; movl %fs:(%ebx), %ecx;"
		     "xorw %ax, %ax; movw %ax, %fs; movl %fs:(%ebx), %edi; movw %dx, %ds");
	real_tables();
	in.ebx = DATA;
	__builtin_memcpy((void *)LOW_CODE, big, 128);
	static u8 copy[256];
	__builtin_memcpy(copy, big, 128);
	*(u16 *)(copy + 0x80) = GDT_BYTES - 1;
	*(u32 *)(copy + 0x82) = GDT;
	run_real(copy);
	say(" %x %x", out.ecx, out.edi);
	check("3A 9.9, 3.4.3", "done 55667788 55667788", "big real mode");
	/* IDTR's limit counts: a vector beyond it is #GP, here vector 13 of the table. */
	real_tables();
	in.ebx = 0x100;
	*half(LOW_DATA + 0x100) = 0x7f;
	*word(LOW_DATA + 0x102) = 0;
	run_real(CODE16("lidtl (%bx); int $0x20"));
	check("2A INT n; 3A 20.1.4", "#GP+4", "vector beyond the idt's limit");
}
