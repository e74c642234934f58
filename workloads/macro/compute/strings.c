/* Text work: building, searching, reversing, comparing and hashing strings of bytes. */
#include "workload.h"

PROGRAM_WORKLOAD("macro/compute/strings", "A 64 KB text is written, searched, copied, reversed and hashed by words.", 24, 3,
		 "compute");

#ifdef USER_PROGRAM
#define SIZE 65536u
static u8 text[SIZE + 1], copy[SIZE + 1];
static const char *const words[8] = {"trap", "gate", "shadow", "page", "ring", "guest", "monitor", "descriptor"};

static u32 write_text(u32 *random)
{
	u32 length = 0;
	for (;;) {
		const char *word = words[next_random(random) & 7];
		u32 size = 0;
		while (word[size]) size++;
		if (length + size + 1 > SIZE) break;
		for (u32 i = 0; i < size; i++) text[length++] = (u8)word[i];
		text[length++] = ' ';
	}
	text[length] = 0;
	return length;
}

static u32 occurrences(const u8 *in, const char *of)
{
	u32 count = 0;
	for (; *in; in++) {
		u32 i = 0;
		while (of[i] && in[i] == (u8)of[i]) i++;
		count += !of[i];
	}
	return count;
}

static void reverse(u8 *bytes, u32 length)
{
	for (u32 i = 0, j = length - 1; i < j; i++, j--) {
		u8 t = bytes[i];
		bytes[i] = bytes[j];
		bytes[j] = t;
	}
}

static u32 hash_words(const u8 *bytes)
{
	u32 sum = 0, hash = 5381;
	for (; *bytes; bytes++) {
		if (*bytes == ' ') {
			sum = mix(sum, hash);
			hash = 5381;
		} else {
			hash = hash * 33 + *bytes;
		}
	}
	return sum;
}

u32 user_main(u32 operations, u32 argument)
{
	u32 sum = argument, random = 0x12345678;
	marker_begin(REGION_MEASURED);
	for (u32 i = 0; i < operations; i++) {
		u32 length = write_text(&random);
		sum = mix(sum, occurrences(text, words[i & 7]));
		memcpy(copy, text, length + 1);
		reverse(copy, length);
		sum = mix(sum, hash_words(copy) + hash_words(text));
	}
	marker_end(REGION_MEASURED, operations, sum);
	return sum;
}
#endif
