/* Event channels: one port, VIRQ_TIMER. The timer is one-shot and armed anew at each tick. */
#include "kernel.h"
#include "xen.h"

#define SECOND 1000000000u

static u32 timer_port; /* 0 until it is bound: port 0 is never valid */
static u32 period;     /* ns */
static u64 next_tick;  /* system time, ns */

/* Nanoseconds since the hypervisor started, from the time stamp counter by the scale it gives. */
static u64 system_time(void)
{
	volatile struct xen_time_info *time = &shared_info.vcpu[0].time;
	u32 version;
	u64 result;
	do {
		version = time->version;
		COMPILER_BARRIER();
		u64 now;
		asm volatile("rdtsc" : "=A"(now));
		u64 delta = now - time->tsc_timestamp;
		delta = time->tsc_shift < 0 ? delta >> -time->tsc_shift : delta << time->tsc_shift;
		u32 scale = time->tsc_to_system_mul;
		result = time->system_time + ((u64)(u32)delta * scale >> 32) + (delta >> 32) * scale;
		COMPILER_BARRIER();
	} while (version & 1 || version != time->version);
	return result;
}

static void arm(u64 when) { HYPERCALL2(set_timer_op, when, when >> 32); }

static u32 take_word(volatile u32 *word)
{
	u32 value = 0;
	asm volatile("xchgl %0, %1" : "+r"(value), "+m"(*word) : : "memory");
	return value;
}

static void handle(u32 port)
{
	if (port != timer_port || !period) return;
	timer_tick();
	next_tick += period;
	arm(next_tick);
}

static void handle_word(u32 index)
{
	u32 ready = shared_info.pending[index] & ~shared_info.mask[index];
	for (; ready; ready &= ready - 1) {
		u32 bit = (u32)__builtin_ctz(ready);
		asm volatile("btrl %1, %0" : "+m"(shared_info.pending[index]) : "r"(bit) : "memory", "cc");
		handle(index * 32 + bit);
	}
}

/* Events come with the mask set, so this does not nest. The flag goes down first: what arrives later sets it again. */
bool arch_interrupt(u32 vector)
{
	if (vector != VECTOR_IRQ) return false;
	while (shared_info.vcpu[0].upcall_pending) {
		shared_info.vcpu[0].upcall_pending = 0;
		for (u32 words = take_word(&shared_info.vcpu[0].pending_selector); words; words &= words - 1)
			handle_word((u32)__builtin_ctz(words));
	}
	return true;
}

static void bind_timer(void)
{
	struct xen_bind_virq bind = {VIRQ_TIMER, 0, 0};
	s32 error = HYPERCALL2(event_channel_op, EVENT_BIND_VIRQ, &bind);
	if (error) panic("binding the timer: %u", (u32)-error);
	timer_port = bind.port;
	asm volatile("btrl %1, %0" : "+m"(shared_info.mask[timer_port / 32]) : "r"(timer_port % 32) : "memory", "cc");
}

void arch_timer_start(u32 hertz)
{
	if (!timer_port) bind_timer();
	period = SECOND / hertz;
	next_tick = system_time() + period;
	arm(next_tick);
}

void arch_timer_stop(void)
{
	if (!period) return;
	period = 0;
	arm(0);
}
