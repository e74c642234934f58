/** Stack instructions of many steps, and the stack accesses of code whose SS is not plain flat 32-bit. */
import { ARITHMETIC, DF } from '../../isa/eflags.ts';
import type { Cpu } from '../cpu.ts';
import { arithmeticFlags, evenParity, setArithmeticFlags } from '../flags.ts';
import { EMULATION_VIEW, TABLE_ENTRIES, VIEW_SHIFT, VIEW_SUPERVISOR, VIEW_USER } from '../memory.ts';
import { GP, raiseWithError } from '../signals.ts';
import { CPL, EAX, EBP, EFLAGS_SYSTEM, ESP, RIGHTS, RIGHTS_DB, SS, segmentSlot, VMX_MODE } from '../state.ts';
import { isProtected, requireProtected } from '../system/privilege.ts';

/** LAHF / SAHF move these. */
const LOW_FLAGS = 0xd5;
/** Stack pointers with which PUSHA raises #GP in real-address and virtual-8086 mode (SDM 2B PUSHA). */
const PUSHA_BARRED: ReadonlySet<number> = new Set([7, 9, 11, 13, 15]);

export function stackProcedures(cpu: Cpu) {
  const { state: S, fast: F } = cpu.memory;
  const SS_RIGHTS = segmentSlot(SS) + RIGHTS;

  const mask = (): number => (((S[SS_RIGHTS] as number) & RIGHTS_DB) !== 0 ? -1 : 0xffff);
  // An emulated instruction's accesses go to the port, whatever the privilege.
  const view = (): number => (cpu.mmu.port !== null ? EMULATION_VIEW : S[CPL] === 3 ? VIEW_USER : VIEW_SUPERVISOR);
  const table = (): number => view() << VIEW_SHIFT;

  function setPointer(value: number): void {
    const m = mask();
    S[ESP] = ((S[ESP] as number) & ~m) | (value & m);
  }
  function linear(offset: number, size: number, write: boolean): number {
    return cpu.segmentation.linear(SS, offset & mask(), size, write);
  }
  /** Size 4 is signed, 2 zero-extended: callers extend. */
  function loadAt(offset: number, size: number): number {
    const at = linear(offset, size, false);
    const entry = F[table() + (at >>> 12)] as number;
    if (size === 4 && (entry & 0xfff) + (at & 0xfff) <= 0xffc) return cpu.memory.view.getInt32((at + entry) | 0, true);
    return size === 4 ? cpu.mmu.load32(at, table()) : cpu.mmu.load16(at, table());
  }
  function storeAt(offset: number, size: number, value: number): void {
    const at = linear(offset, size, true);
    const entry = F[table() + TABLE_ENTRIES + (at >>> 12)] as number;
    if (size === 4 && (entry & 0xfff) + (at & 0xfff) <= 0xffc) cpu.memory.view.setInt32((at + entry) | 0, value, true);
    else if (size === 4) cpu.mmu.store32(at, value, table());
    else cpu.mmu.store16(at, value, table());
  }

  /** Registers in the order PUSHA stores them: EAX ECX EDX EBX ESP EBP ESI EDI. Highest address first, ESP changed last: a fault changes nothing. */
  function pushAll(size: number): void {
    const top = S[ESP] as number;
    if (PUSHA_BARRED.has(top & mask()) && !isProtected(S)) raiseWithError(S, GP, 0);
    for (let register = 0; register < 8; register++)
      storeAt(top - size * (register + 1), size, S[2 * register] as number);
    setPointer(top - 8 * size);
  }
  const popped = new Int32Array(8);
  function popAll(size: number): void {
    const top = S[ESP] as number;
    for (let register = 7; register >= 0; register--) popped[register] = loadAt(top + size * (7 - register), size);
    for (let register = 0; register < 8; register++) {
      if (2 * register === ESP) continue;
      const value = popped[register] as number;
      S[2 * register] = size === 4 ? value : ((S[2 * register] as number) & ~0xffff) | (value & 0xffff);
    }
    setPointer(top + 8 * size);
  }
  function leave(size: number): void {
    const frame = S[EBP] as number;
    const value = loadAt(frame, size);
    S[EBP] = size === 4 ? value : (frame & ~0xffff) | (value & 0xffff);
    setPointer(frame + size);
  }
  /** ENTER (SDM 2A): levels above 31 wrap; every store is made before EBP and ESP change. */
  function enter(size: number, bytes: number, levels: number): void {
    const level = levels & 31;
    const top = S[ESP] as number;
    const old = S[EBP] as number;
    storeAt(top - size, size, old);
    const m = mask();
    const frame = (top & ~m) | ((top - size) & m);
    for (let step = 1; step < level; step++) storeAt(frame - size * step, size, loadAt(old - size * step, size));
    if (level > 0) storeAt(frame - size * level, size, frame);
    const pointer = frame - size * level - (bytes & 0xffff);
    // The new top of stack must be writable (SDM 2A ENTER: "check that the stack will be within limits").
    cpu.mmu.loadForUpdate8(linear(pointer, 1, true), table());
    S[EBP] = size === 4 ? frame : (old & ~0xffff) | (frame & 0xffff);
    setPointer(pointer);
  }

  return {
    stackLoad: (offset: number, size: number): number => loadAt(((S[ESP] as number) + offset) | 0, size),
    stackStore: (offset: number, size: number, value: number): void =>
      storeAt(((S[ESP] as number) + offset) | 0, size, value),
    adjustStack: (bytes: number): void => setPointer((S[ESP] as number) + bytes),
    pushAll16: (): void => pushAll(2),
    pushAll32: (): void => pushAll(4),
    popAll16: (): void => popAll(2),
    popAll32: (): void => popAll(4),
    leave16: (): void => leave(2),
    leave32: (): void => leave(4),
    enter16: (bytes: number, levels: number): void => enter(2, bytes, levels),
    enter32: (bytes: number, levels: number): void => enter(4, bytes, levels),

    lahf(): void {
      S[EAX] = ((S[EAX] as number) & ~0xff00) | (((arithmeticFlags(S) & LOW_FLAGS) | 2) << 8);
    },
    sahf(): void {
      const flags = ((S[EAX] as number) >> 8) & LOW_FLAGS;
      setArithmeticFlags(S, (arithmeticFlags(S) & ARITHMETIC & ~LOW_FLAGS) | flags);
    },
    /** CLD, STD. */
    setSystemFlag(flag: number, value: number): void {
      S[EFLAGS_SYSTEM] = ((S[EFLAGS_SYSTEM] as number) & ~flag) | (value !== 0 ? DF : 0);
    },
    /** PF of the lazy flags: the result's parity, inverted by bit 2 of the mask. */
    parity: (result: number, mask: number): boolean => (evenParity(result) ^ ((mask >> 2) & 1)) !== 0,
    /** PAUSE waits for nothing here; in non-root operation it may exit. */
    pause(): void {
      if (S[VMX_MODE] === 2) cpu.vmx?.pause();
    },
    ignore(_linear: number): void {},
    /** A near transfer leaves the code segment. */
    outsideCode(): never {
      raiseWithError(S, GP, 0);
    },
    requireProtected: (): void => requireProtected(S),
  };
}
