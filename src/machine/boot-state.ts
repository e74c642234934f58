/** The processor as a multiboot 1 loader hands it over (Multiboot Specification 3.2): flat protected mode, no paging. */
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
import { type BootState, MULTIBOOT_MAGIC } from './multiboot.ts';

/** Selectors of the loader's code and data segments; a kernel loads its own before it relies on any. */
const CODE_SELECTOR = 0x08;
const DATA_SELECTOR = 0x10;
const CODE_RIGHTS = RIGHTS_P | RIGHTS_DB | RIGHTS_G | 0x1b;
const DATA_RIGHTS = RIGHTS_P | RIGHTS_DB | RIGHTS_G | 0x13;
const TSS_RIGHTS = RIGHTS_P | 0x0b;
const LDT_RIGHTS = RIGHTS_P | 0x02;

/**
 * Sets every register. There are no descriptor tables yet (their limits are 0), so an exception before the kernel has
 * loaded an IDT is a triple fault rather than a jump into nowhere.
 */
export function applyBootState(cpu: Cpu, boot: BootState): void {
  const { state } = cpu.memory;
  state.fill(0, EAX, EIP);
  state[EAX] = MULTIBOOT_MAGIC;
  state[EBX] = boot.information;
  state[EIP] = boot.entry;
  for (let segment = 0; segment <= GS; segment++) {
    if (segment === CS) setSegment(state, segment, CODE_SELECTOR, -1, CODE_RIGHTS);
    else setSegment(state, segment, DATA_SELECTOR, -1, DATA_RIGHTS);
  }
  setSegment(state, LDTR, 0, 0xffff, LDT_RIGHTS);
  setSegment(state, TR, 0, 0xffff, TSS_RIGHTS);
  for (const slot of [CR2, CR3, CR4, EFER, GDTR_BASE, GDTR_LIMIT, IDTR_BASE, IDTR_LIMIT, CPL, ACTIVITY])
    state[slot] = 0;
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
