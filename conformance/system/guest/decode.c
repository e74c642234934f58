/* LOCK, instruction length, undefined opcodes and forms; interrupt shadows; x87 and SSE availability. */
#include "system.h"

static void encoded(const char *bytes, u32 count)
{
	static u8 code[40];
	for (u32 i = 0; i < count; i++)
		code[i] = (u8)bytes[i];
	code[count] = 0xcd;
	code[count + 1] = 0x20;
	in.ebx = DATA;
	run(code);
	outcome();
}
#define BYTES(text) text, sizeof(text) - 1

GROUP(decoding, "decoding")
{
	static const struct {
		const char *name, *bytes;
		u32 count;
		const char *want;
	} CASES[] = {
		/* LOCK: allowed on these with a memory destination. */
		{"lock add m,r", BYTES("\xf0\x01\x03"), "done"},	{"lock add r,m", BYTES("\xf0\x03\x03"), "#UD+0"},
		{"lock add r,r", BYTES("\xf0\x01\xc0"), "#UD+0"},	{"lock or m,i", BYTES("\xf0\x83\x0b\x01"), "done"},
		{"lock cmp m,i", BYTES("\xf0\x83\x3b\x01"), "#UD+0"},	{"lock cmp m,r", BYTES("\xf0\x39\x03"), "#UD+0"},
		{"lock inc m", BYTES("\xf0\xff\x03"), "done"},		{"lock dec m8", BYTES("\xf0\xfe\x0b"), "done"},
		{"lock inc r", BYTES("\xf0\xff\xc0"), "#UD+0"},		{"lock inc r short", BYTES("\xf0\x40"), "#UD+0"},
		{"lock not m", BYTES("\xf0\xf7\x13"), "done"},		{"lock neg m", BYTES("\xf0\xf7\x1b"), "done"},
		{"lock test m", BYTES("\xf0\xf7\x03\0\0\0\0"), "#UD+0"}, {"lock mul m", BYTES("\xf0\xf7\x23"), "#UD+0"},
		{"lock xchg m,r", BYTES("\xf0\x87\x03"), "done"},	{"lock xchg r,r", BYTES("\xf0\x87\xc0"), "#UD+0"},
		{"lock xadd", BYTES("\xf0\x0f\xc1\x03"), "done"},	{"lock cmpxchg", BYTES("\xf0\x0f\xb1\x03"), "done"},
		{"lock cmpxchg8b", BYTES("\xf0\x0f\xc7\x0b"), "done"},	{"lock bts m,r", BYTES("\xf0\x0f\xab\x0b"), "done"},
		{"lock bt m,r", BYTES("\xf0\x0f\xa3\x0b"), "#UD+0"},	{"lock bts m,i", BYTES("\xf0\x0f\xba\x2b\x01"), "done"},
		{"lock bt m,i", BYTES("\xf0\x0f\xba\x23\x01"), "#UD+0"},
		{"lock mov", BYTES("\xf0\x89\x03"), "#UD+0"},		{"lock nop", BYTES("\xf0\x90"), "#UD+0"},
		{"lock shl m", BYTES("\xf0\xd1\x23"), "#UD+0"},		{"lock push m", BYTES("\xf0\xff\x33"), "#UD+0"},
		{"lock cli", BYTES("\xf0\xfa"), "#UD+0"},		{"lock lea", BYTES("\xf0\x8d\x03"), "#UD+0"},
		{"lock mov cr0", BYTES("\xf0\x0f\x20\xc0"), "#UD+0"},	{"lock rep movs", BYTES("\xf0\xf3\xa4"), "#UD+0"},
		/* Length: fifteen bytes at most. */
		{"14 prefixes and nop", BYTES("\x26\x26\x26\x26\x26\x26\x26\x26\x26\x26\x26\x26\x26\x26\x90"), "done"},
		{"15 prefixes and nop", BYTES("\x26\x26\x26\x26\x26\x26\x26\x26\x26\x26\x26\x26\x26\x26\x26\x90"), "#GP(0)+0"},
		{"15 bytes with an immediate", BYTES("\x26\x26\x26\x26\x26\x26\x26\x26\x26\x26\xb8\1\2\3\4"), "done"},
		{"16 bytes with an immediate", BYTES("\x26\x26\x26\x26\x26\x26\x26\x26\x26\x26\x26\xb8\1\2\3\4"), "#GP(0)+0"},
		{"16 bytes of an undefined opcode", BYTES("\x26\x26\x26\x26\x26\x26\x26\x26\x26\x26\x26\x26\x26\x26\x0f\x0b"), "#GP(0)+0"},
		/* Register forms that do not exist. */
		{"lea r,r", BYTES("\x8d\xc0"), "#UD+0"},		{"les r", BYTES("\xc4\xc0\x78"), "#UD+0"},
		{"cmpxchg8b r", BYTES("\x0f\xc7\xc8"), "#UD+0"},	{"lgdt r", BYTES("\x0f\x01\xd0"), "#UD+0"},
			{"call far r", BYTES("\xff\xd8"), "#UD+0"},
		{"jmp far r", BYTES("\xff\xe8"), "#UD+0"},		{"invlpg r", BYTES("\x0f\x01\xfa"), "#UD+0"},
		{"lss r", BYTES("\x0f\xb2\xc0"), "#UD+0"},
		/* Undefined. */
		{"ud2", BYTES("\x0f\x0b"), "#UD+0"},			{"ud1", BYTES("\x0f\xb9\xc0"), "#UD+0"},
		{"ud0", BYTES("\x0f\xff\xc0"), "#UD+0"},		{"0f 04", BYTES("\x0f\x04"), "#UD+0"},
		{"0f 0a", BYTES("\x0f\x0a"), "#UD+0"},			{"0f 24", BYTES("\x0f\x24\xc0"), "#UD+0"},
		{"fe /2", BYTES("\xfe\xd0"), "#UD+0"},			{"ff /7", BYTES("\xff\xf8"), "#UD+0"},
		{"c6 /1", BYTES("\xc6\xc8\x01"), "#UD+0"},		{"c7 /2", BYTES("\xc7\x13\1\2\3\4"), "#UD+0"},
		{"8f /1", BYTES("\x8f\x0b"), "#UD+0"},			{"0f ba /3", BYTES("\x0f\xba\xd8\x01"), "#UD+0"},
		{"0f 00 /6", BYTES("\x0f\x00\xf0"), "#UD+0"},		{"0f c7 /2", BYTES("\x0f\xc7\x13"), "#UD+0"},
		{"rsm outside smm", BYTES("\x0f\xaa"), "#UD+0"},	{"mov to sreg 6", BYTES("\x8e\xf0"), "#UD+0"},
		/* Aliases that do exist. */
		{"82 is 80", BYTES("\x82\xc0\x01"), "done"},		{"nop /7", BYTES("\x0f\x1f\xf8"), "done"},
	};
	for (u32 i = 0; i < COUNT(CASES); i++) {
		fresh();
		clear(DATA, 32);
		in.ecx = in.edx = in.eax = 0;
		if (i == 31) {
			in.esi = DATA;
			in.edi = DATA;
		}
		encoded(CASES[i].bytes, CASES[i].count);
		check("2A 2.1; LOCK; 3A 6.15", CASES[i].want, "%s", CASES[i].name);
	}
}

/* On their own: an emulator may not survive these. */
GROUP(lock_register, "!lock-bit-register")
{
	static const struct {
		const char *name, *bytes;
	} CASES[] = {{"lock bts r,r", "\xf0\x0f\xab\xc8"}, {"lock btr r,r", "\xf0\x0f\xb3\xc8"}, {"lock btc r,r", "\xf0\x0f\xbb\xc8"}};
	for (u32 i = 0; i < COUNT(CASES); i++) {
		fresh();
		encoded(CASES[i].bytes, 4);
		check("2A LOCK", "#UD+0", "%s", CASES[i].name);
	}
}

/* An IRQ 0 that waits: one-shot timer, unmasked, request seen in the IRR. */
static void pend(void)
{
	fresh();
	outb(0x43, 0x30);
	outb(0x40, 1);
	outb(0x40, 0);
	outb(0x21, 0xfe);
	do
		outb(0x20, 0x0a);
	while ((inb(0x20) & 1) == 0);
}
static void quiet(void)
{
	outb(0x21, 0xff);
	if (out.vector == VECTOR_IRQ)
		outb(0x20, 0x20);
	/* An interrupt that was never taken: the timer's output goes low again. */
	outb(0x43, 0x30);
	outb(0x40, 0);
	outb(0x40, 0);
}

GROUP(shadows, "shadows")
{
	static const u8 *code[12];
	u32 n = 0;
	static const struct {
		const char *name, *want;
		u32 enabled;
	} CASES[] = {
		{"sti, after the next instruction", "int 28+2", 0},
		{"sti, cli", "done", 0},
		{"sti, sti, the second casts no shadow", "int 28+2", 0},
		{"popf casts none", "int 28+6", 0},
		{"iret casts none", "int 28+d", 0},
		{"enabled on entry", "int 28+0", 1},
		{"hlt", "int 28+2", 0},
		{"sti, jmp", "int 28+5", 0},
		{"mov ss and a fault", "#UD+2", 0},
	};
	code[n++] = CODE("sti; nop; nop; nop; cli");
	code[n++] = CODE("sti; cli; nop; nop");
	code[n++] = CODE("sti; sti; nop; nop; cli");
	/* MOV SS behind STI is not guaranteed to hold off anything (2B MOV), so its shadow is tested by single steps. */
	code[n++] = CODE("pushl $0x202; popfl; nop; nop; cli");
	code[n++] = CODE("pushl $0x202; pushl %cs; pushl $1f; iret; nop; 1: nop; nop; cli");
	code[n++] = CODE("nop; nop; cli");
	code[n++] = CODE("sti; hlt; nop; cli");
	code[n++] = CODE("sti; jmp 1f; nop; nop; 1: nop; cli");
	code[n++] = CODE("movl %eax, %ss; ud2");
	for (u32 i = 0; i < n; i++) {
		pend();
		in.eax = SUP_DATA;
		in.eflags = 2 | (CASES[i].enabled ? FLAG_IF : 0);
		run(code[i]);
		outcome();
		quiet();
		check("2B STI, MOV, POP; 3A 6.8", CASES[i].want, "%s", CASES[i].name);
	}
	/* From ring 3 to ring 0: IF of the outer ring. */
	pend();
	in.eflags = 2 | FLAG_IF;
	run_at(3, CODE("nop; nop"));
	say("%s cs=%x handler if=%u", exception(out.vector), out.cs, out.handler_flags >> 9 & 1);
	quiet();
	check("3A 6.12.1", text("int 28 cs=%x handler if=0", CODE3 | 3), "interrupt at cpl=3");
	/* Virtual-8086 mode with IOPL 0: IF is the real one. */
	pend();
	run_v86(CODE16("nop; nop"), FLAG_IF);
	say("%s vm=%u", exception(out.vector), out.eflags >> 17 & 1);
	quiet();
	check("3A 20.3", "int 28 vm=1", "interrupt in virtual-8086 mode");
}

/* Which of #NM, #UD, #MF and #XM come, by CR0 and CR4 (3A 2.5, table 13-1, 9.2). */
GROUP(extensions, "extensions")
{
	static const char *const NAMES[] = {"fnop", "fwait", "mmx", "sse", "sse2", "fxsave", "prefetch", "ldmxcsr", "movnti"};
	static const u8 *code[9];
	code[0] = CODE("fnop");
	code[1] = CODE("fwait");
	code[2] = CODE("movq %mm0, %mm1");
	code[3] = CODE("addps %xmm0, %xmm1");
	code[4] = CODE("paddd %xmm0, %xmm1");
	code[5] = CODE("fxsave (%ebx)");
	code[6] = CODE("prefetcht0 (%ebx)");
	code[7] = CODE("ldmxcsr (%ebx)");
	code[8] = CODE("movnti %eax, (%ebx)");
	for (u32 i = 0; i < COUNT(NAMES); i++) {
		for (u32 osfxsr = 0; osfxsr < 2; osfxsr++) {
			char want[128];
			u32 used = 0;
			for (u32 bits = 0; bits < 8; bits++) {
				int em = bits & 1, ts = bits >> 1 & 1, mp = bits >> 2 & 1;
				fresh();
				*word(DATA) = 0x1f80;
				in.ebx = DATA;
				in.cr0 |= CR0_NE | (em ? CR0_EM : 0) | (ts ? CR0_TS : 0) | (mp ? CR0_MP : 0);
				in.cr4 = osfxsr ? CR4_OSFXSR : 0;
				/* The state before: no pending exception, no MMX use. */
				asm volatile("clts; fninit");
				run(code[i]);
				say("%s ", out.vector == VECTOR_DONE ? "ok" : exception(out.vector) + 1);
				const char *cell = "ok";
				if (i == 0 && (em || ts))
					cell = "NM";
				if (i == 1 && mp && ts)
					cell = "NM";
				if (i == 2 || i == 3 || i == 4 || i == 7) {
					if (em || (i != 2 && !osfxsr))
						cell = "UD";
					else if (ts)
						cell = "NM";
				}
				if (i == 5 && (em || ts))
					cell = "NM";
				while (*cell != 0)
					want[used++] = *cell++;
				want[used++] = ' ';
			}
			want[used] = 0;
			check("3A 2.5, 9.2, 12.1, 13.1; 2A FXSAVE", want, "%s osfxsr=%u by em ts mp", NAMES[i], osfxsr);
		}
	}
	/* A pending x87 exception: #MF at the next waiting instruction, if NE. */
	static const u8 *pending[6];
	static const char *const after[] = {"fwait", "fld1", "fnstsw", "mmx", "nop", "fnclex, fwait"};
	pending[0] = CODE("fninit; fnstcw (%ebx); andw $0xfffb, (%ebx); fldcw (%ebx); fld1; fldz; fdivrp; nop; fwait");
	pending[1] = CODE("fninit; fnstcw (%ebx); andw $0xfffb, (%ebx); fldcw (%ebx); fld1; fldz; fdivrp; nop; fld1");
	pending[2] = CODE("fninit; fnstcw (%ebx); andw $0xfffb, (%ebx); fldcw (%ebx); fld1; fldz; fdivrp; nop; fnstsw %ax; fnclex");
	pending[3] = CODE("fninit; fnstcw (%ebx); andw $0xfffb, (%ebx); fldcw (%ebx); fld1; fldz; fdivrp; nop; movq %mm0, %mm1");
	pending[4] = CODE("fninit; fnstcw (%ebx); andw $0xfffb, (%ebx); fldcw (%ebx); fld1; fldz; fdivrp; nop; nop; fnclex");
	pending[5] = CODE("fninit; fnstcw (%ebx); andw $0xfffb, (%ebx); fldcw (%ebx); fld1; fldz; fdivrp; nop; fnclex; fwait");
	for (u32 i = 0; i < COUNT(after); i++) {
		fresh();
		in.cr0 |= CR0_NE;
		in.ebx = DATA;
		run(pending[i]);
		outcome();
		asm volatile("clts; fninit");
		check("1 8.7; 3A 6.15 #MF", i == 0 || i == 1 || i == 3 ? "#MF+11" : "done", "pending division by zero, %s", after[i]);
	}
	/* SIMD exceptions: #XM with OSXMMEXCPT, #UD without. */
	for (u32 on = 0; on < 2; on++) {
		fresh();
		in.cr4 = CR4_OSFXSR | (on ? CR4_OSXMMEXCPT : 0);
		in.ebx = DATA;
		*word(DATA) = 0x1d80;
		*word(DATA + 4) = 0x3f800000;
		*word(DATA + 8) = 0x1f80;
		run(CODE("ldmxcsr (%ebx); movss 4(%ebx), %xmm0; xorps %xmm1, %xmm1; divss %xmm1, %xmm0"));
		outcome();
		check("3A 6.15 #XM, 2.5", on ? "#XM+b" : "#UD+b", "simd division by zero osxmmexcpt=%u", on);
	}
	fresh();
	in.cr4 = CR4_OSFXSR;
	in.ebx = DATA;
	*word(DATA) = 0x10000;
	run(CODE("ldmxcsr (%ebx)"));
	outcome();
	check("2A LDMXCSR", "#GP(0)+0", "ldmxcsr of a reserved bit");
	fresh();
	in.cr4 = CR4_OSFXSR;
	in.ebx = DATA + 4;
	run(CODE("movaps (%ebx), %xmm0"));
	outcome();
	check("2B MOVAPS", "#GP(0)+0", "movaps unaligned");
	fresh();
	in.cr4 = CR4_OSFXSR;
	in.ebx = DATA + 8;
	run(CODE("fxsave (%ebx)"));
	outcome();
	check("2A FXSAVE", "#GP(0)+0", "fxsave unaligned");
}
