/*
 * Selectors and addresses that C and assembly share. Everything a case may break lies at a fixed address, so that the
 * log does not depend on how the image is linked.
 */
#ifndef LAYOUT_H
#define LAYOUT_H

/* The GDT: what the supervisor itself uses, flat segments for each ring, then slots that cases fill. */
#define SUP_CODE 0x08
#define SUP_DATA 0x10
#define SUP_TSS 0x18
#define DF_TSS 0x20
#define CODE1 0x28
#define DATA1 0x30
#define CODE2 0x38
#define DATA2 0x40
#define CODE3 0x48
#define DATA3 0x50
/* Code whose base is the image's, so that the 16-bit offsets of 16-bit gates reach the stubs. */
#define NEAR_CODE 0x58
#define SLOTS 0x60
#define SLOT(n) (SLOTS + 8 * (n))
#define GDT_BYTES 0x100

#define IDT_VECTORS 64
/* A case's code ends with INT 20h; in virtual-8086 mode, where INT n depends on IOPL, with INT3. */
#define VECTOR_DONE 0x20
/* The 8259s' vectors while a case uses them. */
#define VECTOR_IRQ 0x28

#define IMAGE_BASE 0x100000
#define TABLES 0x200000
#define GDT (TABLES + 0x0000)
#define IDT (TABLES + 0x1000)
#define LDT (TABLES + 0x2000)
#define TSS (TABLES + 0x3000)
#define TSS_OF_DF (TABLES + 0x5800)
#define TSS_A (TABLES + 0x6000)
#define TSS_B (TABLES + 0x6800)
#define IO_BITMAP (TSS + 0x88)

/* Tops of stacks: of the code under test in rings 0 to 3, and of what enters rings 0 to 2. */
#define STACK_0 0x210ff0
#define STACK_1 0x211ff0
#define STACK_2 0x212ff0
#define STACK_3 0x213ff0
#define ENTRY_STACK_0 0x214ff0
#define ENTRY_STACK_1 0x215ff0
#define ENTRY_STACK_2 0x216ff0
#define STACK_DF 0x217ff0
#define DATA 0x220000

/* Page tables, and the linear addresses that cases map anew: the second 4 MB, and large pages above. */
#define PAGE_TABLES 0x300000
#define WINDOW 0x400000

/* Real and virtual-8086 mode. */
#define LOW_CODE 0x20000
#define LOW_DATA 0x30000
#define LOW_STACK 0x4fff0
/* Real mode: stubs, the state they leave (struct real_state), and the code that enters and leaves. */
#define REAL_STUBS 0x60000
#define REAL_SAVED 0x62000
#define REAL_CODE SLOT(16)
#define REAL_DATA SLOT(17)

#define FLAG_CF 0x1
#define FLAG_PF 0x4
#define FLAG_AF 0x10
#define FLAG_ZF 0x40
#define FLAG_SF 0x80
#define FLAG_TF 0x100
#define FLAG_IF 0x200
#define FLAG_DF 0x400
#define FLAG_OF 0x800
#define FLAG_NT 0x4000
#define FLAG_RF 0x10000
#define FLAG_VM 0x20000
#define FLAG_AC 0x40000
#define FLAG_VIF 0x80000
#define FLAG_VIP 0x100000
#define FLAG_ID 0x200000
#define IOPL(n) ((n) << 12)

#define CR0_PE 0x1
#define CR0_MP 0x2
#define CR0_EM 0x4
#define CR0_TS 0x8
#define CR0_ET 0x10
#define CR0_NE 0x20
#define CR0_WP 0x10000
#define CR0_AM 0x40000
#define CR0_NW 0x20000000
#define CR0_CD 0x40000000
#define CR0_PG 0x80000000
#define CR4_VME 0x1
#define CR4_PVI 0x2
#define CR4_TSD 0x4
#define CR4_DE 0x8
#define CR4_PSE 0x10
#define CR4_PAE 0x20
#define CR4_PGE 0x80
#define CR4_PCE 0x100
#define CR4_OSFXSR 0x200
#define CR4_OSXMMEXCPT 0x400

/* Offsets in struct state. */
#define AT_EAX 0
#define AT_ECX 4
#define AT_EDX 8
#define AT_EBX 12
#define AT_ESP 16
#define AT_EBP 20
#define AT_ESI 24
#define AT_EDI 28
#define AT_EIP 32
#define AT_EFLAGS 36
#define AT_CS 40
#define AT_SS 44
#define AT_DS 48
#define AT_ES 52
#define AT_FS 56
#define AT_GS 60
#define AT_CR0 64
#define AT_CR2 68
#define AT_CR3 72
#define AT_CR4 76
#define AT_VECTOR 80
#define AT_ERROR 84
#define AT_FRAME 88
#define AT_FRAME_SS 92
#define AT_HANDLER_FLAGS 96
#define AT_DR6 100
#define AT_DR7 104
#define AT_TR 108
#define AT_LDTR 112
#define AT_OLD_TSS 116

#endif
