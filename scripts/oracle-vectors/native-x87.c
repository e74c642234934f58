/*
 * Executes x87 cases on this processor: `native-x87 <cases> <results>`. A case is an instruction, an FNSAVE image, EFLAGS, EAX
 * and a memory window for its operand (EBX); its result is what they are afterwards. FNSAVE takes the state out without
 * looking at exceptions, so that unmasked ones show in the status word and raise nothing.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define WINDOW 512

struct state {
	uint8_t image[108];
	uint32_t eflags, eax;
	uint8_t pad[12];
	uint8_t window[WINDOW] __attribute__((aligned(16)));
};
struct input {
	uint32_t length;
	uint8_t code[16];
	struct state state;
} __attribute__((packed));

static struct state work __attribute__((aligned(16)));
static uint8_t *code;

static void run(void)
{
	asm volatile(
		"pushl %%ebp\n\t"
		"frstor (%%esi)\n\t"
		"pushl 108(%%esi)\n\t"
		"movl 112(%%esi), %%eax\n\t"
		"popfl\n\t"
		"call *%%ecx\n\t"
		"pushfl\n\t"
		"popl 108(%%esi)\n\t"
		"movl %%eax, 112(%%esi)\n\t"
		"fnsave (%%esi)\n\t"
		"fninit\n\t"
		"cld\n\t"
		"popl %%ebp\n\t"
		:
		: "S"(&work), "b"(work.window), "c"(code)
		: "eax", "edx", "edi", "memory", "cc");
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	FILE *in = fopen(argv[1], "rb"), *out = fopen(argv[2], "wb");
	if (!in || !out) {
		perror("native-x87");
		return 1;
	}
	code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (code == MAP_FAILED) {
		perror("native-x87: mmap");
		return 1;
	}
	struct input next;
	while (fread(&next, sizeof next, 1, in) == 1) {
		memcpy(code, next.code, next.length);
		code[next.length] = 0xc3;
		work = next.state;
		run();
		if (fwrite(&work, sizeof work, 1, out) != 1)
			return 1;
	}
	return fclose(out) != 0;
}
