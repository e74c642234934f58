/*
 * Attempts to get at what is not the guest's. Each prints one line: what was tried, and what came of it. Under native,
 * ring-compression and vtx the lines must be the same; under paravirt they are the ABI's own answers.
 */
#pragma once
#include "kernel.h"

/* A fault caught: the first since outcome_clear(), or since the last report. */
struct outcome {
	bool faulted;
	u32 vector, error, address;
};
extern struct outcome outcome;
void outcome_clear(void); /* and sets the hooks */
/* Prints `<what>: <fault or text>` and adds the line to the workload's checksum. */
void report(const char *what, u32 subject, const char *otherwise);
void report_value(const char *what, u32 subject, u32 value); /* in hexadecimal */
void report_errno(const char *what, u32 error);
/* The measured region of a workload of attempts; the end returns the checksum of all lines. */
void attempts_begin(void);
u32 attempts_end(void);

/*
 * Begins an attempt in the kernel: a fault in what follows goes on at label 1. The pair of asm fragments keeps ESP over it.
 * Everything but EBP may be changed.
 */
#define ATTEMPT(text, value, operand)                                                                 \
	do {                                                                                          \
		outcome_clear();                                                                      \
		u32 operand_ = (u32)(operand);                                                        \
		asm volatile("movl %%esp, attempt_stack\n\tmovl $1f, attempt_recovery\n\t" text       \
			     "\n1:\tmovl attempt_stack, %%esp\n\tmovl $0, attempt_recovery"           \
			     : "+a"(value), "+c"(operand_) : : "ebx", "edx", "esi", "edi", "memory", "cc"); \
	} while (0)

/* What the user program tries: number, and the same in words. */
enum user_attempt {
	TRY_READ, TRY_WRITE, TRY_JUMP, TRY_CLI, TRY_STI, TRY_HLT, TRY_IN, TRY_OUT, TRY_LGDT, TRY_LIDT, TRY_LTR, TRY_LLDT,
	TRY_CLTS, TRY_READ_CR0, TRY_WRITE_CR3, TRY_INVLPG, TRY_RDMSR, TRY_WRMSR, TRY_WBINVD, TRY_INT_20, TRY_INT_81,
	TRY_INT_82, TRY_LOAD_DS, TRY_LOAD_SS, TRY_FAR_CALL, TRY_IRET, TRY_POPF, TRY_SYSEXIT, USER_ATTEMPTS,
};
/* Tries it in ring 3 with the operand; returns what it got. */
u32 try_in_user_mode(enum user_attempt attempt, u32 operand);
