/*
 * Xen's x86-32 PAE ABI as far as this kernel uses it: the numbers and layouts of Xen's public headers (xen.h,
 * arch-x86/xen-x86_32.h, event_channel.h, sched.h, physdev.h, elfnote.h).
 *
 * A hypercall is a call of hypercall_page + 32 * number; the hypervisor fills that page (`mov $number, %eax; int $0x82;
 * ret`) as the ELF note asks. Arguments go in EBX, ECX, EDX, ESI, EDI, and may be destroyed; the result comes in EAX.
 * Used are:
 *
 *   set_trap_table      every exception; int 0x80 with DPL 3 and without masking events, so that it gets a direct gate
 *   set_callbacks       event and failsafe upcalls
 *   stack_switch        ring-1 stack for traps from ring 3
 *   mmu_update          page-table entries by machine address, one or many a call
 *   update_va_mapping   shared info, read-only mappings of page tables, nano/ptemod
 *   mmuext_op           PIN_L3_TABLE, UNPIN_TABLE, NEW_BASEPTR, TLB_FLUSH_LOCAL, INVLPG_LOCAL, SET_LDT
 *   multicall           nano/ptemod
 *   vm_assist           writable page tables
 *   event_channel_op    bind_virq (VIRQ_TIMER)
 *   set_timer_op        one-shot timer, armed anew at each tick
 *   sched_op            block, shutdown
 *   console_io          write
 *   physdev_op          set_iopl 1, so that port accesses in ring 1 are emulated
 *   xen_version         the null hypercall; and to take an upcall that became pending while events were masked
 *   vcpu_op             stop_periodic_timer: the 100 Hz tick that every domain begins with
 *   iret                nano/iret via=hypercall; everything else returns by IRET in ring 1
 */
#pragma once

#define HYPERCALL_set_trap_table 0
#define HYPERCALL_mmu_update 1
#define HYPERCALL_set_gdt 2
#define HYPERCALL_stack_switch 3
#define HYPERCALL_set_callbacks 4
#define HYPERCALL_update_descriptor 10
#define HYPERCALL_multicall 13
#define HYPERCALL_update_va_mapping 14
#define HYPERCALL_set_timer_op 15
#define HYPERCALL_xen_version 17
#define HYPERCALL_console_io 18
#define HYPERCALL_vm_assist 21
#define HYPERCALL_iret 23
#define HYPERCALL_vcpu_op 24
#define HYPERCALL_mmuext_op 26
#define HYPERCALL_sched_op 29
#define HYPERCALL_event_channel_op 32
#define HYPERCALL_physdev_op 33

#define XEN_KERNEL_CODE 0xe019
#define XEN_KERNEL_DATA 0xe021
#define XEN_USER_CODE 0xe02b
#define XEN_USER_DATA 0xe033

/* Byte offsets in the shared page: vcpu_info of vcpu 0 comes first. */
#define SHARED_UPCALL_PENDING 0
#define SHARED_UPCALL_MASK 1

#ifndef __ASSEMBLER__
#include "types.h"

#define MACHINE_TO_PHYSICAL ((const u32 *)0xf5800000u)
#define HYPERVISOR_START 0xf5800000u
#define DOMID_SELF 0x7ff0u

struct xen_start_info {
	char magic[32];
	u32 pages;
	u32 shared_info; /* machine address */
	u32 flags;
	u32 store_frame, store_port;
	u32 console_frame, console_port;
	u32 page_table; /* virtual address of the level-3 table; the tables below it follow */
	u32 page_table_frames;
	u32 frame_list; /* virtual address: machine frame by pseudo-physical frame */
	u32 module_start, module_size;
	char command_line[1024];
};

struct xen_time_info {
	u32 version, pad;
	u64 tsc_timestamp, system_time;
	u32 tsc_to_system_mul;
	signed char tsc_shift;
	u8 pad2[3];
};

struct xen_vcpu_info {
	u8 upcall_pending, upcall_mask;
	u32 pending_selector;
	u32 cr2;
	u32 pad[5];
	struct xen_time_info time;
};

struct xen_shared_info {
	struct xen_vcpu_info vcpu[32];
	u32 pending[32];
	u32 mask[32];
};

struct xen_trap_info {
	u8 vector, flags;
	u16 code_segment;
	u32 address;
};
#define TRAP_DPL3 3
#define TRAP_MASKS_EVENTS 4

/* The low two bits of `pointer` say what to do; 0 is a page-table entry. */
struct xen_mmu_update {
	u64 pointer, value;
};

struct xen_mmuext_op {
	u32 command, argument1, argument2;
};
#define MMUEXT_PIN_L3_TABLE 2
#define MMUEXT_UNPIN_TABLE 4
#define MMUEXT_NEW_BASEPTR 5
#define MMUEXT_TLB_FLUSH_LOCAL 6
#define MMUEXT_INVLPG_LOCAL 7
#define MMUEXT_SET_LDT 13

#define UVMF_NONE 0
#define UVMF_INVLPG_LOCAL 2

struct xen_multicall_entry {
	u32 operation;
	s32 result;
	u32 arguments[6];
};

#define VM_ASSIST_ENABLE 0
#define VM_ASSIST_WRITABLE_PAGE_TABLES 2
#define EVENT_BIND_VIRQ 1
struct xen_bind_virq {
	u32 virq, vcpu, port;
};
#define VIRQ_TIMER 0
#define VCPU_STOP_PERIODIC_TIMER 7
#define SCHED_BLOCK 1
#define SCHED_SHUTDOWN 2
#define SHUTDOWN_POWEROFF 0
#define SHUTDOWN_CRASH 3
#define CONSOLE_WRITE 0
#define VERSION_VERSION 0
#define PHYSDEV_SET_IOPL 6

#define HYPERCALL4(name, b, c, d, S)                                                                        \
	({                                                                                                  \
		s32 result_;                                                                                \
		u32 b_ = (u32)(b), c_ = (u32)(c), d_ = (u32)(d), s_ = (u32)(S);                             \
		asm volatile("call hypercall_page + 32 * %c5"                                               \
			     : "=a"(result_), "+b"(b_), "+c"(c_), "+d"(d_), "+S"(s_)                        \
			     : "i"(HYPERCALL_##name) : "memory", "cc");                                     \
		result_;                                                                                    \
	})
#define HYPERCALL2(name, b, c)                                                                              \
	({                                                                                                  \
		s32 result_;                                                                                \
		u32 b_ = (u32)(b), c_ = (u32)(c);                                                           \
		asm volatile("call hypercall_page + 32 * %c3"                                               \
			     : "=a"(result_), "+b"(b_), "+c"(c_) : "i"(HYPERCALL_##name) : "memory", "cc"); \
		result_;                                                                                    \
	})
#define HYPERCALL3(name, b, c, d) HYPERCALL4(name, b, c, d, 0)
#define HYPERCALL1(name, b) HYPERCALL2(name, b, 0)
#endif
