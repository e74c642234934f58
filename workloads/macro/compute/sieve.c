/* The sieve of Eratosthenes over a byte array that is larger than any modelled TLB's reach of small pages. */
#include "workload.h"

PROGRAM_WORKLOAD("macro/compute/sieve", "One sieve of Eratosthenes over half a million numbers.", 14, 1, "compute,memory");

#ifdef USER_PROGRAM
#define LIMIT 500000u
static u8 composite[LIMIT];

static u32 sieve(u32 seed)
{
	memset(composite, 0, LIMIT);
	for (u32 i = 2; i * i < LIMIT; i++)
		if (!composite[i])
			for (u32 j = i * i; j < LIMIT; j += i) composite[j] = 1;
	u32 sum = seed;
	for (u32 i = 2; i < LIMIT; i++)
		if (!composite[i]) sum = mix(sum, i);
	return sum;
}

u32 user_main(u32 operations, u32 argument)
{
	u32 sum = argument;
	/* Under shadow paging each page's first touch is a fault of the VMM's: touched here, a short run measures the sieve alone. */
	memset(composite, 0, LIMIT);
	marker_begin(REGION_MEASURED);
	for (u32 i = 0; i < operations; i++) sum = sieve(sum);
	marker_end(REGION_MEASURED, operations, sum);
	return sum;
}
#endif
