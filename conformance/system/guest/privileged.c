/* Control and model-specific registers, system instructions, I/O permission, alignment, SYSENTER. */
#include "system.h"

#define MSR_SYSENTER_CS 0x174
#define MSR_SYSENTER_ESP 0x175
#define MSR_SYSENTER_EIP 0x176
#define MSR_EFER 0xc0000080

static void wrmsr(u32 number, u32 value) { asm volatile("wrmsr" : : "a"(value), "d"(0), "c"(number)); }

GROUP(control_registers, "control-registers")
{
	/* Everything that only ring 0 may do. */
	static const u8 *code[30];
	u32 n = 0;
	static const char *const names[] = {"mov cr0", "mov from cr0", "mov cr2", "mov cr3", "mov from cr3", "mov cr4", "mov from cr4",
					    "lmsw", "clts", "lgdt", "lidt", "lldt", "ltr", "invlpg", "invd", "wbinvd", "rdmsr",
					    "wrmsr", "hlt", "mov dr0", "mov from dr7", "sysexit"};
	code[n++] = CODE("movl %eax, %cr0");
	code[n++] = CODE("movl %cr0, %eax");
	code[n++] = CODE("movl %eax, %cr2");
	code[n++] = CODE("movl %eax, %cr3");
	code[n++] = CODE("movl %cr3, %eax");
	code[n++] = CODE("movl %eax, %cr4");
	code[n++] = CODE("movl %cr4, %eax");
	code[n++] = CODE("lmsw %ax");
	code[n++] = CODE("clts");
	code[n++] = CODE("lgdt (%ebx)");
	code[n++] = CODE("lidt (%ebx)");
	code[n++] = CODE("lldt %ax");
	code[n++] = CODE("ltr %ax");
	code[n++] = CODE("invlpg (%ebx)");
	code[n++] = CODE("invd");
	code[n++] = CODE("wbinvd");
	code[n++] = CODE("rdmsr");
	code[n++] = CODE("wrmsr");
	code[n++] = CODE("hlt");
	code[n++] = CODE("movl %eax, %dr0");
	code[n++] = CODE("movl %dr7, %eax");
	code[n++] = CODE("sysexit");
	for (u32 i = 0; i < n; i++) {
		for (u32 cpl = 1; cpl < 4; cpl++) {
			fresh();
			wrmsr(MSR_SYSENTER_CS, SUP_CODE);
			in.ebx = DATA;
			run_at(cpl, code[i]);
			outcome();
			check("3A 5.9", "#GP(0)+0", "%s cpl=%u", names[i], cpl);
		}
	}
	/* And what any ring may. */
	fresh();
	in.ebx = DATA;
	run_at(3, CODE("sgdt (%ebx); sidt 8(%ebx); sldt %cx; str %dx; smsw %ax"));
	outcome();
	say(" gdt=%x:%x idt=%x:%x ldt=%x tr=%x msw=%x", *half(DATA), *word(DATA + 2), *half(DATA + 8), *word(DATA + 10), out.ecx & 0xffff,
	    out.edx & 0xffff, out.eax & 0xffff);
	check("3A 5.9", text("done gdt=%x:%x idt=%x:%x ldt=0 tr=18 msw=11", GDT_BYTES - 1, GDT, IDT_VECTORS * 8 - 1, IDT),
	      "sgdt sidt sldt str smsw cpl=3");
	fresh();
	run(CODE("movl $-1, %eax; movl $-1, %ecx; movl $-1, %edx; sldt %eax; str %ecx; smsw %edx"));
	outcome();
	say(" %x %x %x", out.eax, out.ecx, out.edx);
	check("2B SLDT, SMSW, STR", "done 0 18 11", "32-bit registers");

	/* CR0: combinations that fault, bits that stick, LMSW. */
	static const struct {
		const char *name, *want;
		u32 value;
	} CR0[] = {
		{"nw without cd", "#GP(0)+0 11", CR0_PE | CR0_ET | CR0_NW},
		{"cd", "done 40000011", CR0_PE | CR0_ET | CR0_CD},
		{"cd nw", "done 60000011", CR0_PE | CR0_ET | CR0_CD | CR0_NW},
		{"et cannot be cleared", "done 11", CR0_PE},
		{"reserved bits stay clear", "done 11", CR0_PE | CR0_ET | 0x1ffaffc0},
		{"mp em ts ne wp am", "done 5003f", CR0_PE | CR0_ET | 0x5002e},
	};
	for (u32 i = 0; i < COUNT(CR0); i++) {
		fresh();
		in.eax = CR0[i].value;
		run(CODE("movl %eax, %cr0"));
		outcome();
		say(" %x", out.cr0);
		check("2B MOV; 3A 2.5", CR0[i].want, "cr0 %s", CR0[i].name);
	}
	fresh();
	in.eax = 0xffff000e;
	run(CODE("lmsw %ax"));
	outcome();
	say(" %x", out.cr0);
	check("2A LMSW", "done 1f", "lmsw sets mp em ts and leaves pe");
	fresh();
	in.cr0 |= 0xe;
	in.eax = 0;
	run(CODE("lmsw %ax; movl %cr0, %ebx; clts; movl %cr0, %ecx"));
	outcome();
	say(" %x %x", out.ebx, out.ecx);
	check("2A LMSW", "done 11 11", "lmsw clears mp em ts and not pe");
	fresh();
	in.cr0 |= CR0_TS;
	run(CODE("clts"));
	outcome();
	say(" %x", out.cr0);
	check("2A CLTS", "done 11", "clts");

	static const u32 CR4[] = {CR4_TSD, CR4_DE, CR4_PSE, CR4_PAE, CR4_PGE, CR4_PCE};
	for (u32 i = 0; i < COUNT(CR4); i++) {
		fresh();
		in.eax = CR4[i];
		run(CODE("movl %eax, %cr4"));
		outcome();
		say(" %x", out.cr4);
		check("2B MOV; 3A 2.5", text("done %x", CR4[i]), "cr4 %x", CR4[i]);
	}
	static const u8 numbers[] = {1, 5, 6, 7};
	for (u32 i = 0; i < COUNT(numbers); i++) {
		for (u32 to = 0; to < 2; to++) {
			fresh();
			static u8 bytes[5];
			bytes[0] = 0x0f;
			bytes[1] = to ? 0x22 : 0x20;
			bytes[2] = (u8)(0xc0 | numbers[i] << 3);
			bytes[3] = 0xcd;
			bytes[4] = 0x20;
			run(bytes);
			outcome();
			check("2B MOV", "#UD+0", "mov %s cr%u", to ? "to" : "from", numbers[i]);
		}
	}
	/* The mod field of MOV CR is ignored. */
	fresh();
	run(CODE(".byte 0x0f, 0x20, 0x00"));
	outcome();
	say(" %x", out.eax);
	check("2B MOV", "done 11", "mov from cr0 with mod 0");
	fresh();
	in.eax = 0x12345678;
	run(CODE("movl %eax, %cr2; movl %cr2, %ebx"));
	outcome();
	say(" %x", out.ebx);
	check("3A 2.5", "done 12345678", "cr2");
	fresh();
	in.eax = 0x345018;
	run(CODE("movl %eax, %cr3; movl %cr3, %ebx"));
	outcome();
	say(" %x", out.ebx);
	check("3A 2.5", "done 345018", "cr3 keeps pwt and pcd");

	for (u32 tsd = 0; tsd < 2; tsd++) {
		for (u32 cpl = 0; cpl < 4; cpl += 3) {
			fresh();
			in.cr4 = tsd ? CR4_TSD : 0;
			run_at(cpl, CODE("rdtsc"));
			outcome();
			check("2B RDTSC", tsd && cpl ? "#GP(0)+0" : "done", "rdtsc tsd=%u cpl=%u", tsd, cpl);
		}
	}
	fresh();
	run_at(3, CODE("rdpmc"));
	outcome();
	check("2B RDPMC", "#GP(0)+0", "rdpmc pce=0 cpl=3");

	/* MSRs. */
	fresh();
	in.ecx = 0x12345;
	run(CODE("rdmsr"));
	outcome();
	check("2B RDMSR", "#GP(0)+0", "rdmsr of a reserved register");
	fresh();
	in.ecx = 0x12345;
	run(CODE("wrmsr"));
	outcome();
	check("2D WRMSR", "#GP(0)+0", "wrmsr of a reserved register");
	fresh();
	in.ecx = MSR_EFER;
	in.eax = 0x2;
	in.edx = 0;
	run(CODE("wrmsr"));
	outcome();
	check("2D WRMSR; 3A 2.2.1", "#GP(0)+0", "efer bit 1");
	fresh();
	in.ecx = MSR_EFER;
	in.eax = 0x800;
	in.edx = 0;
	run(CODE("wrmsr; rdmsr; movl %eax, %ebx; xorl %eax, %eax; wrmsr"));
	outcome();
	say(" %x", out.ebx);
	check("3A 2.2.1", "done 800", "efer nxe");
	static const u32 msrs[] = {MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP};
	for (u32 i = 0; i < COUNT(msrs); i++) {
		fresh();
		in.ecx = msrs[i];
		in.eax = 0x9abc;
		in.edx = 0;
		run(CODE("wrmsr; xorl %eax, %eax; decl %edx; rdmsr"));
		outcome();
		say(" %x:%x", out.edx, out.eax);
		check("3A 5.8.7", "done 0:9abc", "msr %x", msrs[i]);
	}
}

/* On its own: where this does not fault the machine is lost. */
GROUP(paging_without_protection, "!paging-without-protection")
{
	fresh();
	in.eax = CR0_PG | CR0_ET;
	run(CODE("movl %eax, %cr0"));
	outcome();
	say(" %x", out.cr0);
	check("2B MOV; 3A 2.5", "#GP(0)+0 11", "cr0 pg without pe");
}

/* On their own: where a write does not end the machine is lost. Bits that no processor of 32-bit mode without CET has. */
GROUP(reserved_cr4, "!reserved-cr4")
{
	static const u32 RESERVED[] = {1u << 15, 1u << 19, 1u << 25, 1u << 26, 1u << 31};
	for (u32 i = 0; i < COUNT(RESERVED); i++) {
		fresh();
		in.eax = RESERVED[i];
		run(CODE("movl %eax, %cr4"));
		outcome();
		say(" %x", out.cr4);
		check("2B MOV; 3A 2.5", "#GP(0)+0 0", "cr4 %x", RESERVED[i]);
	}
}

GROUP(system_selectors, "system-selectors")
{
	for (u32 ltr = 0; ltr < 2; ltr++) {
		for (u32 present = 0; present < 2; present++) {
			const char *want = "";
			for (u32 type = 0; type < 32; type += type < 16 ? 1 : 2) {
				fresh();
				descriptor(SLOT(0), TSS_A, 0x67, (present ? PRESENT : 0) | type, 0);
				in.eax = SLOT(0) | 3;
				run(ltr ? CODE("ltr %ax") : CODE("lldt %ax"));
				if (out.vector == VECTOR_DONE)
					say("ok(%x) ", access_byte(SLOT(0)));
				else
					say("%s%s ", exception(out.vector) + 1, out.error == SLOT(0) ? "" : "?");
				int good = ltr ? type == 1 || type == 9 : type == 2;
				const char *cell = !good     ? "GP"
						   : !present ? "NP"
							      : text("ok(%x)", PRESENT | (ltr ? type | 2 : type));
				want = text("%s%s ", want, cell);
			}
			check("2A LLDT, LTR", want, "%s by type p=%u", ltr ? "ltr" : "lldt", present);
		}
		static const u32 selectors[] = {0, 3, GDT_BYTES, SLOT(0) | 4};
		for (u32 i = 0; i < COUNT(selectors); i++) {
			fresh();
			in.eax = selectors[i];
			run(ltr ? CODE("ltr %ax") : CODE("lldt %ax"));
			outcome();
			check("2A LLDT, LTR", !ltr && i < 2 ? "done" : text("#GP(%x)+0", selectors[i] & 0xfffc), "%s selector %x",
			      ltr ? "ltr" : "lldt", selectors[i]);
		}
	}
	/* LGDT with 16-bit operand size takes 24 bits of base. */
	fresh();
	in.ebx = DATA;
	*half(DATA) = GDT_BYTES - 1;
	*word(DATA + 2) = 0xff000000 | GDT;
	*half(DATA + 8) = GDT_BYTES - 1;
	*word(DATA + 10) = GDT;
	run(CODE("data16 lgdt (%ebx); sgdt 16(%ebx); lgdt 8(%ebx)"));
	outcome();
	say(" %x", *word(DATA + 18));
	check("2A LGDT", text("done %x", GDT), "16-bit lgdt");
}

GROUP(io_permission, "io-permission")
{
	/* The TSS's bitmap: ports 0x80 to 0x87 (an unused range on a PC). 1 forbids. */
	static const struct {
		const char *name;
		u32 bits, port, size, good;
	} CASES[] = {
		{"open byte", 0x00, 0x80, 1, 1},       {"closed byte", 0x01, 0x80, 1, 0},   {"open, neighbour closed", 0x02, 0x80, 1, 1},
		{"word, second closed", 0x02, 0x80, 2, 0}, {"word open", 0x04, 0x80, 2, 1}, {"dword, fourth closed", 0x08, 0x80, 4, 0},
		{"dword open", 0xf0, 0x80, 4, 1},	{"word across bytes open", 0x7f, 0x87, 2, 1},
		{"word across bytes closed", 0x17f, 0x87, 2, 0},
	};
	for (u32 in_ = 0; in_ < 2; in_++) {
		for (u32 i = 0; i < COUNT(CASES); i++) {
			fresh();
			*half(TSS + 0x66) = IO_BITMAP - TSS;
			__builtin_memset((void *)IO_BITMAP, 0xff, 0x80);
			*half(IO_BITMAP + 0x80 / 8) = (u16)(CASES[i].bits | 0xfe00);
			in.edx = CASES[i].port;
			in.eax = 0;
			u32 size = CASES[i].size;
			run_at(3, in_ ? (size == 1   ? CODE("inb %dx, %al")
					 : size == 2 ? CODE("inw %dx, %ax")
						     : CODE("inl %dx, %eax"))
				      : (size == 1   ? CODE("outb %al, %dx")
					 : size == 2 ? CODE("outw %ax, %dx")
						     : CODE("outl %eax, %dx")));
			outcome();
			check("1 19.5.2", CASES[i].good ? "done" : "#GP(0)+0", "%s %s", in_ ? "in" : "out", CASES[i].name);
		}
	}
	/* The bitmap's end: the byte after the last one must be within the limit too. */
	static const struct {
		const char *name;
		u32 limit, base, port, good;
	} ENDS[] = {
		{"two bytes within the limit", 0x88 + 0x11, 0x88, 0x80, 1},
		{"second byte beyond the limit", 0x88 + 0x10, 0x88, 0x80, 0},
		{"bitmap beyond the limit", 0x87, 0x88, 0x80, 0},
		{"offset ffff", 0x2087, 0xffff, 0x80, 0},
	};
	for (u32 i = 0; i < COUNT(ENDS); i++) {
		fresh();
		*half(TSS + 0x66) = (u16)ENDS[i].base;
		clear(IO_BITMAP, 0x80);
		descriptor(SUP_TSS, TSS, ENDS[i].limit, TSS32, 0);
		asm volatile("ltr %w0" : : "r"(SUP_TSS));
		in.edx = ENDS[i].port;
		run_at(3, CODE("inb %dx, %al"));
		outcome();
		check("1 19.5.2", ENDS[i].good ? "done" : "#GP(0)+0", "%s", ENDS[i].name);
	}
	fresh();
	descriptor(SUP_TSS, TSS, 0x2087, TSS32, 0);
	asm volatile("ltr %w0" : : "r"(SUP_TSS));
	/* IOPL opens all ports. */
	for (u32 cpl = 0; cpl < 4; cpl++) {
		for (u32 iopl = 0; iopl < 4; iopl++) {
			fresh();
			in.eflags = 2 | IOPL(iopl);
			run_at(cpl, CODE("inb $0x80, %al"));
			outcome();
			check("1 19.5.1", cpl <= iopl ? "done" : "#GP(0)+0", "in cpl=%u iopl=%u", cpl, iopl);
		}
	}
	static const u8 *strings[2];
	strings[0] = CODE("insb");
	strings[1] = CODE("outsb");
	for (u32 i = 0; i < 2; i++) {
		fresh();
		in.edx = 0x80;
		in.esi = in.edi = DATA;
		run_at(3, strings[i]);
		outcome();
		check("1 19.5", "#GP(0)+0", i ? "outs" : "ins");
	}
}

GROUP(alignment, "alignment")
{
	static const struct {
		const char *name;
		u32 offset, bad;
	} CASES[] = {
		{"word at 1", 1, 1},	 {"word at 2", 2, 0},	   {"dword at 2", 2, 1},  {"dword at 4", 4, 0},	 {"dword at 1", 1, 1},
		{"byte at 3", 3, 0},	 {"store word at 3", 3, 1}, {"store dword at 2", 2, 1}, {"cmpxchg8b at 4", 4, 1}, {"cmpxchg8b at 8", 8, 0},
		{"push", 2, 1},		 {"pop", 2, 1},		   {"movsd source at 2", 2, 1}, {"far pointer at 2", 2, 1},
		{"rmw dword at 3", 3, 1}, {"pusha", 2, 1},	   {"bound at 2", 2, 1},
	};
	static const u8 *code[COUNT(CASES)];
	code[0] = code[1] = CODE("movw (%ebx), %ax");
	code[2] = code[3] = code[4] = CODE("movl (%ebx), %eax");
	code[5] = CODE("movb (%ebx), %al");
	code[6] = CODE("movw %ax, (%ebx)");
	code[7] = CODE("movl %eax, (%ebx)");
	code[8] = code[9] = CODE("cmpxchg8b (%ebx)");
	code[10] = CODE("pushl %eax");
	code[11] = CODE("popl %eax");
	code[12] = CODE("movsl");
	code[13] = CODE("les (%ebx), %eax");
	code[14] = CODE("incl (%ebx)");
	code[15] = CODE("pushal");
	code[16] = CODE("bound %eax, (%ebx)");
	for (u32 i = 0; i < COUNT(CASES); i++) {
		for (u32 how = 0; how < 4; how++) {
			static const char *const hows[] = {"am ac cpl=3", "am cpl=3", "ac cpl=3", "am ac cpl=0"};
			fresh();
			clear(DATA, 64);
			*word(DATA + 6) = 0xfffffff0;
			in.eax = 0;
			in.cr0 |= how == 2 ? 0 : CR0_AM;
			in.eflags = 2 | (how == 1 ? 0 : FLAG_AC);
			ring(how == 3 ? 0 : 3);
			in.ebx = in.esi = DATA + CASES[i].offset;
			in.edi = DATA + 0x100;
			if (i == 10 || i == 11 || i == 15)
				in.esp = (how == 3 ? STACK_0 : STACK_3) - 64 + CASES[i].offset;
			if (i == 13)
				*half(DATA + 6) = DATA3 | 3;
			if (i == 16) {
				*word(DATA + 2) = 0;
				*word(DATA + 6) = 10;
			}
			/* The end of the code must not itself be an unaligned access: INT 20h uses the inner stack. */
			run(code[i]);
			outcome();
			check("3A 6.15 #AC", how == 0 && CASES[i].bad ? "#AC(0)+0" : "done", "%s %s", CASES[i].name, hows[how]);
		}
	}
	/* Descriptor accesses are the processor's own. */
	fresh();
	in.cr0 |= CR0_AM;
	in.eflags = 2 | FLAG_AC;
	in.eax = DATA3 | 3;
	run_at(3, CODE("movl %eax, %es; lar %eax, %ecx"));
	outcome();
	check("3A 6.15 #AC", "done", "descriptor reads");
}

GROUP(sysenter, "sysenter")
{
	for (u32 cpl = 0; cpl < 4; cpl++) {
		fresh();
		wrmsr(MSR_SYSENTER_CS, SUP_CODE);
		wrmsr(MSR_SYSENTER_ESP, STACK_1);
		wrmsr(MSR_SYSENTER_EIP, (u32)CODE("movl %esp, %edi; pushfl; popl %esi"));
		in.eflags = 2 | FLAG_IF | FLAG_CF | IOPL(3);
		run_at(cpl, CODE("sysenter"));
		say("%s cs=%x ss=%x esp=%x flags=%x", exception(out.vector), out.cs, out.ss, out.edi, out.esi);
		check("2B SYSENTER", text("int 20 cs=8 ss=10 esp=%x flags=3003", STACK_1), "sysenter cpl=%u", cpl);
	}
	static const u32 null[] = {0, 3};
	for (u32 i = 0; i < 2; i++) {
		fresh();
		wrmsr(MSR_SYSENTER_CS, null[i]);
		run_at(3, CODE("sysenter"));
		outcome();
		check("2B SYSENTER", "#GP(0)+0", "sysenter cs=%x", null[i]);
		fresh();
		wrmsr(MSR_SYSENTER_CS, null[i]);
		in.ecx = STACK_3;
		in.edx = (u32)CODE("nop");
		run(CODE("sysexit"));
		outcome();
		check("2B SYSEXIT", "#GP(0)+0", "sysexit cs=%x", null[i]);
	}
	/* The low bits of the MSR do not count; descriptors are not read. */
	fresh();
	wrmsr(MSR_SYSENTER_CS, SUP_CODE | 3);
	wrmsr(MSR_SYSENTER_ESP, STACK_1);
	wrmsr(MSR_SYSENTER_EIP, (u32)CODE("nop"));
	run_at(3, CODE("sysenter"));
	say("%s cs=%x ss=%x", exception(out.vector), out.cs, out.ss);
	check("2B SYSENTER", "int 20 cs=8 ss=10", "sysenter cs with rpl 3");
	fresh();
	wrmsr(MSR_SYSENTER_CS, SLOT(0));
	in.ecx = STACK_3;
	in.edx = (u32)CODE("movl %esp, %edi; pushfl; popl %esi");
	in.eflags = 2 | FLAG_CF;
	run(CODE("sysexit"));
	say("%s cs=%x ss=%x esp=%x flags=%x", exception(out.vector), out.cs, out.ss, out.edi, out.esi);
	check("2B SYSEXIT", text("int 20 cs=%x ss=%x esp=%x flags=3", (SLOT(0) + 16) | 3, (SLOT(0) + 24) | 3, STACK_3), "sysexit");
	wrmsr(MSR_SYSENTER_CS, 0);
}
