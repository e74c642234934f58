/* Exceptions, interrupts and system calls, after the arch's entry stubs have made a trap frame of them. */
#include "kernel.h"

trap_hook trap_hooks[32];
call_hook hooked_call;
u32 null_calls;
volatile u32 timer_ticks;

void timer_tick(void) { timer_ticks++; }

void trap(struct trap_frame *frame)
{
	if (frame->vector < COUNT(trap_hooks)) {
		trap_hook hook = trap_hooks[frame->vector];
		if (hook && hook(frame)) return;
	} else if (arch_interrupt(frame->vector)) {
		return;
	}
	panic("vector %u error %x at %x:%08x flags %x cr2 %08x", frame->vector, frame->error, frame->cs & 0xffff,
	      frame->eip, frame->eflags, frame->vector == VECTOR_PAGE ? arch_fault_address() : 0);
}

static u32 call_null(struct trap_frame *frame)
{
	(void)frame;
	return ++null_calls;
}

static u32 call_exit(struct trap_frame *frame) { leave_user(frame->ebx); }

static u32 call_hooked(struct trap_frame *frame)
{
	return hooked_call ? hooked_call(frame->ebx) : 0xffffffffu;
}

static u32 (*const calls[])(struct trap_frame *) = {
	[CALL_EXIT] = call_exit,
	[CALL_NULL] = call_null,
	[CALL_HOOK] = call_hooked,
};

void system_call(struct trap_frame *frame)
{
	frame->eax = frame->eax < COUNT(calls) ? calls[frame->eax](frame) : 0xffffffdau; /* -ENOSYS */
}
