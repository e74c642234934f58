/* Waits for the timer with the processor halted. The time spent halted is the timer's own; the rest is the wake-up. */
#include "workload.h"

WORKLOAD(run_hlt_wake, "nano/hlt-wake", "One wait in HLT until the next timer tick.", 32, 4, "interrupts,device",
	 "hz=1000:100|1000", "");

#ifndef USER_PROGRAM
static NOINLINE u32 run(u32 operations)
{
	u32 until = timer_ticks + operations;
	/* A tick that comes between the test and the halt only means one wait more for the last: the timer is periodic. */
	while ((s32)(timer_ticks - until) < 0) arch_wait();
	return operations;
}

static u32 run_hlt_wake(u32 operations)
{
	arch_timer_start(parameter_number("hz"));
	run(1);
	marker_begin(REGION_MEASURED);
	u32 sum = mix(0, run(operations));
	marker_end(REGION_MEASURED, operations, sum);
	arch_timer_stop();
	return sum;
}
#endif
