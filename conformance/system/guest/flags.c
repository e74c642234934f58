/* PUSHF, POPF, CLI and STI by CPL and IOPL; which flags they give and take. */
#include "system.h"

#define ARITHMETIC 0x8d5
#define ALL (ARITHMETIC | FLAG_DF | FLAG_NT | FLAG_AC | FLAG_ID | FLAG_IF | IOPL(3))

GROUP(flags, "flags")
{
	for (u32 cpl = 0; cpl < 4; cpl++) {
		for (u32 iopl = 0; iopl < 4; iopl++) {
			/* POPF of all ones but TF: IOPL only at CPL 0, IF if CPL <= IOPL; VM, RF, VIF, VIP do not come in. */
			fresh();
			in.eflags = 2 | IOPL(iopl);
			run_at(cpl, CODE("pushl $0xfffffeff; popfl; pushfl; popl %eax; pushl $2; popfl"));
			outcome();
			say(" %x", out.eax);
			u32 want = ARITHMETIC | FLAG_DF | FLAG_NT | FLAG_AC | FLAG_ID | 2;
			want |= cpl == 0 ? IOPL(3) : IOPL(iopl);
			if (cpl <= iopl)
				want |= FLAG_IF;
			check("2B POPF; 1 3.4.3", text("done %x", want), "popfl all ones cpl=%u iopl=%u", cpl, iopl);

			/* POPF of zeros from all ones. */
			fresh();
			in.eflags = 2 | ALL;
			in.eflags = (in.eflags & ~IOPL(3)) | IOPL(iopl);
			run_at(cpl, CODE("pushl $0; popfl; pushfl; popl %eax"));
			outcome();
			say(" %x", out.eax);
			want = 2 | (cpl == 0 ? 0 : IOPL(iopl)) | (cpl <= iopl ? 0 : FLAG_IF);
			check("2B POPF; 1 3.4.3", text("done %x", want), "popfl zeros cpl=%u iopl=%u", cpl, iopl);

			/* The 16-bit form leaves the upper half alone. */
			fresh();
			in.eflags = 2 | IOPL(iopl) | FLAG_AC | FLAG_ID;
			run_at(cpl, CODE("pushw $0xfeff; popfw; pushfl; popl %eax; pushl $2; popfl"));
			outcome();
			say(" %x", out.eax);
			want = ARITHMETIC | FLAG_DF | FLAG_NT | FLAG_AC | FLAG_ID | 2 | (cpl == 0 ? IOPL(3) : IOPL(iopl));
			if (cpl <= iopl)
				want |= FLAG_IF;
			check("2B POPF", text("done %x", want), "popfw all ones cpl=%u iopl=%u", cpl, iopl);

			fresh();
			in.eflags = 2 | IOPL(iopl);
			run_at(cpl, CODE("sti; pushfl; popl %eax; cli"));
			outcome();
			if (out.vector == VECTOR_DONE)
				say(" %x", out.eax);
			check("2B STI", cpl <= iopl ? text("done %x", 2 | IOPL(iopl) | FLAG_IF) : "#GP(0)+0", "sti cpl=%u iopl=%u",
			      cpl, iopl);

			fresh();
			in.eflags = 2 | IOPL(iopl) | FLAG_IF;
			run_at(cpl, CODE("cli; pushfl; popl %eax"));
			outcome();
			if (out.vector == VECTOR_DONE)
				say(" %x", out.eax);
			check("2A CLI", cpl <= iopl ? text("done %x", 2 | IOPL(iopl)) : "#GP(0)+0", "cli cpl=%u iopl=%u", cpl,
			      iopl);
		}
	}

	/* What delivery does to EFLAGS: an interrupt gate clears IF, both clear TF, NT, RF and VM, and AC stays. */
	for (u32 trap = 0; trap < 2; trap++) {
		fresh();
		in.eflags = 2 | ALL;
		interrupt_gate(0x21, SUP_CODE, stub(0x21), (trap ? TRAP32 : INT32) | DPL(3));
		run_at(3, CODE("int $0x21"));
		outcome();
		say(" saved %x handler %x", out.eflags, out.handler_flags);
		u32 inside = (2 | ALL) & ~FLAG_NT & ~(trap ? 0 : FLAG_IF);
		check("3A 6.12.1.3", text("int 21+2 saved %x handler %x", 2 | ALL, inside), "%s gate",
		      trap ? "trap" : "interrupt");
	}

	fresh();
	run(CODE("pushfl; orl $0x200000, (%esp); popfl; pushfl; popl %eax; pushl $2; popfl; pushfl; popl %ebx"));
	outcome();
	say(" %x %x", out.eax, out.ebx);
	check("1 3.4.3.3", "done 200002 2", "ID toggles");

	fresh();
	run_at(3, CODE("hlt"));
	outcome();
	check("2A HLT", "#GP(0)+0", "hlt cpl=3");

	fresh();
	in.eax = 0x1234d7ff;
	run(CODE("sahf; pushfl; popl %ebx; lahf"));
	outcome();
	say(" %x %x", out.ebx & 0xff, out.eax);
	check("2B SAHF", "done d7 1234d7ff", "sahf ah=d7");
	fresh();
	in.eax = 0xffff;
	run(CODE("sahf; pushfl; popl %ebx; lahf"));
	outcome();
	say(" %x %x", out.ebx & 0xff, out.eax);
	check("2B SAHF", "done d7 d7ff", "sahf ah=ff");
}
