/*
 * Runs single instructions on the real processor, in 32-bit user mode.
 *
 *   native <cases> <results>
 *
 * A signal handler is the whole machine: it stores the interrupted state as the last case's result, puts the next
 * case's instruction and memory in place and its registers into the signal frame, and returns; the kernel's sigreturn
 * loads all registers at once. The code page is full of INT3, so wherever the instruction goes on, SIGTRAP follows;
 * a fault comes as its own signal with the vector in the frame. The handler has its own stack: ESP is part of the case.
 *
 * The pages lie below 64 KB so that 16-bit addresses and 16-bit branch targets reach them.
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

/* Zeros that can only be read; data, its last bytes recorded; a page that is not there; code. */
#define READ_ONLY_PAGE 0x3000
#define DATA_PAGE 0x4000
#define WINDOW_BYTES 256
#define WINDOW (DATA_PAGE + PAGE - WINDOW_BYTES)
#define LOWER_EDGE_BYTES 128
#define CODE_PAGE 0x6000
#define CODE_START (CODE_PAGE + 0x800)
#define PAGE 4096
#define INT3 0xcc
#define COMPLETED 0xff
#define VECTOR_BREAKPOINT 3
#define NT 0x4000
#define ID 0x200000

struct test_case {
  uint32_t length;
  uint8_t bytes[16];
  uint32_t registers[8]; /* EAX ECX EDX EBX ESP EBP ESI EDI */
  uint32_t eflags;
  uint8_t memory[WINDOW_BYTES];
};

struct result {
  uint32_t registers[8];
  uint32_t eflags;
  uint32_t eip;
  uint32_t vector;
  uint32_t error;
  uint32_t cr2;
  uint8_t memory[WINDOW_BYTES];
};

static const int register_index[8] = {REG_EAX, REG_ECX, REG_EDX, REG_EBX, REG_ESP, REG_EBP, REG_ESI, REG_EDI};
static struct test_case *cases;
static struct result *results;
static long count;
static long next;
static gregset_t before;

/* sigreturn leaves ID and NT as they are, so that a POPF's would stay for all later cases: the handler clears them. */
static void clear_sticky_flags(void) {
  __asm__ volatile("pushfl\n\tandl %0, (%%esp)\n\tpopfl" : : "i"(~(ID | NT)) : "cc", "memory");
}

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
  memcpy(result->memory, (void *)WINDOW, WINDOW_BYTES);
}

static void load_case(greg_t *registers, const struct test_case *test) {
  memset((void *)CODE_START, INT3, 16);
  memcpy((void *)CODE_START, test->bytes, test->length);
  /* Cases at the data page's lower edge reach this far, and must not see each other's stores. */
  memset((void *)DATA_PAGE, 0, LOWER_EDGE_BYTES);
  memcpy((void *)WINDOW, test->memory, WINDOW_BYTES);
  for (int i = 0; i < 8; i++) registers[register_index[i]] = test->registers[i];
  registers[REG_EFL] = test->eflags;
  registers[REG_EIP] = CODE_START;
}

static void on_signal(int signal, siginfo_t *info, void *context) {
  (void)signal;
  (void)info;
  mcontext_t *machine = &((ucontext_t *)context)->uc_mcontext;
  greg_t *registers = machine->gregs;
  if (next == 0) memcpy(before, registers, sizeof before);
  else store_result(machine, &results[next - 1]);
  if (next == count) memcpy(registers, before, sizeof before);
  else load_case(registers, &cases[next]);
  next++;
  clear_sticky_flags();
}

static void fail(const char *what) {
  fprintf(stderr, "oracle-vectors: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void *map_low(uintptr_t address, int protection) {
  void *page = mmap((void *)address, PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (page != (void *)address) {
    fprintf(stderr, "oracle-vectors: cannot map 0x%x (%s): run as root or with sysctl vm.mmap_min_addr=4096\n",
            (unsigned)address, strerror(errno));
    exit(1);
  }
  return page;
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: native <cases> <results>\n");
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
  (void)*(volatile char *)map_low(READ_ONLY_PAGE, PROT_READ);
  map_low(DATA_PAGE, PROT_READ | PROT_WRITE);
  memset(map_low(CODE_PAGE, PROT_READ | PROT_WRITE | PROT_EXEC), INT3, PAGE);
  stack_t stack = {.ss_sp = malloc(1 << 16), .ss_size = 1 << 16};
  if (sigaltstack(&stack, NULL) != 0) fail("sigaltstack");
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  const int signals[] = {SIGTRAP, SIGSEGV, SIGFPE, SIGILL, SIGBUS};
  for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) {
    if (sigaction(signals[i], &action, NULL) != 0) fail("sigaction");
  }
  alarm(60);
  __asm__ volatile("int3" ::: "memory");

  FILE *out = fopen(argv[2], "wb");
  if (out == NULL || fwrite(results, sizeof *results, count, out) != (size_t)count || fclose(out) != 0) fail(argv[2]);
  return 0;
}
