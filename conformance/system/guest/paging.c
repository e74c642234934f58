/* Paging (SDM 3A chapter 4): rights, error codes, accessed and dirty, large pages, reserved bits, invalidation. */
#include "system.h"

/* Two-level: directory, table of the first 4 MB, table of the window. PAE: pointers, directory, tables. */
#define DIRECTORY PAGE_TABLES
#define TABLE_LOW (PAGE_TABLES + 0x1000)
#define TABLE_WINDOW (PAGE_TABLES + 0x2000)
#define PAE_POINTERS (PAGE_TABLES + 0x4000)
#define PAE_DIRECTORY (PAGE_TABLES + 0x5000)
#define PAE_TABLE_LOW (PAGE_TABLES + 0x6000)
#define PAE_TABLE_WINDOW (PAGE_TABLES + 0x8000)

#define P 1
#define W 2
#define U 4
#define A 0x20
#define D 0x40
#define PS 0x80
#define G 0x100
#define NX 0x80000000u
#define MSR_EFER 0xc0000080
#define EFER_NXE 0x800

/* What the window's first pages show. */
#define FRAME (DATA + 0x20000)
#define OTHER (DATA + 0x24000)

enum mode { TWO_LEVEL, PAE, LARGE_4M, LARGE_2M };
static const char *const MODES[] = {"2-level", "pae", "4m", "2m"};
static int is_pae(enum mode mode) { return mode == PAE || mode == LARGE_2M; }

static u32 directory_entry(enum mode mode) { return is_pae(mode) ? PAE_DIRECTORY + 8 * 2 : DIRECTORY + 4; }
static u32 table_entry(enum mode mode, u32 page)
{
	return is_pae(mode) ? PAE_TABLE_WINDOW + 8 * page : TABLE_WINDOW + 4 * page;
}

static void nxe(int on)
{
	u32 low, high;
	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(MSR_EFER));
	low = on ? low | EFER_NXE : low & ~EFER_NXE;
	asm volatile("wrmsr" : : "a"(low), "d"(high), "c"(MSR_EFER));
}

/*
 * Identity for the first 4 MB; in the window pages 0 and 1 show FRAME and FRAME + 0x1000, with all rights and no A or D.
 * Large pages show the first 4 (2) MB, so that FRAME lies at its own offset in the window.
 */
static void map(enum mode mode)
{
	fresh();
	clear(PAGE_TABLES, 0x9000);
	if (is_pae(mode)) {
		*word(PAE_POINTERS) = PAE_DIRECTORY | P;
		*word(PAE_DIRECTORY) = PAE_TABLE_LOW | P | W | U;
		*word(PAE_DIRECTORY + 8) = (PAE_TABLE_LOW + 0x1000) | P | W | U;
		*word(PAE_DIRECTORY + 16) = PAE_TABLE_WINDOW | P | W | U;
		for (u32 page = 0; page < 1024; page++)
			*word(PAE_TABLE_LOW + 8 * page) = page << 12 | P | W | U;
	} else {
		*word(DIRECTORY) = TABLE_LOW | P | W | U;
		*word(DIRECTORY + 4) = TABLE_WINDOW | P | W | U;
		for (u32 page = 0; page < 1024; page++)
			*word(TABLE_LOW + 4 * page) = page << 12 | P | W | U;
	}
	for (u32 page = 0; page < 4; page++)
		*word(table_entry(mode, page)) = (FRAME + (page << 12)) | P | W | U;
	if (mode == LARGE_2M)
		*word(directory_entry(mode)) = 0x200000 | P | W | U | PS;
	if (mode == LARGE_4M)
		*word(directory_entry(mode)) = P | W | U | PS;
	clear(FRAME, 0x4000);
	*half(FRAME) = 0x20cd; /* INT 20h */
	*half(OTHER) = 0x20cd;
	*word(OTHER + 4) = 0x77777777;
	in.cr3 = is_pae(mode) ? PAE_POINTERS : DIRECTORY;
	in.cr4 = is_pae(mode) ? CR4_PAE : mode == LARGE_4M ? CR4_PSE : 0;
	in.cr0 = CR0_PE | CR0_ET | CR0_PG | CR0_WP;
	in.ebx = WINDOW + (mode == LARGE_4M ? FRAME : mode == LARGE_2M ? FRAME - 0x200000 : 0);
}

enum access { READ, WRITE, FETCH };
static const char *const ACCESSES[] = {"read", "write", "fetch"};

static void attempt(enum access access, u32 cpl)
{
	switch (access) {
	case READ:
		run_at(cpl, CODE("movl (%ebx), %eax"));
		break;
	case WRITE:
		run_at(cpl, CODE("movl $0x11112222, (%ebx)"));
		break;
	case FETCH:
		run_at(cpl, CODE("jmp *%ebx"));
	}
}

/* A row: the directory entry's rights 0 to 7 (P, W, U) under one table entry's rights. */
static void rights_row(enum mode mode, enum access access, u32 cpl, u32 wp, u32 table)
{
	char want[64];
	u32 used = 0;
	int large = mode == LARGE_4M || mode == LARGE_2M;
	for (u32 directory = 0; directory < 8; directory++) {
		map(mode);
		*word(directory_entry(mode)) = (*word(directory_entry(mode)) & ~7u) | directory;
		if (!large)
			*word(table_entry(mode, 0)) = FRAME | table;
		if (!wp)
			in.cr0 &= ~CR0_WP;
		attempt(access, cpl);
		if (out.vector == VECTOR_DONE)
			say("+");
		else if (out.vector == 14 && out.cr2 == in.ebx)
			say("%x", out.error);
		else
			say("(%s %x)", exception(out.vector), out.cr2);
		u32 both = directory & (large ? 7 : table);
		u32 error = (access == WRITE ? 2 : 0) | (cpl == 3 ? 4 : 0);
		if ((both & P) == 0)
			want[used++] = "0123456789abcdef"[error];
		else if ((cpl == 3 && (both & U) == 0) || (access == WRITE && (both & W) == 0 && (cpl == 3 || wp)))
			want[used++] = "0123456789abcdef"[error | 1];
		else
			want[used++] = '+';
	}
	want[used] = 0;
	check("3A 4.6, 4.7", want, "%s %s cpl=%u wp=%u%s", MODES[mode], ACCESSES[access], cpl, wp,
	      large ? "" : text(" pte=%x", table));
}

GROUP(paging_rights, "paging-rights")
{
	for (enum mode mode = TWO_LEVEL; mode <= LARGE_2M; mode++)
		for (enum access access = READ; access <= FETCH; access++)
			for (u32 cpl = 0; cpl < 4; cpl += 3)
				for (u32 wp = 0; wp < 2; wp++)
					for (u32 table = 0; table < (mode <= PAE ? 8 : 1); table++)
						rights_row(mode, access, cpl, wp, table);

	/* Rings 1 and 2 are supervisors. */
	for (u32 cpl = 1; cpl < 3; cpl++) {
		map(TWO_LEVEL);
		*word(table_entry(TWO_LEVEL, 0)) = FRAME | P;
		attempt(READ, cpl);
		outcome();
		check("3A 4.6.1", "done", "cpl=%u reads a supervisor page", cpl);
		map(TWO_LEVEL);
		*word(table_entry(TWO_LEVEL, 0)) = FRAME | P;
		attempt(WRITE, cpl);
		outcome();
		check("3A 4.6.1, 4.7", "#PF(3)+0 cr2=400000", "cpl=%u writes a read-only supervisor page", cpl);
	}
}

GROUP(paging_bits, "paging-bits")
{
	/* Accessed and dirty after each access, by entry. */
	for (enum mode mode = TWO_LEVEL; mode <= LARGE_2M; mode++) {
		int large = mode >= LARGE_4M;
		for (enum access access = READ; access <= FETCH; access++) {
			for (u32 cpl = 0; cpl < 4; cpl += 3) {
				map(mode);
				attempt(access, cpl);
				outcome();
				say(" %x %x", *word(directory_entry(mode)) & 0xfff,
				    large ? 0 : *word(table_entry(mode, 0)) & 0xfff);
				u32 dirty = access == WRITE ? D : 0;
				check("3A 4.8",
				      large ? text("done %x 0", P | W | U | A | PS | dirty) : text("done 27 %x", P | W | U | A | dirty),
				      "%s accessed and dirty after %s cpl=%u", MODES[mode], ACCESSES[access], cpl);
			}
		}
		/* A write after a read sets D though the translation is cached. */
		map(mode);
		run(CODE("movl (%ebx), %eax; movl %eax, (%ebx)"));
		outcome();
		u32 leaf = large ? *word(directory_entry(mode)) : *word(table_entry(mode, 0));
		say(" %x", leaf & (A | D));
		check("3A 4.8", "done 60", "%s dirty by a write after a read", MODES[mode]);
		/* CMPXCHG that does not match writes all the same. */
		map(mode);
		in.eax = 1;
		run(CODE("cmpxchgl %ecx, (%ebx)"));
		outcome();
		leaf = large ? *word(directory_entry(mode)) : *word(table_entry(mode, 0));
		say(" %x", leaf & (A | D));
		check("2A CMPXCHG", "done 60", "%s dirty by cmpxchg without a match", MODES[mode]);
	}
	/* A faulting write leaves D clear. */
	map(TWO_LEVEL);
	*word(table_entry(TWO_LEVEL, 0)) = FRAME | P | U;
	attempt(WRITE, 3);
	outcome();
	say(" %x", *word(table_entry(TWO_LEVEL, 0)) & D);
	check("3A 4.8", "#PF(7)+0 cr2=400000 0", "no dirty by a faulting write");

	/* NX, at either level, and with NXE off where it is reserved. */
	for (u32 on = 0; on < 2; on++) {
		for (u32 level = 0; level < 3; level++) {
			for (enum access access = READ; access <= FETCH; access++) {
				for (u32 cpl = 0; cpl < 4; cpl += 3) {
					map(PAE);
					if (level == 1)
						*word(directory_entry(PAE) + 4) = NX;
					if (level == 2)
						*word(table_entry(PAE, 0) + 4) = NX;
					nxe((int)on);
					attempt(access, cpl);
					nxe(0);
					say("%s", out.vector == VECTOR_DONE ? "done" : text("%s(%x)", exception(out.vector), out.error));
					u32 user = cpl == 3 ? 4 : 0;
					const char *want = "done";
					if (level != 0 && !on)
						want = text("#PF(%x)", 9 | user | (access == WRITE ? 2 : 0));
					else if (level != 0 && access == FETCH)
						want = text("#PF(%x)", 0x11 | user);
					static const char *const where[] = {"nowhere", "pde", "pte"};
					check("3A 4.6, 4.7", want, "nx in %s nxe=%u %s cpl=%u", where[level], on, ACCESSES[access],
					      cpl);
				}
			}
		}
	}
	/* The I/D flag with NXE on, of a fetch from a page that is not present or not the user's. */
	for (u32 present = 0; present < 2; present++) {
		map(PAE);
		*word(table_entry(PAE, 0)) = present ? FRAME | P | W : 0;
		nxe(1);
		attempt(FETCH, 3);
		nxe(0);
		say("%s(%x)", exception(out.vector), out.error);
		check("3A 4.7", present ? "#PF(15)" : "#PF(14)", "fetch with nxe from %s", present ? "a supervisor page" : "no page");
	}

	/* Reserved bits. */
	static const struct {
		const char *name;
		enum mode mode;
		u32 directory_low, directory_high, table_low, table_high, cr4, error;
	} RESERVED[] = {
		{"pae pte bit 52", PAE, 0, 0, 0, 1 << 20, 0, 9},
		{"pae pte bit 62", PAE, 0, 0, 0, 1 << 30, 0, 9},
		{"pae pde bit 52", PAE, 0, 1 << 20, 0, 0, 0, 9},
		{"pae pde bit 62", PAE, 0, 1 << 30, 0, 0, 0, 9},
		{"2m pde bit 13", LARGE_2M, 1 << 13, 0, 0, 0, 0, 9},
		{"2m pde bit 20", LARGE_2M, 1 << 20, 0, 0, 0, 0, 9},
		{"2m pde bit 52", LARGE_2M, 0, 1 << 20, 0, 0, 0, 9},
		{"4m pde bit 21", LARGE_4M, 1 << 21, 0, 0, 0, 0, 9},
		{"2-level pde bit 7 without pse", TWO_LEVEL, PS, 0, 0, 0, 0, 0},
		{"pte bit 7 is pat", TWO_LEVEL, 0, 0, PS, 0, 0, 0},
		{"pae not present with reserved bits", PAE, 0, 0, 1, 1 << 30, 0, 0},
	};
	for (u32 i = 0; i < COUNT(RESERVED); i++) {
		for (u32 write = 0; write < 2; write++) {
			map(RESERVED[i].mode);
			u32 pde = directory_entry(RESERVED[i].mode), pte = table_entry(RESERVED[i].mode, 0);
			*word(pde) ^= RESERVED[i].directory_low;
			*word(pte) ^= RESERVED[i].table_low;
			if (is_pae(RESERVED[i].mode)) {
				*word(pde + 4) = RESERVED[i].directory_high;
				*word(pte + 4) = RESERVED[i].table_high;
			}
			attempt(write ? WRITE : READ, 3);
			say("%s", out.vector == VECTOR_DONE ? "done" : text("%s(%x)", exception(out.vector), out.error));
			const char *want = RESERVED[i].error != 0 ? text("#PF(%x)", RESERVED[i].error | 4 | write * 2) : "done";
			if (RESERVED[i].table_low == 1)
				want = text("#PF(%x)", 4 | write * 2);
			check("3A 4.3, 4.4.2, 4.7", want, "%s %s", RESERVED[i].name, write ? "write" : "read");
		}
	}

	/* PDPTEs are checked by MOV to CR3. */
	static const struct {
		const char *name;
		u32 low, high, bad;
	} POINTERS[] = {
		{"present", P, 0, 0},	       {"bit 1", P | 2, 0, 1},	     {"bit 2", P | 4, 0, 1},
		{"bit 3 pwt", P | 8, 0, 0},    {"bit 4 pcd", P | 16, 0, 0},  {"bit 5", P | 32, 0, 1},
		{"bit 8", P | 0x100, 0, 1},    {"bit 9", P | 0x200, 0, 0},   {"bit 52", P, 1 << 20, 1},
		{"bit 63", P, NX, 1},	       {"not present", 0, 0, 0},     {"not present with bits", 0x1e6, 0x70000000, 0},
	};
	for (u32 i = 0; i < COUNT(POINTERS); i++) {
		map(PAE);
		/* The second gigabyte's entry; the new CR3 has the same first entry. */
		for (u32 at = 0; at < 32; at += 4)
			*word(PAE_POINTERS + 0x40 + at) = *word(PAE_POINTERS + at);
		*word(PAE_POINTERS + 0x48) = PAE_DIRECTORY | POINTERS[i].low;
		*word(PAE_POINTERS + 0x4c) = POINTERS[i].high;
		if ((POINTERS[i].low & P) == 0)
			*word(PAE_POINTERS + 0x48) = POINTERS[i].low;
		in.eax = PAE_POINTERS + 0x40;
		run(CODE("movl %eax, %cr3"));
		outcome();
		say(" cr3=%x", out.cr3);
		check("3A 4.4.1", POINTERS[i].bad ? text("#GP(0)+0 cr3=%x", PAE_POINTERS) : text("done cr3=%x", PAE_POINTERS + 0x40),
		      "mov cr3 with pdpte %s", POINTERS[i].name);
	}
	map(PAE);
	in.ebx = 0x40000000;
	attempt(READ, 0);
	outcome();
	check("3A 4.4.1, 4.7", "#PF(0)+0 cr2=40000000", "pdpte not present");
	/* The four entries are registers: a change in memory does not count until CR3 is written. */
	map(PAE);
	in.ebx = 0x40400000;
	in.edx = PAE_POINTERS;
	run(CODE("movl (%edx), %eax; movl %eax, 8(%edx); movl (%ebx), %ecx"));
	outcome();
	check("3A 4.4.1", "#PF(0)+5 cr2=40400000", "pdpte registers without a write of cr3");
	map(PAE);
	in.ebx = 0x40400000;
	in.edx = PAE_POINTERS;
	run(CODE("movl (%edx), %eax; movl %eax, 8(%edx); movl %cr3, %eax; movl %eax, %cr3; movl (%ebx), %ecx"));
	outcome();
	say(" %x", out.ecx);
	check("3A 4.4.1", "done 20cd", "pdpte registers after a write of cr3");
}

GROUP(paging_tlb, "paging-tlb")
{
	/* The translation of page 0 changes from FRAME to OTHER; what must see it (3A 4.10.4). */
	static const char *const names[] = {"invlpg", "mov cr3", "invlpg of a global page", "cr4.pge toggled", "cr0.pg toggled",
					    "cr4.pge set"};
	for (enum mode mode = TWO_LEVEL; mode <= PAE; mode++) {
		for (u32 i = 0; i < COUNT(names); i++) {
			map(mode);
			u32 global = i >= 2 && i < 5 ? G : 0;
			if (i >= 2 && i < 5)
				in.cr4 |= CR4_PGE;
			*word(table_entry(mode, 0)) |= global;
			in.edx = table_entry(mode, 0);
			in.ecx = OTHER | P | W | U | global;
			static const u8 *code[6];
			code[0] = CODE("movl 4(%ebx), %eax; movl %ecx, (%edx); invlpg (%ebx); movl 4(%ebx), %eax");
			code[1] = CODE("movl 4(%ebx), %eax; movl %ecx, (%edx); movl %cr3, %eax; movl %eax, %cr3; movl 4(%ebx), %eax");
			code[2] = code[0];
			code[3] = CODE("movl 4(%ebx), %eax; movl %ecx, (%edx); movl %cr4, %eax; xorl $0x80, %eax; movl %eax, %cr4;"
				       "xorl $0x80, %eax; movl %eax, %cr4; movl 4(%ebx), %eax");
			code[4] = CODE("movl 4(%ebx), %eax; movl %ecx, (%edx); movl %cr0, %eax; btcl $31, %eax; movl %eax, %cr0;"
				       "btcl $31, %eax; movl %eax, %cr0; movl 4(%ebx), %eax");
			code[5] = CODE("movl 4(%ebx), %eax; movl %ecx, (%edx); movl %cr4, %eax; orl $0x80, %eax; movl %eax, %cr4;"
				       "movl 4(%ebx), %eax");
			run(code[i]);
			outcome();
			say(" %x", out.eax);
			check("3A 4.10.4.1", "done 77777777", "%s remapped, %s", MODES[mode], names[i]);
		}
		/* An entry that becomes present needs no invalidation. */
		map(mode);
		*word(table_entry(mode, 0)) = 0;
		in.edx = table_entry(mode, 0);
		in.ecx = OTHER | P | W | U;
		run(CODE("movl %ecx, (%edx); movl 4(%ebx), %eax"));
		outcome();
		say(" %x", out.eax);
		check("3A 4.10.4.3", "done 77777777", "%s made present", MODES[mode]);
		map(mode);
		*word(directory_entry(mode)) &= ~(u32)P;
		in.edx = directory_entry(mode);
		in.ecx = *word(in.edx) | P;
		run(CODE("movl %ecx, (%edx); movl (%ebx), %eax"));
		outcome();
		say(" %x", out.eax);
		check("3A 4.10.4.3", "done 20cd", "%s directory made present", MODES[mode]);
		/* Two pages of one frame: a store through one is seen, and run, through the other. */
		map(mode);
		*word(table_entry(mode, 1)) = FRAME | P | W | U;
		in.ebx = WINDOW;
		in.esi = WINDOW + 0x1000;
		*word(FRAME + 0x10) = 0x909043cd; /* INT 43h, if run as it is */
		run(CODE("movl $0x909020cd, 0x10(%esi); addl $0x10, %ebx; jmp *%ebx"));
		outcome();
		check("3A 4.10, 8.1.3", "done", "%s code changed through an alias", MODES[mode]);
	}
	map(TWO_LEVEL);
	run_at(3, CODE("invlpg (%ebx)"));
	outcome();
	check("2A INVLPG", "#GP(0)+0", "invlpg cpl=3");
	map(TWO_LEVEL);
	in.ebx = 0x12345678;
	run(CODE("invlpg (%ebx)"));
	outcome();
	check("2A INVLPG", "done", "invlpg of an address that is not mapped");
}

/* Accesses that cross pages, and accesses the processor makes itself. */
GROUP(paging_accesses, "paging-accesses")
{
	static const struct {
		const char *name, *want;
		u32 offset;
	} CROSSING[] = {
		{"read 4", "#PF(0)+0 cr2=401000", 0xffd},
		{"read 4 from the last byte", "#PF(0)+0 cr2=401000", 0xfff},
		{"write 4", "#PF(2)+0 cr2=401000", 0xffe},
		{"rmw 4", "#PF(2)+0 cr2=401000", 0xffe},
		{"write 2", "#PF(2)+0 cr2=401000", 0xfff},
		{"cmpxchg8b", "#PF(2)+0 cr2=401000", 0xffc},
		{"push", "#PF(2)+5 cr2=401000", 0xffe},
		{"movs", "#PF(2)+1 cr2=401000", 0xffc},
		{"read before the page", "#PF(0)+0 cr2=401ffe", 0x1ffe},
	};
	for (u32 i = 0; i < COUNT(CROSSING); i++) {
		map(TWO_LEVEL);
		*word(table_entry(TWO_LEVEL, 1)) = 0;
		*word(FRAME + 0xffc) = 0x55555555;
		*word(FRAME + 0x2000) = 0x55555555;
		in.ebx = WINDOW + CROSSING[i].offset;
		in.esi = DATA;
		in.edi = WINDOW + CROSSING[i].offset;
		in.ecx = 2;
		*word(DATA) = 0x55555555;
		const u8 *code;
		switch (i) {
		case 0:
		case 1:
		case 8: code = CODE("movl (%ebx), %eax"); break;
		case 2: code = CODE("movl %eax, (%ebx)"); break;
		case 3: code = CODE("addl %eax, (%ebx)"); break;
		case 4: code = CODE("movw %ax, (%ebx)"); break;
		case 5: code = CODE("cmpxchg8b (%ebx)"); break;
		case 6: code = CODE("movl %ebx, %esp; addl $4, %esp; pushl %eax"); break;
		default: code = CODE("cld; rep movsl");
		}
		run_at(3, code);
		outcome();
		say(" %x", *word(FRAME + 0xffc));
		if (i == 7)
			say(" ecx=%x esi=+%x", out.ecx, out.esi - in.esi);
		const char *want = CROSSING[i].want;
		/* In ring 3 the user bit is set. */
		u32 error = (want[4] - '0') | 4;
		want = text("#PF(%x)%s", error, want + 6);
		check("3A 4.7, 6.15", i == 7 ? text("%s 55555555 ecx=1 esi=+4", want) : text("%s 55555555", want), "crossing %s",
		      CROSSING[i].name);
	}
	/* Rights differ between the two pages. */
	map(TWO_LEVEL);
	*word(table_entry(TWO_LEVEL, 1)) = (FRAME + 0x1000) | P | U;
	in.ebx = WINDOW + 0xffe;
	run_at(3, CODE("movl %eax, (%ebx)"));
	outcome();
	check("3A 4.7", "#PF(7)+0 cr2=401000", "crossing write into a read-only page");
	map(TWO_LEVEL);
	*word(table_entry(TWO_LEVEL, 0)) = 0;
	*word(table_entry(TWO_LEVEL, 1)) = 0;
	in.ebx = WINDOW + 0xffe;
	run_at(3, CODE("movl %eax, (%ebx)"));
	outcome();
	check("3A 4.7", "#PF(6)+0 cr2=400ffe", "crossing write with neither page");

	/* An instruction across the boundary: EIP is its start, CR2 the second page. */
	map(TWO_LEVEL);
	*word(table_entry(TWO_LEVEL, 1)) = 0;
	*byte(FRAME + 0xffe) = 0xb8;
	in.ebx = WINDOW + 0xffe;
	run(CODE("jmp *%ebx"));
	say("%s(%x) eip=%x cr2=%x", exception(out.vector), out.error, out.eip, out.cr2);
	check("3A 4.7", "#PF(0) eip=400ffe cr2=401000", "fetch across pages");
	map(TWO_LEVEL);
	*byte(FRAME + 0xffe) = 0xb8;
	*word(FRAME + 0xfff) = 0x12345678;
	*half(FRAME + 0x1003) = 0x20cd;
	*word(table_entry(TWO_LEVEL, 1)) = OTHER | P | W | U;
	*word(OTHER) = 0xcd654321;
	*byte(OTHER + 4) = 0x20;
	*byte(OTHER + 3) = 0xcd;
	in.ebx = WINDOW + 0xffe;
	run(CODE("jmp *%ebx"));
	outcome();
	say(" %x", out.eax);
	check("3A 4.10", "done 65432178", "instruction in two frames");

	/* The processor's own accesses are a supervisor's, whatever the CPL. */
	map(TWO_LEVEL);
	*word(table_entry(TWO_LEVEL, 0)) = GDT | P | W;
	in.eax = DATA3 | 3;
	static u8 register_[6];
	*half((u32)register_) = GDT_BYTES - 1;
	*word((u32)register_ + 2) = WINDOW;
	in.edx = (u32)register_;
	in.ecx = STACK_3;
	in.esi = (u32)CODE("movl %eax, %es");
	run(CODE("lgdt (%edx); pushl $" VALUE(DATA3) "+3; pushl %ecx; pushl $2; pushl $" VALUE(CODE3) "+3; pushl %esi; iret"));
	outcome();
	say(" es=%x", out.es);
	check("3A 4.6.1", "done es=53", "gdt in a supervisor page, load at cpl=3");
	/* The accessed bit's store against a read-only page. */
	map(TWO_LEVEL);
	descriptor(SLOT(0), 0, 0xfffff, READ_WRITE | DPL(3), GRANULAR | BIG);
	*word(table_entry(TWO_LEVEL, 0)) = GDT | P;
	in.eax = SLOT(0) | 3;
	in.edx = (u32)register_;
	in.ecx = STACK_3;
	in.esi = (u32)CODE("movl %eax, %es");
	run(CODE("lgdt (%edx); pushl $" VALUE(DATA3) "+3; pushl %ecx; pushl $2; pushl $" VALUE(CODE3) "+3; pushl %esi; iret"));
	say("%s(%x) cr2=%x eip=+%x", exception(out.vector), out.error, out.cr2 & ~7u, out.eip - in.esi);
	/* How wide that store is, the manual does not say. */
	check("3A 4.6.1, 4.7, 3.4.5.1", text("#PF(3) cr2=%x eip=+0", WINDOW + SLOTS), "accessed bit in a read-only gdt");
	/* A page fault while the frame is pushed on the inner stack: U is clear though the CPL was 3. */
	map(TWO_LEVEL);
	*word(TSS + 0x0c) = WINDOW + 0x1008;
	*word(table_entry(TWO_LEVEL, 0)) = 0;
	*word(table_entry(TWO_LEVEL, 1)) = 0;
	interrupt_gate(0x21, CODE1, (u32)CODE("nop"), INT32 | DPL(3));
	run_at(3, CODE("int $0x21"));
	outcome();
	check("3A 4.7, 6.15", text("#PF(2)+0 cr2=%x", WINDOW + 0x1004), "stack switch to a page that is not there");
	map(TWO_LEVEL);
	*word(TSS + 0x0c) = WINDOW + 0x1008;
	*word(table_entry(TWO_LEVEL, 0)) = 0;
	interrupt_gate(0x21, CODE1, (u32)CODE("nop"), INT32 | DPL(3));
	run_at(3, CODE("int $0x21"));
	outcome();
	check("3A 4.7, 6.15", text("#PF(2)+0 cr2=%x", WINDOW + 0xffc), "stack switch across into a page that is not there");
	/* CR2 keeps its value over other faults. */
	map(TWO_LEVEL);
	*word(table_entry(TWO_LEVEL, 0)) = 0;
	run(CODE("movl $0x1234, %eax; movl %eax, %cr2; ud2"));
	outcome();
	say(" %x", out.cr2);
	check("3A 2.5", "#UD+8 1234", "cr2 is not touched by #UD");
}
