/** SYSENTER and SYSEXIT (SDM 2B): flat segments made up from SYSENTER_CS, no memory accesses at all. */
import { IF, RF, VM } from '../../isa/eflags.ts';
import type { Cpu } from '../cpu.ts';
import { GP, raiseWithError, STOP_NONE, STOP_TRAP } from '../signals.ts';
import {
  CPL,
  CR0,
  CR0_PE,
  CS,
  ECX,
  EDX,
  EFLAGS_SYSTEM,
  EIP,
  ESP,
  EVENT_ERROR,
  EVENT_HAS_ERROR,
  EVENT_KIND,
  EVENT_SYSENTER,
  EVENT_VECTOR,
  HOSTED,
  SS,
  SYSENTER_CS,
  SYSENTER_EIP,
  SYSENTER_ESP,
} from '../state.ts';
import { requireRing0 } from './privilege.ts';

/** Present, accessed, 32-bit, page granular: readable code and writable data. The ring goes into bits 6:5. */
const FLAT_CODE = 0xc09b;
const FLAT_DATA = 0xc093;

/** Returns STOP_TRAP on a hosted processor, whose ring 0 is outside. */
export function sysenter(cpu: Cpu): number {
  const { state } = cpu.memory;
  if ((state[CR0] & CR0_PE) === 0 || (state[SYSENTER_CS] & 0xfffc) === 0) raiseWithError(state, GP, 0);
  if (state[HOSTED] !== 0) {
    state[EVENT_KIND] = EVENT_SYSENTER;
    state[EVENT_VECTOR] = 0;
    state[EVENT_HAS_ERROR] = 0;
    state[EVENT_ERROR] = 0;
    return STOP_TRAP;
  }
  state[EFLAGS_SYSTEM] &= ~(IF | VM | RF);
  enterFlat(cpu, state[SYSENTER_CS] & 0xfffc, 0, state[SYSENTER_EIP], state[SYSENTER_ESP]);
  return STOP_NONE;
}

export function sysexit(cpu: Cpu): void {
  const { state } = cpu.memory;
  requireRing0(state);
  if ((state[CR0] & CR0_PE) === 0 || (state[SYSENTER_CS] & 0xfffc) === 0) raiseWithError(state, GP, 0);
  enterFlat(cpu, (state[SYSENTER_CS] & 0xfffc) + 16, 3, state[EDX], state[ECX]);
}

function enterFlat(cpu: Cpu, selector: number, cpl: number, eip: number, esp: number): void {
  const { state } = cpu.memory;
  cpu.segmentation.setSegment(CS, selector | cpl, 0, -1, FLAT_CODE | (cpl << 5));
  cpu.segmentation.setSegment(SS, (selector + 8) | cpl, 0, -1, FLAT_DATA | (cpl << 5));
  state[CPL] = cpl;
  state[EIP] = eip;
  state[ESP] = esp;
  cpu.updateMode();
}
