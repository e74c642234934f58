/*
 * Markers: a long NOP whose displacement carries a code and whose payload lies in EBX, ECX and EDX. It does nothing on
 * any processor, real or emulated, needs no privilege and is copied unchanged by a translator, so the measured region
 * is exact under every engine and the image still boots elsewhere. docs/architecture.md, "Guest ABI".
 */
#pragma once
#include "types.h"

enum region {
	REGION_MEASURED = 0,
	REGION_CALIBRATION = 1, /* the empty loop with the same count */
	REGION_COLD = 2,        /* the first operations, before anything adaptive has settled */
};

#define MARKER(code, b, c, d)                                                                       \
	asm volatile(".byte 0x0f, 0x1f, 0x80\n\t.long 0x54560000 + %c0"                             \
		     : : "i"(code), "b"((u32)(b)), "c"((u32)(c)), "d"((u32)(d)) : "memory")

static inline void marker_ready(void *mailbox, u32 size) { MARKER(1, mailbox, size, 0); }
static inline void marker_begin(enum region region) { MARKER(2, region, 0, 0); }
static inline void marker_end(enum region region, u32 operations, u32 checksum) { MARKER(3, region, operations, checksum); }
static inline void marker_value(u32 id, u32 value) { MARKER(4, id, value, 0); }
