/* The few memory functions that the compiler may call on its own account, and text helpers. Also in user programs. */
#include "types.h"

void *memcpy(void *to, const void *from, u32 size)
{
	void *start = to;
	u32 words = size >> 2;
	asm volatile("rep movsl\n\tmovl %3, %%ecx\n\trep movsb"
		     : "+D"(to), "+S"(from), "+c"(words) : "r"(size & 3) : "memory");
	return start;
}

void *memset(void *to, int value, u32 size)
{
	void *start = to;
	asm volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(value) : "memory");
	return start;
}

u32 text_length(const char *text)
{
	u32 length = 0;
	while (text[length]) length++;
	return length;
}

bool text_equal(const char *a, const char *b, u32 size)
{
	for (u32 i = 0; i < size; i++)
		if (a[i] != b[i]) return false;
	return true;
}
