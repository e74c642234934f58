/** How the core reaches what lies outside it: ports, device registers, and the memory that a VMM's emulator works on. */

export interface PortBus {
  /** Size 1, 2 or 4 bytes; unclaimed ports read all ones. */
  read(port: number, size: number): number;
  write(port: number, value: number, size: number): void;
}

/** Physical addresses outside RAM. */
export interface MmioBus {
  read(physical: number, size: number): number;
  write(physical: number, value: number, size: number): void;
}

/** Where an emulated instruction's data accesses go. May throw FAULT. Small loads are zero-extended. */
export interface MemoryPort {
  load(linear: number, size: number): number;
  store(linear: number, size: number, value: number): void;
  /**
   * Comes before the stores of one instruction that together write more than one of them can, or cross a page: raises
   * what any of them would raise.
   */
  checkWrite(linear: number, bytes: number): void;
}

/** The local APIC as the processor's instructions see it. */
export interface LocalApicPort {
  /** Enabled in IA32_APIC_BASE, and so reported by CPUID. */
  readonly enabled: boolean;
  /** Its timer has the TSC-deadline mode. */
  readonly tscDeadline: boolean;
  hasMsr(index: number): boolean;
  readMsr(index: number): readonly [low: number, high: number];
  /** False if the value has reserved bits: #GP(0). */
  writeMsr(index: number, low: number, high: number): boolean;
  /** TSC_BASE has changed. */
  timeStampWritten(): void;
}
