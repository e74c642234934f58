/**
 * The hot loop of tier 0: runs linked blocks until something needs the processor's attention.
 *
 * It is a function of its own, small and without rare paths, so that V8 compiles it once and never throws it away; the state
 * slots are local constants because a module binding costs a load and a bounds check at each use. (Measured on integer
 * kernels: 57 MIPS with this loop inside `Cpu.run`, over 150 like this.)
 */
import type { Cpu } from '../cpu.ts';
import * as slot from '../state.ts';
import { AT, type Handler } from './handlers.ts';
import {
  B_CLASS,
  B_COST,
  B_COUNT,
  B_FLAGS,
  B_LINK_EPOCH,
  B_LINK0,
  B_LINK0_EIP,
  B_LINK1,
  B_LINK1_EIP,
  B_MACHINE,
  B_MODE,
  COMPILED,
  END_BLOCK,
  HEADER_WORDS,
  LINKABLE,
} from './record.ts';

/** Where the dispatcher stopped: what the processor needs to go on, or to charge and restore precisely. */
export interface Cursor {
  /** The block that was running. */
  block: number;
  /** The record whose handler was called last; 0 if the block was not entered. */
  last: number;
  /** EIP at the block's entry. */
  entry: number;
  /** What a handler threw, if `dispatch` returned THROWN. */
  signal: unknown;
}

/** `dispatch` returns a handler's END code, or this. Blocks that ended normally are charged; END_BLOCK then says "no link known". */
export const THROWN = -1000;
/**
 * The next block is known (`cursor.block`), but the loop returns now and then: so that V8 can swap in better code for it,
 * and so that the caller sees a sample of what runs.
 */
export const AGAIN = -1001;
const BLOCKS_A_CALL = 400;

export function createDispatcher(cpu: Cpu, cursor: Cursor): (block: number) => number {
  const S = cpu.memory.state;
  const T = cpu.memory.time;
  const cache = cpu.code;
  const C = cache.code;
  const mmu = cpu.mmu;
  const handlers: Handler[] = cache.handlers.handlers;
  const EIP = slot.EIP;
  const CYCLES = slot.CYCLES;
  const DEADLINE = slot.DEADLINE;
  const PENDING = slot.RETIRED_PENDING;
  const CLASS = slot.RETIRED_CLASS;
  const HEADER = HEADER_WORDS;
  const COST = B_COST;
  const COUNT = B_COUNT;
  const EPOCH = B_LINK_EPOCH;
  const EIP0 = B_LINK0_EIP;
  const LINK0 = B_LINK0;
  const EIP1 = B_LINK1_EIP;
  const LINK1 = B_LINK1;
  const MACHINE = B_MACHINE;
  const RETIRED = B_CLASS;
  const MODE = B_MODE;
  const CODE_MODE = slot.MODE;
  const JUMP_MASK = cache.jumpMask;
  const jumps = cache.jumps;
  const FLAGS = B_FLAGS;
  const position = cache.handlers.position;

  return function dispatch(block: number): number {
    let entry = 0;
    let last = 0;
    let p = 0;
    try {
      for (let left = BLOCKS_A_CALL; ; left--) {
        entry = S[EIP]!;
        p = block + HEADER;
        do {
          last = p;
          p = handlers[C[p]!]!(p);
        } while (p > 0);
        if (p !== END_BLOCK) break;
        const now = T[CYCLES]! + C[block + COST]!;
        T[CYCLES] = now;
        S[PENDING] = (S[PENDING]! + C[block + COUNT]!) | 0;
        last = 0;
        if (now >= T[DEADLINE]!) break;
        const eip = S[EIP]!;
        let next = 0;
        if (C[block + EPOCH] === cache.epoch) {
          if (C[block + EIP0] === eip) next = C[block + LINK0]!;
          else if (C[block + EIP1] === eip) next = C[block + LINK1]!;
        }
        if (next === 0) {
          // Not a linked successor: an indirect jump with many targets, or links that a dead block has voided.
          const at = ((eip ^ (eip >>> 12)) & JUMP_MASK) << 1;
          next = jumps[at + 1]!;
          if (jumps[at] !== eip || (C[block + FLAGS]! & LINKABLE) === 0) break;
          const page = mmu.fetchPage(eip);
          if (
            (page | (eip & 0xfff)) !== C[next + MACHINE] ||
            C[next + MODE] !== S[CODE_MODE] ||
            C[next + RETIRED] !== S[CLASS]
          )
            break;
        } else if ((eip ^ entry) >>> 12 !== 0) {
          const page = mmu.fetchPage(eip);
          if ((page | (eip & 0xfff)) !== C[next + MACHINE] || C[next + RETIRED] !== S[CLASS]) break;
        }
        block = next;
        if (left === 0) {
          p = AGAIN;
          break;
        }
      }
    } catch (signal) {
      cursor.signal = signal;
      p = THROWN;
    }
    cursor.block = block;
    cursor.last = last !== 0 && (C[block + FLAGS]! & COMPILED) !== 0 ? position[AT]! : last;
    cursor.entry = entry;
    return p;
  };
}
