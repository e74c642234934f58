/**
 * What the hypervisor remembers of its one virtual processor beyond the machine registers: a flat array, so that a
 * snapshot is a copy of it. Slots are grouped by the hypercall that sets them.
 */

/** set_trap_table: four words a vector, as below. */
export const TRAPS = 0;
export const TRAP_STRIDE = 4;
export const TRAP_FLAGS = 0;
export const TRAP_CS = 1;
export const TRAP_ADDRESS = 2;

/** stack_switch. */
export const KERNEL_SS = 1024;
export const KERNEL_SP = 1025;
/** set_callbacks. */
export const EVENT_CS = 1026;
export const EVENT_EIP = 1027;
export const FAILSAFE_CS = 1028;
export const FAILSAFE_EIP = 1029;
/** callback_op CALLBACKF_mask_events of the failsafe callback. */
export const FAILSAFE_MASKS = 1030;
/** The guest's idea of CR0.TS, CR2, CR4. */
export const GUEST_TS = 1032;
export const GUEST_CR2 = 1033;
export const GUEST_CR4 = 1034;
/** Frame of the level-3 table in CR3. */
export const BASE_FRAME = 1035;
/** mmuext_op SET_LDT: guest-linear address and number of entries. */
export const LDT_BASE = 1036;
export const LDT_ENTRIES = 1037;
/** set_gdt: number of entries. */
export const GDT_ENTRIES = 1038;
/** vm_assist: bit per type. */
export const ASSISTS = 1039;
/** physdev_op set_iopl: 0-3. */
export const VIRTUAL_IOPL = 1040;
/** 1 while the vcpu waits in sched_op block, 2 in poll. */
export const BLOCKED = 1041;
/** Ticks each time the TLB is flushed as a whole. */
export const TLB_CLOCK = 1042;
/** Frames in the domain's pool of returned ones. */
export const BALLOON_COUNT = 1043;
/** set_debugreg: DR0-DR7. */
export const DEBUG_REGISTERS = 1044;
/** The domain has shut down: 1 + reason. */
export const SHUTDOWN = 1052;
/** Ports that sched_op poll waits for: count, then up to 128 ports. */
export const POLL_COUNT = 1056;
export const POLL_PORTS = 1057;
export const POLL_MAXIMUM = 128;
export const VCPU_WORDS = POLL_PORTS + POLL_MAXIMUM;

/** Float64 slots. */
/** System time (ns) of the last start of a run state, and the time spent running and blocked before it. */
export const STATE_ENTRY = 0;
export const TIME_RUNNING = 1;
export const TIME_BLOCKED = 2;
/** Period of the periodic timer in ns, 0 if off. */
export const PERIOD = 3;
export const VCPU_TIMES = 4;

/** Assists (public/xen.h VMASST_TYPE_*). */
export const ASSIST_WRITABLE_PAGE_TABLES = 2;
