/*
 * Runs one instruction a case in segments of this process's LDT and reports where it ended: the helper of
 * scripts/oracle-segments.mjs. The case's registers and selectors are put into a signal frame; the kernel's return from the
 * signal loads them all at once, and the fault or breakpoint that ends the case brings a second frame with the outcome.
 *
 * stdin: descriptors, then cases; stdout: one struct outcome a case.
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/ucontext.h>
#include <unistd.h>

#define REGION 0x200000u
#define REGION_BYTES 0x30000u
#define PATCHES 10
#define CHANGES 64
/* The "vector" of a case that does not end. */
#define ENDLESS 255

struct test {
	uint32_t registers[8]; /* EAX ECX EDX EBX ESP EBP ESI EDI */
	uint32_t eip, eflags;
	uint16_t cs, ss, ds, es, fs, patch_count;
	uint32_t code_at;
	uint8_t code[16];
	struct { uint32_t at, value; } patches[PATCHES];
};

struct outcome {
	uint32_t registers[8];
	uint32_t eip, eflags;
	uint16_t cs, ss, ds, es, fs, change_count;
	uint32_t vector, error;
	struct { uint32_t at, value; } changes[CHANGES];
};

static const int ORDER[8] = { REG_EAX, REG_ECX, REG_EDX, REG_EBX, REG_ESP, REG_EBP, REG_ESI, REG_EDI };
static struct test test;
static struct outcome outcome;
static gregset_t before_test;
static volatile int in_test;
static uint8_t stack[65536];
static uint8_t expected[REGION_BYTES];

static void on_signal(int number, siginfo_t *info, void *context)
{
	greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
	(void)info;
	if (number == SIGALRM && !in_test) return;
	if (!in_test) {
		memcpy(before_test, g, sizeof before_test);
		for (int i = 0; i < 8; i++) g[ORDER[i]] = test.registers[i];
		g[REG_UESP] = test.registers[4];
		g[REG_EIP] = test.eip;
		g[REG_EFL] = test.eflags;
		g[REG_CS] = test.cs;
		g[REG_SS] = test.ss;
		g[REG_DS] = test.ds;
		g[REG_ES] = test.es;
		g[REG_FS] = test.fs;
		in_test = 1;
		return;
	}
	for (int i = 0; i < 8; i++) outcome.registers[i] = g[ORDER[i]];
	outcome.registers[4] = g[REG_UESP];
	outcome.eip = g[REG_EIP];
	outcome.eflags = g[REG_EFL];
	outcome.cs = g[REG_CS];
	outcome.ss = g[REG_SS];
	outcome.ds = g[REG_DS];
	outcome.es = g[REG_ES];
	outcome.fs = g[REG_FS];
	outcome.vector = g[REG_TRAPNO];
	outcome.error = g[REG_ERR];
	if (number == SIGALRM) outcome.vector = ENDLESS;
	memcpy(g, before_test, sizeof before_test);
	in_test = 0;
}

static int read_all(void *data, size_t size)
{
	return fread(data, 1, size, stdin) == size;
}

int main(void)
{
	uint8_t *region = mmap((void *)REGION, REGION_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (region != (void *)REGION) return perror("oracle-segments: mmap"), 1;

	uint32_t descriptors;
	if (!read_all(&descriptors, 4)) return 1;
	while (descriptors-- > 0) {
		struct user_desc d;
		if (!read_all(&d, sizeof d)) return 1;
		if (syscall(SYS_modify_ldt, 0x11, &d, sizeof d) != 0) return perror("oracle-segments: modify_ldt"), 1;
	}

	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof stack };
	sigaltstack(&alternate, 0);
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
	static const int signals[] = { SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGALRM };
	for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &action, 0);

	while (read_all(&test, sizeof test)) {
		memset(expected, 0xcc, 0x10000);
		for (uint32_t i = 0x10000; i < REGION_BYTES; i++) expected[i] = i * 7 + 3 + (i >> 8);
		memcpy(expected + test.code_at - REGION, test.code, sizeof test.code);
		for (int i = 0; i < test.patch_count; i++) memcpy(expected + test.patches[i].at - REGION, &test.patches[i].value, 4);
		memcpy(region, expected, REGION_BYTES);
		memset(&outcome, 0, sizeof outcome);
		alarm(1);
		__asm__ volatile("int3" ::: "memory");
		alarm(0);
		for (uint32_t i = 0; i < REGION_BYTES && outcome.change_count < CHANGES; i++) {
			if (region[i] == expected[i]) continue;
			outcome.changes[outcome.change_count].at = REGION + i;
			outcome.changes[outcome.change_count++].value = region[i];
		}
		fwrite(&outcome, sizeof outcome, 1, stdout);
	}
	return 0;
}
