/*
 * The course of a measurement, the same in the kernel and in user programs. One function runs the operations in every
 * phase, so that a mechanism that adapts to an instruction's address has settled on that address before it is measured.
 */
#pragma once
#include "marker.h"

#define COLD_OPERATIONS 16
#define WARM_OPERATIONS 512

/* One step of a checksum: depends on the order and on every bit of `value`. */
static inline u32 mix(u32 sum, u32 value)
{
	sum = (sum ^ value) * 0x01000193u;
	return sum << 13 | sum >> 19;
}

/* `run` does that many operations and returns a checksum of them; `empty` is its loop without the operation, or NULL. */
static inline u32 measure(u32 (*run)(u32), u32 (*empty)(u32), u32 operations)
{
	marker_begin(REGION_COLD);
	u32 sum = run(COLD_OPERATIONS);
	marker_end(REGION_COLD, COLD_OPERATIONS, sum);

	run(WARM_OPERATIONS);

	if (empty) {
		empty(WARM_OPERATIONS);
		marker_begin(REGION_CALIBRATION);
		sum = empty(operations);
		marker_end(REGION_CALIBRATION, operations, sum);
	}

	marker_begin(REGION_MEASURED);
	sum = run(operations);
	marker_end(REGION_MEASURED, operations, sum);
	return sum;
}
