/**
 * Segment registers that the hypervisor loads on the guest's behalf when it enters or leaves a frame: with the checks that
 * IRET makes (SDM 2A, IRET), on the descriptors in the real GDT and LDT.
 */
import type { MachineAddress } from '../../core/address.ts';
import type { Cpu } from '../../core/cpu.ts';
import {
  BASE,
  CPL,
  CS,
  DS,
  ES,
  FS,
  GDTR_LIMIT,
  GS,
  LDTR,
  LIMIT,
  RIGHTS,
  RIGHTS_G,
  RIGHTS_P,
  RIGHTS_S,
  RIGHTS_UNUSABLE,
  SELECTOR,
  SS,
  segmentSlot,
} from '../../core/state.ts';
import { GDT_LINEAR, LDT_LINEAR } from './layout.ts';

const CODE = 8;
const CONFORMING = 4;
const WRITABLE = 2;

export class Segments {
  #base = 0;
  #limit = 0;
  #rights = 0;
  readonly #cpu: Cpu;

  constructor(cpu: Cpu) {
    this.#cpu = cpu;
  }

  /** Loads CS and makes its requested privilege level the current one. False, and nothing loaded, if IRET would refuse it. */
  loadCode(selector: number): boolean {
    const privilege = selector & 3;
    if (privilege === 0 || !this.#read(selector)) return false;
    const dpl = (this.#rights >>> 5) & 3;
    if ((this.#rights & (RIGHTS_P | RIGHTS_S | CODE)) !== (RIGHTS_P | RIGHTS_S | CODE)) return false;
    if ((this.#rights & CONFORMING) !== 0 ? dpl > privilege || dpl === 0 : dpl !== privilege) return false;
    this.#set(CS, selector);
    this.#cpu.memory.state[CPL] = privilege;
    return true;
  }

  /** Loads SS for privilege level `privilege`. False, and nothing loaded, if IRET would refuse it. */
  loadStack(selector: number, privilege: number): boolean {
    if ((selector & 3) !== privilege || !this.#read(selector)) return false;
    const needed = RIGHTS_P | RIGHTS_S | WRITABLE;
    if ((this.#rights & (needed | CODE)) !== needed || ((this.#rights >>> 5) & 3) !== privilege) return false;
    this.#set(SS, selector);
    return true;
  }

  /** What IRET does to data segments too privileged for the level it returns to. */
  dropPrivileged(privilege: number): void {
    const S = this.#cpu.memory.state;
    for (const segment of [ES, DS, FS, GS]) {
      const slot = segmentSlot(segment);
      const rights = S[slot + RIGHTS] as number;
      const conforming = (rights & (CODE | CONFORMING)) === (CODE | CONFORMING);
      if ((rights & RIGHTS_UNUSABLE) !== 0 || conforming || ((rights >>> 5) & 3) >= privilege) continue;
      S[slot + SELECTOR] = 0;
      S[slot + RIGHTS] = RIGHTS_UNUSABLE;
    }
  }

  /** Makes a segment register null. */
  clear(segment: number): void {
    const S = this.#cpu.memory.state;
    S[segmentSlot(segment) + SELECTOR] = 0;
    S[segmentSlot(segment) + RIGHTS] = RIGHTS_UNUSABLE;
  }

  /** Loads a data segment without privilege checks (the initial state). */
  loadData(segment: number, selector: number): void {
    if (this.#read(selector)) this.#set(segment, selector);
  }

  #set(segment: number, selector: number): void {
    const S = this.#cpu.memory.state;
    const slot = segmentSlot(segment);
    S[slot + SELECTOR] = selector;
    S[slot + BASE] = this.#base;
    S[slot + LIMIT] = this.#limit;
    S[slot + RIGHTS] = this.#rights | 1;
  }

  /** Reads the descriptor into the fields above. */
  #read(selector: number): boolean {
    const { memory, mmu } = this.#cpu;
    const S = memory.state;
    const local = (selector & 4) !== 0;
    const offset = selector & 0xfff8;
    if (!local && offset === 0) return false;
    const ldt = segmentSlot(LDTR);
    if (local && ((S[ldt + RIGHTS] as number) & RIGHTS_UNUSABLE) !== 0) return false;
    const limit = local ? (S[ldt + LIMIT] as number) : (S[GDTR_LIMIT] as number);
    if (offset + 7 > limit) return false;
    const at = mmu.probe((local ? LDT_LINEAR : GDT_LINEAR) + offset, false, false);
    if (at < 0) return false;
    const low = memory.read32(at as MachineAddress);
    const high = memory.read32((at + 4) as MachineAddress);
    this.#base = (high & 0xff000000) | ((high & 0xff) << 16) | (low >>> 16);
    this.#rights = (high >>> 8) & 0xf0ff;
    const raw = (high & 0xf0000) | (low & 0xffff);
    this.#limit = (this.#rights & RIGHTS_G) !== 0 ? (raw << 12) | 0xfff : raw;
    return true;
  }
}
