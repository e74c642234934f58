/* Counts and prints outcomes: a line for each one that is not the manual's, and a summary. */
#include "hypervisor.h"

static u32 met, missed, sum;

void expect(const char *what, const char *aspect, u32 is, u32 should)
{
	sum = mix(sum, is == should);
	if (is == should) {
		met++;
		return;
	}
	missed++;
	print("%s: %s is %x, should be %x\n", what, aspect, is, should);
}

void expectations_begin(void)
{
	met = missed = sum = 0;
	marker_begin(REGION_MEASURED);
}

u32 expectations_end(void)
{
	marker_end(REGION_MEASURED, met + missed, sum);
	print("%u as the manual says, %u not\n", met, missed);
	return sum;
}
