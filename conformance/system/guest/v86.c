/*
 * Virtual-8086 mode (SDM 3A chapter 20): what IOPL decides, what is #UD or #GP there, segments, I/O, delivery and return,
 * and the virtual interrupt flag of CR4.VME and CR4.PVI (20.3, 20.4).
 */
#include "system.h"

GROUP(v86, "v86")
{
	/* IOPL-sensitive instructions. */
	static const u8 *code[48];
	static const char *const sensitive[] = {"cli", "sti", "pushf", "popf", "int 21", "iret", "pushfl", "popfl", "iretl"};
	code[0] = CODE16("cli");
	code[1] = CODE16("sti; cli");
	code[2] = CODE16("pushfw; popw %ax");
	code[3] = CODE16("pushw $0x3202; popfw");
	code[4] = CODE16("int $0x21");
	code[5] = CODE16("pushw $0x3002; pushw %cs; pushw $8; iretw; int3");
	code[6] = CODE16("pushfl; popl %eax");
	code[7] = CODE16("pushl $0x203202; popfl");
	code[8] = CODE16("pushl $0x3002; pushl %cs; pushl $16; iretl; nop; nop; nop");
	for (u32 i = 0; i < COUNT(sensitive); i++) {
		for (u32 iopl = 0; iopl < 4; iopl++) {
			fresh();
			interrupt_gate(0x21, SUP_CODE, stub(0x21), INT32 | DPL(3));
			run_v86(code[i], IOPL(iopl));
			say("%s", exception(out.vector));
			if (out.vector == 13)
				say("(%x)+%x", out.error, out.eip);
			static const char *const faults[] = {"#GP(0)+0", "#GP(0)+0", "#GP(0)+0", "#GP(0)+3", "#GP(0)+0", "#GP(0)+6",
							     "#GP(0)+0", "#GP(0)+6", "#GP(0)+b"};
			check("3A 20.2.7", iopl == 3 ? (i == 4 ? "int 21" : "#BP") : faults[i], "%s iopl=%u", sensitive[i], iopl);
		}
	}
	fresh();
	run_v86(CODE16("pushw $0xfed7; popfw; pushfl; popl %eax; pushw $2; popfw"), IOPL(3));
	say("%s %x", exception(out.vector), out.eax);
	check("2B POPF; 3A 20.2.7", "#BP 7ed7", "popf at iopl 3");

	/* Privileged instructions: #GP(0); those of protected mode only: #UD. */
	static const char *const privileged[] = {"hlt", "mov from cr0", "mov to cr3", "clts", "lmsw", "lgdt", "lidt", "invlpg", "wbinvd",
						 "rdmsr", "mov from dr0", "sysexit"};
	static const char *const undefined[] = {"lldt", "ltr", "sldt", "str", "lar", "lsl", "verr", "arpl"};
	u32 n = 0;
	code[n++] = CODE16("hlt");
	code[n++] = CODE16("movl %cr0, %eax");
	code[n++] = CODE16("movl %eax, %cr3");
	code[n++] = CODE16("clts");
	code[n++] = CODE16("lmsw %ax");
	code[n++] = CODE16("lgdtl (%bx)");
	code[n++] = CODE16("lidtl (%bx)");
	code[n++] = CODE16("invlpg (%bx)");
	code[n++] = CODE16("wbinvd");
	code[n++] = CODE16("rdmsr");
	code[n++] = CODE16("movl %dr0, %eax");
	code[n++] = CODE16("sysexit");
	for (u32 i = 0; i < n; i++) {
		fresh();
		in.ebx = 0x100;
		run_v86(code[i], IOPL(3));
		outcome();
		check("3A 20.2.2, 5.9", "#GP(0)+0", "%s", privileged[i]);
	}
	n = 0;
	code[n++] = CODE16("lldt %ax");
	code[n++] = CODE16("ltr %ax");
	code[n++] = CODE16("sldt %ax");
	code[n++] = CODE16("str %ax");
	code[n++] = CODE16("lar %ax, %bx");
	code[n++] = CODE16("lsl %ax, %bx");
	code[n++] = CODE16("verr %ax");
	code[n++] = CODE16("arpl %ax, %bx");
	for (u32 i = 0; i < n; i++) {
		fresh();
		run_v86(code[i], IOPL(3));
		outcome();
		check("3A 20.2.2", "#UD+0", "%s", undefined[i]);
	}
	fresh();
	in.ebx = 0x200;
	run_v86(CODE16("sgdtl (%bx); sidtl 8(%bx); smsw %ax"), 0);
	outcome();
	say(" %x %x", *half(LOW_DATA + 0x200), out.eax & 0xffff);
	check("3A 20.2.2", text("done %x 11", GDT_BYTES - 1), "sgdt, sidt and smsw");

	/* INT3 and INTO do not look at IOPL, but at the gate's DPL; INT1 at nothing. */
	for (u32 open = 0; open < 2; open++) {
		fresh();
		interrupt_gate(3, SUP_CODE, stub(3), INT32 | (open ? DPL(3) : 0));
		run_v86(CODE16("nop; int3"), 0);
		say("%s(%x)+%x", exception(out.vector), out.error, out.eip);
		check("2A INT3; 3A 20.3", open ? "#BP(0)+2" : "#GP(1a)+1", "int3 dpl=%u", open ? 3 : 0);
		fresh();
		interrupt_gate(4, SUP_CODE, stub(4), INT32 | (open ? DPL(3) : 0));
		run_v86(CODE16("into"), FLAG_OF);
		say("%s(%x)+%x", exception(out.vector), out.error, out.eip);
		check("2A INTO; 3A 20.3", open ? "#OF(0)+1" : "#GP(22)+0", "into dpl=%u", open ? 3 : 0);
		fresh();
		interrupt_gate(0x21, SUP_CODE, stub(0x21), INT32 | (open ? DPL(3) : 0));
		run_v86(CODE16("int $0x21"), IOPL(3));
		say("%s(%x)+%x", exception(out.vector), out.error, out.eip);
		check("2A INT n; 3A 20.3", open ? "int 21(0)+2" : "#GP(10a)+0", "int n at iopl 3, dpl=%u", open ? 3 : 0);
	}

	/* The frame, the null data segments of the handler, the cleared flags. */
	for (u32 trap = 0; trap < 2; trap++) {
		fresh();
		interrupt_gate(0x21, SUP_CODE, stub(0x21), (trap ? TRAP32 : INT32) | DPL(3));
		run_v86(CODE16("movw $0x1111, %ax; movw %ax, %ds; movw $0x2222, %ax; movw %ax, %es; movw $0x3333, %ax; movw %ax, %fs;"
			       "movw $0x4444, %ax; movw %ax, %gs; sti; int $0x21"),
			IOPL(3));
		say("%s cs=%x ss:esp=%x:%x ds=%x es=%x fs=%x gs=%x flags=%x", exception(out.vector), out.cs, out.ss, out.esp, out.ds,
		    out.es, out.fs, out.gs, out.eflags);
		say(" frame=%x handler %x", out.frame, out.handler_flags);
		check("3A 20.3.1",
		      text("int 21 cs=2000 ss:esp=4000:fff0 ds=1111 es=2222 fs=3333 gs=4444 flags=23202 frame=%x handler %x",
			   ENTRY_STACK_0 - 36, trap ? 0x3202 : 0x3002),
		      "frame of %s gate", trap ? "a trap" : "an interrupt");
	}
	/* The handler's segment must be nonconforming with DPL 0. */
	static const struct {
		const char *name, *want;
		u32 access;
	} HANDLERS[] = {{"dpl 1", "#GP(60)", EXECUTE_READ | DPL(1)}, {"dpl 3", "#GP(60)", EXECUTE_READ | DPL(3)},
			{"conforming", "#GP(60)", CONFORMING}, {"dpl 0", "int 21", EXECUTE_READ}};
	for (u32 i = 0; i < COUNT(HANDLERS); i++) {
		fresh();
		descriptor(SLOT(0), 0, 0xfffff, HANDLERS[i].access, GRANULAR | BIG);
		interrupt_gate(0x21, SLOT(0), stub(0x21), INT32 | DPL(3));
		run_v86(CODE16("int $0x21"), IOPL(3));
		say("%s", exception(out.vector));
		if (out.vector == 13)
			say("(%x)", out.error);
		check("2A INT n; 3A 20.3.1", HANDLERS[i].want, "handler segment %s", HANDLERS[i].name);
	}

	/* Segments: base is selector times 16, limit ffff, any value loads. */
	fresh();
	*word(LOW_DATA + 0x100) = 0x11223344;
	in.ebx = 0x100;
	run_v86(CODE16("movl (%bx), %eax; movw $0x3010, %dx; movw %dx, %es; movl %es:(%bx), %ecx; movl %es:-0x100(%bx), %ecx"), 0);
	outcome();
	say(" %x %x", out.eax, out.ecx);
	check("3A 20.1.1", "done 11223344 11223344", "bases");
	static const struct {
		const char *name, *want;
	} LIMITS[] = {{"byte at ffff", "done"}, {"word at ffff", "#GP(0)+0"}, {"dword at fffd", "#GP(0)+0"},
		      {"byte at 10000", "#GP(0)+0"}, {"word on the stack at ffff", "#SS(0)+0"}, {"push at sp 1", "#SS(0)+3"},
		      {"push at sp 0", "done"}, {"jmp to 10000", "#GP(0)+0"}};
	n = 0;
	code[n++] = CODE16("movb (%bx), %al");
	code[n++] = CODE16("movw (%bx), %ax");
	code[n++] = CODE16("movl -2(%bx), %eax");
	code[n++] = CODE16("addr32 movb 0x10000, %al");
	code[n++] = CODE16("movw (%bp), %ax");
	code[n++] = CODE16("movw $1, %sp; pushw %ax");
	code[n++] = CODE16("movw $0, %sp; pushw %ax; movw $0xfff0, %sp");
	code[n++] = CODE16("data32 jmp .+0x10006; nop");
	for (u32 i = 0; i < n; i++) {
		fresh();
		in.ebx = in.ebp = 0xffff;
		run_v86(code[i], 0);
		outcome();
		check("3A 20.1.1, 20.2", LIMITS[i].want, "%s", LIMITS[i].name);
	}
	fresh();
	run_v86(CODE16("pushw %cs; pushw $8; lretw; .skip 4, 0x90; movw $1, %ax"), 0);
	say("%s ax=%x sp=%x", exception(out.vector), out.eax & 0xffff, out.esp);
	check("2B RET; 3A 20.1.4", "#BP ax=1 sp=fff0", "far return");
	fresh();
	run_v86(CODE16("lcall $0x2000, $0x10; .skip 11, 0x90; popw %ax; popw %bx"), 0);
	say("%s ax=%x bx=%x", exception(out.vector), out.eax & 0xffff, out.ebx & 0xffff);
	check("2A CALL; 3A 20.1.4", "#BP ax=5 bx=2000", "far call");

	/* I/O goes by the bitmap, whatever IOPL is. */
	for (u32 iopl = 0; iopl < 4; iopl += 3) {
		for (u32 open = 0; open < 2; open++) {
			fresh();
			*half(TSS + 0x66) = IO_BITMAP - TSS;
			__builtin_memset((void *)IO_BITMAP, open ? 0 : 0xff, 0x40);
			run_v86(CODE16("inb $0x80, %al"), IOPL(iopl));
			outcome();
			check("3A 20.2.8.1", open ? "done" : "#GP(0)+0", "in iopl=%u bitmap %s", iopl, open ? "open" : "closed");
		}
	}
	/* IRET cannot clear VM from inside, POPF cannot set it outside. */
	fresh();
	run_at(3, CODE("pushl $0x20002; popfl; pushfl; popl %eax"));
	outcome();
	say(" %x", out.eax);
	check("2B POPF", "done 2", "popf of vm cpl=3");
	fresh();
	run(CODE("pushl $0x20002; popfl; pushfl; popl %eax"));
	outcome();
	say(" %x", out.eax);
	check("2B POPF", "done 2", "popf of vm cpl=0");
	fresh();
	run_at(3, CODE("pushl $0x20002; pushl %cs; pushl $1f; iret; 1: pushfl; popl %eax"));
	outcome();
	if (out.vector == VECTOR_DONE)
		say(" %x", out.eax);
	check("2A IRET", "done 2", "iret with vm cpl=3");
	/* Exceptions inside: #DE, #UD. */
	fresh();
	in.ecx = 0;
	run_v86(CODE16("nop; divw %cx"), 0);
	outcome();
	check("3A 20.3", "#DE+1", "division by zero");
	fresh();
	run_v86(CODE16("lock; movw %ax, (%bx)"), 0);
	outcome();
	check("3A 20.3", "#UD+0", "lock mov");
	fresh();
	run_v86(CODE16("sysenter"), 0);
	outcome();
	check("2B SYSENTER", "#GP(0)+0", "sysenter with a null cs");
}

GROUP(vme, "vme")
{
	/* CLI and STI work on VIF below IOPL 3; STI with VIP is #GP. PUSHF shows VIF as IF and IOPL 3. */
	for (u32 iopl = 0; iopl < 4; iopl += 3) {
		fresh();
		in.cr4 = CR4_VME;
		run_v86(CODE16("sti; nop"), IOPL(iopl));
		outcome();
		say(" %x", out.eflags);
		check("3A 20.3.3.4", text("done %x", 2 | FLAG_VM | IOPL(iopl) | (iopl == 3 ? FLAG_IF : FLAG_VIF)), "sti iopl=%u", iopl);
		fresh();
		in.cr4 = CR4_VME;
		run_v86(CODE16("cli; nop"), IOPL(iopl) | FLAG_VIF | FLAG_IF);
		outcome();
		say(" %x", out.eflags);
		check("3A 20.3.3.4", text("done %x", 2 | FLAG_VM | IOPL(iopl) | (iopl == 3 ? FLAG_VIF : FLAG_IF)), "cli iopl=%u", iopl);
		fresh();
		in.cr4 = CR4_VME;
		run_v86(CODE16("nop; sti"), IOPL(iopl) | FLAG_VIP);
		outcome();
		check("2B STI", iopl == 3 ? "done" : "#GP(0)+1", "sti with vip iopl=%u", iopl);
		for (u32 vif = 0; vif < 2; vif++) {
			fresh();
			in.cr4 = CR4_VME;
			run_v86(CODE16("pushfw; popw %ax"), IOPL(iopl) | (vif ? FLAG_VIF : 0));
			outcome();
			say(" %x", out.eax & 0xffff);
			check("2B PUSHF", text("done %x", 2 | IOPL(3) | (iopl != 3 && vif ? FLAG_IF : 0)), "pushf iopl=%u vif=%u", iopl, vif);
		}
		fresh();
		in.cr4 = CR4_VME;
		run_v86(CODE16("pushw $0x202; popfw; nop"), IOPL(iopl));
		outcome();
		say(" %x", out.eflags);
		check("2B POPF", text("done %x", 2 | FLAG_VM | IOPL(iopl) | (iopl == 3 ? FLAG_IF : FLAG_VIF)), "popf with if iopl=%u", iopl);
		fresh();
		in.cr4 = CR4_VME;
		run_v86(CODE16("pushw $0x202; popfw; nop"), IOPL(iopl) | FLAG_VIP);
		outcome();
		check("2B POPF", iopl == 3 ? "done" : "#GP(0)+3", "popf with if and vip iopl=%u", iopl);
		fresh();
		in.cr4 = CR4_VME;
		run_v86(CODE16("pushw $0x102; popfw; nop"), IOPL(iopl));
		outcome();
		check("2B POPF", iopl == 3 ? "#DB+5" : "#GP(0)+3", "popf with tf iopl=%u", iopl);
		fresh();
		in.cr4 = CR4_VME;
		run_v86(CODE16("pushfl; popl %eax"), IOPL(iopl));
		outcome();
		check("2B PUSHF", iopl == 3 ? "done" : "#GP(0)+0", "pushfl iopl=%u", iopl);
	}
	/* INT n by the redirection bitmap: 0 sends it to the interrupt table at 0. */
	for (u32 iopl = 0; iopl < 4; iopl += 3) {
		for (u32 bit = 0; bit < 2; bit++) {
			fresh();
			in.cr4 = CR4_VME;
			interrupt_gate(0x21, SUP_CODE, stub(0x21), INT32 | DPL(3));
			*half(TSS + 0x66) = IO_BITMAP - TSS;
			clear(IO_BITMAP - 32, 32);
			if (bit)
				*byte(IO_BITMAP - 32 + 0x21 / 8) = 1 << (0x21 & 7);
			*word(0x21 * 4) = (LOW_CODE >> 4) << 16 | 0x80;
			*byte(LOW_CODE + 0x180) = 0xcc;
			const u8 *code = CODE16("int $0x21; nop; int3; .skip 0x7c, 0x90; int3");
			run_v86(code, IOPL(iopl) | FLAG_VIF);
			say("%s(%x)+%x sp=%x", exception(out.vector), out.error, out.eip, out.esp);
			if (out.vector == 3)
				say(" frame %x %x %x flags %x", *half(LOW_STACK - 6), *half(LOW_STACK - 4), *half(LOW_STACK - 2), out.eflags);
			const char *want = "int 21(0)+2 sp=fff0";
			if (!bit)
				want = text("#BP(0)+81 sp=ffea frame 2 2000 %x flags %x", iopl == 3 ? 0x3002 : 0x3202,
					    2 | FLAG_VM | IOPL(iopl) | (iopl == 3 ? FLAG_VIF : 0));
			else if (iopl != 3)
				want = "#GP(0)+0 sp=fff0";
			check("3A 20.3.3, table 20-2", want, "int n iopl=%u redirection bit=%u", iopl, bit);
		}
	}
	/* Protected-mode virtual interrupts: CPL 3 and IOPL below 3. */
	fresh();
	in.cr4 = CR4_PVI;
	run_at(3, CODE("sti; nop"));
	outcome();
	say(" %x", out.eflags);
	check("3A 20.4", text("done %x", 2 | FLAG_VIF), "pvi sti");
	fresh();
	in.cr4 = CR4_PVI;
	in.eflags = 2 | FLAG_VIF;
	run_at(3, CODE("cli; nop"));
	outcome();
	say(" %x", out.eflags);
	check("3A 20.4", "done 2", "pvi cli");
	fresh();
	in.cr4 = CR4_PVI;
	in.eflags = 2 | FLAG_VIP;
	run_at(3, CODE("sti; nop"));
	outcome();
	check("3A 20.4", "#GP(0)+0", "pvi sti with vip");
	fresh();
	in.cr4 = CR4_PVI;
	in.eflags = 2 | FLAG_VIF;
	run_at(3, CODE("pushfl; popl %eax; pushl $2; popfl; pushfl; popl %ebx"));
	outcome();
	say(" %x %x", out.eax, out.ebx);
	check("3A 20.4", text("done %x %x", 2 | FLAG_VIF, 2 | FLAG_VIF), "pvi pushf and popf are as without it");
}
