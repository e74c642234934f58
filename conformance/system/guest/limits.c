/* Limits of segments (SDM 3A 5.3), types (5.5.1), null selectors (5.4.1), fetches and stacks against them. */
#include "system.h"

struct shape {
	const char *name;
	u32 limit, access, flags;
};
static const struct shape SHAPES[] = {
	{"up bytes", 0x7ff, READ_WRITE, BIG},
	{"up bytes b=0", 0x7ff, READ_WRITE, 0},
	{"up pages", 1, READ_WRITE, GRANULAR | BIG},
	{"up one byte", 0, READ_WRITE, BIG},
	{"down 32", 0x7ff, DOWN_WRITE, BIG},
	{"down 16", 0x7ff, DOWN_WRITE, 0},
	{"down pages", 1, DOWN_WRITE, GRANULAR | BIG},
};

static u32 effective_limit(const struct shape *shape)
{
	return (shape->flags & GRANULAR) != 0 ? shape->limit << 12 | 0xfff : shape->limit;
}

static int inside(const struct shape *shape, u32 offset, u32 size)
{
	u32 limit = effective_limit(shape);
	u32 last = offset + size - 1;
	if (last < offset)
		return 0;
	if (shape->access == READ_WRITE)
		return last <= limit;
	return offset > limit && last <= ((shape->flags & BIG) != 0 ? 0xffffffff : 0xffff);
}

/* One row: offsets about the segment's two ends. */
static void access_row(const struct shape *shape, u32 stack, u32 write, u32 size)
{
	static const int around[] = {-8, -7, -4, -3, -2, -1, 0, 1, 2};
	char want[64];
	u32 used = 0;
	for (u32 edge = 0; edge < 2; edge++) {
		u32 base = edge == 0 ? effective_limit(shape) : (shape->flags & BIG) != 0 ? 0xffffffff : 0xffff;
		for (u32 i = 0; i < COUNT(around); i++) {
			u32 offset = base + (u32)around[i];
			if (offset < 0x10 && shape->limit != 0)
				offset = 0x10;
			fresh();
			/* In ring 3, so that a fault finds a good stack. */
			descriptor(SLOT(0), DATA + 0x10000, shape->limit, shape->access | DPL(3), shape->flags);
			in.ebx = offset;
			in.eax = SLOT(0) | 3;
			in.ebp = offset;
			const u8 *code;
			if (stack)
				code = size == 1   ? CODE("movl %ss, %edx; movl %eax, %ss; movb (%ebp), %cl; movl %edx, %ss")
				       : size == 2 ? CODE("movl %ss, %edx; movl %eax, %ss; movw (%ebp), %cx; movl %edx, %ss")
						   : CODE("movl %ss, %edx; movl %eax, %ss; movl (%ebp), %ecx; movl %edx, %ss");
			else if (write)
				code = size == 1   ? CODE("movl %eax, %ds; movb %cl, (%ebx)")
				       : size == 2 ? CODE("movl %eax, %ds; movw %cx, (%ebx)")
						   : CODE("movl %eax, %ds; movl %ecx, (%ebx)");
			else
				code = size == 1   ? CODE("movl %eax, %ds; movb (%ebx), %cl")
				       : size == 2 ? CODE("movl %eax, %ds; movw (%ebx), %cx")
				       : size == 4 ? CODE("movl %eax, %ds; movl (%ebx), %ecx")
						   : CODE("movl %eax, %ds; cmpxchg8b (%ebx)");
			run_at(3, code);
			int vector = (int)out.vector;
			say("%c", vector == VECTOR_DONE ? '+' : vector == 12 ? 'S' : vector == 13 ? 'G' : '?');
			if (vector != VECTOR_DONE && out.error != 0)
				say("(%x)", out.error);
			want[used++] = inside(shape, offset, size) ? '+' : stack ? 'S' : 'G';
		}
	}
	want[used] = 0;
	check("3A 5.3", want, "%s %s size=%u", shape->name, stack ? "ss" : write ? "write" : "read", size);
}

GROUP(limits, "limits")
{
	for (u32 s = 0; s < COUNT(SHAPES); s++) {
		for (u32 size = 1; size <= 8; size *= 2)
			access_row(&SHAPES[s], 0, 0, size);
		for (u32 size = 1; size <= 4; size *= 2)
			access_row(&SHAPES[s], 0, 1, size);
		for (u32 size = 2; size <= 4; size *= 2)
			access_row(&SHAPES[s], 1, 0, size);
	}

	static const struct {
		const char *name, *want;
		u32 access, cs;
	} TYPES[] = {
		{"write to read-only data", "#GP(0)+2", READ_ONLY, 0},
		{"write to read-only expand-down", "#GP(0)+2", DOWN, 0},
		{"write to code", "#GP(0)+2", EXECUTE_READ, 0},
		{"write to conforming code", "#GP(0)+2", CONFORMING | 2, 0},
	};
	for (u32 i = 0; i < COUNT(TYPES); i++) {
		fresh();
		u32 limit = TYPES[i].access == DOWN ? 0 : 0xfffff;
		descriptor(SLOT(0), 0, limit, TYPES[i].access, GRANULAR | BIG);
		in.eax = SLOT(0);
		in.ebx = DATA;
		run(CODE("movl %eax, %ds; movb $1, (%ebx)"));
		outcome();
		check("3A 5.5.1", TYPES[i].want, "%s", TYPES[i].name);
		fresh();
		descriptor(SLOT(0), 0, limit, TYPES[i].access, GRANULAR | BIG);
		*word(DATA) = 0x12345678;
		in.eax = SLOT(0);
		in.ebx = DATA;
		run(CODE("movl %eax, %ds; movl (%ebx), %ecx"));
		outcome();
		say(" %x", out.ecx);
		check("3A 5.5.1", "done 12345678", "read by %s", TYPES[i].name + 6);
	}
	fresh();
	in.ebx = DATA;
	run(CODE("movb $1, %cs:(%ebx)"));
	outcome();
	check("3A 5.5.1", "#GP(0)+0", "write through cs");
	fresh();
	descriptor(SLOT(0), 0, 0xfffff, EXECUTE, GRANULAR | BIG);
	in.cs = SLOT(0);
	in.ds = 0;
	in.ebx = DATA;
	run(CODE("movb %cs:(%ebx), %al"));
	outcome();
	check("3A 5.5.1", "#GP(0)+0", "read through execute-only cs");

	/* Null selectors load and fault when used; SS never holds one at CPL 0 to 3 in protected mode. */
	static const char *const NULLS[] = {"ds", "es", "fs", "gs"};
	for (u32 i = 0; i < COUNT(NULLS); i++) {
		fresh();
		in.ebx = DATA;
		in.eax = i == 0 ? 0 : 3;
		run(i == 0   ? CODE("movl %eax, %ds; movb (%ebx), %al")
		    : i == 1 ? CODE("movl %eax, %es; movb %es:(%ebx), %al")
		    : i == 2 ? CODE("movl %eax, %fs; movb %fs:(%ebx), %al")
			     : CODE("movl %eax, %gs; movb %gs:(%ebx), %al"));
		outcome();
		check("3A 5.4.1", "#GP(0)+2", "use of null %s", NULLS[i]);
	}
	fresh();
	in.eax = 0;
	in.ebx = 0xfffffff0;
	run(CODE("movl %eax, %es; nop; .byte 0x26; lea (%ebx), %ecx; nopl %es:(%ebx)"));
	outcome();
	check("2A LEA; 2B NOP", "done", "lea and nop do not access");

	/* Fetching: the instruction that reaches beyond the limit faults, whole; so does the jump out. */
	static const struct {
		const char *name, *want;
		u32 limit;
	} FETCH[] = {
		{"fetch inside", "#UD+5", 6},
		{"fetch last byte beyond", "#GP(0)+5", 5},
		{"fetch first byte beyond", "#GP(0)+5", 4},
		{"fetch second instruction beyond", "#GP(0)+0", 3},
	};
	for (u32 i = 0; i < COUNT(FETCH); i++) {
		fresh();
		const u8 *code = CODE("movl $0x12345678, %eax; ud2");
		descriptor(SLOT(0), (u32)code, FETCH[i].limit, EXECUTE_READ, BIG);
		in.cs = SLOT(0);
		run(0);
		outcome();
		check("3A 5.3", FETCH[i].want, "%s", FETCH[i].name);
	}
	static const char *const JUMPS[] = {"jmp short", "jmp near", "jcc", "call", "jmp register", "ret", "loop", "call memory"};
	for (u32 i = 0; i < COUNT(JUMPS); i++) {
		fresh();
		const u8 *code;
		switch (i) {
		case 0: code = CODE("jmp .+0x60; .skip 0x60, 0x90; ud2"); break;
		case 1: code = CODE("jmp .+0x260; .skip 0x260, 0x90; ud2"); break;
		case 2: code = CODE("jnc .+0x60; .skip 0x60, 0x90; ud2"); break;
		case 3: code = CODE("call .+0x260; .skip 0x260, 0x90; ud2"); break;
		case 4: code = CODE("jmp *%eax; .skip 0x60, 0x90; ud2"); break;
		case 5: code = CODE("ret; .skip 0x60, 0x90; ud2"); break;
		case 6: code = CODE("loop .+0x60; .skip 0x60, 0x90; ud2"); break;
		default: code = CODE("call *(%edx); .skip 0x60, 0x90; ud2");
		}
		descriptor(SLOT(0), (u32)code, 0x3f, EXECUTE_READ, BIG);
		in.cs = SLOT(0);
		in.eax = 0x40;
		in.ecx = 2;
		in.edx = DATA;
		*word(DATA) = 0x40;
		*word(STACK_0 - 4) = 0x40;
		in.esp = STACK_0 - 4;
		/* The frame for entering lies below the stack, where RET finds its address. */
		run(0);
		outcome();
		say(" esp=%x ecx=%x", out.esp, out.ecx);
		check("2A JMP, CALL, Jcc, LOOP; 2B RET", text("#GP(0)+0 esp=%x ecx=2", STACK_0 - 4), "%s beyond the limit",
		      JUMPS[i]);
	}

	/* Stack instructions against the stack's limit leave ESP as it was. */
	static const char *const STACKS[] = {"push", "pushw", "pusha", "call", "pop", "popa", "ret", "enter", "leave", "pushf",
					     "popf", "iret",  "int"};
	for (u32 i = 0; i < COUNT(STACKS); i++) {
		fresh();
		descriptor(SLOT(0), DATA, 0xfff, READ_WRITE, BIG);
		in.ss = SLOT(0);
		in.esp = 0x800;
		const u8 *code;
		/* Entered with the stack inside; then ESP goes below 0 or above the limit. */
		switch (i) {
		case 0: code = CODE("movl $0, %esp; pushl %eax"); break;
		case 1: code = CODE("movl $0, %esp; pushw %ax"); break;
		case 2: code = CODE("movl $0, %esp; pushal"); break;
		case 3: code = CODE("movl $0, %esp; call .+5"); break;
		case 4: code = CODE("movl $0xffd, %esp; popl %eax"); break;
		case 5: code = CODE("movl $0xfe8, %esp; popal"); break;
		case 6: code = CODE("movl $0xffd, %esp; ret"); break;
		case 7: code = CODE("movl $0, %esp; enter $4, $0"); break;
		case 8: code = CODE("movl $0x1000, %ebp; leave"); break;
		case 9: code = CODE("movl $0, %esp; pushfl"); break;
		case 10: code = CODE("movl $0x1000, %esp; popfl"); break;
		case 11: code = CODE("movl $0xff8, %esp; iret"); break;
		default: code = CODE("movl $0, %esp; int $0x21"); break;
		}
		/* A processor that does not look at the limit comes to the end by these. */
		const u8 *end = CODE("nop");
		*word(DATA + 0xff8) = *word(DATA + 0xffd) = (u32)end;
		if (i == 11) {
			*word(DATA + 0xffc) = SUP_CODE;
			*word(DATA + 0x1000) = 2;
		}
		interrupt_gate(0x21, SUP_CODE, stub(0x21), INT32);
		run(code);
		/* #SS cannot be delivered on the same stack when nothing fits: double fault. */
		say("%s by %s", exception(out.vector), by_task ? "task" : "gate");
		int below = i < 4 || i == 7 || i == 9 || i == 12;
		check("3A 5.3, 6.15", below ? "#DF by task" : "#SS by gate", "%s beyond the stack", STACKS[i]);
	}
}
