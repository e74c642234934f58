/** Bits of the VM-execution, VM-exit and VM-entry controls that this processor has (SDM 3C 24.6 - 24.8). */
export const PIN_EXTERNAL_INTERRUPT = 1 << 0;
export const PIN_NMI = 1 << 3;

export const PROC_INTERRUPT_WINDOW = 1 << 2;
export const PROC_TSC_OFFSET = 1 << 3;
export const PROC_HLT = 1 << 7;
export const PROC_INVLPG = 1 << 9;
export const PROC_RDPMC = 1 << 11;
export const PROC_RDTSC = 1 << 12;
export const PROC_CR3_LOAD = 1 << 15;
export const PROC_CR3_STORE = 1 << 16;
export const PROC_DEBUG = 1 << 23;
export const PROC_IO = 1 << 24;
export const PROC_IO_BITMAPS = 1 << 25;
export const PROC_MSR_BITMAPS = 1 << 28;
export const PROC_PAUSE = 1 << 30;
export const PROC_SECONDARY = 1 << 31;

export const PROC2_EPT = 1 << 1;
export const PROC2_DESCRIPTOR_TABLE = 1 << 2;
export const PROC2_VPID = 1 << 5;
export const PROC2_WBINVD = 1 << 6;
export const PROC2_UNRESTRICTED = 1 << 7;

export const EXIT_SAVE_DEBUG = 1 << 2;
export const EXIT_ACKNOWLEDGE = 1 << 15;
export const EXIT_SAVE_EFER = 1 << 20;
export const EXIT_LOAD_EFER = 1 << 21;

export const ENTRY_LOAD_DEBUG = 1 << 2;
export const ENTRY_LOAD_EFER = 1 << 15;

/** Interruption information, for injection and for exits (SDM 3C 24.8.3, 24.9.2). */
export const INFO_VALID = 0x80000000 | 0;
export const INFO_ERROR = 1 << 11;
export const INFO_TYPE_SHIFT = 8;

/** Interruptibility state (SDM 3C table 24-3). */
export const BLOCKED_STI = 1;
export const BLOCKED_MOV_SS = 2;
export const BLOCKED_SMI = 4;
export const BLOCKED_NMI = 8;
