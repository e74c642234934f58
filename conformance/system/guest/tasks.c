/* Task switches (SDM 3A chapter 7): by JMP, CALL, task gate, interrupt and IRET; what is saved, checked and marked busy. */
#include "system.h"

#define NEW SLOT(4)
#define TASKGATE SLOT(5)
/* Offsets in a 32-bit TSS. */
#define T_LINK 0x00
#define T_EIP 0x20
#define T_EFLAGS 0x24
#define T_EAX 0x28
#define T_ESP 0x38
#define T_ES 0x48
#define T_CS 0x4c
#define T_SS 0x50
#define T_DS 0x54
#define T_FS 0x58
#define T_GS 0x5c
#define T_LDT 0x60
#define T_TRAP 0x64

static void new_task(const u8 *code)
{
	fresh();
	clear(TSS_A, 104);
	*word(TSS_A + T_EIP) = (u32)code;
	*word(TSS_A + T_EFLAGS) = 2 | FLAG_CF;
	for (u32 i = 0; i < 8; i++)
		*word(TSS_A + T_EAX + 4 * i) = 0x10101010 + i;
	*word(TSS_A + T_ESP) = STACK_2;
	for (u32 at = T_ES; at <= T_GS; at += 4)
		*word(TSS_A + at) = SUP_DATA;
	*word(TSS_A + T_CS) = SUP_CODE;
	*word(TSS_A + T_TRAP) = 0xffff0000;
	descriptor(NEW, TSS_A, 103, TSS32, 0);
	gate(TASKGATE, NEW, 0, TASK_GATE | DPL(3), 0);
	interrupt_gate(0x21, NEW, 0, TASK_GATE | DPL(3));
	in.eflags = 2 | FLAG_ZF;
}

static const char *const WAYS[] = {"jmp tss", "call tss", "jmp gate", "call gate", "int gate"};
static void switch_by(u32 way)
{
	static const u8 *code[5];
	code[0] = CODE("ljmp $" VALUE(SLOTS) "+32, $0");
	code[1] = CODE("lcall $" VALUE(SLOTS) "+32, $0");
	code[2] = CODE("ljmp $" VALUE(SLOTS) "+40, $0");
	code[3] = CODE("lcall $" VALUE(SLOTS) "+40, $0");
	code[4] = CODE("int $0x21");
	run(code[way]);
}

GROUP(tasks, "tasks")
{
	for (u32 way = 0; way < 5; way++) {
		new_task(CODE("movl %cr0, %edi"));
		u32 length = way == 4 ? 2 : 7;
		switch_by(way);
		say("%s tr=%x cs=%x ss:esp=%x:%x flags=%x", exception(out.vector), out.tr, out.cs, out.ss, out.esp, out.eflags);
		say(" ts=%x old=%x new=%x link=%x", out.edi & CR0_TS, out.old_tss, access_byte(NEW), *half(TSS_A));
		int nested = way == 1 || way >= 3;
		check("3A 7.3, 7.4",
		      text("int 20 tr=%x cs=8 ss:esp=10:%x flags=%x ts=8 old=%x new=8b link=%x", NEW, STACK_2,
			   nested ? 3 | FLAG_NT : 3, nested ? 0x8b : 0x89, nested ? SUP_TSS : 0),
		      "%s", WAYS[way]);
		say("eip=+%x flags=%x eax=%x esp=%x cs=%x ss=%x", *word(TSS + T_EIP) - in.eip, *word(TSS + T_EFLAGS),
		    *word(TSS + T_EAX), *word(TSS + T_ESP), *half(TSS + T_CS), *half(TSS + T_SS));
		check("3A 7.2.1, 7.3", text("eip=+%x flags=42 eax=a0a0a0a0 esp=%x cs=8 ss=10", length, STACK_0), "%s saves", WAYS[way]);
		say("eax=%x ecx=%x ebp=%x", out.eax, out.ecx, out.ebp);
		check("3A 7.3", "eax=10101010 ecx=10101011 ebp=10101015", "%s loads", WAYS[way]);

		/* From ring 3, by what DPL allows. */
		if (way < 2)
			continue;
		new_task(CODE("nop"));
		ring(3);
		switch_by(way);
		say("%s cs=%x saved %x:%x", exception(out.vector), out.cs, *half(TSS + T_CS), *word(TSS + T_ESP));
		check("3A 7.3, 7.2.5", text("int 20 cs=8 saved 4b:%x", STACK_3), "%s cpl=3", WAYS[way]);
	}
	/* IRET back, and what it leaves. */
	for (u32 way = 1; way < 5; way += way == 1 ? 2 : 1) {
		new_task(CODE("iret; ud2"));
		u32 eip = *word(TSS_A + T_EIP);
		switch_by(way);
		outcome();
		say(" tr=%x old=%x new=%x flags=%x", out.tr, out.old_tss, access_byte(NEW), out.eflags);
		say(" task: eip=%s flags=%x", *word(TSS_A + T_EIP) == eip + 1 ? "+1" : "?",
		    *word(TSS_A + T_EFLAGS));
		check("3A 7.3, 7.4", text("done tr=18 old=8b new=89 flags=42 task: eip=+1 flags=3"), "%s and iret", WAYS[way]);
	}

	/* Exceptions by task gate: the error code goes on the new stack; the return address is the instruction. */
	new_task(CODE("popl %esi"));
	interrupt_gate(13, NEW, 0, TASK_GATE);
	run(CODE("nop; int $0x40"));
	say("%s esi=%x esp=%x saved eip=+%x", exception(out.vector), out.esi, out.esp, *word(TSS + T_EIP) - in.eip);
	check("3A 6.12.2, 6.13", text("int 20 esi=202 esp=%x saved eip=+1", STACK_2), "#GP by task gate");

	/* The descriptor and the gate. */
	static const struct {
		const char *name, *want;
		u32 access, limit;
	} TARGETS[] = {
		{"available", "done", 0x89, 103},
		{"busy", "#GP(80)", 0x8b, 103},
		{"not present", "#NP(80)", 0x09, 103},
		{"busy and not present", "#GP(80)", 0x0b, 103},
		{"limit 102", "#TS(80)", 0x89, 102},
		{"limit 103 and more", "done", 0x89, 0xfff},
		{"ldt", "#GP(80)", 0x82, 103},
		{"data", "#GP(80)", 0x92, 103},
		{"16-bit busy", "#GP(80)", 0x83, 103},
		{"16-bit limit 42", "#TS(80)", 0x81, 42},
	};
	for (u32 way = 0; way < 5; way++) {
		for (u32 i = 0; i < COUNT(TARGETS); i++) {
			/* Data is no system descriptor, and a far transfer says so in the same words. */
			new_task(CODE("nop"));
			descriptor(NEW, TSS_A, TARGETS[i].limit, TARGETS[i].access, 0);
			switch_by(way);
			if (out.vector == VECTOR_DONE)
				say("done");
			else
				say("%s(%x)", exception(out.vector), out.error);
			check("2A JMP, CALL, INT n; 3A 7.3", TARGETS[i].want, "%s %s", WAYS[way], TARGETS[i].name);
		}
	}
	static const u32 selectors[] = {0, 4, GDT_BYTES, NEW | 4};
	for (u32 way = 2; way < 5; way++) {
		for (u32 i = 0; i < COUNT(selectors); i++) {
			new_task(CODE("nop"));
			gate(TASKGATE, selectors[i], 0, TASK_GATE, 0);
			interrupt_gate(0x21, selectors[i], 0, TASK_GATE);
			switch_by(way);
			say("%s(%x)", exception(out.vector), out.error);
			check("2A JMP, CALL, INT n", text("#GP(%x)", selectors[i] & 0xfffc), "%s to selector %x", WAYS[way], selectors[i]);
		}
		new_task(CODE("nop"));
		gate(TASKGATE, NEW, 0, TASK_GATE & 0x7f, 0);
		interrupt_gate(0x21, NEW, 0, TASK_GATE & 0x7f);
		switch_by(way);
		say("%s(%x)", exception(out.vector), out.error);
		check("2A JMP, CALL, INT n", way == 4 ? "#NP(10a)" : text("#NP(%x)", TASKGATE), "%s gate not present", WAYS[way]);
		new_task(CODE("nop"));
		gate(TASKGATE, NEW, 0, TASK_GATE, 0);
		interrupt_gate(0x21, NEW, 0, TASK_GATE);
		ring(3);
		switch_by(way);
		say("%s(%x)", exception(out.vector), out.error);
		check("2A JMP, CALL, INT n", way == 4 ? "#GP(10a)" : text("#GP(%x)", TASKGATE), "%s gate dpl 0 from cpl 3", WAYS[way]);
	}
	/* A TSS selector used directly: DPL against CPL and RPL. */
	for (u32 call = 0; call < 2; call++) {
		new_task(CODE("nop"));
		ring(3);
		switch_by(call);
		say("%s(%x)", exception(out.vector), out.error);
		check("2A JMP, CALL", "#GP(80)", "%s dpl 0 from cpl 3", WAYS[call]);
	}

	/* State that the new task cannot have: the fault is the new task's. */
	static const struct {
		const char *name, *want;
		u32 at, value, access;
	} STATES[] = {
		{"cs null", "#TS(0)", T_CS, 0, 0},
		{"cs beyond limit", "#TS(100)", T_CS, GDT_BYTES, 0},
		{"cs data", "#TS(10)", T_CS, SUP_DATA, 0},
		{"cs rpl 3 dpl 0", "#TS(8)", T_CS, SUP_CODE | 3, 0},
		{"cs not present", "#NP(60)", T_CS, SLOT(0), EXECUTE_READ & 0x7f},
		{"ss null", "#TS(0)", T_SS, 0, 0},
		{"ss beyond limit", "#TS(100)", T_SS, GDT_BYTES, 0},
		{"ss read-only", "#TS(60)", T_SS, SLOT(0), READ_ONLY},
		{"ss dpl 3", "#TS(50)", T_SS, DATA3, 0},
		{"ss rpl 3", "#TS(10)", T_SS, SUP_DATA | 3, 0},
		{"ss not present", "#SS(60)", T_SS, SLOT(0), READ_WRITE & 0x7f},
		{"ds null", "done", T_DS, 0, 0},
		{"ds beyond limit", "#TS(100)", T_DS, GDT_BYTES, 0},
		{"es execute-only", "#TS(60)", T_ES, SLOT(0), EXECUTE},
		{"fs not present", "#NP(60)", T_FS, SLOT(0), READ_WRITE & 0x7f},
		{"gs system", "#TS(60)", T_GS, SLOT(0), LDT_TYPE},
		{"ldt null", "done", T_LDT, 0, 0},
		{"ldt in the ldt", "#TS(64)", T_LDT, SLOT(0) | 4, LDT_TYPE},
		{"ldt beyond limit", "#TS(100)", T_LDT, GDT_BYTES, 0},
		{"ldt data", "#TS(60)", T_LDT, SLOT(0), READ_WRITE},
		{"ldt not present", "#TS(60)", T_LDT, SLOT(0), LDT_TYPE & 0x7f},
		{"ldt good", "done", T_LDT, SLOT(0), LDT_TYPE},
	};
	for (u32 i = 0; i < COUNT(STATES); i++) {
		new_task(CODE("nop"));
		*word(TSS_A + STATES[i].at) = STATES[i].value;
		descriptor(SLOT(0), 0, 0xfffff, STATES[i].access, GRANULAR | BIG);
		switch_by(0);
		if (out.vector == VECTOR_DONE)
			say("done");
		else
			say("%s(%x)", exception(out.vector), out.error);
		say(" tr=%x new=%x", out.tr, access_byte(NEW));
		check("3A 7.3 table 7-1", text("%s tr=80 new=8b", STATES[i].want), "new task's %s", STATES[i].name);
	}
	new_task(0);
	descriptor(SLOT(0), 0, 0xfff, EXECUTE_READ, BIG);
	*word(TSS_A + T_CS) = SLOT(0);
	*word(TSS_A + T_EIP) = 0x1000;
	switch_by(0);
	say("%s(%x) %x:%s", exception(out.vector), out.error, out.cs, out.eip == 0x1000 ? "1000" : "elsewhere");
	check("3A 7.3 table 7-1", "#GP(0) 60:1000", "new task's eip beyond the limit");

	/* IRET with NT: the back link. */
	static const struct {
		const char *name, *want;
		u32 link, access;
	} LINKS[] = {
		{"busy", "done", NEW, 0x8b},	       {"available", "#TS(80)", NEW, 0x89}, {"not present", "#NP(80)", NEW, 0x0b},
		{"null", "#TS(0)", 0, 0x8b},	       {"in the ldt", "#TS(84)", NEW | 4, 0x8b}, {"beyond limit", "#TS(100)", GDT_BYTES, 0x8b},
		{"data", "#TS(10)", SUP_DATA, 0x8b},
	};
	for (u32 i = 0; i < COUNT(LINKS); i++) {
		new_task(CODE("nop"));
		descriptor(NEW, TSS_A, 103, LINKS[i].access, 0);
		*half(TSS) = (u16)LINKS[i].link;
		in.eflags = 2;
		run(CODE("pushl $0x4002; popfl; iret"));
		if (out.vector == VECTOR_DONE)
			say("done old=%x flags=%x", out.old_tss, *word(TSS + T_EFLAGS));
		else
			say("%s(%x) eip=+%x", exception(out.vector), out.error, out.eip - in.eip);
		check("2A IRET; 3A 7.3", i == 0 ? "done old=89 flags=2" : text("%s eip=+6", LINKS[i].want), "iret to link %s", LINKS[i].name);
	}

	/* The T flag: #DB before the first instruction, DR6.BT. */
	new_task(CODE("nop"));
	*word(TSS_A + T_TRAP) = 0xffff0001;
	switch_by(0);
	say("%s eip=%s dr6=%x", exception(out.vector), out.eip == *word(TSS_A + T_EIP) ? "first" : "?", out.dr6 & 0xe00f);
	check("3A 7.2.1, 17.3.1.5", "#DB eip=first dr6=8000", "debug trap flag");

	/* CR3 comes from the new task if paging is on, and is not looked at if it is off. */
	new_task(CODE("nop"));
	*word(TSS_A + 0x1c) = 0x345000;
	switch_by(0);
	say("%s cr3=%x", exception(out.vector), out.cr3);
	check("3A 7.2.1", "int 20 cr3=0", "cr3 without paging");

	/* A 16-bit TSS: words; upper halves are not compared. */
	new_task(0);
	const u8 *code = CODE("nop");
	clear(TSS_A, 104);
	descriptor(SLOT(0), (u32)code, 0xfffff, EXECUTE_READ, GRANULAR | BIG);
	*half(TSS_A + 0x0e) = 0;
	*half(TSS_A + 0x10) = 2 | FLAG_CF;
	for (u32 i = 0; i < 8; i++)
		*half(TSS_A + 0x12 + 2 * i) = (u16)(0x2020 + i);
	*half(TSS_A + 0x1a) = 0x0f00;
	descriptor(SLOT(1), STACK_2 & ~0xfffu, 0xfff, READ_WRITE, 0);
	*half(TSS_A + 0x22) = SUP_DATA;
	*half(TSS_A + 0x24) = SLOT(0);
	*half(TSS_A + 0x26) = SLOT(1);
	*half(TSS_A + 0x28) = SUP_DATA;
	descriptor(NEW, TSS_A, 43, TSS16, 0);
	run(CODE("lcall $" VALUE(SLOTS) "+32, $0"));
	say("%s cs=%x ss=%x sp=%x ax=%x di=%x flags=%x fs=%x new=%x link=%x", exception(out.vector), out.cs, out.ss, out.esp & 0xffff,
	    out.eax & 0xffff, out.edi & 0xffff, out.eflags, out.fs, access_byte(NEW), *half(TSS_A));
	check("3A 7.6", text("int 20 cs=60 ss=68 sp=f00 ax=2020 di=2027 flags=4003 fs=0 new=83 link=18"), "call 16-bit tss");
}
