/* Double faults (SDM 3A 6.15, #DF), priority among simultaneous faults (6.9), and shutdown. */
#include "system.h"

/* Which second exception makes a double fault of which first one (table 6-5). */
static const struct {
	const char *name, *want;
	u32 first, second;
} PAIRS[] = {
	{"#UD then #GP", "#GP(33)", 6, 13}, {"#UD then #NP", "#NP(33)", 6, 11}, {"#BP then #GP", "#GP(1a)", 3, 13},
	{"#DB then #NP", "#NP(b)", 1, 11},  {"#DE then #GP", "#DF(0)", 0, 13},  {"#DE then #NP", "#DF(0)", 0, 11},
	{"#GP then #GP", "#DF(0)", 13, 13}, {"#GP then #NP", "#DF(0)", 13, 11}, {"#NP then #GP", "#DF(0)", 11, 13},
	{"#SS then #NP", "#DF(0)", 12, 11}, {"#TS then #NP", "#DF(0)", 10, 11}, {"#NM then #NP", "#NP(3b)", 7, 11},
	{"int 21 then #GP", "#GP(10a)", 0x21, 13},
	{"#BR then #NP", "#NP(2b)", 5, 11}, {"#OF then #NP", "#NP(22)", 4, 11},
};

static void raise(u32 vector)
{
	in.edx = DATA;
	*word(DATA) = 1;
	*word(DATA + 4) = 2;
	in.eax = 0;
	descriptor(SLOT(0), 0, 0xfffff, READ_WRITE & 0x7f, GRANULAR | BIG);
	switch (vector) {
	case 0: run(CODE("xorl %ecx, %ecx; divl %ecx")); break;
	case 1: in.eflags |= FLAG_TF; run(CODE("nop; nop")); break;
	case 3: run(CODE("int3")); break;
	case 4: in.eflags |= FLAG_OF; run(CODE("into")); break;
	case 5: run(CODE("bound %eax, (%edx)")); break;
	case 6: run(CODE("ud2")); break;
	case 7: in.cr0 |= CR0_EM; run(CODE("fnop")); break;
	case 10: run(CODE("pushl $0x4002; popfl; iret")); break;
	case 11: in.eax = SLOT(0); run(CODE("movl %eax, %es")); break;
	case 12: in.eax = SLOT(0); run(CODE("movl %eax, %ss")); break;
	case 13: run(CODE("int $0x40")); break;
	default: run(CODE("int $0x21"));
	}
}

GROUP(double_faults, "double-faults")
{
	for (u32 by = 0; by < 2; by++) {
		for (u32 i = 0; i < COUNT(PAIRS); i++) {
			fresh();
			if (by == 0)
				interrupt_gate(8, SUP_CODE, stub(8), INT32);
			/* The gate of the first: not present (#NP), or no gate at all (#GP). If #NP itself is first, only #GP. */
			interrupt_gate(PAIRS[i].first, SUP_CODE, stub(0), PAIRS[i].second == 13 ? READ_WRITE : INT32 & 0x7f);
			raise(PAIRS[i].first);
			say("%s(%x)%s", exception(out.vector), out.error, by_task ? " by task" : "");
			int doubled = PAIRS[i].want[1] == 'D';
			check("3A 6.15 table 6-5", text("%s%s", PAIRS[i].want, doubled && by ? " by task" : ""), "%s, #DF by %s", PAIRS[i].name,
			      by ? "task gate" : "interrupt gate");
		}
	}
	/* With paging: a page fault whose handler, or whose stack, is not there. */
	for (u32 by = 0; by < 2; by++) {
		for (u32 second = 0; second < 3; second++) {
			fresh();
			clear(PAGE_TABLES, 0x3000);
			*word(PAGE_TABLES) = (PAGE_TABLES + 0x1000) | 7;
			for (u32 page = 0; page < 1024; page++)
				*word(PAGE_TABLES + 0x1000 + 4 * page) = page << 12 | 7;
			in.cr3 = PAGE_TABLES;
			in.cr0 |= CR0_PG;
			if (by == 0)
				interrupt_gate(8, SUP_CODE, stub(8), INT32);
			interrupt_gate(14, SUP_CODE, stub(14), second == 0 ? INT32 & 0x7f : second == 1 ? READ_WRITE : INT32);
			if (second == 2 && by == 0)
				continue;
			run(second == 2 ? CODE("movl $0x500000, %esp; movl 0x480000, %eax") : CODE("movl 0x480000, %eax"));
			say("%s(%x)%s cr2=%x", exception(out.vector), out.error, by_task ? " by task" : "", out.cr2);
			static const char *const names[] = {"#NP", "#GP", "#PF"};
			check("3A 6.15 table 6-5", text("#DF(0)%s cr2=%x", by ? " by task" : "", second == 2 ? 0x4ffffc : 0x480000),
			      "#PF then %s, #DF by %s", names[second], by ? "task gate" : "interrupt gate");
		}
	}
}

GROUP(priority, "priority")
{
	/* #UD before #GP of privilege; #NM before memory faults; #GP of a null segment before #PF; fetch before decode. */
	static const u8 *code[17];
	code[0] = CODE("lock; hlt");
	code[1] = CODE("lock; movl (%ebx), %eax");
	code[2] = CODE("fldl (%ebx)");
	code[3] = CODE("movl %es:(%ebx), %eax");
	code[4] = CODE("divl (%ebx)");
	code[5] = CODE("lgdt (%ebx)");
	code[6] = CODE("ltr (%ebx)");
	code[7] = CODE("movl %eax, %cr1");
	code[8] = CODE("outsb");
	code[9] = CODE("insb");
	code[10] = CODE("lds (%ebx), %eax");
	code[11] = CODE("xaddl %eax, (%ebx)");
	code[12] = CODE("lldt (%ebx)");
	code[13] = CODE("lmsw (%ebx)");
	code[14] = CODE("invlpg (%ebx)");
	code[15] = CODE("popl (%ebx)");
	code[16] = CODE("pushl (%ebx)");
	static const struct {
		const char *name, *want;
	} CASES[] = {
		{"lock hlt cpl=3", "#UD+0"},
		{"lock mov of a page that is not there", "#UD+0"},
		{"fld with TS of a page that is not there", "#NM+0"},
		{"null es and a page that is not there", "#GP(0)+0"},
		{"div by a page that is not there", "#PF(4)+0 cr2=480000"},
		{"lgdt cpl=3 of a page that is not there", "#GP(0)+0"},
		{"ltr cpl=3 of a page that is not there", "#GP(0)+0"},
		{"mov cr1 cpl=3", "#UD+0"},
		{"outs without permission from a page that is not there", "#GP(0)+0"},
		{"ins without permission to a page that is not there", "#GP(0)+0"},
		{"lds of a page that is not there", "#PF(4)+0 cr2=480000"},
		{"xadd of a page that is not there", "#PF(6)+0 cr2=480000"},
		{"lldt cpl=3 of a page that is not there", "#GP(0)+0"},
		{"lmsw cpl=3 of a page that is not there", "#GP(0)+0"},
		{"invlpg cpl=3 of a page that is not there", "#GP(0)+0"},
		{"pop to a page that is not there", "#PF(6)+0 cr2=480000"},
		{"push of a page that is not there", "#PF(4)+0 cr2=480000"},
	};
	for (u32 i = 0; i < COUNT(CASES); i++) {
		fresh();
		clear(PAGE_TABLES, 0x3000);
		*word(PAGE_TABLES) = (PAGE_TABLES + 0x1000) | 7;
		for (u32 page = 0; page < 1024; page++)
			*word(PAGE_TABLES + 0x1000 + 4 * page) = page << 12 | 7;
		in.cr3 = PAGE_TABLES;
		in.cr0 |= CR0_PG | (i == 2 ? CR0_TS : 0);
		in.ebx = in.esi = in.edi = 0x480000;
		ring(3);
		if (i == 3)
			in.es = 0;
		run(code[i]);
		outcome();
		check("3A 6.9 table 6-2", CASES[i].want, "%s", CASES[i].name);
	}
	/* In virtual-8086 mode #UD of these comes before the operand. */
	static const u8 *undefined[4];
	undefined[0] = CODE16("lldt (%bx)");
	undefined[1] = CODE16("verr (%bx)");
	undefined[2] = CODE16("lar (%bx), %ax");
	undefined[3] = CODE16("sldt (%bx)");
	static const char *const names[] = {"lldt", "verr", "lar", "sldt"};
	for (u32 i = 0; i < COUNT(names); i++) {
		fresh();
		in.ebx = 0xffff;
		run_v86(undefined[i], 0);
		outcome();
		check("3A 6.9 table 6-2, 20.2.2", "#UD+0", "%s beyond the limit in virtual-8086 mode", names[i]);
	}
	/* A trap of the previous instruction comes before a fault of the next. */
	fresh();
	in.eflags = 2 | FLAG_TF;
	run(CODE("nop; ud2"));
	outcome();
	check("3A 6.9", "#DB+1", "single step before #UD");
	fresh();
	in.eflags = 2 | FLAG_TF;
	run(CODE("ud2"));
	outcome();
	check("3A 6.9", "#UD+0", "a fault is no step");
}

/* Ends the machine. */
GROUP(triple_fault, "!triple-fault")
{
	fresh();
	interrupt_gate(8, 0, 0, 0);
	interrupt_gate(13, 0, 0, 0);
	say("shutdown follows");
	check("3A 6.15", "shutdown follows", "int 40h without #GP and #DF handlers");
	run(CODE("int $0x40"));
	say("the machine goes on");
	check("3A 6.15", "", "after it");
}
