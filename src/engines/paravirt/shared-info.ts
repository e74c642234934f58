/** Byte offsets of the shared page and the start-of-day page (Xen public/xen.h, 32-bit layout). */

/** vcpu_info of vcpu 0 starts the shared page. */
export const UPCALL_PENDING = 0;
export const UPCALL_MASK = 1;
export const PENDING_SEL = 4;
export const ARCH_CR2 = 8;
export const TIME_VERSION = 32;
export const TIME_TSC = 40;
export const TIME_SYSTEM = 48;
export const TIME_MUL = 56;
export const TIME_SHIFT = 60;
/** After 32 vcpu_info of 64 bytes. */
export const EVTCHN_PENDING = 2048;
export const EVTCHN_MASK = 2048 + 128;
export const WALL_CLOCK = 2048 + 256;
export const ARCH_MAX_PFN = WALL_CLOCK + 12;

/** start_info; what is not here stays zero: flags, module (there is no initial RAM disk), frame-list place. */
export const START_MAGIC = 0;
export const START_NR_PAGES = 32;
export const START_SHARED_INFO = 36;
export const START_STORE_MFN = 44;
export const START_STORE_EVTCHN = 48;
export const START_CONSOLE_MFN = 52;
export const START_CONSOLE_EVTCHN = 56;
export const START_PT_BASE = 60;
export const START_NR_PT_FRAMES = 64;
export const START_MFN_LIST = 68;
export const START_CMD_LINE = 80;
export const START_CMD_LINE_BYTES = 1024;
