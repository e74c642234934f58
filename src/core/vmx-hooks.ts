/**
 * What the processor's system half asks of VMX. `Vmx` (core/vmx/) implements it; system procedures, event delivery
 * and the interpreter call it. A processor without VMX has `cpu.vmx === null`.
 *
 * Except where noted a method is called only in non-root operation (`S[VMX_MODE] === 2`), after the checks that take
 * priority over a VM exit (privilege, #UD; SDM 3C 25.1.1) and before any state changes. It returns normally if the
 * instruction or event does not cause a VM exit; else it records reason and qualification and throws VM_EXIT.
 */

/** Where an I/O instruction's operands are: what the exit qualification tells (SDM 3C table 27-5). */
export const IO_IN = 1;
export const IO_STRING = 2;
export const IO_REPEAT = 4;
export const IO_IMMEDIATE = 8;

/** Which instruction touches a descriptor-table register (SDM 3C 27.2.5: exit reasons 46 and 47). */
export const TABLE_SGDT = 0;
export const TABLE_SIDT = 1;
export const TABLE_LGDT = 2;
export const TABLE_LIDT = 3;
export const TABLE_SLDT = 4;
export const TABLE_STR = 5;
export const TABLE_LLDT = 6;
export const TABLE_LTR = 7;

/** What started a task switch (SDM 3C table 27-2). */
export const TASK_BY_CALL = 0;
export const TASK_BY_IRET = 1;
export const TASK_BY_JUMP = 2;
export const TASK_BY_GATE = 3;

export interface VmxHooks {
  cpuid(): void;
  hlt(): void;
  invd(): void;
  wbinvd(): void;
  pause(): void;
  invlpg(linear: number): void;
  rdtsc(): void;
  rdpmc(): void;
  /** What RDTSC and RDMSR of the TSC add to the processor's TSC, in cycles (TSC offsetting). */
  tscOffset(): number;

  /** MOV from CRn to register `gpr`. Returns the value the guest reads: `value` with host-owned bits from the shadow. */
  readControl(n: number, gpr: number, value: number): number;
  /** MOV to CRn from `gpr`. Returns the value to load: `value` with host-owned bits as they are in `current`. */
  writeControl(n: number, gpr: number, value: number, current: number): number;
  /** The guest's view of CR0 or CR4 (`n`) for SMSW, which never exits. */
  visibleControl(n: number, value: number): number;
  /** CLTS. False if CR0.TS is host-owned and must stay as it is. */
  clts(): boolean;
  /** LMSW with 16-bit source `value`. Returns the low four bits of CR0 to load. */
  lmsw(value: number): number;
  readDebug(n: number, gpr: number): void;
  writeDebug(n: number, gpr: number): void;

  /** IN, OUT, INS, OUTS; `flags` of IO_*. `linear` is the memory operand of INS / OUTS, else 0. */
  port(port: number, size: number, flags: number, linear: number): void;
  rdmsr(index: number): void;
  wrmsr(index: number): void;
  /** SGDT SIDT LGDT LIDT SLDT STR LLDT LTR; `which` is TABLE_*; `linear` the memory operand, or 0. */
  descriptorTable(which: number, linear: number): void;
  taskSwitch(selector: number, cause: number): void;

  /**
   * The exception or software interrupt in EVENT_* is about to be delivered (exception bitmap, page-fault mask and
   * match; a software INT n never exits). `cpu.interrupts.vectoringKind` (-1: none) says what was being delivered
   * when it arose.
   */
  interceptEvent(): void;
  /** Called at a boundary in non-root operation when INTR is raised, before the IF check. */
  externalInterrupt(): void;
  /**
   * Called at a boundary in non-root operation when an NMI is to be delivered. True if it is not the guest's to take now:
   * a VMM outside keeps it.
   */
  nonMaskableInterrupt(): boolean;
  /** Called at a boundary in non-root operation when interrupts are open (IF set, no shadow). */
  interruptWindow(): void;
  tripleFault(): void;

  /**
   * In VMX operation (root or non-root): whether CR`n` may hold `value` (IA32_VMX_CRn_FIXED0/1; SDM 3C 23.8).
   * False makes MOV raise #GP(0). Called whenever `S[VMX_MODE] !== 0`.
   */
  controlAllowed(n: number, value: number): boolean;
  /**
   * RDMSR of IA32_FEATURE_CONTROL and the IA32_VMX_* capabilities, in any mode: true after setting EDX:EAX,
   * false if `index` is none of them.
   */
  readCapability(index: number): boolean;
  /** WRMSR of the same: true if it is one and the write is allowed; #GP(0) is raised here if it is not allowed. */
  writeCapability(index: number, low: number, high: number): boolean;

  /**
   * A VMX instruction, in any mode: performs all its checks (#UD, #GP, VMfail, exit in non-root) itself.
   * On entry `S[EIP]` is the next instruction's address. `linear` and `table` (the view, as in `Mmu`) are the memory
   * operand's; `register` is ModRM's reg field; `rm` is ModRM's register operand, or -1. Returns a STOP_* code.
   */
  vmxInstruction(name: string, linear: number, table: number, register: number, rm: number): number;
  /**
   * Finishes the exit recorded before VM_EXIT was thrown: saves guest state, loads host state. Called by the run
   * loop with EIP and INSTRUCTION_LENGTH set. Returns STOP_VM_EXIT if a VMM outside is attached, else STOP_NONE.
   */
  completeExit(): number;
}
