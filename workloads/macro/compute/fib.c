/* Doubly recursive Fibonacci numbers: calls, returns and the stack, and nothing else. */
#include "workload.h"

PROGRAM_WORKLOAD("macro/compute/fib", "The 27th Fibonacci number by double recursion.", 10, 1, "compute,control-flow");

#ifdef USER_PROGRAM
/* The optimiser would unfold most of the recursion, and it is the recursion that is of interest. */
static __attribute__((noinline, noclone, optimize("no-optimize-sibling-calls,no-partial-inlining"))) u32 fib(u32 n)
{
	if (n < 2) return n;
	u32 first = fib(n - 1);
	COMPILER_BARRIER();
	return first + fib(n - 2);
}

u32 user_main(u32 operations, u32 argument)
{
	u32 sum = argument;
	marker_begin(REGION_MEASURED);
	for (u32 i = 0; i < operations; i++) sum = mix(sum, fib(27));
	marker_end(REGION_MEASURED, operations, sum);
	return sum;
}
#endif
