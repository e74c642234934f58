/*
 * One file, one workload. WORKLOAD() makes the record that the host reads from the ELF section .trivisor.catalogue and
 * the descriptor that the kernel runs. A file may hold a user program too: it is compiled a second time with
 * USER_PROGRAM defined, linked alone at USER_BASE, and both kernels include those very bytes.
 */
#pragma once

#ifdef USER_PROGRAM
#include "user.h"
#define WORKLOAD(...) struct workload_in_kernel_only
#define PROGRAM_WORKLOAD(...) struct workload_in_kernel_only
#else
#include "kernel.h"

struct workload {
	const char *id;
	const char *parameters; /* name=default:choice|choice,... */
	const char *skip_paravirt;
	u32 operations, quick_operations;
	u32 (*run)(u32 operations);
};

/*
 * function, id, sentence, default operations, quick operations, tags, parameters, why it is skipped under paravirt or "".
 * The function returns the checksum, or calls skip() first of all.
 */
#define WORKLOAD(function, name, sentence, operations_, quick_, tags, parameters_, skip_)                        \
	asm(".pushsection .trivisor.catalogue, \"a\"\n\t"                                                        \
	    ".ascii \"" name "\\t" sentence "\\t" #operations_ "\\t" #quick_ "\\t" tags "\\t" parameters_        \
	    "\\t" skip_ "\\n\"\n\t.popsection");                                                                 \
	static u32 function(u32 operations);                                                                     \
	static const struct workload workload_##function                                                         \
		__attribute__((section(".workloads"), used)) = {                                                 \
			.id = name, .parameters = parameters_, .skip_paravirt = skip_, .operations = operations_,\
			.quick_operations = quick_, .run = function}

/* The bytes of this file's user program. The build defines USER_IMAGE. */
#define INCLUDE_USER_PROGRAM(symbol)                                                                             \
	asm(".pushsection .rodata\n\t.balign 4\n" #symbol ":\n\t.incbin \"" USER_IMAGE "\"\n\t.popsection");     \
	extern const u8 symbol[]

/* A workload that is nothing but its user program. */
#define PROGRAM_WORKLOAD(name, sentence, operations_, quick_, tags)                                              \
	INCLUDE_USER_PROGRAM(user_program);                                                                      \
	WORKLOAD(run_program, name, sentence, operations_, quick_, tags, "", "");                                \
	static u32 run_program(u32 operations) { return program_once(user_program, operations, 0); }             \
	struct workload_in_kernel_only

/* The value given to the running workload's parameter: its place among the choices, or its number. */
u32 parameter_choice(const char *name);
u32 parameter_number(const char *name);
/* Says that this machine cannot do the work; return what it returns. */
u32 skip(const char *reason);
#endif
