/*
 * Periodic timer ticks that interrupt running code. First the loop is run until the wanted number of ticks has come, which
 * gives its length; then the same length is run with the timer (measured) and without it (calibration). The operations of both
 * are the ticks that came: the timer runs on virtual time, so their number differs a little between engines. The loop
 * divides, so that few instructions take long.
 */
#include "workload.h"

WORKLOAD(run_timer_irq, "nano/timer-irq", "One periodic timer tick: the interrupt, the handler, the end of interrupt.", 16, 4,
	 "interrupts,device", "hz=10000:100|1000|10000", "");

#ifndef USER_PROGRAM
#define STEP 64

static NOINLINE u32 spin(u32 steps)
{
	u32 value = 0x03070d3d;
	for (u32 i = 0; i < steps * STEP; i++) {
		u32 quotient = value, rest = 0;
		asm volatile("divl %2" : "+a"(quotient), "+d"(rest) : "r"(1) : "cc");
		value = quotient;
	}
	return value;
}

static u32 steps_for(u32 ticks)
{
	u32 steps = 0, until = timer_ticks + ticks;
	while ((s32)(timer_ticks - until) < 0) {
		spin(1);
		steps++;
	}
	return steps;
}

static u32 run_timer_irq(u32 operations)
{
	u32 hertz = parameter_number("hz");
	arch_timer_start(hertz);
	u32 steps = steps_for(operations + 1);
	arch_timer_stop();

	arch_timer_start(hertz);
	u32 first = timer_ticks;
	marker_begin(REGION_MEASURED);
	u32 sum = spin(steps);
	/* Where the timer follows a wall clock, the loop may have been too short for a single tick. */
	for (; timer_ticks == first; steps++) spin(1);
	u32 ticks = timer_ticks - first;
	marker_end(REGION_MEASURED, ticks, sum);
	arch_timer_stop();

	marker_begin(REGION_CALIBRATION);
	u32 idle = spin(steps);
	marker_end(REGION_CALIBRATION, ticks, idle);
	return sum;
}
#endif
