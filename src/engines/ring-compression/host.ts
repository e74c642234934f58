/**
 * The VMM's own processor state: its real GDT, IDT and TSS in VMM frames, the level-1 table that maps its range, and
 * the control registers under which every guest runs.
 */
import type { MachineAddress } from '../../core/address.ts';
import type { Cpu } from '../../core/cpu.ts';
import type { MachineMemory } from '../../core/memory.ts';
import {
  CACHE_ZONE_END_PAGE,
  CACHE_ZONE_FIRST_PAGE,
  CR0,
  CR0_ET,
  CR0_NE,
  CR0_PE,
  CR0_PG,
  CR0_WP,
  CR4,
  CR4_PAE,
  CR4_PGE,
  EFER,
  EFER_NXE,
  GDTR_BASE,
  GDTR_LIMIT,
  HOSTED,
  IDTR_BASE,
  IDTR_LIMIT,
  LDTR,
  SYSENTER_CS,
  TR,
} from '../../core/state.ts';
import type { FrameMap } from '../frames.ts';
import {
  CACHE_BASE,
  CACHE_CS,
  CACHE_END,
  CALLOUT_GATE,
  ESCAPE_GS,
  GUEST_LIMIT,
  HOST_CS,
  HOST_GDT_BASE,
  HOST_IDT_BASE,
  HOST_SS,
  HOST_TSS,
  HOST_TSS_BASE,
  PARTS,
  SHADOW_LDT,
  SHADOW_LDT_BASE,
  TABLE_BYTES,
  TOP_SLOT,
  VMM_BASE,
  VMM_FRAMES,
} from './layout.ts';

/** P W A D G: supervisor, global. */
const LEAF = 0x163;
/** P W A. */
const TABLE = 0x23;
const TSS_LIMIT = 0x67;

/** Where the VMM's parts lie in machine memory. */
export interface HostFrames {
  /** Machine address of the level-1 table. */
  readonly table: number;
  /** Machine address of a linear address in the VMM's range. */
  machine(linear: number): number;
}

/** Takes the VMM's frames and maps them in one level-1 table. */
export function allocateHost(memory: MachineMemory, frames: FrameMap): HostFrames {
  const table = frames.allocate() * 4096;
  const first = frames.allocate(VMM_FRAMES - 1);
  const places = new Int32Array(512).fill(-1);
  let frame = first;
  for (const [page, count] of PARTS) {
    for (let i = 0; i < count; i++) {
      places[page + i] = frame;
      memory.write32((table + 8 * (page + i)) as MachineAddress, (frame * 4096) | LEAF);
      frame++;
    }
  }
  return {
    table,
    machine: (linear) => (places[(linear - VMM_BASE) >>> 12] as number) * 4096 + (linear & 0xfff),
  };
}

/** Writes the VMM's level-2 entries into a shadow table that maps 3-4 GB. */
export function fillTop(memory: MachineMemory, host: HostFrames, table: number): void {
  const at = table + 8 * TOP_SLOT;
  for (const [offset, value] of [
    [0, host.table | TABLE],
    [4, 0],
    [8, 0],
    [12, 0],
  ] as const) {
    memory.write32((at + offset) as MachineAddress, value);
  }
}

/** Vectors that a guest's user code may raise with INT n without going through #GP: breakpoint, overflow, 32 and up. */
function gatePrivilege(vector: number): number {
  return vector === 3 || vector === 4 || vector >= 32 ? 3 : 0;
}

function writeTables(memory: MachineMemory, host: HostFrames): void {
  const put = (linear: number, low: number, high: number): void => {
    const at = host.machine(linear);
    memory.write32(at as MachineAddress, low);
    memory.write32((at + 4) as MachineAddress, high);
  };
  const entry = (selector: number, low: number, high: number): void => put(HOST_GDT_BASE + (selector & ~7), low, high);
  entry(HOST_CS, 0xffff, 0x00cf9b00);
  entry(HOST_SS, 0xffff, 0x00cf9300);
  entry(CACHE_CS, 0xffff, 0x00cf9b00);
  entry(ESCAPE_GS, 0xffff, 0x00cf9300);
  entry(
    HOST_TSS,
    ((HOST_TSS_BASE & 0xffff) << 16) | TSS_LIMIT,
    (HOST_TSS_BASE & 0xff000000) | 0x8b00 | ((HOST_TSS_BASE >>> 16) & 0xff),
  );
  entry(CALLOUT_GATE, HOST_CS << 16, 0xac00);
  for (let vector = 0; vector < 256; vector++) {
    put(HOST_IDT_BASE + 8 * vector, HOST_CS << 16, 0x8e00 | (gatePrivilege(vector) << 13));
  }
  const tss = host.machine(HOST_TSS_BASE);
  memory.write32((tss + 4) as MachineAddress, HOST_TSS_BASE + 0x1000);
  memory.write32((tss + 8) as MachineAddress, HOST_SS);
  // The I/O bitmap would begin beyond the limit: no port is open to ring 3.
  memory.write16((tss + 0x66) as MachineAddress, TSS_LIMIT + 1);
}

/** Puts the processor into the VMM's hands. The guest's own values have been taken before. */
export function enterHostMode(cpu: Cpu, host: HostFrames): void {
  const { memory, segmentation, mmu } = cpu;
  const { state } = memory;
  writeTables(memory, host);
  state[HOSTED] = 1;
  state[GDTR_BASE] = HOST_GDT_BASE | 0;
  state[GDTR_LIMIT] = TABLE_BYTES - 1;
  state[IDTR_BASE] = HOST_IDT_BASE | 0;
  state[IDTR_LIMIT] = 0x7ff;
  segmentation.setSegment(TR, HOST_TSS, HOST_TSS_BASE, TSS_LIMIT, 0x8b);
  segmentation.setSegment(LDTR, SHADOW_LDT, SHADOW_LDT_BASE, TABLE_BYTES - 1, 0x82);
  // SYSENTER always enters ring 0, that is the VMM.
  state[SYSENTER_CS] = HOST_CS;
  state[CR0] = CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
  state[CR4] = CR4_PAE | CR4_PGE;
  state[EFER] = EFER_NXE;
  state[CACHE_ZONE_FIRST_PAGE] = CACHE_BASE >>> 12;
  state[CACHE_ZONE_END_PAGE] = CACHE_END >>> 12;
  mmu.truncatedLimit = GUEST_LIMIT;
  mmu.controlsChanged();
}
