/**
 * The domain builder: lays a kernel and its first structures into a new domain's memory as public/xen.h describes the start of
 * day (kernel, frame list, start_info, store ring, console ring, page tables, stack), builds the page tables that map them
 * from the kernel's base on, and leaves the processor at the kernel's entry in ring 1.
 */
import type { MachineAddress } from '../../core/address.ts';
import {
  ACTIVITY,
  CPL,
  CR3,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  CR4_PAE,
  DR0,
  DS,
  EAX,
  EIP,
  ES,
  ESI,
  ESP,
  FS,
  GS,
} from '../../core/state.ts';
import { ALWAYS_SET, IF } from '../../isa/eflags.ts';
import { type ElfFile, ImageError, parseElf } from '../../machine/elf.ts';
import type { FrameMap } from '../frames.ts';
import { type KernelNotes, readKernelNotes } from './elf-notes.ts';
import { PORT_UNBOUND } from './event-channels.ts';
import { fillHypercallPage } from './hypercall-page.ts';
import type { Hypervisor } from './hypervisor.ts';
import {
  FLAT_RING1_CS,
  FLAT_RING1_DS,
  HYPERVISOR_START,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_USER,
  PTE_WRITE,
} from './layout.ts';
import { TYPE_L3 } from './page-types.ts';
import {
  ARCH_MAX_PFN,
  START_CMD_LINE,
  START_CMD_LINE_BYTES,
  START_CONSOLE_EVTCHN,
  START_CONSOLE_MFN,
  START_MAGIC,
  START_MFN_LIST,
  START_NR_PAGES,
  START_NR_PT_FRAMES,
  START_PT_BASE,
  START_SHARED_INFO,
  START_STORE_EVTCHN,
  START_STORE_MFN,
  UPCALL_MASK,
} from './shared-info.ts';
import { BASE_FRAME, GUEST_CR4, KERNEL_SS } from './vcpu.ts';

const MAGIC = 'xen-3.0-x86_32p';
/** The mapped region ends at a multiple of this, with at least PADDING mapped after the stack. */
const REGION = 4 << 20;
const PADDING = 512 << 10;
const L1_REACH = 2 << 20;
/** Domain 0, at the other end of the store's and the console's event channels. */
const CONTROL_DOMAIN = 0;

const PAGE_ENTRY = PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY;
const TABLE_ENTRY = PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED | PTE_DIRTY;

/** Where the parts lie, as pseudo-physical frame numbers. */
interface Plan {
  readonly frameList: number;
  readonly startInfo: number;
  readonly store: number;
  readonly console: number;
  readonly tables: number;
  readonly tableFrames: number;
  readonly stack: number;
  /** First frame that is not mapped. */
  readonly end: number;
}

/** Builds the domain. Throws ImageError if the kernel cannot be booted in this much memory. */
export function buildDomain(xen: Hypervisor, frames: FrameMap, image: Uint8Array, commandLine: string): void {
  const file = parseElf(image);
  const notes = readKernelNotes(file);
  if (commandLine.length >= START_CMD_LINE_BYTES) {
    throw new ImageError(
      `The command line has ${commandLine.length} characters; a Xen guest takes ${START_CMD_LINE_BYTES - 1}.`,
    );
  }
  for (let pfn = 0; pfn < frames.guestFrames; pfn++) {
    xen.pages.allocate(frames.machineFrame(pfn));
    xen.area.setM2p(frames.machineFrame(pfn), pfn);
  }
  const plan = makePlan(loadKernel(file, notes, frames), notes, frames.guestFrames);
  if (notes.hypercallPage !== null) {
    const page = frames.toMachine(notes.hypercallPage - notes.virtualBase);
    if (page === null || (page & 0xfff) !== 0)
      throw new ImageError('The HYPERCALL_PAGE note is not the address of a page of the kernel.');
    fillHypercallPage(xen.cpu.memory, page);
  }
  writeFrameList(plan, frames);
  writeStartInfo(xen, plan, notes, frames, commandLine);
  buildTables(xen, plan, notes, frames);
  startProcessor(xen, plan, notes, frames);
}

/** Copies the segments; returns the first frame after the kernel. */
function loadKernel(file: ElfFile, notes: KernelNotes, frames: FrameMap): number {
  if (file.segments.length === 0) throw new ImageError('The kernel image has no segment to load.');
  let end = 0;
  for (const segment of file.segments) {
    const at = segment.physical - notes.physicalOffset;
    if (at < 0 || at + segment.memorySize > frames.guestFrames * 4096) {
      throw new ImageError(
        `The kernel's segment at 0x${segment.virtual.toString(16)} does not fit into ${(frames.guestFrames * 4096) >>> 20} MB of RAM.`,
      );
    }
    frames.writeBytes(at, segment.data);
    end = Math.max(end, at + segment.memorySize);
  }
  return Math.ceil(end / 4096);
}

function makePlan(kernelEnd: number, notes: KernelNotes, ramFrames: number): Plan {
  const frameList = kernelEnd;
  const startInfo = frameList + Math.ceil((ramFrames * 4) / 4096);
  const store = startInfo + 1;
  const console = store + 1;
  const tables = console + 1;
  // The tables map themselves, so their number depends on itself; it grows to a fixed point.
  let tableFrames = 2;
  let end = 0;
  for (;;) {
    const bytes = (tables + tableFrames + 1) * 4096 + PADDING;
    end = Math.ceil((notes.virtualBase + bytes) / REGION) * REGION;
    const needed = 1 + tablesOver(notes.virtualBase, end, 1 << 30) + tablesOver(notes.virtualBase, end, L1_REACH);
    if (needed === tableFrames) break;
    tableFrames = needed;
  }
  const lastFrame = (end - notes.virtualBase) / 4096;
  if (lastFrame > ramFrames) {
    throw new ImageError(
      `The kernel and its first structures need ${lastFrame >>> 8} MB of RAM; the domain has ${ramFrames >>> 8} MB.`,
    );
  }
  if (end > HYPERVISOR_START || notes.virtualBase < 3 * 2 ** 30) {
    throw new ImageError(
      `The kernel's base 0x${notes.virtualBase.toString(16)} leaves no room below the hypervisor; it must lie in the fourth GB.`,
    );
  }
  return { frameList, startInfo, store, console, tables, tableFrames, stack: tables + tableFrames, end: lastFrame };
}

/** How many tables of `reach` bytes each cover a range. */
function tablesOver(start: number, end: number, reach: number): number {
  return Math.ceil(end / reach) - Math.floor(start / reach);
}

function writeFrameList(plan: Plan, frames: FrameMap): void {
  const list = new Uint8Array(4 * frames.guestFrames);
  const view = new DataView(list.buffer);
  for (let pfn = 0; pfn < frames.guestFrames; pfn++) view.setUint32(4 * pfn, frames.machineFrame(pfn), true);
  frames.writeBytes(plan.frameList * 4096, list);
}

function writeStartInfo(xen: Hypervisor, plan: Plan, notes: KernelNotes, frames: FrameMap, commandLine: string): void {
  const page = new Uint8Array(4096);
  const view = new DataView(page.buffer);
  const put = (offset: number, value: number): void => view.setUint32(offset, value, true);
  page.set(latin1(MAGIC), START_MAGIC);
  page.set(latin1(commandLine), START_CMD_LINE);
  put(START_NR_PAGES, frames.guestFrames);
  put(START_SHARED_INFO, xen.shared);
  put(START_STORE_MFN, frames.machineFrame(plan.store));
  put(START_STORE_EVTCHN, xen.events.allocate(PORT_UNBOUND, CONTROL_DOMAIN));
  put(START_CONSOLE_MFN, frames.machineFrame(plan.console));
  put(START_CONSOLE_EVTCHN, xen.events.allocate(PORT_UNBOUND, CONTROL_DOMAIN));
  put(START_PT_BASE, notes.virtualBase + plan.tables * 4096);
  put(START_NR_PT_FRAMES, plan.tableFrames);
  put(START_MFN_LIST, notes.virtualBase + plan.frameList * 4096);
  frames.writeBytes(plan.startInfo * 4096, page);
  const { memory } = xen.cpu;
  memory.write8((xen.shared + UPCALL_MASK) as MachineAddress, 1);
  memory.write32((xen.shared + ARCH_MAX_PFN) as MachineAddress, frames.guestFrames);
}

/** Level 3, level 2, then the level-1 tables; they are mapped read-only, as page tables must be. */
function buildTables(xen: Hypervisor, plan: Plan, notes: KernelNotes, frames: FrameMap): void {
  const { memory } = xen.cpu;
  const put = (table: number, index: number, frame: number, flags: number): void => {
    const at = (frames.machineFrame(table) * 4096 + 8 * index) as MachineAddress;
    memory.write32(at, (frames.machineFrame(frame) << 12) | flags);
  };
  const directory = plan.tables + 1;
  const firstL1 = directory + 1;
  put(plan.tables, 3, directory, PTE_PRESENT);
  const firstSlot = (notes.virtualBase >>> 21) & 511;
  const skip = (notes.virtualBase >>> 12) & 511;
  for (let pfn = 0; pfn < plan.end; pfn++) {
    const slot = (pfn + skip) >>> 9;
    const isTable = pfn >= plan.tables && pfn < plan.tables + plan.tableFrames;
    if (pfn === 0 || ((pfn + skip) & 511) === 0) put(directory, firstSlot + slot, firstL1 + slot, TABLE_ENTRY);
    put(firstL1 + slot, (pfn + skip) & 511, pfn, isTable ? PAGE_ENTRY & ~PTE_WRITE : PAGE_ENTRY);
  }
  const root = frames.machineFrame(plan.tables);
  if (xen.pages.pin(root, TYPE_L3) !== 0 || xen.pages.getPageAndType(root, TYPE_L3) !== 0) {
    throw new Error('The domain builder made page tables that the hypervisor refuses.');
  }
  xen.vcpu[BASE_FRAME] = root;
  xen.cpu.mmu.setCr3(root << 12);
}

function startProcessor(xen: Hypervisor, plan: Plan, notes: KernelNotes, frames: FrameMap): void {
  const { cpu, segments, vcpu: V } = xen;
  const S = cpu.memory.state;
  S.fill(0, EAX, EIP);
  S[ACTIVITY] = 0;
  S[CR3] = frames.machineFrame(plan.tables) << 12;
  S[DR0 + 6] = 0xffff0ff0 | 0;
  S[DR0 + 7] = 0x400;
  const base = notes.virtualBase;
  S[ESI] = base + plan.startInfo * 4096;
  S[ESP] = base + (plan.stack + 1) * 4096;
  S[EIP] = notes.entry;
  segments.loadCode(FLAT_RING1_CS);
  segments.loadStack(FLAT_RING1_DS, S[CPL] as number);
  for (const segment of [ES, DS, FS, GS]) segments.loadData(segment, FLAT_RING1_DS);
  if (S[CPL] !== 1) throw new Error('The first code segment cannot be loaded.');
  V[KERNEL_SS] = FLAT_RING1_DS;
  V[GUEST_CR4] = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
  xen.area.setKernelStack(FLAT_RING1_DS, 0);
  cpu.setEflags(IF | ALWAYS_SET);
  cpu.mmu.controlsChanged();
}

function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
