/**
 * The machine's one memory: processor state, the fast translation tables, and machine RAM, in a single
 * WebAssembly memory so that compiled code and TypeScript see the same bytes.
 *
 *   0         processor state (state.ts): STATE_WORDS int32, then TIME_WORDS float64
 *   64 KB     fast tables: one 4 MB table per (view, read | write), indexed by linear page
 *   ramBase   machine address 0
 */
import type { MachineAddress } from './address.ts';
import { STATE_WORDS, TIME_WORDS } from './state.ts';

/**
 * A view is a privilege and a segment shape: bit 0 user (CPL 3), bit 1 truncated flat limit.
 * EMULATION_VIEW never hits: its accesses all reach the emulation port (see Mmu.port).
 */
export const VIEW_SUPERVISOR = 0;
export const VIEW_USER = 1;
export const VIEW_TRUNCATED = 2;
export const EMULATION_VIEW = 4;
export const VIEWS = 5;
/** Entries of one table. A view's read table starts at `view << VIEW_SHIFT`, its write table TABLE_ENTRIES later. */
export const TABLE_ENTRIES = 1 << 20;
export const VIEW_SHIFT = 21;
/** Or-ed into the table that a slow path is given: an access through SS, whose limit violation is #SS and not #GP. */
export const STACK_ACCESS = 1;
/** A fast-table entry that always takes the slow path. A valid entry has its low 12 bits clear. */
export const SLOW_ENTRY = 0xfff;

const FAST_TABLES_OFFSET = 1 << 16;
const RAM_BASE = FAST_TABLES_OFFSET + VIEWS * 2 * TABLE_ENTRIES * 4;

export class MachineMemory {
  readonly memory: WebAssembly.Memory;
  readonly state: Int32Array;
  readonly time: Float64Array;
  /** All fast tables: entry = host offset of the page - linear page address (mod 2^32), or SLOW_ENTRY. */
  readonly fast: Int32Array;
  /** The whole memory, for unaligned little-endian access at host offsets. */
  readonly view: DataView;
  readonly bytes: Uint8Array;
  /** Host offset of machine address 0. */
  readonly ramBase: number = RAM_BASE;
  /** Bytes of machine memory: guest RAM plus VMM frames. A multiple of 4096. */
  readonly size: number;
  /** Machine RAM alone, index = machine address. */
  readonly ram: Uint8Array;
  /** One byte per machine frame: nonzero if decoded code lies there, so that writes must be reported. */
  readonly codeFrames: Uint8Array;
  /** Called after a write to a frame that holds decoded code. Set by the code cache. */
  onCodeWrite: (ma: number, length: number) => void = () => {};

  constructor(machineBytes: number) {
    this.size = machineBytes;
    const pages = Math.ceil((RAM_BASE + machineBytes) / 65536);
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const buffer = this.memory.buffer;
    this.state = new Int32Array(buffer, 0, STATE_WORDS);
    this.time = new Float64Array(buffer, STATE_WORDS * 4, TIME_WORDS);
    this.fast = new Int32Array(buffer, FAST_TABLES_OFFSET, VIEWS * 2 * TABLE_ENTRIES);
    this.view = new DataView(buffer);
    this.bytes = new Uint8Array(buffer);
    this.ram = new Uint8Array(buffer, RAM_BASE, machineBytes);
    this.codeFrames = new Uint8Array(machineBytes >>> 12);
    this.fast.fill(SLOW_ENTRY);
  }

  read8(ma: MachineAddress): number {
    return this.ram[ma] as number;
  }
  read16(ma: MachineAddress): number {
    return this.view.getUint16(RAM_BASE + ma, true);
  }
  /** Unsigned. */
  read32(ma: MachineAddress): number {
    return this.view.getUint32(RAM_BASE + ma, true);
  }
  write8(ma: MachineAddress, value: number): void {
    this.ram[ma] = value;
    if (this.codeFrames[ma >>> 12] !== 0) this.onCodeWrite(ma, 1);
  }
  write16(ma: MachineAddress, value: number): void {
    this.view.setUint16(RAM_BASE + ma, value, true);
    if (this.codeFrames[ma >>> 12] !== 0) this.onCodeWrite(ma, 2);
  }
  write32(ma: MachineAddress, value: number): void {
    this.view.setInt32(RAM_BASE + ma, value, true);
    if (this.codeFrames[ma >>> 12] !== 0) this.onCodeWrite(ma, 4);
  }
  /** Writes bytes (within machine memory; may cross frames). */
  writeBytes(ma: MachineAddress, data: Uint8Array): void {
    this.ram.set(data, ma);
    for (let at: number = ma; at < ma + data.length; at = (at & ~0xfff) + 4096) {
      if (this.codeFrames[at >>> 12] !== 0) {
        this.onCodeWrite(at, Math.min(ma + data.length - at, 4096 - (at & 0xfff)));
      }
    }
  }
}
