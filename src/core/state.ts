/**
 * Where the processor keeps its state: slot numbers of the `Int32Array` and `Float64Array`
 * that lie at the start of the machine's one WebAssembly memory. Interpreter, system procedures,
 * VMX and the engines all read and write these slots; compiled code reaches the same bytes by
 * address. Nothing that a guest can observe lives anywhere else in `core/`.
 */

/** General registers: slot `2 * number` (8-byte slots leave room for 64-bit registers). */
export const REG_STRIDE = 2;
export const EAX = 0;
export const ECX = 2;
export const EDX = 4;
export const EBX = 6;
export const ESP = 8;
export const EBP = 10;
export const ESI = 12;
export const EDI = 14;
/** Always zero: the base or index of an address form that has none. Never written. */
export const ZERO_REGISTER = 16;
/** Inside a system procedure: the address of the *next* instruction. At a stop or fault: of the current one. */
export const EIP = 18;

/**
 * Lazy arithmetic flags. The six flags are a function of three words and one mask:
 *   ZF = R == 0, SF = R < 0, PF = even parity of R's low byte,
 *   CF = bit 31 of (X & Y | (X | Y) & ~R), OF = bit 31 of (X ^ R) & (Y ^ R), AF = bit 4 of X ^ Y ^ R,
 * each then exclusive-ored with its EFLAGS bit of XOR. R, X, Y are sign-extended from the operand size, so one
 * formula serves 8, 16 and 32 bits. add: X=a Y=b XOR=0. sub: X=a Y=~b XOR=CF|AF (carry out is "no borrow").
 * Logic: X=R Y=0 XOR=0. Explicit flags f: R=X=Y=0, XOR = f ^ (ZF|PF).
 */
export const FLAG_R = 20;
export const FLAG_X = 21;
export const FLAG_Y = 22;
export const FLAG_XOR = 23;
/** All EFLAGS bits except CF PF AF ZF SF OF; bit 1 is always set. */
export const EFLAGS_SYSTEM = 24;

export const CPL = 25;
/** The code mode: everything that decoding and address checks depend on. See `core/mode.ts`. */
export const MODE = 26;
/** Interrupt shadow for the coming instruction: 0 none, 1 by STI, 2 by MOV SS / POP SS. */
export const SHADOW = 27;
/** Activity state, with the VMCS's numbers: 0 active, 1 HLT, 2 shutdown. */
export const ACTIVITY = 28;

export const CR0 = 30;
export const CR2 = 32;
export const CR3 = 33;
export const CR4 = 34;
export const EFER = 35;
/** DR0..DR7. */
export const DR0 = 36;

/** Segment registers: slot SEGMENTS + 4 * index, index as below; then LDTR and TR. */
export const SEGMENTS = 48;
export const SEGMENT_STRIDE = 4;
export const SELECTOR = 0;
export const BASE = 1;
export const LIMIT = 2;
/** Access rights in the VMCS's layout (SDM 3C 24.4.1): bits 3:0 type, 4 S, 6:5 DPL, 7 P, 12 AVL, 14 D/B, 15 G, 16 unusable. */
export const RIGHTS = 3;

export const ES = 0;
export const CS = 1;
export const SS = 2;
export const DS = 3;
export const FS = 4;
export const GS = 5;
export const LDTR = 6;
export const TR = 7;

export const GDTR_BASE = 80;
export const GDTR_LIMIT = 81;
export const IDTR_BASE = 82;
export const IDTR_LIMIT = 83;
export const SYSENTER_CS = 84;
export const SYSENTER_ESP = 85;
export const SYSENTER_EIP = 86;
/** The four page-directory-pointer entries loaded with CR3 under PAE: low, high, low, high, ... */
export const PDPTE = 88;

/** The event being reported by a fault signal, a host trap stop or an injection. */
export const EVENT_VECTOR = 96;
/** Kind of that event: EVENT_EXTERNAL .. below. */
export const EVENT_KIND = 97;
export const EVENT_HAS_ERROR = 98;
export const EVENT_ERROR = 99;
/** Length in bytes of the instruction at EIP, valid at a host trap or VM exit caused by an instruction. */
export const INSTRUCTION_LENGTH = 100;
/**
 * Linear address of the page fault in EVENT_*. Delivery writes CR2, so that a page fault that VMX intercepts leaves it alone
 * (SDM 3C 27.1).
 */
export const EVENT_ADDRESS = 102;
/** Marker stop: the marker's code (its payload is in EBX, ECX, EDX). */
export const MARKER_CODE = 101;

/** 1: a VMM outside the guest owns ring 0; events that reach ring 0 become host traps. */
export const HOSTED = 104;
/** Level of the interrupt controller's INTR output. */
export const INTR = 105;
/** Hosted or VMX: a physical interrupt has arrived (rising edge of INTR) and the VMM has not taken it. */
export const HOST_INTR = 106;
/** 0 outside VMX operation, 1 root, 2 non-root. */
export const VMX_MODE = 107;
/** Address-space tag of new TLB entries (the VPID; 0 outside non-root operation). */
export const TLB_TAG = 108;
/** Which of the RETIRED counters the running code adds to. */
export const RETIRED_CLASS = 109;
/** Instructions retired since the last fold into RETIRED[RETIRED_CLASS]. */
export const RETIRED_PENDING = 110;
/** Linear range whose CPL 1 code counts as translation cache: first page, page after the last. */
export const CACHE_ZONE_FIRST_PAGE = 111;
export const CACHE_ZONE_END_PAGE = 112;
/** Linear page whose fetch translation is known good, or -1: fetch is consulted when execution enters another page. */
export const FETCH_PAGE = 113;
/** Machine page address (bytes) that FETCH_PAGE translates to. */
export const FETCH_MACHINE = 114;
/** Nonzero asks run() to leave at the next block boundary with STOP_REQUESTED. */
export const STOP_REQUEST = 115;

/** Inside a system instruction: the cycles and instructions before it are charged already. */
export const PRECHARGED = 116;
/** A non-maskable interrupt has arrived and is not delivered yet. */
export const NMI_PENDING = 117;
/** Blocking by NMI: from the delivery of one to the next IRET (SDM 3A 6.7.1). */
export const NMI_BLOCKED = 118;

/**
 * x87: the control, status (TOP in bits 13:11) and tag words, and the last instruction's opcode (11 bits), address and
 * operand address (SDM volume 1, 8.1). The tag word is the abridged one of FXSAVE: bit i set if physical register i is not empty.
 */
export const FPU_CONTROL = 384;
export const FPU_STATUS = 385;
export const FPU_TAG = 386;
export const FPU_OPCODE = 387;
export const FPU_IP = 388;
export const FPU_CS = 389;
export const FPU_DP = 390;
export const FPU_DS = 391;
export const MXCSR = 392;
/**
 * Physical x87 registers R0-R7, four words each: mantissa low, mantissa high, sign and exponent (16 bits), unused. MMi is
 * the mantissa of physical register i.
 */
export const FPU_REGISTERS = 400;
export const FPU_REGISTER_WORDS = 4;
/** XMM0-XMM7, four words each, lowest first. */
export const XMM = 432;
export const XMM_WORDS = 4;
/** A memory operand of an MMX or SSE instruction on its way, and the lanes of a result: nothing between instructions. */
export const SIMD_OPERAND = 464;
export const SIMD_RESULT = 468;

/** How many Int32 slots the state area has; `vmx/` uses 128 and up (see `vmx/state.ts`). */
export const STATE_WORDS = 512;

/** Event kinds, with the numbers of the VMCS interruption type (SDM 3C 24.8.3). SYSENTER and CALL_GATE are ours. */
export const EVENT_EXTERNAL = 0;
export const EVENT_NMI = 2;
export const EVENT_HARDWARE = 3;
export const EVENT_SOFTWARE = 4;
export const EVENT_PRIVILEGED_SOFTWARE = 5;
export const EVENT_SOFTWARE_EXCEPTION = 6;
export const EVENT_SYSENTER = 8;
export const EVENT_CALL_GATE = 9;

/** Float64 slots (their own array, after the Int32 slots). All are whole numbers below 2^53. */
/** Virtual time: total cycles charged so far, guest and VMM. */
export const CYCLES = 0;
/** run() looks at events when CYCLES >= DEADLINE at a block boundary; -1 asks for attention at once. */
export const DEADLINE = 1;
/** run() returns STOP_DEADLINE once CYCLES >= BUDGET. */
export const BUDGET = 2;
/** Cycles of the earliest device event, Infinity if none. Kept by the machine's event queue. */
export const NEXT_EVENT = 3;
/** What the guest's TSC reads above CYCLES (WRMSR to the TSC, TSC offsetting adds its own). */
export const TSC_BASE = 4;
/** Instructions retired, by class: CPL 0, 1 (outside the translation cache), 2, 3, and CPL 1 inside the translation cache. */
export const RETIRED = 8;
export const RETIRED_CLASSES = 5;
export const RETIRED_IN_CACHE = 4;
/** Cycles of ordinary instructions, by the same classes. */
export const INSTRUCTION_CYCLES = 16;
/** Cycles charged as events (everything that is not an ordinary instruction's static cost). */
export const EVENT_CYCLES_TOTAL = 24;
/** CYCLES - EVENT_CYCLES_TOTAL at the last fold: what has gone since belongs to RETIRED_CLASS. */
export const FOLD_MARK = 25;
export const TIME_WORDS = 64;

/** CR0, CR4, EFER bits. */
export const CR0_PE = 1;
export const CR0_MP = 2;
export const CR0_EM = 4;
export const CR0_TS = 8;
export const CR0_ET = 0x10;
export const CR0_NE = 0x20;
export const CR0_WP = 0x10000;
export const CR0_AM = 0x40000;
export const CR0_NW = 0x20000000;
export const CR0_CD = 0x40000000;
export const CR0_PG = 0x80000000 | 0;
export const CR4_VME = 1;
export const CR4_PVI = 2;
export const CR4_TSD = 4;
export const CR4_DE = 8;
export const CR4_PSE = 0x10;
export const CR4_PAE = 0x20;
export const CR4_MCE = 0x40;
export const CR4_PGE = 0x80;
export const CR4_PCE = 0x100;
export const CR4_OSFXSR = 0x200;
export const CR4_OSXMMEXCPT = 0x400;
export const CR4_VMXE = 0x2000;
export const EFER_NXE = 0x800;

/** Access-rights bits of RIGHTS. */
export const RIGHTS_ACCESSED = 1;
export const RIGHTS_S = 0x10;
export const RIGHTS_P = 0x80;
export const RIGHTS_DB = 0x4000;
export const RIGHTS_G = 0x8000;
export const RIGHTS_UNUSABLE = 0x10000;

/** First slot of segment register `index`. */
export function segmentSlot(index: number): number {
  return SEGMENTS + SEGMENT_STRIDE * index;
}
