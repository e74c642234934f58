/* The frame of all attempts: catching faults, printing lines, and the program that tries things in ring 3. */
#ifdef USER_PROGRAM
#include "user.h"
#include "../attempt-user.h"
#else
#include "workload.h"
#include "../attempt.h"

struct outcome outcome;
u32 attempt_recovery, attempt_stack;

static u32 checksum, count;

INCLUDE_USER_PROGRAM(user_program);

/* A user program keeps the address to go on at in EDI. */
static bool catch(struct trap_frame *frame)
{
	if (!from_user(frame) && !attempt_recovery) return false;
	if (!outcome.faulted)
		outcome = (struct outcome){true, frame->vector, frame->error,
					   frame->vector == VECTOR_PAGE ? arch_fault_address() : 0};
	frame->eip = from_user(frame) ? frame->edi : attempt_recovery;
	return true;
}

void outcome_clear(void)
{
	outcome.faulted = false;
	for (u32 vector = 0; vector < COUNT(trap_hooks); vector++) trap_hooks[vector] = catch;
}

static void add(u32 value) { checksum = mix(checksum, value); }

static void heading(const char *what, u32 subject)
{
	count++;
	print("%s", what);
	if (subject) print(" %08x", subject);
	print(": ");
}

static bool report_fault(void)
{
	if (!outcome.faulted) return false;
	print("vector %u error %x", outcome.vector, outcome.error);
	if (outcome.vector == VECTOR_PAGE) print(" address %08x", outcome.address);
	print("\n");
	add(outcome.vector << 16 ^ outcome.error ^ outcome.address);
	outcome.faulted = false;
	return true;
}

void report(const char *what, u32 subject, const char *otherwise)
{
	heading(what, subject);
	if (report_fault()) return;
	print("%s\n", otherwise);
	add(text_length(otherwise));
}

void report_value(const char *what, u32 subject, u32 value)
{
	heading(what, subject);
	if (report_fault()) return;
	print("%x\n", value);
	add(value);
}

void report_errno(const char *what, u32 error)
{
	heading(what, 0);
	if (error) print("errno %u\n", error);
	else print("accepted\n");
	add(error);
}

void attempts_begin(void)
{
	checksum = count = 0;
	outcome_clear();
	marker_begin(REGION_MEASURED);
}

u32 attempts_end(void)
{
	marker_end(REGION_MEASURED, count, checksum);
	return checksum;
}

u32 try_in_user_mode(enum user_attempt attempt, u32 operand)
{
	outcome_clear();
	return program_once(user_program, attempt, operand);
}
#endif
