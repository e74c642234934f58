/*
 * The kernel that carries the workloads. It is the same source under every engine; what is privileged goes through the
 * seam `arch.h`, of which there are two: arch/native (the machine itself) and arch/xen (Xen's x86-32 PAE ABI).
 */
#pragma once
#include "types.h"
#include "measure.h"
#include "trap-frame.h"
#include "user-abi.h"

#define PAGE_SIZE 4096u
#define PAGE_SHIFT 12
#define KERNEL_BASE 0xc0000000u
/* The kernel uses no more than this of what it is given, so that its layout does not depend on the machine. */
#define MEMORY_LIMIT (48u << 20)

typedef u64 pte_t;
enum {
	PTE_PRESENT = 1,
	PTE_WRITE = 2,
	PTE_USER = 4,
	PTE_ACCESSED = 0x20,
	PTE_DIRTY = 0x40,
	PTE_LARGE = 0x80,
	PTE_GLOBAL = 0x100,
};

/* main.c */
void kernel_main(void) NORETURN;

/* string.c */
void *memcpy(void *to, const void *from, u32 size);
void *memset(void *to, int value, u32 size);
bool text_equal(const char *a, const char *b, u32 size);
u32 text_length(const char *text);

/* console.c */
void print(const char *format, ...) __attribute__((format(printf, 1, 2))); /* %s %u %x %08x */
void panic(const char *format, ...) NORETURN __attribute__((format(printf, 1, 2)));

/* frames.c: page frames by their (pseudo-)physical number */
void frames_init(u32 first, u32 end);
u32 frame_allocate(void); /* zeroed */
void frame_free(u32 frame);
static inline void *frame_address(u32 frame) { return (void *)(KERNEL_BASE + (frame << PAGE_SHIFT)); }
static inline u32 frame_of(const void *address) { return ((u32)address - KERNEL_BASE) >> PAGE_SHIFT; }

#include "arch.h"

/* space.c: user address spaces. Tables are built while the space is open, sealed before the first use. */
struct space {
	u32 root; /* frame of the page-directory-pointer table */
};
void space_create(struct space *space);
void space_map(struct space *space, u32 address, u32 frame, u32 flags);
u32 space_map_new(struct space *space, u32 address, u32 flags); /* returns the new frame */
void space_seal(struct space *space);
void space_destroy(struct space *space); /* frees tables and mapped frames */
pte_t *space_entry(struct space *space, u32 address); /* the L1 entry */

/* program.c */
struct program {
	struct space space;
	u32 entry;
};
void program_load(struct program *program, const u8 *image);
/* Runs it in ring 3 until it exits; returns what it exits with. `arguments` goes to its stack. */
u32 program_run(struct program *program, u32 operations, u32 argument);
/* Loads, runs and unloads a program that needs nothing else. */
u32 program_once(const u8 *image, u32 operations, u32 argument);

/* trap.c */
typedef bool (*trap_hook)(struct trap_frame *frame); /* true: dealt with */
extern trap_hook trap_hooks[32];
typedef u32 (*call_hook)(u32 argument);
extern call_hook hooked_call;
void trap(struct trap_frame *frame);
void system_call(struct trap_frame *frame);
extern u32 null_calls;

/* timer.c */
extern volatile u32 timer_ticks;
void timer_tick(void);

/* Ring 3 and back: enter_user returns what leave_user is given. */
u32 enter_user(const struct trap_frame *frame);
void leave_user(u32 value) NORETURN;
