/*
 * Matrices over descriptor types and privilege: segment registers (SDM 3A 5.5 to 5.7), far transfers to code segments
 * (5.8), and the instructions that look at descriptors (5.10). A line is a row: sixteen attempts, DPL 0 to 3 in the outer
 * loop and RPL 0 to 3 in the inner one. The rules stand here as the manual's pseudo-code has them.
 */
#include "system.h"

#define S_BIT 0x10
static int is_segment(u32 type) { return (type & S_BIT) != 0; }
static int is_code(u32 type) { return is_segment(type) && (type & 8) != 0; }
static int is_conforming(u32 type) { return is_code(type) && (type & 4) != 0; }
static int is_readable(u32 type) { return is_segment(type) && (!is_code(type) || (type & 2) != 0); }
static int is_writable(u32 type) { return is_segment(type) && !is_code(type) && (type & 2) != 0; }

/* Type fields with S; segment types without the accessed bit, so that setting it shows. */
static const u8 TYPES[] = {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b,
			   0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x12, 0x14, 0x16, 0x18, 0x1a, 0x1c, 0x1e};
static const u8 RINGS[] = {0, 1, 3};
static char row[512];

static void cell(char *buffer, const char *what)
{
	u32 used = 0;
	while (buffer[used] != 0)
		used++;
	if (used != 0)
		buffer[used++] = ' ';
	while (*what != 0 && used < 510)
		buffer[used++] = *what++;
	buffer[used] = 0;
}

/* What came of an attempt on `selector`: the exception without its #, and the error code if it is not the selector. */
static const char *attempt(u32 selector)
{
	if (out.vector == VECTOR_DONE)
		return "ok";
	const char *name = exception(out.vector) + 1;
	return out.error == (selector & 0xfffc) ? name : text("%s(%x)", name, out.error);
}

static const char *load_rule(int stack, u32 type, int present, u32 cpl, u32 rpl, u32 dpl)
{
	if (stack) {
		if (rpl != cpl || !is_writable(type) || dpl != cpl)
			return "GP";
		return present ? "ok" : "SS";
	}
	if (!is_readable(type))
		return "GP";
	if (!is_conforming(type) && (rpl > dpl || cpl > dpl))
		return "GP";
	return present ? "ok" : "NP";
}

static void load_row(int stack, u32 type, int present, u32 cpl)
{
	row[0] = 0;
	for (u32 dpl = 0; dpl < 4; dpl++) {
		for (u32 rpl = 0; rpl < 4; rpl++) {
			fresh();
			/* An expand-down segment has what is above its limit. */
			descriptor(SLOT(0), 0, (type & 0x1c) == 0x14 ? 0 : 0xfffff, (present ? PRESENT : 0) | DPL(dpl) | type,
				   GRANULAR | BIG);
			in.eax = SLOT(0) | rpl;
			run_at(cpl, stack ? CODE("movl %eax, %ss") : CODE("movl %eax, %ds; movl %ds, %ebx"));
			cell(line, attempt(in.eax));
			if (out.vector == VECTOR_DONE && (access_byte(SLOT(0)) & 1) == 0)
				say("(not accessed)");
			if (out.vector == VECTOR_DONE && (stack ? out.ss : out.ebx & 0xffff) != in.eax)
				say("(%x)", stack ? out.ss : out.ebx);
			cell(row, load_rule(stack, type, present, cpl, rpl, dpl));
		}
	}
	check("2B MOV; 3A 5.6, 5.7", row, "%s type=%02x p=%u cpl=%u", stack ? "ss" : "ds", type, present, cpl);
}

GROUP(segment_loads, "segment-loads")
{
	for (u32 stack = 0; stack < 2; stack++)
		for (u32 t = 0; t < COUNT(TYPES); t++)
			for (u32 present = 0; present < 2; present++)
				for (u32 r = 0; r < COUNT(RINGS); r++)
					load_row(stack, TYPES[t], present, RINGS[r]);
}

/* The ways to load each register, on the outcomes that the rule for its kind gives. */
#define WAYS(X)                                                           \
	X("mov ds", "movl %eax, %ds", 0)                                  \
	X("mov es", "movl %eax, %es", 0)                                  \
	X("mov fs", "movl %eax, %fs", 0)                                  \
	X("mov gs", "movl %eax, %gs", 0)                                  \
	X("mov ss", "nop; nop; movl %eax, %ss", 1)                        \
	X("pop ds", "pushl %eax; popl %ds", 0)                            \
	X("pop es", "pushl %eax; popl %es", 0)                            \
	X("pop fs", "pushl %eax; popl %fs", 0)                            \
	X("pop gs", "pushl %eax; popl %gs", 0)                            \
	X("pop ss", "pushl %eax; popl %ss", 1)                            \
	X("popw ds", "pushw %ax; popw %ds", 0)                            \
	X("lds", "pushl %eax; pushl $0x11; lds (%esp), %ebx", 0)          \
	X("les", "pushl %eax; pushl $0x11; les (%esp), %ebx", 0)          \
	X("lfs", "pushl %eax; pushl $0x11; lfs (%esp), %ebx", 0)          \
	X("lgs", "pushl %eax; pushl $0x11; lgs (%esp), %ebx", 0)          \
	X("lss", "pushl %eax; pushl %esp; lss (%esp), %esp", 1)           \
	X("lesw", "pushl %eax; pushw $0x11; lesw (%esp), %bx", 0)

GROUP(segment_ways, "segment-ways")
{
	const struct way {
		const char *name;
		const u8 *code;
		int stack;
	} ways[] = {
#define X(name, text, stack) {name, CODE(text), stack},
		WAYS(X)
#undef X
	};
	for (const struct way *way = ways; way < ways + COUNT(ways); way++) {
		for (u32 kind = 0; kind < 8; kind++) {
			static const char *const kinds[] = {"good",   "null",	   "null rpl 3", "beyond limit",
							    "absent", "read-only", "lower dpl",	 "no ldt"};
			fresh();
			u32 access = READ_WRITE | DPL(3);
			if (kind == 4)
				access &= ~PRESENT;
			if (kind == 5)
				access = READ_ONLY | DPL(3);
			if (kind == 6)
				access = READ_WRITE | DPL(1);
			descriptor(SLOT(0), 0, 0xfffff, access, GRANULAR | BIG);
			in.eax = SLOT(0) | 3;
			if (kind == 1)
				in.eax = 0;
			if (kind == 2)
				in.eax = 3;
			if (kind == 3)
				in.eax = GDT_BYTES | 3;
			if (kind == 7)
				in.eax = 0xc | 3;
			run_at(3, way->code);
			if (out.vector == VECTOR_DONE)
				say("ok");
			else
				say("%s(%x) ebx=%x", exception(out.vector), out.error, out.ebx);
			const char *fault = way->stack ? "#SS" : "#NP";
			u32 error = in.eax & 0xfffc;
			const char *want = "ok";
			if (kind == 3 || kind == 6 || kind == 7)
				fault = "#GP";
			if (kind == 1 || kind == 2 || kind == 5)
				fault = way->stack ? "#GP" : 0;
			if (kind != 0 && fault != 0)
				want = text("%s(%x) ebx=%x", fault, error, in.ebx);
			check("2B MOV, POP; 2A LDS", want, "%s %s", way->name, kinds[kind]);
		}
	}

	/* A selector of the LDT, and one just within and just beyond the limits of both tables. */
	static const struct {
		u32 selector;
		const char *want;
	} LOCAL[] = {{0x4, "ok"}, {0xc, "ok"}, {0x14, "#GP(14)"}, {0xfff4, "#GP(fff4)"}};
	for (u32 i = 0; i < COUNT(LOCAL); i++) {
		fresh();
		local_table(16);
		descriptor(0x4, 0, 0xfffff, READ_WRITE, GRANULAR | BIG);
		descriptor(0xc, 0, 0xfffff, READ_WRITE, GRANULAR | BIG);
		in.eax = LOCAL[i].selector;
		run(CODE("movl %eax, %es"));
		say(out.vector == VECTOR_DONE ? "ok" : "%s(%x)", exception(out.vector), out.error);
		check("3A 3.5.1", LOCAL[i].want, "es=%x of a 16-byte LDT", LOCAL[i].selector);
	}

	/* MOV to CS is #UD, and 16-bit stores of selectors to memory write two bytes. */
	fresh();
	run(CODE(".byte 0x8e, 0xc8"));
	outcome();
	check("2B MOV", "#UD+0", "mov cs, ax");
	fresh();
	run(CODE(".byte 0x8e, 0xf0"));
	outcome();
	check("2B MOV", "#UD+0", "mov sreg 6, ax");
	fresh();
	run(CODE(".byte 0x8c, 0xf8"));
	outcome();
	check("2B MOV", "#UD+0", "mov ax, sreg 7");
	fresh();
	*word(DATA) = 0xffffffff;
	in.edx = DATA;
	run(CODE("mov %ds, (%edx)"));
	outcome();
	say(" %x", *word(DATA));
	check("2B MOV", "done ffff0010", "mov [mem], ds");
	fresh();
	in.edx = DATA;
	run(CODE("movl %ds, %edx"));
	outcome();
	say(" %x", out.edx);
	check("2B MOV", "done 10", "mov edx, ds");

	/* The hidden part stays as it was loaded when the descriptor changes. */
	fresh();
	descriptor(SLOT(0), DATA, 0xfff, READ_WRITE, BIG);
	*word(DATA) = 0x11112222;
	*word(DATA + 0x1000) = 0x33334444;
	in.eax = SLOT(0);
	in.ebx = GDT + SLOT(0);
	run(CODE("movl %eax, %fs; addl $0x10000000, (%ebx); movl %fs:0, %ecx; movl %eax, %fs; movl %fs:0, %edx"));
	outcome();
	say(" %x %x", out.ecx, out.edx);
	check("3A 3.4.3", "done 11112222 33334444", "hidden part");
}

/* A far transfer to a descriptor that is no TSS and no task gate. */
enum transfer { JUMP, CALL, RETURN, IRET };
static const char *const TRANSFERS[] = {"jmp", "call", "retf", "iret"};

static const char *transfer_rule(enum transfer how, u32 type, int present, u32 cpl, u32 rpl, u32 dpl)
{
	if (how == JUMP || how == CALL) {
		if (type == 0x4 || type == 0xc) {
			/* The gate's selector is null. */
			if (dpl < cpl || dpl < rpl)
				return "GP";
			return present ? "GP(0)" : "NP";
		}
		if (!is_code(type))
			return "GP";
		if (is_conforming(type) ? dpl > cpl : (rpl > cpl || dpl != cpl))
			return "GP";
		return present ? "ok" : "NP";
	}
	if (!is_code(type) || rpl < cpl)
		return "GP";
	if (is_conforming(type) ? dpl > rpl : dpl != rpl)
		return "GP";
	return present ? "ok" : "NP";
}

static void transfer_row(enum transfer how, u32 type, int present, u32 cpl)
{
	static const u32 stacks[] = {SUP_DATA, DATA1 | 1, DATA2 | 2, DATA3 | 3};
	row[0] = 0;
	for (u32 dpl = 0; dpl < 4; dpl++) {
		for (u32 rpl = 0; rpl < 4; rpl++) {
			fresh();
			descriptor(SLOT(0), 0, 0xfffff, (present ? PRESENT : 0) | DPL(dpl) | type, GRANULAR | BIG);
			/* A gate is made of the same bytes: selector and offset null. */
			if (!is_segment(type))
				gate(SLOT(0), 0, 0, (present ? PRESENT : 0) | DPL(dpl) | type, 0);
			u32 selector = SLOT(0) | rpl;
			ring(cpl);
			in.eax = selector;
			in.ecx = STACK_3 - 0x100;
			in.edx = stacks[rpl];
			switch (how) {
			case JUMP:
				run(CODE("pushl %eax; pushl $1f; ljmp *(%esp); 1:"));
				break;
			case CALL:
				run(CODE("pushl %eax; pushl $1f; lcall *(%esp); 1:"));
				break;
			case RETURN:
				run(CODE("pushl %edx; pushl %ecx; pushl %eax; pushl $1f; lret; 1:"));
				break;
			case IRET:
				run(CODE("pushl %edx; pushl %ecx; pushfl; pushl %eax; pushl $1f; iret; 1:"));
				break;
			}
			cell(line, attempt(selector));
			if (out.vector == VECTOR_DONE) {
				u32 want = SLOT(0) | (how == JUMP || how == CALL ? cpl : rpl);
				if (out.cs != want)
					say("(cs %x)", out.cs);
			}
			cell(row, transfer_rule(how, type, present, cpl, rpl, dpl));
		}
	}
	check(how == RETURN ? "2B RET; 3A 5.8.6" : how == IRET ? "2A IRET" : "3A 5.8.1", row, "%s type=%02x p=%u cpl=%u",
	      TRANSFERS[how], type, present, cpl);
}

GROUP(far_transfers, "far-transfers")
{
	for (enum transfer how = JUMP; how <= IRET; how++)
		for (u32 t = 0; t < COUNT(TYPES); t++)
			for (u32 present = 0; present < 2; present++)
				for (u32 r = 0; r < COUNT(RINGS); r++)
					if (TYPES[t] != 1 && TYPES[t] != 5 && TYPES[t] != 9)
						transfer_row(how, TYPES[t], present, RINGS[r]);

	for (enum transfer how = JUMP; how <= IRET; how++) {
		static const u32 selectors[] = {0, 3, GDT_BYTES, GDT_BYTES | 3, 0xc};
		for (u32 i = 0; i < COUNT(selectors); i++) {
			fresh();
			in.eax = selectors[i];
			switch (how) {
			case JUMP:
				run(CODE("pushl %eax; pushl $1f; ljmp *(%esp); 1:"));
				break;
			case CALL:
				run(CODE("pushl %eax; pushl $1f; lcall *(%esp); 1:"));
				break;
			case RETURN:
				run(CODE("pushl %eax; pushl $1f; lret; 1:"));
				break;
			case IRET:
				run(CODE("pushfl; pushl %eax; pushl $1f; iret; 1:"));
				break;
			}
			say("%s(%x)", exception(out.vector), out.error);
			check("2A JMP, CALL, IRET; 2B RET", text("#GP(%x)", selectors[i] & 0xfffc), "%s to selector %x",
			      TRANSFERS[how], selectors[i]);
		}
	}

	/* A transfer sets the accessed bit of the code segment's descriptor. */
	for (enum transfer how = JUMP; how <= IRET; how++) {
		fresh();
		descriptor(SLOT(0), 0, 0xfffff, EXECUTE_READ, GRANULAR | BIG);
		in.eax = SLOT(0);
		if (how == JUMP)
			run(CODE("ljmp $" VALUE(SLOTS) ", $1f; 1:"));
		else if (how == CALL)
			run(CODE("lcall $" VALUE(SLOTS) ", $1f; 1:"));
		else if (how == RETURN)
			run(CODE("pushl %eax; pushl $1f; lret; 1:"));
		else
			run(CODE("pushfl; pushl %eax; pushl $1f; iret; 1:"));
		outcome();
		say(" %x", access_byte(SLOT(0)));
		check("3A 3.4.5.1", "done 9b", "%s sets accessed", TRANSFERS[how]);
	}

	/* A target beyond the new segment's limit is #GP(0) of the transfer itself, and nothing has been pushed. */
	fresh();
	descriptor(SLOT(0), 0, 0xfff, EXECUTE_READ, BIG);
	in.eax = SLOT(0);
	run(CODE("ljmp $" VALUE(SLOTS) ", $0x1000"));
	outcome();
	check("2A JMP", "#GP(0)+0", "jmp beyond the limit");
	fresh();
	descriptor(SLOT(0), 0, 0xfff, EXECUTE_READ, BIG);
	run(CODE("lcall $" VALUE(SLOTS) ", $0x1000"));
	outcome();
	say(" esp=%x", out.esp);
	check("2A CALL", text("#GP(0)+0 esp=%x", STACK_0), "call beyond the limit");
	fresh();
	descriptor(SLOT(0), 0, 0xfff, EXECUTE_READ, BIG);
	run(CODE("pushl $" VALUE(SLOTS) "; pushl $0x1000; lret"));
	outcome();
	say(" esp=%x", out.esp);
	check("2B RET", text("#GP(0)+7 esp=%x", STACK_0 - 8), "retf beyond the limit");
	fresh();
	descriptor(SLOT(0), 0, 0xfff, EXECUTE_READ, BIG);
	run(CODE("pushfl; pushl $" VALUE(SLOTS) "; pushl $0x1000; iret"));
	outcome();
	say(" esp=%x", out.esp);
	check("2A IRET", text("#GP(0)+8 esp=%x", STACK_0 - 12), "iret beyond the limit");

	/* What is pushed, and RETF with a count, at the same level and to ring 3. */
	fresh();
	run(CODE("lcall $" VALUE(SUP_CODE) ", $1f; 1:"));
	outcome();
	say(" pushed %x %x esp=%x", *word(STACK_0 - 8) - in.eip, *word(STACK_0 - 4) & 0xffff, out.esp);
	check("2A CALL", text("done pushed 7 8 esp=%x", STACK_0 - 8), "call pushes cs:eip");
	fresh();
	run(CODE("pushl $1; pushl $2; pushl %cs; pushl $1f; lret $8; 1:"));
	outcome();
	say(" esp=%x", out.esp);
	check("2B RET", text("done esp=%x", STACK_0), "retf 8 same level");
	fresh();
	in.ecx = STACK_3;
	run(CODE("pushl $" VALUE(DATA3) "+3; pushl %ecx; pushl $1; pushl $2; pushl $" VALUE(CODE3) "+3; pushl $1f; lret $8; 1:"));
	outcome();
	say(" ss:esp=%x:%x cs=%x ds=%x", out.ss, out.esp, out.cs, out.ds);
	check("2B RET; 3A 5.8.6", text("done ss:esp=53:%x cs=4b ds=0", STACK_3 + 8), "retf 8 to ring 3");

	/* Data segments that the outer ring may not use become null; conforming code and DPL 3 stay. */
	for (u32 iret = 0; iret < 2; iret++) {
		fresh();
		descriptor(SLOT(0), 0, 0xfffff, CONFORMING | 2, GRANULAR | BIG);
		in.es = DATA3;
		in.fs = SLOT(0);
		in.gs = DATA1;
		in.ecx = STACK_3;
		if (iret)
			run(CODE("pushl $" VALUE(DATA3) "+3; pushl %ecx; pushl $2; pushl $" VALUE(CODE3) "+3; pushl $1f; iret; 1:"));
		else
			run(CODE("pushl $" VALUE(DATA3) "+3; pushl %ecx; pushl $" VALUE(CODE3) "+3; pushl $1f; lret; 1:"));
		outcome();
		say(" ds=%x es=%x fs=%x gs=%x", out.ds, out.es, out.fs, out.gs);
		check("3A 5.8.6", text("done ds=0 es=%x fs=%x gs=0", DATA3, SLOT(0)), "%s nulls segments",
		      iret ? "iret" : "retf");
	}
}

static int visible(u32 type, u32 cpl, u32 rpl, u32 dpl)
{
	return is_conforming(type) || (cpl <= dpl && rpl <= dpl);
}

/* LAR and LSL take these system types (2A LAR, LSL). */
#define LAR_TYPES 0x1a3e
#define LSL_TYPES 0x0a0e

static void probe_row(u32 instruction, u32 type, int present, u32 cpl)
{
	static const char *const names[] = {"lar", "lsl", "verr", "verw"};
	row[0] = 0;
	for (u32 dpl = 0; dpl < 4; dpl++) {
		for (u32 rpl = 0; rpl < 4; rpl++) {
			fresh();
			u32 access = (present ? PRESENT : 0) | DPL(dpl) | type;
			descriptor(SLOT(0), 0x12345678, 0x9abcd, access, GRANULAR | BIG | 1);
			in.eax = SLOT(0) | rpl;
			in.eflags = 2 | FLAG_CF | FLAG_SF | FLAG_OF | FLAG_PF | FLAG_AF;
			u32 want = 0, result = in.ebx;
			switch (instruction) {
			case 0:
				run_at(cpl, CODE("lar %eax, %ebx"));
				want = visible(type, cpl, rpl, dpl) && (is_segment(type) || (LAR_TYPES >> type & 1) != 0);
				if (want)
					result = 0x00d00000 | access << 8;
				/* Bits 19:16 are undefined (2A LAR). */
				if (want)
					out.ebx &= 0xfff0ffff;
				break;
			case 1:
				run_at(cpl, CODE("lsl %eax, %ebx"));
				want = visible(type, cpl, rpl, dpl) && (is_segment(type) || (LSL_TYPES >> type & 1) != 0);
				if (want)
					result = 0x9abcdfff;
				break;
			case 2:
				run_at(cpl, CODE("verr %ax"));
				want = is_readable(type) && visible(type, cpl, rpl, dpl);
				break;
			default:
				run_at(cpl, CODE("verw %ax"));
				want = is_writable(type) && visible(type, cpl, rpl, dpl);
			}
			if (out.vector != VECTOR_DONE)
				outcome();
			say("%c", (out.eflags & FLAG_ZF) != 0 ? '1' : '0');
			if (out.ebx != result)
				say("(%x)", out.ebx);
			if ((out.eflags & ~FLAG_ZF) != in.eflags)
				say("(flags %x)", out.eflags);
			if (access_byte(SLOT(0)) != access)
				say("(access %x)", access_byte(SLOT(0)));
			u32 used = 0;
			while (row[used] != 0)
				used++;
			row[used] = want ? '1' : '0';
			row[used + 1] = 0;
		}
	}
	check("2A LAR, LSL; 2C VERR; 3A 5.10", row, "%s type=%02x p=%u cpl=%u", names[instruction], type, present, cpl);
}

GROUP(probes, "probes")
{
	for (u32 instruction = 0; instruction < 4; instruction++)
		for (u32 t = 0; t < COUNT(TYPES); t++)
			for (u32 r = 0; r < COUNT(RINGS); r++)
				for (u32 present = 0; present < 2; present++)
					if (present || RINGS[r] == 0)
						probe_row(instruction, TYPES[t], present, RINGS[r]);

	static const u32 selectors[] = {0, 3, GDT_BYTES, 0xfffb, 0xc};
	for (u32 i = 0; i < COUNT(selectors); i++) {
		fresh();
		in.eax = selectors[i];
		in.eflags = 2 | FLAG_ZF;
		run(CODE("lar %eax, %ebx; setz %cl; lsl %eax, %ebx; setz %ch; verr %ax; setz %dl; verw %ax; setz %dh"));
		outcome();
		say(" %x %x ebx=%x", out.ecx & 0xffff, out.edx & 0xffff, out.ebx);
		check("2A LAR, LSL; 2C VERR", text("done 0 0 ebx=%x", in.ebx), "selector %x", selectors[i]);
	}
	fresh();
	descriptor(SLOT(0), 0, 0x1234, READ_WRITE, 0);
	in.eax = SLOT(0);
	run(CODE("lsl %ax, %bx; lar %ax, %cx"));
	outcome();
	say(" ebx=%x ecx=%x", out.ebx, out.ecx);
	check("2A LAR, LSL", "done ebx=b3b31234 ecx=c1c19200", "16-bit lsl and lar");

	/* ARPL: sixteen pairs, destination's RPL in the outer loop. */
	for (u32 memory = 0; memory < 2; memory++) {
		const char *want = "";
		for (u32 to = 0; to < 4; to++) {
			for (u32 from = 0; from < 4; from++) {
				fresh();
				in.eax = 0xffff5550 | to;
				in.ebx = 0x1230 | from;
				in.edx = DATA;
				*word(DATA) = in.eax;
				run(memory ? CODE("arpl %bx, (%edx); movl (%edx), %eax") : CODE("arpl %bx, %ax"));
				if (out.vector != VECTOR_DONE)
					outcome();
				say("%x%c ", out.eax & 0xf, (out.eflags & FLAG_ZF) != 0 ? 'z' : '-');
				if (out.eax >> 4 != 0xffff555)
					say("(%x)", out.eax);
				want = text("%s%x%c ", want, to < from ? from : to, to < from ? 'z' : '-');
			}
		}
		check("2A ARPL", want, "arpl %s", memory ? "memory" : "register");
	}
}
