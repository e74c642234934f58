/** A tiny Xen domain for tests: a kernel of a few bytes, and calls as its ring 1 would make them. */
import type { MachineAddress } from '../../../src/core/address.ts';
import {
  CPL,
  EAX,
  EBX,
  ECX,
  EDI,
  EDX,
  ESI,
  EVENT_ERROR,
  EVENT_HARDWARE,
  EVENT_HAS_ERROR,
  EVENT_KIND,
  EVENT_SOFTWARE,
  EVENT_VECTOR,
} from '../../../src/core/state.ts';
import { DEFAULT_PROFILE } from '../../../src/cost/profiles/index.ts';
import type { GuestStop } from '../../../src/engines/engine.ts';
import { ParavirtEngine } from '../../../src/engines/paravirt/definition.ts';
import { handleTrap } from '../../../src/engines/paravirt/dispatch.ts';
import type { Hypervisor } from '../../../src/engines/paravirt/hypervisor.ts';

export const BASE = 0xc0000000;
/** The kernel's pages: code, hypercall page, data (two pages), stack of the tests' own. */
export const CODE = 0xc0100000;
export const HYPERCALL_PAGE = 0xc0101000;
export const DATA = 0xc0102000;
export const KERNEL_BYTES = 0x5000;
/** A fresh stack inside the kernel. */
export const STACK_TOP = 0xc0105000;
export const SELF = 0x7ff0;

export const NOTE = {
  entry: 1,
  hypercallPage: 2,
  virtualBase: 3,
  version: 5,
  loader: 8,
  pae: 9,
  features: 10,
  p2m: 15,
};

function word(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
}
function padded(bytes: readonly number[]): number[] {
  return [...bytes, ...new Array<number>((4 - (bytes.length & 3)) & 3).fill(0)];
}
function characters(text: string): number[] {
  return [...Array.from(text, (character) => character.charCodeAt(0)), 0];
}

/** One ELF note of owner 'Xen'. */
export function note(type: number, value: number | string): number[] {
  const data = typeof value === 'number' ? word(value) : characters(value);
  return [...word(4), ...word(data.length), ...word(type), ...characters('Xen'), ...padded(data)];
}

export const STANDARD_NOTES = [
  ...note(NOTE.entry, CODE),
  ...note(NOTE.hypercallPage, HYPERCALL_PAGE),
  ...note(NOTE.virtualBase, BASE),
  ...note(NOTE.version, 'xen-3.0'),
  ...note(NOTE.loader, 'generic'),
  ...note(NOTE.pae, 'yes'),
];

/** An ELF32 file: one segment of KERNEL_BYTES that starts with `code`, and the notes. */
export function xenImage(code: readonly number[], notes: readonly number[] = STANDARD_NOTES): Uint8Array {
  const at = 52 + 64;
  const file = new Uint8Array(at + code.length + notes.length);
  const view = new DataView(file.buffer);
  const put = (offset: number, ...words: number[]): void => {
    for (const [index, value] of words.entries()) view.setUint32(offset + 4 * index, value, true);
  };
  file.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  put(16, 0x0003_0002, 1, CODE, 52, 0, 0, 0x0020_0034, 0x0028_0002, 0);
  put(52, 1, at, CODE, CODE - BASE, code.length, KERNEL_BYTES, 7, 4096);
  put(84, 4, at + code.length, 0, 0, notes.length, notes.length, 4, 4);
  file.set(code, at);
  file.set(notes, at + code.length);
  return file;
}

/** jmp self */
const IDLE: readonly number[] = [0xeb, 0xfe];

export class Domain {
  readonly engine: ParavirtEngine;
  readonly xen: Hypervisor;
  readonly S: Int32Array;

  constructor(code: readonly number[] = IDLE, variation: readonly string[] = []) {
    this.engine = new ParavirtEngine({
      profile: DEFAULT_PROFILE,
      variation,
      ramBytes: 8 << 20,
      image: xenImage(code),
      commandLine: 'one two',
    });
    this.xen = this.engine.hypervisor;
    this.S = this.xen.cpu.memory.state;
  }

  /** Makes a hypercall as ring 1 would by INT 82h; returns EAX. */
  call(number: number, ...args: number[]): number {
    const { S } = this;
    S[EAX] = number;
    for (const [index, slot] of [EBX, ECX, EDX, ESI, EDI].entries()) S[slot] = args[index] ?? 0;
    S[EVENT_KIND] = EVENT_SOFTWARE;
    S[EVENT_VECTOR] = 0x82;
    S[EVENT_HAS_ERROR] = 0;
    handleTrap(this.xen);
    return S[EAX] as number;
  }

  /** Raises an exception at the current instruction. */
  fault(vector: number, error?: number): void {
    const { S } = this;
    S[EVENT_KIND] = EVENT_HARDWARE;
    S[EVENT_VECTOR] = vector;
    S[EVENT_HAS_ERROR] = error === undefined ? 0 : 1;
    S[EVENT_ERROR] = error ?? 0;
    handleTrap(this.xen);
  }

  run(cycles = 1_000_000): GuestStop {
    return this.engine.run((this.xen.cpu.memory.time[0] as number) + cycles);
  }

  get cpl(): number {
    return this.S[CPL] as number;
  }

  machine(linear: number): MachineAddress {
    const at = this.engine.translate(linear);
    if (at === null) throw new Error(`${linear.toString(16)} is not mapped.`);
    return at;
  }
  read(linear: number): number {
    return this.xen.cpu.memory.read32(this.machine(linear));
  }
  write(linear: number, ...words: number[]): void {
    for (const [index, value] of words.entries()) this.xen.cpu.memory.write32(this.machine(linear + 4 * index), value);
  }

  /** Machine frame of a pseudo-physical one, from the frame list that the builder left. */
  frame(pfn: number): number {
    return this.read(this.startInfo(68) + 4 * pfn);
  }
  /** A word of start_info by its offset. */
  startInfo(offset: number): number {
    return this.read(this.#startInfo + offset);
  }
  /** Found by its magic number: the page after the frame list. */
  get #startInfo(): number {
    return CODE + KERNEL_BYTES + 2 * 4096;
  }

  /** A byte or word of the shared page. */
  shared(offset: number): number {
    return this.xen.cpu.memory.read32((this.xen.shared + offset) as MachineAddress);
  }
  setShared(offset: number, value: number): void {
    this.xen.cpu.memory.write32((this.xen.shared + offset) as MachineAddress, value);
  }
  get mask(): boolean {
    return this.xen.events.masked;
  }
  set mask(value: boolean) {
    this.xen.events.masked = value;
  }

  /** First pseudo-physical frame after the stack: free memory, mapped writable. */
  get free(): number {
    return ((this.startInfo(60) - BASE) >>> 12) + this.startInfo(64) + 1;
  }

  /** mmu_update of one entry. */
  update(machineAddress: number, value: number): number {
    this.write(DATA, machineAddress, 0, value, 0);
    return this.call(1, DATA, 1, 0, SELF);
  }
  /** mmuext_op with one operation. */
  extended(command: number, first = 0, second = 0): number {
    this.write(DATA, command, first, second);
    return this.call(26, DATA, 1, 0, SELF);
  }
  /** Remaps a page of the kernel's map: to its own frame with `flags`. */
  protect(pfn: number, flags: number): number {
    return this.call(14, BASE + 4096 * pfn, (this.frame(pfn) << 12) | flags, 0, 2);
  }
}
