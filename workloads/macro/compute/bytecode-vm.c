/* A bytecode interpreter: one indirect jump, through a table, for every few instructions. */
#include "workload.h"

PROGRAM_WORKLOAD("macro/compute/bytecode-vm", "50000 rounds of a loop of 12 bytecodes in a small interpreter.", 12, 1,
		 "compute,control-flow");

#ifdef USER_PROGRAM
enum { PUSH, LOAD, STORE, ADD, MULTIPLY, XOR, SHIFT, LESS, JUMP_IF, JUMP, HALT };

/* x = x * 69069 + i; s ^= x >> 3; i = i + 1; while i < limit */
static const u8 program[] = {
	LOAD, 0, PUSH, 45, MULTIPLY, LOAD, 1, ADD, STORE, 0,
	LOAD, 0, SHIFT, 3, LOAD, 2, XOR, STORE, 2,
	LOAD, 1, PUSH, 1, ADD, STORE, 1,
	LOAD, 1, LOAD, 3, LESS, JUMP_IF, 0,
	HALT,
};

static u32 interpret(const u8 *code, u32 *variables)
{
	static const void *const handlers[] = {
		[PUSH] = &&push, [LOAD] = &&load, [STORE] = &&store, [ADD] = &&add, [MULTIPLY] = &&multiply,
		[XOR] = &&exclusive, [SHIFT] = &&shift, [LESS] = &&less, [JUMP_IF] = &&jump_if, [JUMP] = &&jump,
		[HALT] = &&halt,
	};
	u32 stack[16], *top = stack;
	const u8 *at = code;
#define NEXT goto *handlers[*at++]
	NEXT;
push:
	*top++ = *at++;
	NEXT;
load:
	*top++ = variables[*at++];
	NEXT;
store:
	variables[*at++] = *--top;
	NEXT;
add:
	top--;
	top[-1] += *top;
	NEXT;
multiply:
	top--;
	top[-1] *= *top;
	NEXT;
exclusive:
	top--;
	top[-1] ^= *top;
	NEXT;
shift:
	top[-1] >>= *at++;
	NEXT;
less:
	top--;
	top[-1] = top[-1] < *top;
	NEXT;
jump_if:
	at = *--top ? code + *at : at + 1;
	NEXT;
jump:
	at = code + *at;
	NEXT;
halt:
	return variables[2];
}

u32 user_main(u32 operations, u32 argument)
{
	u32 sum = argument;
	marker_begin(REGION_MEASURED);
	for (u32 i = 0; i < operations; i++) {
		u32 variables[4] = {i + 1, 0, sum, 50000};
		sum = mix(sum, interpret(program, variables));
	}
	marker_end(REGION_MEASURED, operations, sum);
	return sum;
}
#endif
