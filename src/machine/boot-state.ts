/**
 * The processor as a boot loader hands it over: flat protected mode, no paging, interrupts off (Multiboot Specification
 * 3.2; Linux, Documentation/arch/x86/boot.rst, "32-bit boot protocol").
 */
import type { Cpu } from '../core/cpu.ts';
import {
  ACTIVITY,
  BASE,
  CPL,
  CR0,
  CR0_ET,
  CR0_PE,
  CR2,
  CR3,
  CR4,
  CS,
  DR0,
  EAX,
  EBX,
  EFER,
  EIP,
  ESI,
  GDTR_BASE,
  GDTR_LIMIT,
  GS,
  IDTR_BASE,
  IDTR_LIMIT,
  LDTR,
  LIMIT,
  RIGHTS,
  RIGHTS_DB,
  RIGHTS_G,
  RIGHTS_P,
  SELECTOR,
  segmentSlot,
  TR,
} from '../core/state.ts';
import { ALWAYS_SET } from '../isa/eflags.ts';

/** Where and how a kernel starts; what differs between the boot protocols. */
export interface BootState {
  /** Guest-physical entry point; paging is off. */
  readonly entry: number;
  /** General registers at entry; the others are zero. */
  readonly registers: { readonly eax?: number; readonly ebx?: number; readonly esi?: number };
  readonly codeSelector: number;
  readonly dataSelector: number;
  /** Guest-physical base and limit (inclusive) of the loader's GDT, or null if it promises none. */
  readonly gdt: { readonly base: number; readonly limit: number } | null;
}

const CODE_RIGHTS = RIGHTS_P | RIGHTS_DB | RIGHTS_G | 0x1b;
const DATA_RIGHTS = RIGHTS_P | RIGHTS_DB | RIGHTS_G | 0x13;
const TSS_RIGHTS = RIGHTS_P | 0x0b;
const LDT_RIGHTS = RIGHTS_P | 0x02;

/**
 * Sets every register. There is no IDT yet (its limit is 0), so an exception before the kernel has loaded one is a
 * triple fault rather than a jump into nowhere.
 */
export function applyBootState(cpu: Cpu, boot: BootState): void {
  const { state } = cpu.memory;
  state.fill(0, EAX, EIP);
  state[EAX] = boot.registers.eax ?? 0;
  state[EBX] = boot.registers.ebx ?? 0;
  state[ESI] = boot.registers.esi ?? 0;
  state[EIP] = boot.entry;
  for (let segment = 0; segment <= GS; segment++) {
    if (segment === CS) setSegment(state, segment, boot.codeSelector, -1, CODE_RIGHTS);
    else setSegment(state, segment, boot.dataSelector, -1, DATA_RIGHTS);
  }
  setSegment(state, LDTR, 0, 0xffff, LDT_RIGHTS);
  setSegment(state, TR, 0, 0xffff, TSS_RIGHTS);
  for (const slot of [CR2, CR3, CR4, EFER, IDTR_BASE, IDTR_LIMIT, CPL, ACTIVITY]) state[slot] = 0;
  state[GDTR_BASE] = boot.gdt?.base ?? 0;
  state[GDTR_LIMIT] = boot.gdt?.limit ?? 0;
  state[CR0] = CR0_PE | CR0_ET;
  state[DR0 + 6] = 0xffff0ff0 | 0;
  state[DR0 + 7] = 0x400;
  cpu.setEflags(ALWAYS_SET);
}

function setSegment(state: Int32Array, segment: number, selector: number, limit: number, rights: number): void {
  const slot = segmentSlot(segment);
  state[slot + SELECTOR] = selector;
  state[slot + BASE] = 0;
  state[slot + LIMIT] = limit;
  state[slot + RIGHTS] = rights;
}
