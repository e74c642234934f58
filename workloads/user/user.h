/* The user programs' side of the kernel's ABI. */
#pragma once
#include "types.h"
#include "measure.h"
#include "user-abi.h"

/* A program's function: returns the checksum it exits with. */
u32 user_main(u32 operations, u32 argument);

static inline u32 call_int80(u32 number, u32 argument)
{
	u32 result;
	asm volatile("int $0x80" : "=a"(result) : "a"(number), "b"(argument) : "memory", "cc");
	return result;
}

/* The kernel returns by SYSEXIT to EDX with the stack in ECX. */
static inline u32 call_sysenter(u32 number, u32 argument)
{
	u32 result;
	asm volatile("movl %%esp, %%ecx\n\tmovl $1f, %%edx\n\tsysenter\n1:"
		     : "=a"(result) : "a"(number), "b"(argument) : "ecx", "edx", "memory", "cc");
	return result;
}

void *memcpy(void *to, const void *from, u32 size);
void *memset(void *to, int value, u32 size);

/* A pseudo-random sequence that every run starts anew. */
static inline u32 next_random(u32 *state)
{
	u32 x = *state;
	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return *state = x;
}
