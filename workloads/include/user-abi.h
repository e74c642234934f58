/* What the kernel and its user programs agree on. User programs are the same bytes under every engine. */
#pragma once
#include "types.h"

/* System calls: number in EAX, arguments in EBX, ESI, EDI (sysenter takes ECX and EDX for itself), result in EAX. */
enum {
	CALL_EXIT = 0,  /* ends the program; its argument is the workload's checksum */
	CALL_NULL = 1,  /* counts itself and returns the count */
	CALL_HOOK = 2,  /* whatever the running workload gives it */
	CALL_LAST = CALL_HOOK,
};

/* Where a program lies: text and data as ld -melf_i386 has it, the stack under the kernel, an arena one L1 table wide. */
#define USER_BASE 0x08048000u
#define USER_LIMIT 0x08800000u
#define USER_ARENA 0x40000000u
#define USER_ARENA_PAGES 512u
#define USER_STACK_TOP 0xbffff000u
#define USER_STACK_PAGES 8u

/* The first bytes of a program. */
struct user_header {
	u32 magic;
	u32 entry;
	u32 file_end; /* address after the bytes that the kernel copies in */
	u32 end;      /* address after the zeroed rest */
};
#define USER_MAGIC 0x56495254u
