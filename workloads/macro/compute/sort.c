/* Quicksort and heapsort of the same pseudo-random numbers: unpredictable branches. */
#include "workload.h"

PROGRAM_WORKLOAD("macro/compute/sort", "A quicksort and a heapsort of 16384 pseudo-random numbers.", 10, 1, "compute");

#ifdef USER_PROGRAM
#define LENGTH 16384u
static u32 numbers[LENGTH], heap[LENGTH];

static void swap(u32 *a, u32 *b)
{
	u32 t = *a;
	*a = *b;
	*b = t;
}

static void quicksort(u32 *from, u32 *to)
{
	while (to - from > 1) {
		u32 pivot = from[(to - from) / 2], *low = from, *high = to - 1;
		while (low <= high) {
			while (*low < pivot) low++;
			while (*high > pivot) high--;
			if (low <= high) swap(low++, high--);
		}
		if (high - from < to - low) {
			quicksort(from, high + 1);
			from = low;
		} else {
			quicksort(low, to);
			to = high + 1;
		}
	}
}

static void sink(u32 *a, u32 root, u32 length)
{
	for (u32 child; (child = 2 * root + 1) < length; root = child) {
		if (child + 1 < length && a[child] < a[child + 1]) child++;
		if (a[root] >= a[child]) return;
		swap(&a[root], &a[child]);
	}
}

static void heapsort(u32 *a, u32 length)
{
	for (u32 i = length / 2; i-- > 0;) sink(a, i, length);
	for (u32 end = length; end-- > 1;) {
		swap(&a[0], &a[end]);
		sink(a, 0, end);
	}
}

u32 user_main(u32 operations, u32 argument)
{
	u32 sum = argument, random = 0x2545f491;
	marker_begin(REGION_MEASURED);
	for (u32 i = 0; i < operations; i++) {
		for (u32 j = 0; j < LENGTH; j++) heap[j] = numbers[j] = next_random(&random);
		quicksort(numbers, numbers + LENGTH);
		heapsort(heap, LENGTH);
		for (u32 j = 0; j < LENGTH; j++) sum = mix(sum, numbers[j] + (heap[j] ^ j));
	}
	marker_end(REGION_MEASURED, operations, sum);
	return sum;
}
#endif
