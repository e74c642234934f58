/* Call gates (SDM 3A 5.8.3 to 5.8.5), interrupt and trap gates (6.11, 6.12), stack switches, and IRET. */
#include "system.h"

static char want[512];
static void wanted(const char *what)
{
	u32 used = 0;
	while (want[used] != 0)
		used++;
	if (used != 0)
		want[used++] = ' ';
	while (*what != 0 && used < sizeof(want) - 1)
		want[used++] = *what++;
	want[used] = 0;
}

static void separator(void)
{
	if (line[0] != 0)
		say(" ");
}

/* What a target that can be reached by a gate does. */
static const u8 *target(void) { return CODE("nop"); }

/* Rows over the target's DPL (outer loop) and CPL. */
static void call_gate_row(int jump, u32 gate_type, u32 type, int present)
{
	want[0] = 0;
	for (u32 dpl = 0; dpl < 4; dpl++) {
		for (u32 cpl = 0; cpl < 4; cpl++) {
			fresh();
			descriptor(SLOT(0), (u32)target(), 0xfffff, (present ? PRESENT : 0) | DPL(dpl) | type, GRANULAR | BIG);
			gate(SLOT(1), SLOT(0), 0, gate_type | DPL(3), 0);
			run_at(cpl, jump ? CODE("ljmp $" VALUE(SLOTS) "+8, $0x99999") : CODE("lcall $" VALUE(SLOTS) "+8, $0x99999"));
			separator();
			if (out.vector == VECTOR_DONE)
				say("%x", out.cs & 3);
			else
				say("%s(%x)", exception(out.vector) + 1, out.error);
			int code = (type & 8) != 0, conforming = (type & 4) != 0;
			if (!code || dpl > cpl || (jump && !conforming && dpl != cpl))
				wanted(text("GP(%x)", SLOT(0)));
			else if (!present)
				wanted(text("NP(%x)", SLOT(0)));
			else
				wanted(text("%x", conforming ? cpl : dpl));
		}
	}
	check("3A 5.8.4", want, "%s through %s gate type=%02x p=%u", jump ? "jmp" : "call", gate_type == CALL16 ? "16-bit" : "32-bit",
	      type, present);
}

GROUP(call_gates, "call-gates")
{
	static const u8 types[] = {0x10, 0x12, 0x18, 0x1a, 0x1c, 0x1e};
	for (int jump = 0; jump < 2; jump++)
		for (u32 size = 0; size < 2; size++)
			for (u32 t = 0; t < COUNT(types); t++)
				for (int present = 0; present < 2; present++)
					call_gate_row(jump, size ? CALL32 : CALL16, types[t], present);

	/* The gate itself: DPL against CPL and RPL, then presence, then its selector. */
	for (int present = 0; present < 2; present++) {
		for (u32 cpl = 0; cpl < 4; cpl++) {
			want[0] = 0;
			for (u32 dpl = 0; dpl < 4; dpl++) {
				for (u32 rpl = 0; rpl < 4; rpl++) {
					fresh();
					descriptor(SLOT(0), (u32)target(), 0xfffff, CONFORMING, GRANULAR | BIG);
					gate(SLOT(1), SLOT(0), 0, (CALL32 & (present ? 0xff : 0x7f)) | DPL(dpl), 0);
					in.eax = SLOT(1) | rpl;
					run_at(cpl, CODE("pushl %eax; pushl $0; lcall *(%esp)"));
					separator();
					say("%s", out.vector == VECTOR_DONE ? "ok" : exception(out.vector) + 1);
					if (out.vector != VECTOR_DONE && out.error != SLOT(1))
						say("(%x)", out.error);
					wanted(dpl < cpl || dpl < rpl ? "GP" : present ? "ok" : "NP");
				}
			}
			check("3A 5.8.4", want, "gate dpl by rpl p=%u cpl=%u", present, cpl);
		}
	}
	static const u32 targets[] = {0, 3, GDT_BYTES, 0xc};
	for (u32 i = 0; i < COUNT(targets); i++) {
		fresh();
		gate(SLOT(1), targets[i], 0, CALL32, 0);
		run(CODE("lcall $" VALUE(SLOTS) "+8, $0"));
		outcome();
		check("2A CALL", text("#GP(%x)+0", targets[i] & 0xfffc), "gate to selector %x", targets[i]);
	}
	fresh();
	descriptor(SLOT(0), 0, 0xfff, EXECUTE_READ, BIG);
	gate(SLOT(1), SLOT(0), 0x1000, CALL32, 0);
	run(CODE("lcall $" VALUE(SLOTS) "+8, $0"));
	outcome();
	check("2A CALL", "#GP(0)+0", "gate offset beyond the limit");

	/* Parameters: CPL 3 to 0 by 32-bit and 16-bit gates. The new stack, from its top down. */
	for (u32 count = 0; count < 32; count += count == 0 ? 1 : count == 1 ? 2 : 28) {
		fresh();
		in.ebp = 0x1000;
		gate(SLOT(1), SUP_CODE, (u32)target(), CALL32 | DPL(3), count);
		ring(3);
		in.esp = STACK_3 - 128;
		for (u32 i = 0; i < 32; i++)
			*word(in.esp + 4 * i) = 0xe0000000 + i;
		run(CODE("lcall $" VALUE(SLOTS) "+8, $0"));
		outcome();
		say(" esp=%x ss:esp=%x:%x", out.esp, *word(ENTRY_STACK_0 - 4) & 0xffff, *word(ENTRY_STACK_0 - 8));
		if (count > 0)
			say(" first %x last %x", *word(ENTRY_STACK_0 - 8 - 4 * count), *word(ENTRY_STACK_0 - 12));
		say(" cs:eip=%x:+%x", *word(out.esp + 4) & 0xffff, *word(out.esp) - in.eip);
		check("3A 5.8.5",
		      text("done esp=%x ss:esp=53:%x%s cs:eip=4b:+7", ENTRY_STACK_0 - 16 - 4 * count, STACK_3 - 128,
			   count == 0 ? "" : text(" first e0000000 last %x", 0xe0000000 + count - 1)),
		      "32-bit gate %u parameters", count);

		fresh();
		descriptor(SLOT(0), (u32)target(), 0xfffff, EXECUTE_READ, GRANULAR | BIG);
		gate(SLOT(1), SLOT(0), 0, CALL16 | DPL(3), count);
		ring(3);
		in.esp = STACK_3 - 128;
		for (u32 i = 0; i < 32; i++)
			*half(in.esp + 2 * i) = (u16)(0xe000 + i);
		run(CODE("lcall $" VALUE(SLOTS) "+8, $0"));
		outcome();
		say(" esp=%x ss:sp=%x:%x", out.esp, *half(ENTRY_STACK_0 - 2), *half(ENTRY_STACK_0 - 4));
		if (count > 0)
			say(" first %x last %x", *half(ENTRY_STACK_0 - 4 - 2 * count), *half(ENTRY_STACK_0 - 6));
		say(" cs:ip=%x:%x", *half(out.esp + 2), (*half(out.esp) - in.eip) & 0xffff);
		check("3A 5.8.5, 21.4",
		      text("done esp=%x ss:sp=53:%x%s cs:ip=4b:7", ENTRY_STACK_0 - 8 - 2 * count, (STACK_3 - 128) & 0xffff,
			   count == 0 ? "" : text(" first e000 last %x", 0xe000 + count - 1)),
		      "16-bit gate %u parameters", count);
	}

	/* There and back: RETF n takes the parameters from both stacks. */
	fresh();
	gate(SLOT(1), SUP_CODE, (u32)CODE("lret $8"), CALL32 | DPL(3), 2);
	ring(3);
	run(CODE("pushl $1; pushl $2; lcall $" VALUE(SLOTS) "+8, $0"));
	outcome();
	say(" cs=%x ss:esp=%x:%x", out.cs, out.ss, out.esp);
	check("3A 5.8.6", text("done cs=4b ss:esp=53:%x", STACK_3), "gate and retf 8");
	fresh();
	gate(SLOT(1), SUP_CODE, (u32)CODE("nop"), CALL32, 5);
	run(CODE("pushl $1; lcall $" VALUE(SLOTS) "+8, $0"));
	outcome();
	say(" esp=%x %x %x", out.esp, *word(out.esp) - in.eip, *word(out.esp + 4) & 0xffff);
	check("3A 5.8.4", text("done esp=%x 9 8", STACK_0 - 12), "same level copies nothing");
}

/* The inner stack of a switch from ring 3 to ring 1, by call gate and by INT: errors of SS in the TSS. */
GROUP(stack_switch, "stack-switch")
{
	static const struct {
		const char *name, *fault;
		u32 selector, access, error;
	} STACKS[] = {
		{"good", 0, SLOT(2) | 1, READ_WRITE | DPL(1), 0},
		{"null", "#TS", 0, READ_WRITE | DPL(1), 0},
		{"null rpl 1", "#TS", 1, READ_WRITE | DPL(1), 0},
		{"beyond limit", "#TS", GDT_BYTES | 1, READ_WRITE | DPL(1), GDT_BYTES},
		{"no ldt", "#TS", 0xc | 1, READ_WRITE | DPL(1), 0xc},
		{"rpl 0", "#TS", SLOT(2), READ_WRITE | DPL(1), SLOT(2)},
		{"rpl 2", "#TS", SLOT(2) | 2, READ_WRITE | DPL(1), SLOT(2)},
		{"dpl 0", "#TS", SLOT(2) | 1, READ_WRITE, SLOT(2)},
		{"dpl 2", "#TS", SLOT(2) | 1, READ_WRITE | DPL(2), SLOT(2)},
		{"read-only", "#TS", SLOT(2) | 1, READ_ONLY | DPL(1), SLOT(2)},
		{"code", "#TS", SLOT(2) | 1, EXECUTE_READ | DPL(1), SLOT(2)},
		{"system", "#TS", SLOT(2) | 1, LDT_TYPE | DPL(1), SLOT(2)},
		{"not present", "#SS", SLOT(2) | 1, 0x12 | DPL(1), SLOT(2)},
		{"not present and read-only", "#TS", SLOT(2) | 1, 0x10 | DPL(1), SLOT(2)},
	};
	static const char *const WAYS[] = {"call gate", "int gate", "exception", "16-bit call gate"};
	for (u32 way = 0; way < COUNT(WAYS); way++) {
		for (u32 i = 0; i < COUNT(STACKS); i++) {
			fresh();
			*word(TSS + 0x10) = STACKS[i].selector;
			descriptor(SLOT(2), 0, 0xfffff, STACKS[i].access, GRANULAR | BIG);
			descriptor(SLOT(0), (u32)target(), 0xfffff, EXECUTE_READ | DPL(1), GRANULAR | BIG);
			gate(SLOT(1), SLOT(0), 0, (way == 3 ? CALL16 : CALL32) | DPL(3), 0);
			interrupt_gate(0x21, SLOT(0), 0, INT32 | DPL(3));
			interrupt_gate(6, SLOT(0), 0, INT32);
			run_at(3, way == 1   ? CODE("int $0x21")
				  : way == 2 ? CODE("ud2")
					     : CODE("lcall $" VALUE(SLOTS) "+8, $0"));
			outcome();
			if (out.vector == VECTOR_DONE)
				say(" cs=%x ss=%x", out.cs, out.ss);
			u32 external = way == 2 ? 1 : 0;
			check("3A 6.14.2, 5.8.5; 2A CALL, INT n",
			      STACKS[i].fault == 0 ? text("done cs=%x ss=%x", SLOT(0) | 1, SLOT(2) | 1)
						   : text("%s(%x)+0", STACKS[i].fault, STACKS[i].error | external),
			      "%s stack %s", WAYS[way], STACKS[i].name);
		}

		/* A TSS whose limit ends before SS1:ESP1; a stack whose limit leaves no room. */
		for (u32 limit = 0x11; limit < 0x14; limit++) {
			fresh();
			descriptor(SUP_TSS, TSS, limit, TSS32, 0);
			descriptor(SLOT(0), (u32)target(), 0xfffff, EXECUTE_READ | DPL(1), GRANULAR | BIG);
			gate(SLOT(1), SLOT(0), 0, (way == 3 ? CALL16 : CALL32) | DPL(3), 0);
			interrupt_gate(0x21, SLOT(0), 0, INT32 | DPL(3));
			interrupt_gate(6, SLOT(0), 0, INT32);
			asm volatile("ltr %w0" : : "r"(SUP_TSS));
			run_at(3, way == 1   ? CODE("int $0x21")
				  : way == 2 ? CODE("ud2")
					     : CODE("lcall $" VALUE(SLOTS) "+8, $0"));
			outcome();
			/* SDM: the limit must hold SS's four bytes? (TSS.SSn + 1 for a 32-bit TSS's word.) */
			check("2A CALL: IF (TSSstackAddress + 5) > current TSS limit",
			      limit < 0x11 ? text("#TS(%x)+0", SUP_TSS | (way == 2)) : "done", "%s tss limit %x", WAYS[way], limit);
		}
		fresh();
		descriptor(SUP_TSS, TSS, 0x10, TSS32, 0);
		descriptor(SLOT(0), (u32)target(), 0xfffff, EXECUTE_READ | DPL(1), GRANULAR | BIG);
		gate(SLOT(1), SLOT(0), 0, (way == 3 ? CALL16 : CALL32) | DPL(3), 0);
		interrupt_gate(0x21, SLOT(0), 0, INT32 | DPL(3));
		interrupt_gate(6, SLOT(0), 0, INT32);
		asm volatile("ltr %w0" : : "r"(SUP_TSS));
		run_at(3, way == 1 ? CODE("int $0x21") : way == 2 ? CODE("ud2") : CODE("lcall $" VALUE(SLOTS) "+8, $0"));
		outcome();
		check("2A CALL, INT n", text("#TS(%x)+0", SUP_TSS | (way == 2)), "%s tss limit 10", WAYS[way]);
		fresh();
		descriptor(SUP_TSS, TSS, 0x2087, TSS32, 0);
		asm volatile("ltr %w0" : : "r"(SUP_TSS));

		for (u32 room = 0; room < 2; room++) {
			fresh();
			u32 needed = way == 0 ? 16 : way == 3 ? 8 : 20;
			descriptor(SLOT(2), DATA, 0xfff, DOWN_WRITE | DPL(1), BIG);
			*word(TSS + 0x10) = SLOT(2) | 1;
			*word(TSS + 0x0c) = 0x1000 + needed - 1 + room;
			descriptor(SLOT(0), (u32)target(), 0xfffff, EXECUTE_READ | DPL(1), GRANULAR | BIG);
			gate(SLOT(1), SLOT(0), 0, (way == 3 ? CALL16 : CALL32) | DPL(3), 0);
			interrupt_gate(0x21, SLOT(0), 0, INT32 | DPL(3));
			interrupt_gate(6, SLOT(0), 0, INT32);
			run_at(3, way == 1   ? CODE("int $0x21")
				  : way == 2 ? CODE("ud2")
					     : CODE("lcall $" VALUE(SLOTS) "+8, $0"));
			outcome();
			check("2A CALL, INT n: #SS(new SS selector)",
			      room ? "done" : text("#SS(%x)+0", SLOT(2) | (way == 2)), "%s %s", WAYS[way],
			      room ? "room on the stack" : "one byte too little");
		}
		fresh();
		descriptor(SLOT(0), (u32)target(), 0, EXECUTE_READ | DPL(1), BIG);
		gate(SLOT(1), SLOT(0), 1, (way == 3 ? CALL16 : CALL32) | DPL(3), 0);
		interrupt_gate(0x21, SLOT(0), 1, INT32 | DPL(3));
		interrupt_gate(6, SLOT(0), 1, INT32);
		run_at(3, way == 1 ? CODE("int $0x21") : way == 2 ? CODE("ud2") : CODE("lcall $" VALUE(SLOTS) "+8, $0"));
		outcome();
		check("2A CALL, INT n", way == 2 ? "#GP(1)+0" : "#GP(0)+0", "%s offset beyond the limit", WAYS[way]);
	}
}

/* Rows over the gate's DPL (outer loop) and CPL. */
static void interrupt_row(u32 type, int present, int software)
{
	want[0] = 0;
	u32 vector = software ? 0x21 : 6;
	for (u32 dpl = 0; dpl < 4; dpl++) {
		for (u32 cpl = 0; cpl < 4; cpl++) {
			fresh();
			/* 16-bit gates have 16-bit offsets: the segment's base is the target. */
			descriptor(SLOT(0), (u32)target(), 0xfffff, EXECUTE_READ, GRANULAR | BIG);
			interrupt_gate(vector, SLOT(0), 0, (present ? PRESENT : 0) | DPL(dpl) | type);
			run_at(cpl, software ? CODE("int $0x21") : CODE("ud2"));
			separator();
			/* The EXT bit has cases of its own. */
			if (out.vector == VECTOR_DONE)
				say("ok");
			else
				say("%s(%x)", exception(out.vector) + 1, out.error & ~1u);
			u32 error = vector * 8 + 2;
			int gate_type = type == 6 || type == 7 || type == 14 || type == 15;
			if (!gate_type || (software && dpl < cpl))
				wanted(text("GP(%x)", error));
			else if (!present)
				wanted(text("NP(%x)", error));
			else
				wanted("ok");
		}
	}
	check("3A 6.12.1.2, 6.13; 2A INT n", want, "%s gate type=%02x p=%u", software ? "int" : "exception", type, present);
}

static void target_row(u32 type, int present, int software)
{
	want[0] = 0;
	u32 vector = software ? 0x21 : 6;
	for (u32 dpl = 0; dpl < 4; dpl++) {
		for (u32 cpl = 0; cpl < 4; cpl++) {
			fresh();
			descriptor(SLOT(0), (u32)target(), 0xfffff, (present ? PRESENT : 0) | DPL(dpl) | type, GRANULAR | BIG);
			interrupt_gate(vector, SLOT(0), 0, INT32 | DPL(3));
			run_at(cpl, software ? CODE("int $0x21") : CODE("ud2"));
			separator();
			if (out.vector == VECTOR_DONE)
				say("%x", out.cs & 3);
			else
				say("%s(%x)", exception(out.vector) + 1, out.error & ~1u);
			if ((type & 8) == 0 || dpl > cpl)
				wanted(text("GP(%x)", SLOT(0)));
			else if (!present)
				wanted(text("NP(%x)", SLOT(0)));
			else
				wanted(text("%x", (type & 4) != 0 ? cpl : dpl));
		}
	}
	check("3A 6.12.1; 2A INT n", want, "%s target type=%02x p=%u", software ? "int" : "exception", type, present);
}

GROUP(interrupt_gates, "interrupt-gates")
{
	for (int software = 0; software < 2; software++) {
		for (u32 type = 0; type < 32; type += type < 16 ? 1 : 2)
			for (int present = 0; present < 2; present++)
				if (type != 5)
					interrupt_row(type, present, software);
		static const u8 types[] = {0x10, 0x12, 0x18, 0x1a, 0x1c, 0x1e};
		for (u32 t = 0; t < COUNT(types); t++)
			for (int present = 0; present < 2; present++)
				target_row(types[t], present, software);
		static const u32 targets[] = {0, 3, GDT_BYTES, 0xc};
		for (u32 i = 0; i < COUNT(targets); i++) {
			fresh();
			interrupt_gate(software ? 0x21 : 6, targets[i], 0, INT32);
			run(software ? CODE("int $0x21") : CODE("ud2"));
			outcome();
			check("2A INT n; 3A 6.13", text("#GP(%x)+0", (targets[i] & 0xfffc) | (software ? 0 : 1)),
			      "%s to selector %x", software ? "int" : "exception", targets[i]);
		}
	}
	/* EXT: set if what could not be delivered was an exception, clear if it was INT n. */
	for (u32 present = 0; present < 2; present++) {
		fresh();
		interrupt_gate(6, SUP_CODE, stub(6), present ? READ_WRITE : INT32 & 0x7f);
		run(CODE("ud2"));
		outcome();
		check("3A 6.13", present ? "#GP(33)+0" : "#NP(33)+0", "ext of %s", present ? "a bad gate" : "an absent gate");
		fresh();
		descriptor(SLOT(0), 0, 0xfffff, present ? EXECUTE_READ | DPL(1) : EXECUTE_READ & 0x7f, GRANULAR | BIG);
		interrupt_gate(6, SLOT(0), stub(6), INT32);
		run(CODE("ud2"));
		outcome();
		check("3A 6.13", present ? "#GP(61)+0" : "#NP(61)+0", "ext of %s", present ? "a bad segment" : "an absent segment");
	}
	fresh();
	run_at(3, CODE("int $0x40"));
	outcome();
	check("3A 6.13", "#GP(202)+0", "vector beyond the limit");
	fresh();
	run_at(3, CODE("int $0xff"));
	outcome();
	check("3A 6.13", "#GP(7fa)+0", "vector 255 beyond the limit");

	/* INT n, INT3, INTO and INT1 save the next instruction's EIP; software ones look at the gate's DPL. */
	static const struct {
		const char *name;
		u32 vector, length, gated, external;
	} TRAPS[] = {{"int 3", 3, 2, 1, 0}, {"int3", 3, 1, 1, 0}, {"into", 4, 1, 1, 0}, {"int1", 1, 1, 0, 1}};
	for (u32 i = 0; i < COUNT(TRAPS); i++) {
		for (u32 open = 0; open < 2; open++) {
			fresh();
			in.eflags = 2 | FLAG_OF;
			interrupt_gate(TRAPS[i].vector, SUP_CODE, stub(TRAPS[i].vector), INT32 | (open ? DPL(3) : 0));
			run_at(3, i == 0   ? CODE(".byte 0xcd, 3")
				  : i == 1 ? CODE("int3")
				  : i == 2 ? CODE("into")
					   : CODE(".byte 0xf1"));
			outcome();
			check("2A INT n/INTO/INT3/INT1",
			      open || !TRAPS[i].gated ? text("%s+%x", exception(TRAPS[i].vector), TRAPS[i].length)
						      : text("#GP(%x)+0", TRAPS[i].vector * 8 + 2),
			      "%s cpl=3 dpl=%u", TRAPS[i].name, open ? 3 : 0);
		}
		fresh();
		in.eflags = 2 | FLAG_OF;
		interrupt_gate(TRAPS[i].vector, SUP_CODE, stub(TRAPS[i].vector), INT32 & 0x7f);
		run(i == 0 ? CODE(".byte 0xcd, 3") : i == 1 ? CODE("int3") : i == 2 ? CODE("into") : CODE(".byte 0xf1"));
		outcome();
		check("3A 6.13", text("#NP(%x)+0", TRAPS[i].vector * 8 + 2 + TRAPS[i].external), "%s gate not present",
		      TRAPS[i].name);
	}
	fresh();
	run_at(3, CODE("into"));
	outcome();
	check("2A INTO", "done", "into without overflow");
	fresh();
	*word(DATA) = 5;
	*word(DATA + 4) = 10;
	in.edx = DATA;
	in.eax = 7;
	run(CODE("bound %eax, (%edx); movl $11, %eax; bound %eax, (%edx)"));
	outcome();
	check("2A BOUND", "#BR+7", "bound above");
	in.eax = 4;
	run(CODE("bound %eax, (%edx)"));
	outcome();
	check("2A BOUND", "#BR+0", "bound below");
	fresh();
	in.eax = 0xffffffff;
	in.edx = DATA;
	*word(DATA) = 0x0005fffe;
	run(CODE("bound %ax, (%edx); movw $6, %ax; bound %ax, (%edx)"));
	outcome();
	check("2A BOUND", "#BR+7", "bound 16-bit signed");
	fresh();
	run(CODE(".byte 0x62, 0xc0"));
	outcome();
	check("2A BOUND", "#UD+0", "bound register");

	/* The frame of 32-bit and 16-bit gates, same level and from ring 3, with and without an error code. */
	for (u32 small = 0; small < 2; small++) {
		for (u32 cpl = 0; cpl < 4; cpl += 3) {
			fresh();
			frame16 = small;
			in.eflags = 2 | FLAG_CF | FLAG_AC;
			u32 code = small ? NEAR_CODE : SUP_CODE;
			interrupt_gate(0x21, code, small ? stub(0x21) - IMAGE_BASE : stub(0x21), (small ? INT16 : INT32) | DPL(3));
			run_at(cpl, CODE("int $0x21"));
			u32 eip = (u32)(small ? (in.eip + 2) & 0xffff : in.eip + 2);
			say("%x %x:%s %x frame=%x", out.vector, out.cs, out.eip == eip ? "+2" : "?", out.eflags, out.frame);
			if (cpl)
				say(" %x:%x", out.ss, out.esp);
			u32 bytes = (cpl ? 5 : 3) * (small ? 2 : 4);
			check("3A 6.12.1, 21.3",
			      text("21 %x:+2 %x frame=%x%s", cpl ? CODE3 | 3 : SUP_CODE, small ? 3 : 3 | FLAG_AC,
				   (cpl ? ENTRY_STACK_0 : STACK_0) - bytes,
				   cpl ? text(" 53:%x", small ? STACK_3 & 0xffff : STACK_3) : ""),
			      "%s frame cpl=%u", small ? "16-bit" : "32-bit", cpl);

			fresh();
			frame16 = small;
			interrupt_gate(13, code, small ? stub(13) - IMAGE_BASE : stub(13), small ? INT16 : INT32);
			run_at(cpl, CODE("int $0x40"));
			say("%x(%x) %x:%s frame=%x", out.vector, out.error, out.cs,
			    out.eip == (small ? in.eip & 0xffff : in.eip) ? "+0" : "?", out.frame);
			check("3A 6.13, 21.3",
			      text("d(202) %x:+0 frame=%x", cpl ? CODE3 | 3 : SUP_CODE, (cpl ? ENTRY_STACK_0 : STACK_0) - bytes),
			      "%s frame with error code cpl=%u", small ? "16-bit" : "32-bit", cpl);
		}
	}
}

/* IRET's rules for the outer SS, its flags, and the 16-bit form. */
GROUP(iret, "iret")
{
	static const struct {
		const char *name, *want;
		u32 selector, access;
	} STACKS[] = {
		{"good", "done", SLOT(2) | 3, READ_WRITE | DPL(3)},
		{"null", "#GP(0)", 0, READ_WRITE | DPL(3)},
		{"null rpl 3", "#GP(0)", 3, READ_WRITE | DPL(3)},
		{"beyond limit", "#GP(100)", GDT_BYTES | 3, READ_WRITE | DPL(3)},
		{"rpl 0", "#GP(70)", SLOT(2), READ_WRITE | DPL(3)},
		{"rpl 2", "#GP(70)", SLOT(2) | 2, READ_WRITE | DPL(3)},
		{"dpl 0", "#GP(70)", SLOT(2) | 3, READ_WRITE},
		{"dpl 2", "#GP(70)", SLOT(2) | 3, READ_WRITE | DPL(2)},
		{"read-only", "#GP(70)", SLOT(2) | 3, READ_ONLY | DPL(3)},
		{"code", "#GP(70)", SLOT(2) | 3, EXECUTE_READ | DPL(3)},
		{"system", "#GP(70)", SLOT(2) | 3, LDT_TYPE | DPL(3)},
		{"not present", "#SS(70)", SLOT(2) | 3, 0x12 | DPL(3)},
	};
	for (u32 way = 0; way < 2; way++) {
		for (u32 i = 0; i < COUNT(STACKS); i++) {
			fresh();
			descriptor(SLOT(2), 0, 0xfffff, STACKS[i].access, GRANULAR | BIG);
			in.eax = STACKS[i].selector;
			in.ecx = STACK_3;
			if (way == 0)
				run(CODE("pushl %eax; pushl %ecx; pushfl; pushl $" VALUE(CODE3) "+3; pushl $1f; iret; 1:"));
			else
				run(CODE("pushl %eax; pushl %ecx; pushl $" VALUE(CODE3) "+3; pushl $1f; lret; 1:"));
			if (out.vector == VECTOR_DONE)
				say("done");
			else
				say("%s(%x)", exception(out.vector), out.error);
			check("2A IRET; 2B RET", STACKS[i].want, "%s to ring 3 stack %s", way ? "retf" : "iret", STACKS[i].name);
		}
	}

	/* Flags popped, by CPL and IOPL. */
	for (u32 cpl = 0; cpl < 4; cpl++) {
		for (u32 iopl = 0; iopl < 4; iopl++) {
			fresh();
			ring(cpl);
			in.eflags = 2 | IOPL(iopl);
			run(CODE("pushl $0x254ed5; pushl %cs; pushl $1f; iret; 1: pushfl; popl %eax; pushl $2; popfl"));
			outcome();
			say(" %x", out.eax);
			u32 flags = 0x244cd7 | (cpl == 0 ? IOPL(3) & 0x4ed5 : IOPL(iopl)) | (cpl <= iopl ? FLAG_IF : 0);
			if (cpl == 0)
				flags = (flags & ~IOPL(3)) | (0x254ed5 & IOPL(3));
			check("2A IRET", text("done %x", flags), "iret flags cpl=%u iopl=%u", cpl, iopl);
		}
	}
	fresh();
	in.eflags = 2 | FLAG_AC | FLAG_ID;
	descriptor(SLOT(0), (u32)target(), 0xfffff, EXECUTE_READ, GRANULAR | BIG);
	run(CODE("pushw $0x0ad5; pushw $" VALUE(SLOTS) "; pushw $0; iretw"));
	outcome();
	say(" %x esp=%x", out.eflags, out.esp);
	check("2A IRET", text("done 240ad7 esp=%x", STACK_0), "16-bit iret");
	fresh();
	descriptor(SLOT(0), (u32)target(), 0xfffff, EXECUTE_READ | DPL(3), GRANULAR | BIG);
	run(CODE("pushw $" VALUE(DATA3) "+3; pushw $0x1234; pushw $2; pushw $" VALUE(SLOTS) "+3; pushw $0; iretw"));
	outcome();
	say(" %x:%x", out.ss, out.esp & 0xffff);
	check("2A IRET", "done 53:1234", "16-bit iret to ring 3");
	/* A nested task's IRET with a null link, in protected mode. */
	fresh();
	in.eflags = 2;
	run(CODE("pushl $0x4002; popfl; iret"));
	say("%s(%x)", exception(out.vector), out.error);
	check("2A IRET; 3A 7.2.1", "#TS(0)", "iret with NT and a null link");
}
