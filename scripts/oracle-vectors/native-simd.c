/*
 * Runs single MMX and SSE instructions on the real processor, in 32-bit user mode.
 *
 *   native-simd <cases> <results>
 *
 * As native.c: a signal handler stores the interrupted state as the last case's result, puts the next case into the signal
 * frame, and returns. The frame holds x87 state twice: sigreturn takes the registers, control, status and tag words from the
 * FNSAVE image and XMM and MXCSR from the FXSAVE image behind it; results are all read from the latter.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE 4096
/* Zeros that can only be read; data, whose last bytes are the window; a page that is not there; code. */
#define READ_ONLY_PAGE 0x10000000
#define DATA_PAGE (READ_ONLY_PAGE + PAGE)
#define CODE_START (DATA_PAGE + 2 * PAGE)
#define WINDOW_BYTES 64
#define WINDOW (DATA_PAGE + PAGE - WINDOW_BYTES)
#define INT3 0xcc
#define COMPLETED 0xff
#define VECTOR_BREAKPOINT 3

/* Offsets in the FNSAVE image, its size, and offsets in the FXSAVE image. */
#define FN_CONTROL 0
#define FN_STATUS 4
#define FN_TAG 8
#define FN_REGISTERS 28
#define FN_BYTES 112
#define FX_STATUS 2
#define FX_TAG 4
#define FX_MXCSR 24
#define FX_REGISTERS 32
#define FX_XMM 160

struct test_case {
  uint32_t length;
  uint8_t bytes[16];
  uint32_t registers[8]; /* EAX ECX EDX EBX ESP EBP ESI EDI */
  uint32_t eflags;
  uint32_t mxcsr;
  uint32_t control;
  uint32_t status;
  uint32_t tag; /* two bits a register */
  uint8_t stack[80]; /* ST(0) to ST(7) */
  uint8_t xmm[128];
  uint8_t memory[WINDOW_BYTES];
};

struct result {
  uint32_t registers[8];
  uint32_t eflags;
  uint32_t eip;
  uint32_t vector;
  uint32_t error;
  uint32_t cr2;
  uint32_t mxcsr;
  uint32_t status;
  uint32_t tag; /* one bit a register */
  uint8_t stack[128];
  uint8_t xmm[128];
  uint8_t memory[WINDOW_BYTES];
};

static const int register_index[8] = {REG_EAX, REG_ECX, REG_EDX, REG_EBX, REG_ESP, REG_EBP, REG_ESI, REG_EDI};
static struct test_case *cases;
static struct result *results;
static long count;
static long next;
static gregset_t before;
static uint8_t floating_before[FN_BYTES + 512];

static void store_result(const mcontext_t *machine, struct result *result) {
  const greg_t *registers = machine->gregs;
  for (int i = 0; i < 8; i++) result->registers[i] = registers[register_index[i]];
  result->eflags = registers[REG_EFL];
  result->eip = registers[REG_EIP];
  result->vector = registers[REG_TRAPNO];
  if (result->vector == VECTOR_BREAKPOINT) {
    result->vector = COMPLETED;
    result->eip--;
  }
  result->error = registers[REG_ERR];
  result->cr2 = machine->cr2;
  const uint8_t *fx = (const uint8_t *)machine->fpregs + FN_BYTES;
  result->status = *(const uint16_t *)(fx + FX_STATUS);
  result->tag = fx[FX_TAG];
  result->mxcsr = *(const uint32_t *)(fx + FX_MXCSR);
  memcpy(result->stack, fx + FX_REGISTERS, sizeof result->stack);
  memcpy(result->xmm, fx + FX_XMM, sizeof result->xmm);
  memcpy(result->memory, (void *)WINDOW, WINDOW_BYTES);
}

static void load_case(mcontext_t *machine, const struct test_case *test) {
  greg_t *registers = machine->gregs;
  memset((void *)CODE_START, INT3, 16);
  memcpy((void *)CODE_START, test->bytes, test->length);
  memcpy((void *)WINDOW, test->memory, WINDOW_BYTES);
  for (int i = 0; i < 8; i++) registers[register_index[i]] = test->registers[i];
  registers[REG_EFL] = test->eflags;
  registers[REG_EIP] = CODE_START;
  uint8_t *fn = (uint8_t *)machine->fpregs;
  *(uint32_t *)(fn + FN_CONTROL) = test->control;
  *(uint32_t *)(fn + FN_STATUS) = test->status;
  *(uint32_t *)(fn + FN_TAG) = test->tag;
  memcpy(fn + FN_REGISTERS, test->stack, sizeof test->stack);
  uint8_t *fx = fn + FN_BYTES;
  *(uint32_t *)(fx + FX_MXCSR) = test->mxcsr;
  memcpy(fx + FX_XMM, test->xmm, sizeof test->xmm);
}

static void on_signal(int signal, siginfo_t *info, void *context) {
  (void)signal;
  (void)info;
  mcontext_t *machine = &((ucontext_t *)context)->uc_mcontext;
  if (next == 0) {
    memcpy(before, machine->gregs, sizeof before);
    memcpy(floating_before, machine->fpregs, sizeof floating_before);
  } else {
    store_result(machine, &results[next - 1]);
  }
  if (next == count) {
    memcpy(machine->gregs, before, sizeof before);
    memcpy(machine->fpregs, floating_before, sizeof floating_before);
  } else {
    load_case(machine, &cases[next]);
  }
  next++;
}

static void fail(const char *what) {
  fprintf(stderr, "oracle-vectors-simd: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void *map(uintptr_t address, int protection) {
  void *page = mmap((void *)address, PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (page != (void *)address) fail("mmap");
  return page;
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: native-simd <cases> <results>\n");
    return 2;
  }
  FILE *in = fopen(argv[1], "rb");
  struct stat status;
  if (in == NULL || fstat(fileno(in), &status) != 0) fail(argv[1]);
  count = status.st_size / sizeof *cases;
  cases = malloc(count * sizeof *cases);
  results = calloc(count, sizeof *results);
  if (cases == NULL || results == NULL || fread(cases, sizeof *cases, count, in) != (size_t)count) fail(argv[1]);
  fclose(in);

  /* A page that was never touched is absent to the processor, whatever its protection. */
  (void)*(volatile char *)map(READ_ONLY_PAGE, PROT_READ);
  map(DATA_PAGE, PROT_READ | PROT_WRITE);
  memset(map(CODE_START, PROT_READ | PROT_WRITE | PROT_EXEC), INT3, PAGE);
  stack_t stack = {.ss_sp = malloc(1 << 16), .ss_size = 1 << 16};
  if (sigaltstack(&stack, NULL) != 0) fail("sigaltstack");
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  const int signals[] = {SIGTRAP, SIGSEGV, SIGFPE, SIGILL, SIGBUS};
  for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) {
    if (sigaction(signals[i], &action, NULL) != 0) fail("sigaction");
  }
  alarm(120);
  __asm__ volatile("int3" ::: "memory");

  FILE *out = fopen(argv[2], "wb");
  if (out == NULL || fwrite(results, sizeof *results, count, out) != (size_t)count || fclose(out) != 0) fail(argv[2]);
  return 0;
}
