/* What the entry stubs leave on the kernel stack, lowest address first. ESP and SS only if the trap came from ring 3. */
#pragma once
#include "types.h"

struct trap_frame {
	u32 edi, esi, ebp, unused_esp, ebx, edx, ecx, eax;
	u32 es, ds;
	u32 vector, error;
	u32 eip, cs, eflags;
	u32 esp, ss;
};

enum {
	VECTOR_DIVIDE = 0,
	VECTOR_UNDEFINED = 6,
	VECTOR_DEVICE = 7,
	VECTOR_SEGMENT = 11,
	VECTOR_STACK = 12,
	VECTOR_PROTECTION = 13,
	VECTOR_PAGE = 14,
	VECTOR_IRQ = 32,
	VECTOR_SYSCALL = 0x80,
};

static inline bool from_user(const struct trap_frame *frame) { return (frame->cs & 3) == 3; }
