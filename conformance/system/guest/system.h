/*
 * The frame of the test image. A case fills `in` (and descriptors, gates, page tables), calls `run`, which enters the
 * code under test by IRET and comes back at the first exception or interrupt with the whole state in `out`, puts what it
 * saw into the line by `outcome` and `say`, and compares by `check` with the text that the SDM demands.
 */
#ifndef SYSTEM_H
#define SYSTEM_H
#include <stdarg.h>
#include "layout.h"

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct state {
	u32 eax, ecx, edx, ebx, esp, ebp, esi, edi, eip, eflags;
	u32 cs, ss, ds, es, fs, gs;
	u32 cr0, cr2, cr3, cr4;
	/* Of `out` only. The frame's address is that of the pushed EIP. */
	u32 vector, error, frame, frame_ss, handler_flags, dr6, dr7, tr, ldtr;
	/* The access byte of SUP_TSS's descriptor at that time. */
	u32 old_tss;
};

extern struct state in, out;
/* The gate under test is a 16-bit one: its frame consists of words. */
extern u32 frame16;
/* Set by whoever entered the #DF task. */
extern u32 by_task;

/*
 * Code under test, in place: ends with INT 20h. It is assembled where the expression stands; the label's number keeps the
 * compiler from taking two pieces for the same.
 */
#define CODE(text) CODE_AT(".code32\n", text "\n\tint $0x20\n", __COUNTER__)
/* 16-bit code, to be copied to low memory. */
#define CODE16(text) CODE_AT(".code16\n", text "\n\tint3\n\t.code32\n", __COUNTER__)
#define CODE_AT(mode, text, number) CODE_LABELLED(mode, text, number)
#define CODE_LABELLED(mode, text, number)                                                                             \
	({                                                                                                            \
		const u8 *code_;                                                                                      \
		asm volatile(".pushsection .cases, \"ax\"\n" mode "90" #number ":\n\t" text "\n\tud2\n\tud2\n.popsection"); \
		asm volatile("movl $90" #number "b, %0" : "=r"(code_));                                               \
		code_;                                                                                                \
	})
/* A constant of layout.h in the text of code. */
#define VALUE(constant) VALUE_(constant)
#define VALUE_(constant) #constant

/* Descriptor type bytes: P, DPL, S, type. */
#define PRESENT 0x80
#define DPL(n) ((n) << 5)
#define TSS16 0x81
#define TSS32 0x89
#define BUSY 2
#define LDT_TYPE 0x82
#define CALL16 0x84
#define TASK_GATE 0x85
#define INT16 0x86
#define TRAP16 0x87
#define CALL32 0x8c
#define INT32 0x8e
#define TRAP32 0x8f
#define READ_ONLY 0x90
#define READ_WRITE 0x92
#define DOWN 0x94
#define DOWN_WRITE 0x96
#define EXECUTE 0x98
#define EXECUTE_READ 0x9a
#define CONFORMING 0x9c
/* Descriptor flags: granularity, D/B. */
#define GRANULAR 8
#define BIG 4

void fresh(void);
void run(const u8 *code);
/* The same from ring `cpl`, with that ring's flat segments and stack. */
void run_at(u32 cpl, const u8 *code);
void ring(u32 cpl);
/* Virtual-8086 mode: copies the code to LOW_CODE and enters it. */
void run_v86(const u8 *code, u32 eflags);

void descriptor(u32 selector, u32 base, u32 limit, u32 access, u32 flags);
void gate(u32 selector, u32 target, u32 offset, u32 access, u32 parameters);
void interrupt_gate(u32 vector, u32 target, u32 offset, u32 access);
u32 stub(u32 vector);
u32 access_byte(u32 selector);
void local_table(u32 bytes);

static inline volatile u32 *word(u32 address) { return (volatile u32 *)address; }
static inline volatile u16 *half(u32 address) { return (volatile u16 *)address; }
static inline volatile u8 *byte(u32 address) { return (volatile u8 *)address; }
void clear(u32 address, u32 bytes);

/* The line of the current case. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void outcome(void);
void check(const char *sdm, const char *want, const char *name, ...) __attribute__((format(printf, 3, 4)));
/* `want` in a form that has parts to fill in. */
const char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *exception(u32 vector);
void format_into(char *buffer, u32 size, const char *format, va_list arguments);
extern char line[512];

static inline u8 inb(u16 port)
{
	u8 value;
	asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}
static inline void outb(u16 port, u8 value) { asm volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }

struct group {
	const char *name;
	void (*run)(void);
};
#define GROUP(identifier, text)                                                                 \
	static void group_##identifier(void);                                                   \
	static const struct group record_##identifier                                           \
		__attribute__((section(".groups"), used)) = {text, group_##identifier};          \
	static void group_##identifier(void)

#endif
