/* The ring-3 half of the attempts. EDI holds the address to go on at after a fault, ESI the stack pointer. */
#define TRY(text)                                                                                        \
	asm volatile("movl $1f, %%edi\n\tmovl %%esp, %%esi\n\t" text "\n1:\tmovl %%esi, %%esp"           \
		     : "+a"(value), "+c"(operand) : : "ebx", "edx", "esi", "edi", "memory", "cc");       \
	break

u32 user_main(u32 attempt, u32 operand)
{
	static u32 table[2];
	u32 value = (u32)table;
	switch (attempt) {
	case 0: TRY("movl (%%ecx), %%eax");
	case 1: TRY("movl $0, (%%ecx)");
	case 2: TRY("call *%%ecx");
	case 3: TRY("cli");
	case 4: TRY("sti");
	case 5: TRY("hlt");
	case 6: TRY("inb $0x80, %%al");
	case 7: TRY("outb %%al, $0x80");
	case 8: TRY("lgdt (%%eax)");
	case 9: TRY("lidt (%%eax)");
	case 10: TRY("ltr %%cx");
	case 11: TRY("lldt %%cx");
	case 12: TRY("clts");
	case 13: TRY("movl %%cr0, %%eax");
	case 14: TRY("movl %%eax, %%cr3");
	case 15: TRY("invlpg (%%eax)");
	case 16: TRY("movl $0x174, %%ecx\n\trdmsr");
	case 17: TRY("movl $0x174, %%ecx\n\twrmsr");
	case 18: TRY("wbinvd");
	case 19: TRY("int $0x20");
	case 20: TRY("int $0x81");
	case 21: TRY("movl $17, %%eax\n\tint $0x82");
	case 22: TRY("movl %%ecx, %%ds");
	case 23: TRY("movl %%ecx, %%ss");
	case 24: TRY("pushl %%ecx\n\tpushl $0\n\tlcall *(%%esp)");
	case 25: TRY("pushl $2\n\tpushl %%ecx\n\tpushl $1f\n\tiret");
	case 26: TRY("pushl $0x3002\n\tpopfl\n\tpushfl\n\tpopl %%eax\n\tandl $0x3200, %%eax");
	case 27: TRY("movl $1f, %%edx\n\tmovl %%esp, %%ecx\n\tsysexit");
	}
	/* A data segment that was loaded is of no use to what follows. */
	asm volatile("movl %%ss, %%ecx\n\tmovl %%ecx, %%ds" : : : "ecx");
	return value;
}
