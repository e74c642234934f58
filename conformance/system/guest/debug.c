/* Debug exceptions (SDM 3A 17.2, 17.3): breakpoints, single steps, RF, general detect. DR6 is shown without its ones. */
#include "system.h"

static void set_dr(u32 number, u32 value)
{
	switch (number) {
	case 0: asm volatile("movl %0, %%dr0" : : "r"(value)); break;
	case 1: asm volatile("movl %0, %%dr1" : : "r"(value)); break;
	case 2: asm volatile("movl %0, %%dr2" : : "r"(value)); break;
	case 3: asm volatile("movl %0, %%dr3" : : "r"(value)); break;
	case 6: asm volatile("movl %0, %%dr6" : : "r"(value)); break;
	default: asm volatile("movl %0, %%dr7" : : "r"(value));
	}
}
#define L(n) (1u << (2 * (n)))
#define GLOBAL(n) (2u << (2 * (n)))
#define RWLEN(n, rw, length) ((u32)((rw) | ((length)-1) << 2) << (16 + 4 * (n)))
enum { EXECUTION, WRITES, PORTS, ACCESSES };
#define GD 0x2000

static void shown(void)
{
	outcome();
	if (out.vector == 1)
		say(" dr6=%x", out.dr6 & 0xe00f);
}

/* Runs in ring `cpl` with one breakpoint. */
static void watched(u32 cpl, u32 address, u32 dr7, const u8 *code)
{
	ring(cpl);
	set_dr(0, address);
	set_dr(7, dr7);
	run(code);
	set_dr(7, 0);
	shown();
}

GROUP(breakpoints, "breakpoints")
{
	const u8 *code = CODE("nop; nop; incl %eax; nop");
	for (u32 cpl = 0; cpl < 4; cpl += 3) {
		fresh();
		watched(cpl, (u32)code + 2, L(0), code);
		say(" eax=%x rf=%x", out.eax, out.eflags & FLAG_RF);
		check("3A 17.3.1.1", "#DB+2 dr6=1 eax=a0a0a0a0 rf=0", "instruction breakpoint cpl=%u", cpl);
	}
	fresh();
	watched(0, (u32)code + 2, GLOBAL(0), code);
	check("3A 17.2.4", "#DB+2 dr6=1", "global enable");
	fresh();
	watched(0, (u32)code + 2, 0, code);
	check("3A 17.2.4", "done", "not enabled");
	fresh();
	watched(0, (u32)code + 3, L(0), code);
	check("3A 17.2.5", "#DB+3 dr6=1", "instruction after a register operation");
	fresh();
	code = CODE("movl $0x12345678, %eax; nop");
	watched(0, (u32)code + 1, L(0), code);
	check("3A 17.2.5", "done", "address inside an instruction");
	fresh();
	code = CODE("nop; nop; incl %eax; nop");
	set_dr(3, (u32)code + 1);
	set_dr(7, L(3));
	run(code);
	set_dr(7, 0);
	shown();
	check("3A 17.2.3", "#DB+1 dr6=8", "dr3");
	set_dr(3, 0);
	fresh();
	set_dr(1, (u32)code + 1);
	set_dr(2, (u32)code + 1);
	set_dr(7, L(1) | L(2));
	run(code);
	set_dr(7, 0);
	shown();
	check("3A 17.2.3", "#DB+1 dr6=6", "dr1 and dr2 at one address");
	set_dr(1, 0);
	set_dr(2, 0);
	/* RF in the image of IRET passes over the breakpoint, once. */
	fresh();
	code = CODE("pushl $0x10002; pushl %cs; pushl $1f; iret; 1: nop; nop");
	watched(0, (u32)code + 12, L(0), code);
	check("3A 17.3.1.1; 2A IRET", "done", "rf by iret passes over it");
	fresh();
	watched(0, (u32)code + 13, L(0), code);
	check("3A 17.3.1.1", "#DB+d dr6=1", "rf ends after one instruction");
	fresh();
	in.ecx = 3;
	code = CODE("nop; loop .-1");
	in.eflags = 2 | FLAG_RF;
	watched(0, (u32)code, L(0), code);
	say(" ecx=%x", out.ecx);
	check("3A 17.3.1.1", "#DB+0 dr6=1 ecx=2", "rf, then the loop comes back");

	/* Data: the trap comes after the access. Length, alignment, direction. */
	static const struct {
		const char *name;
		u32 offset, rw, length, access, size, hit;
	} DATA_CASES[] = {
		{"write, write 4", 0, WRITES, 4, 1, 4, 1},	    {"write, read 4", 0, WRITES, 4, 0, 4, 0},
		{"access, write 4", 0, ACCESSES, 4, 1, 4, 1},	    {"access, read 4", 0, ACCESSES, 4, 0, 4, 1},
		{"write 1, write 4 over it", 2, WRITES, 1, 1, 4, 1}, {"write 1, write 2 below it", 2, WRITES, 1, 1, 2, 0},
		{"write 2, write 4", 2, WRITES, 2, 1, 4, 1},	    {"write 2, address rounded down", 1, WRITES, 2, 1, 1, 1},
		{"write 4, address rounded down", 3, WRITES, 4, 1, 1, 1}, {"write 1 beyond", 4, WRITES, 1, 1, 4, 0},
		{"access, write 1", 0, ACCESSES, 1, 1, 1, 1},
	};
	for (u32 i = 0; i < COUNT(DATA_CASES); i++) {
		fresh();
		in.ebx = DATA;
		const u8 *access = DATA_CASES[i].access
					   ? (DATA_CASES[i].size == 4	? CODE("movl %eax, (%ebx); nop; nop")
					      : DATA_CASES[i].size == 2 ? CODE("movw %ax, (%ebx); nop; nop")
									: CODE("movb %al, (%ebx); nop; nop"))
					   : CODE("movl (%ebx), %ecx; nop; nop");
		watched(3, DATA + DATA_CASES[i].offset, L(0) | RWLEN(0, DATA_CASES[i].rw, DATA_CASES[i].length), access);
		u32 length = DATA_CASES[i].size == 2 ? 3 : 2;
		check("3A 17.2.5, 17.3.1.2", DATA_CASES[i].hit ? text("#DB+%x dr6=1", length) : "done", "data %s", DATA_CASES[i].name);
	}
	fresh();
	in.ebx = DATA;
	watched(0, DATA, L(0) | RWLEN(0, ACCESSES, 4), CODE("addl %eax, (%ebx); nop"));
	check("3A 17.3.1.2", "#DB+2 dr6=1", "data read-modify-write");
	fresh();
	in.ecx = 3;
	in.esi = DATA;
	in.edi = DATA + 0x100;
	watched(0, DATA + 0x104, L(0) | RWLEN(0, WRITES, 4), CODE("cld; rep movsl; nop"));
	say(" ecx=%x edi=+%x", out.ecx, out.edi - DATA);
	check("3A 17.3.1.2", "#DB+1 dr6=1 ecx=1 edi=+108", "data in rep movs, after the iteration");
	fresh();
	/* Armed by the code itself: the way in uses the same stack. */
	in.ecx = L(0) | RWLEN(0, WRITES, 4);
	watched(0, STACK_0 - 4, 0, CODE("movl %ecx, %dr7; pushl %eax; nop"));
	check("3A 17.3.1.2", "#DB+4 dr6=1", "data by push");

	/* I/O breakpoints need CR4.DE. */
	for (u32 de = 0; de < 2; de++) {
		fresh();
		in.cr4 = de ? CR4_DE : 0;
		asm volatile("movl %0, %%cr4" : : "r"(in.cr4));
		in.edx = 0x80;
		watched(0, 0x80, L(0) | RWLEN(0, PORTS, 1), CODE("outb %al, %dx; nop"));
		/* Without DE this kind of breakpoint is undefined. */
		if (!de)
			line[0] = 0;
		else
			check("3A 17.2.4, 17.3.1.2", "#DB+1 dr6=1", "out de=1");
		fresh();
		in.cr4 = de ? CR4_DE : 0;
		asm volatile("movl %0, %%cr4" : : "r"(in.cr4));
		watched(0, 0x82, L(0) | RWLEN(0, PORTS, 1), CODE("inb $0x80, %al; nop"));
		check("3A 17.2.4", "done", "in of another port de=%u", de);
		/* DR4 and DR5 are DR6 and DR7 without DE. */
		fresh();
		in.cr4 = de ? CR4_DE : 0;
		run(CODE(".byte 0x0f, 0x21, 0xe0; .byte 0x0f, 0x21, 0xe9"));
		outcome();
		if (!de)
			say(" %x %x", out.eax & 0xe00f, out.ecx);
		check("3A 17.2.2", de ? "#UD+0" : "done 0 400", "dr4 and dr5 de=%u", de);
	}

	/* DR7.GD: any access to a debug register is #DB before it, and clears GD for the handler. */
	fresh();
	set_dr(7, 0);
	run(CODE("movl $0x2000, %eax; movl %eax, %dr7; nop; movl %dr0, %ecx"));
	shown();
	say(" gd=%x", out.dr7 & GD);
	check("3A 17.2.4, 17.3.1.3", "#DB+9 dr6=2000 gd=0", "general detect");
	/* What DR6 and DR7 hold. */
	fresh();
	run(CODE("xorl %eax, %eax; movl %eax, %dr6; movl %dr6, %ebx; movl %eax, %dr7; movl %dr7, %ecx;"
		 "movl $0xffff0fff, %eax; movl %eax, %dr6; movl %dr6, %edx"));
	outcome();
	say(" dr6=%x dr7=%x dr6=%x", out.ebx & 0xfffe0fff, out.ecx, out.edx & 0xfffe1fff);
	check("3A 17.2.3, 17.2.4", "done dr6=fffe0ff0 dr7=400 dr6=fffe0fff", "fixed bits");
	fresh();
	run_at(3, CODE("movl %dr0, %eax"));
	outcome();
	check("2B MOV", "#GP(0)+0", "mov from dr0 cpl=3");
	fresh();
	run_at(3, CODE("movl %eax, %dr7"));
	outcome();
	check("2B MOV", "#GP(0)+0", "mov to dr7 cpl=3");
	/* DR6 is not cleared by the processor. */
	fresh();
	code = CODE("nop; nop");
	set_dr(6, 0x4000);
	watched(0, (u32)code + 1, L(0), code);
	check("3A 17.2.3", "#DB+1 dr6=4001", "dr6 keeps what was set");
	set_dr(6, 0);
}

GROUP(single_step, "single-step")
{
	static const u8 *code[17];
	code[0] = CODE("nop; nop");
	code[1] = CODE("pushfl; orl $0x100, (%esp); popfl; nop; nop");
	code[2] = CODE("pushfl; orl $0x100, (%esp); pushl %cs; pushl $1f; iret; 1: nop; nop");
	/* TF comes by POPF, so that MOV SS is the instruction before the first trap. */
	code[3] = CODE("pushl $0x102; popfl; movl %eax, %ss; nop; nop");
	code[4] = CODE("pushl %ss; pushl $0x102; popfl; popl %ss; nop; nop");
	code[5] = CODE("jmp 1f; nop; 1: nop");
	code[6] = CODE("rep stosb; nop");
	code[7] = CODE("int $0x21; nop");
	code[8] = CODE("cpuid; nop");
	code[9] = CODE("sti; nop; nop");
	code[10] = CODE("pushfl; popl %eax; nop");
	code[11] = CODE("pushl $2; popfl; nop");
	code[12] = CODE("rdtsc; nop");
	code[13] = CODE("call 1f; nop; 1: nop");
	code[14] = CODE("movl %cr0, %eax; nop");
	code[15] = CODE("int3; nop");
	code[16] = CODE("divl %ecx");
	static const struct {
		const char *name, *want;
		u32 tf;
	} CASES[] = {
		{"first instruction", "#DB+1 dr6=4000", 1},
		{"popf, after the next instruction", "#DB+a dr6=4000", 0},
		{"iret, after the target", "#DB+10 dr6=4000", 0},
		{"mov ss, held back for one instruction", "#DB+9 dr6=4000", 0},
		{"pop ss, held back for one instruction", "#DB+9 dr6=4000", 0},
		{"jmp", "#DB+3 dr6=4000", 1},
		{"rep stosb, after one iteration", "#DB+0 dr6=4000 ecx=4", 1},
		{"int n, the handler is not stepped", "int 21+2", 1},
		{"cpuid", "#DB+2 dr6=4000", 1},
		{"sti does not hold it back", "#DB+1 dr6=4000", 1},
		{"pushf stores tf", "#DB+1 dr6=4000", 1},
		{"popf that clears tf", "#DB+2 dr6=4000", 1},
		{"rdtsc", "#DB+2 dr6=4000", 1},
		{"call", "#DB+6 dr6=4000", 1},
		{"mov from cr0", "#DB+3 dr6=4000", 1},
		{"int3, the handler is not stepped", "#BP+1", 1},
		{"a fault is no step", "#DE+0", 1},
	};
	for (u32 i = 0; i < COUNT(CASES); i++) {
		fresh();
		in.eflags = 2 | (CASES[i].tf ? FLAG_TF : 0);
		in.edi = DATA;
		in.ecx = i == 16 ? 0 : 5;
		in.eax = SUP_DATA;
		run(code[i]);
		shown();
		if (i == 6)
			say(" ecx=%x", out.ecx);
		const char *want = CASES[i].want;
		check("3A 17.3.1.4, 6.8.3", want, "%s", CASES[i].name);
	}
	fresh();
	in.eflags = 2 | FLAG_TF;
	run_at(3, CODE("nop; nop"));
	shown();
	say(" saved %x handler %x", out.eflags, out.handler_flags & FLAG_TF);
	check("3A 17.3.1.4", "#DB+1 dr6=4000 saved 102 handler 0", "cpl=3");
	/* Step and data breakpoint at once. */
	fresh();
	in.eflags = 2 | FLAG_TF;
	in.ebx = DATA;
	watched(3, DATA, L(0) | RWLEN(0, WRITES, 4), CODE("movl %eax, (%ebx); nop"));
	check("3A 6.9, 17.3.1", "#DB+2 dr6=4001", "step and data breakpoint");
}

/* RF in the pushed image: set by faults, not by traps and software interrupts (17.3.1.1). */
GROUP(resume_flag, "resume-flag")
{
	static const u8 *code[10];
	code[0] = CODE("ud2");
	code[1] = CODE("int $0x40");
	code[2] = CODE("xorl %ecx, %ecx; divl %ecx");
	code[3] = CODE("movl %eax, %es");
	code[4] = CODE("int3");
	code[5] = CODE("into");
	code[6] = CODE("int $0x21");
	code[7] = CODE("bound %eax, (%edx)");
	code[8] = CODE("fnop");
	code[9] = CODE("movl 0x480000, %eax");
	static const struct {
		const char *name;
		u32 vector, fault;
	} CASES[] = {{"#UD", 6, 1}, {"#GP", 13, 1}, {"#DE", 0, 1}, {"#GP of a load", 13, 1}, {"int3", 3, 0},
		     {"into", 4, 0}, {"int n", 0x21, 0}, {"#BR", 5, 1}, {"#NM", 7, 1}, {"#PF", 14, 1}};
	for (u32 i = 0; i < COUNT(CASES); i++) {
		fresh();
		in.eflags = 2 | (i == 5 ? FLAG_OF : 0);
		in.edx = DATA;
		*word(DATA) = *word(DATA + 4) = 0;
		interrupt_gate(0x21, SUP_CODE, stub(0x21), INT32 | DPL(3));
		interrupt_gate(4, SUP_CODE, stub(4), INT32 | DPL(3));
		if (i == 8)
			in.cr0 |= CR0_TS | CR0_EM;
		if (i == 9) {
			clear(PAGE_TABLES, 0x3000);
			*word(PAGE_TABLES) = (PAGE_TABLES + 0x1000) | 7;
			for (u32 page = 0; page < 1024; page++)
				*word(PAGE_TABLES + 0x1000 + 4 * page) = page << 12 | 7;
			in.cr3 = PAGE_TABLES;
			in.cr0 |= CR0_PG;
		}
		run_at(3, code[i]);
		say("%s rf=%x handler %x", exception(out.vector), out.eflags >> 16 & 1, out.handler_flags >> 16 & 1);
		check("3A 17.3.1.1", text("%s rf=%x handler 0", exception(CASES[i].vector), CASES[i].fault), "%s", CASES[i].name);
	}
}
