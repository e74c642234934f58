/**
 * The hypervisor's own frames, and their place in every address space: the machine-to-physical table, the shared page, and
 * the real GDT, IDT and TSS that the processor uses while the guest runs. The tables map them once; each level-2
 * table that stands in slot 3 gets the same two entries.
 */
import type { MachineAddress } from '../../core/address.ts';
import type { Cpu } from '../../core/cpu.ts';
import {
  BASE,
  CR0,
  CR0_ET,
  CR0_MP,
  CR0_NE,
  CR0_PE,
  CR0_PG,
  CR0_WP,
  CR4,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  CR4_PAE,
  CR4_PGE,
  CR4_PSE,
  GDTR_BASE,
  GDTR_LIMIT,
  HOSTED,
  IDTR_BASE,
  IDTR_LIMIT,
  LDTR,
  LIMIT,
  RIGHTS,
  RIGHTS_UNUSABLE,
  SELECTOR,
  segmentSlot,
  TR,
} from '../../core/state.ts';
import {
  FIRST_RESERVED_GDT_PAGE,
  FLAT_RING1_CS,
  FLAT_RING1_DS,
  FLAT_RING3_CS,
  FLAT_RING3_DS,
  GDT_LINEAR,
  GDT_PAGE,
  GDT_PAGES,
  GUEST_LIMIT,
  HOLE_SLOT,
  HYPERCALL_VECTOR,
  HYPERVISOR_CS,
  IDT_LINEAR,
  IDT_PAGE,
  LDT_LINEAR,
  LDT_SELECTOR,
  PRIVATE_SLOT,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_GLOBAL,
  PTE_PRESENT,
  PTE_WRITE,
  TSS_LINEAR,
  TSS_PAGE,
  TSS_SELECTOR,
} from './layout.ts';

const TABLE_ENTRY = PTE_PRESENT | PTE_WRITE | PTE_ACCESSED;
const READ_ONLY = PTE_PRESENT | PTE_ACCESSED | PTE_GLOBAL;
const READ_WRITE = READ_ONLY | PTE_WRITE | PTE_DIRTY;

const TSS_BYTES = 104;
/** Offsets in the TSS (SDM 3A figure 7-2). */
const TSS_ESP0 = 4;
const TSS_ESP1 = 12;
const TSS_IO_MAP = 102;

/** High words of the flat descriptors of each ring: present, accessed, 32-bit, page-granular; the limit is GUEST_LIMIT. */
const CODE_RING_1 = 0xc0bb00;
const DATA_RING_1 = 0xc0b300;
const CODE_RING_3 = 0xc0fb00;
const DATA_RING_3 = 0xc0f300;

/** Gate high words: present 32-bit interrupt gate of privilege 0, and the privileges above it. */
const INTERRUPT_GATE = 0x8e00;
const TRAP_GATE = 0x8f00;
/** INT3 and INTO may be executed by anyone. */
const BREAKPOINT = 3;
const OVERFLOW = 4;

/** Frames that the hypervisor needs beside a domain of `guestFrames`. */
export function hypervisorFrames(guestFrames: number): number {
  // The machine-to-physical table covers these frames too; one more page always covers them.
  return 8 + Math.ceil(guestFrames / 1024) + 1;
}

export class HypervisorArea {
  /** Frame of shared_info; the domain may map it. */
  readonly sharedFrame: number;
  readonly #cpu: Cpu;
  readonly #m2pFirst: number;
  readonly #m2pPages: number;
  readonly #m2pTable: number;
  readonly #privateTable: number;
  readonly #zero: number;
  readonly #descriptors: number;
  readonly #idt: number;
  readonly #tss: number;

  /** Takes the machine's frames from `first` to its end. */
  constructor(cpu: Cpu, first: number) {
    this.#cpu = cpu;
    const [zero, shared, m2pTable, privateTable, descriptors, idt, tss] = [0, 1, 2, 3, 4, 5, 6].map((n) => first + n);
    this.sharedFrame = shared!;
    this.#zero = zero!;
    this.#m2pTable = m2pTable!;
    this.#privateTable = privateTable!;
    this.#descriptors = descriptors!;
    this.#idt = idt!;
    this.#tss = tss!;
    this.#m2pFirst = first + 7;
    this.#m2pPages = Math.ceil((cpu.memory.size >>> 12) / 1024);
    if (this.#m2pFirst + this.#m2pPages > cpu.memory.size >>> 12) {
      throw new Error('The machine has too few frames for the hypervisor.');
    }
  }

  /** Highest frame number that the machine-to-physical table has an entry for. */
  get m2pLast(): number {
    return (this.#cpu.memory.size >>> 12) - 1;
  }

  /** Fills the tables and puts the processor under the hypervisor's control: hosted, paging modes set, CR3 not yet loaded. */
  install(): void {
    const { memory } = this.#cpu;
    for (let page = 0; page < this.#m2pPages; page++)
      this.#entry(this.#m2pTable, page, this.#m2pFirst + page, READ_ONLY);
    // An entry of all ones: the frame has no pseudo-physical address.
    memory.ram.fill(0xff, this.#m2pFirst * 4096, (this.#m2pFirst + this.#m2pPages) * 4096);
    for (let page = 0; page < FIRST_RESERVED_GDT_PAGE; page++) this.mapGdt(page, -1);
    this.#entry(this.#privateTable, GDT_PAGE + FIRST_RESERVED_GDT_PAGE, this.#descriptors, READ_WRITE);
    this.#entry(this.#privateTable, IDT_PAGE, this.#idt, READ_WRITE);
    this.#entry(this.#privateTable, TSS_PAGE, this.#tss, READ_WRITE);
    this.#fillDescriptors();
    for (let vector = 0; vector < 256; vector++) this.#hypervisorGate(vector);
    memory.write32((this.#tss * 4096 + TSS_ESP0) as MachineAddress, TSS_LINEAR + 4096);
    memory.write32((this.#tss * 4096 + TSS_ESP0 + 4) as MachineAddress, HYPERVISOR_CS + 8);
    memory.write16((this.#tss * 4096 + TSS_IO_MAP) as MachineAddress, 0x8000);
    this.#loadRegisters();
  }

  #fillDescriptors(): void {
    const limit = GUEST_LIMIT >>> 12;
    const flat = (selector: number, rights: number): void =>
      this.#descriptor(selector, limit & 0xffff, rights | (limit & 0xf0000));
    this.#descriptor(HYPERVISOR_CS, 0xffff, 0xcf9b00);
    this.#descriptor(HYPERVISOR_CS + 8, 0xffff, 0xcf9300);
    flat(FLAT_RING1_CS, CODE_RING_1);
    flat(FLAT_RING1_DS, DATA_RING_1);
    flat(FLAT_RING3_CS, CODE_RING_3);
    flat(FLAT_RING3_DS, DATA_RING_3);
    this.#descriptor(
      TSS_SELECTOR,
      (TSS_LINEAR << 16) | (TSS_BYTES - 1),
      (TSS_LINEAR & 0xff000000) | 0x8b00 | ((TSS_LINEAR >>> 16) & 0xff),
    );
  }

  #descriptor(selector: number, low: number, high: number): void {
    const at = this.#descriptors * 4096 + ((selector & 0xfff8) - FIRST_RESERVED_GDT_PAGE * 4096);
    this.#cpu.memory.write32(at as MachineAddress, low);
    this.#cpu.memory.write32((at + 4) as MachineAddress, high);
  }

  #hypervisorGate(vector: number): void {
    const privilege = vector === BREAKPOINT || vector === OVERFLOW ? 3 : vector === HYPERCALL_VECTOR ? 1 : 0;
    this.#gate(vector, HYPERVISOR_CS, 16 * vector, INTERRUPT_GATE | (privilege << 13));
  }

  #gate(vector: number, selector: number, offset: number, high: number): void {
    const at = this.#idt * 4096 + 8 * vector;
    this.#cpu.memory.write32(at as MachineAddress, (selector << 16) | (offset & 0xffff));
    this.#cpu.memory.write32((at + 4) as MachineAddress, (offset & 0xffff0000) | high);
  }

  /** Gives `vector` a gate straight into guest code (a trap gate: it masks nothing), or back to the hypervisor. */
  setDirectGate(vector: number, selector: number, offset: number, privilege: number): void {
    this.#gate(vector, selector, offset, TRAP_GATE | (privilege << 13));
  }
  clearDirectGate(vector: number): void {
    this.#hypervisorGate(vector);
  }

  /** The ring-1 stack that a direct gate switches to. */
  setKernelStack(ss: number, esp: number): void {
    this.#cpu.memory.write32((this.#tss * 4096 + TSS_ESP1) as MachineAddress, esp);
    this.#cpu.memory.write32((this.#tss * 4096 + TSS_ESP1 + 4) as MachineAddress, ss);
  }

  /** Shows frame `frame` as page `page` of the GDT; -1: a page of zeros, whose descriptors are not present. */
  mapGdt(page: number, frame: number): void {
    this.#entry(
      this.#privateTable,
      GDT_PAGE + page,
      frame < 0 ? this.#zero : frame,
      frame < 0 ? READ_ONLY : READ_WRITE,
    );
  }

  /** Shows a frame in a page of the private part, or with -1 nothing. */
  mapPrivate(page: number, frame: number): void {
    this.#entry(this.#privateTable, page, Math.max(frame, 0), frame < 0 ? 0 : READ_WRITE);
  }

  /** Frame shown in a page of the private part, or -1. */
  privateFrame(page: number): number {
    const entry = this.#cpu.memory.read32((this.#privateTable * 4096 + 8 * page) as MachineAddress);
    return (entry & PTE_PRESENT) === 0 ? -1 : entry >>> 12;
  }

  #entry(table: number, index: number, frame: number, flags: number): void {
    this.#cpu.memory.write32((table * 4096 + 8 * index) as MachineAddress, flags === 0 ? 0 : (frame << 12) | flags);
    this.#cpu.memory.write32((table * 4096 + 8 * index + 4) as MachineAddress, 0);
  }

  /** Writes the hypervisor's slots into the level-2 table at machine address `table`. */
  fillHole(table: number): void {
    // Through the memory's own write: the frame may have held code.
    this.#cpu.memory.writeBytes((table + 8 * HOLE_SLOT) as MachineAddress, new Uint8Array(8 * (512 - HOLE_SLOT)));
    this.#entry(table >>> 12, HOLE_SLOT, this.#m2pTable, TABLE_ENTRY);
    this.#entry(table >>> 12, PRIVATE_SLOT, this.#privateTable, TABLE_ENTRY);
  }

  /** Records the pseudo-physical frame number of a machine frame. */
  setM2p(frame: number, pfn: number): void {
    this.#cpu.memory.write32((this.#m2pFirst * 4096 + 4 * frame) as MachineAddress, pfn);
  }

  /** Pseudo-physical frame number of a machine frame, -1 if it has none. */
  m2p(frame: number): number {
    return this.#cpu.memory.read32((this.#m2pFirst * 4096 + 4 * frame) as MachineAddress) | 0;
  }

  /** Loads or unloads the LDT register: `entries` descriptors seen through the LDT window. */
  setLdt(entries: number): void {
    const S = this.#cpu.memory.state;
    const slot = segmentSlot(LDTR);
    S[slot + SELECTOR] = entries === 0 ? 0 : LDT_SELECTOR;
    S[slot + BASE] = LDT_LINEAR | 0;
    S[slot + LIMIT] = 8 * entries - 1;
    S[slot + RIGHTS] = entries === 0 ? RIGHTS_UNUSABLE : 0x82;
  }

  #loadRegisters(): void {
    const { memory, mmu } = this.#cpu;
    const S = memory.state;
    mmu.truncatedLimit = GUEST_LIMIT;
    S[HOSTED] = 1;
    S[CR0] = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
    S[CR4] = CR4_PAE | CR4_PSE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;
    S[GDTR_BASE] = GDT_LINEAR | 0;
    S[GDTR_LIMIT] = GDT_PAGES * 4096 - 1;
    S[IDTR_BASE] = IDT_LINEAR | 0;
    S[IDTR_LIMIT] = 0x7ff;
    this.setLdt(0);
    const slot = segmentSlot(TR);
    S[slot + SELECTOR] = TSS_SELECTOR;
    S[slot + BASE] = TSS_LINEAR | 0;
    S[slot + LIMIT] = TSS_BYTES - 1;
    S[slot + RIGHTS] = 0x8b;
  }
}
