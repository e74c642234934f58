/* The 8259 pair and channel 0 of the 8254. Everything is masked until a workload wants the timer. */
#include "kernel.h"
#include "native.h"

enum { PRIMARY = 0x20, SECONDARY = 0xa0, MASK = 1 };
#define END_OF_INTERRUPT 0x20u
#define READ_IN_SERVICE 0x0bu
#define CASCADE 2u
#define ALL 0xffu
#define TIMER_LINE 0u
#define SPURIOUS_LINE 7u
#define CLOCK_HERTZ 1193182u
enum { CHANNEL0 = 0x40, CONTROL = 0x43 };
#define RATE_GENERATOR 0x34u  /* channel 0, low then high byte, mode 2 */
#define ONE_SHOT 0x30u        /* mode 0, without a count: the output stays low */

static void init_controller(u32 port, u32 vector, u32 cascade)
{
	arch_out8(port, 0x11); /* edge triggered, cascaded, fourth word follows */
	arch_out8(port + MASK, vector);
	arch_out8(port + MASK, cascade);
	arch_out8(port + MASK, 1); /* 8086 mode, normal end of interrupt */
	arch_out8(port + MASK, ALL);
}

void interrupts_init(void)
{
	init_controller(PRIMARY, VECTOR_IRQ, 1u << CASCADE);
	init_controller(SECONDARY, VECTOR_IRQ + 8, CASCADE);
	arch_timer_stop();
}

static bool in_service(u32 line)
{
	arch_out8(PRIMARY, READ_IN_SERVICE);
	return arch_in8(PRIMARY) >> line & 1;
}

bool arch_interrupt(u32 vector)
{
	u32 line = vector - VECTOR_IRQ;
	if (line == SPURIOUS_LINE && !in_service(line)) return true;
	if (line != TIMER_LINE) return false;
	arch_out8(PRIMARY, END_OF_INTERRUPT);
	timer_tick();
	return true;
}

void arch_timer_start(u32 hertz)
{
	u32 count = CLOCK_HERTZ / hertz;
	arch_out8(CONTROL, RATE_GENERATOR);
	arch_out8(CHANNEL0, count & 0xff);
	arch_out8(CHANNEL0, count >> 8);
	arch_out8(PRIMARY + MASK, ALL & ~(1u << TIMER_LINE));
}

void arch_timer_stop(void)
{
	arch_out8(PRIMARY + MASK, ALL);
	arch_out8(CONTROL, ONE_SHOT);
}
