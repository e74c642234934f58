/**
 * What to do with an event that has reached ring 0. Every path charges its own software: the hardware's part is charged
 * by the processor, the return to the guest here.
 */

import { GP, NM, PAGE_FAULT, UD } from '../../core/signals.ts';
import {
  BASE,
  CPL,
  CS,
  EAX,
  EBP,
  EBX,
  ECX,
  EDI,
  EDX,
  EIP,
  ESI,
  EVENT_ADDRESS,
  EVENT_ERROR,
  EVENT_EXTERNAL,
  EVENT_HAS_ERROR,
  EVENT_KIND,
  EVENT_SOFTWARE,
  EVENT_VECTOR,
  segmentSlot,
} from '../../core/state.ts';
import { eventNumber } from '../../cost/event.ts';
import { COUNT_CONTINUATION } from './counters.ts';
import { ENOSYS } from './errno.ts';
import { emulateForcedCpuid } from './forced-cpuid.ts';
import { CONTINUE } from './hypercalls/continuation.ts';
import { hypercall } from './hypercalls/table.ts';
import type { Hypervisor } from './hypervisor.ts';
import { HYPERCALL_VECTOR, LDT_LINEAR, LDT_PAGES } from './layout.ts';
import { mapLdtPage } from './ldt.ts';
import { emulatePrivileged } from './privileged.ts';
import {
  ASSIST_WRITABLE_PAGE_TABLES,
  ASSISTS,
  GUEST_TS,
  LDT_BASE,
  TRAP_CS,
  TRAP_FLAGS,
  TRAP_STRIDE,
  TRAPS,
} from './vcpu.ts';
import { emulateTableStore } from './writable-page-table.ts';

const ENTRY = eventNumber('vmmDispatch');
const HYPERCALL = eventNumber('hypercallDispatch');
const RESUME = eventNumber('hostResume');

const CS_BASE = segmentSlot(CS) + BASE;
const ARGUMENTS: readonly number[] = [EBX, ECX, EDX, ESI, EDI, EBP];
const INT_BYTES = 2;

/** Page-fault error bits. */
const PF_WRITE = 2;
const PF_RESERVED = 8;
const PF_FETCH = 0x10;
/** Error code of a #GP on an IDT gate: bit 1; the vector is in bits 3 and up. */
const ERROR_IDT = 2;
const ERROR_EXTERNAL = 1;

const args = new Int32Array(6);

/** Handles a STOP_TRAP and makes the guest ready to run on, its event upcall included. */
export function handleTrap(xen: Hypervisor): void {
  const { cpu } = xen;
  const S = cpu.memory.state;
  const kind = S[EVENT_KIND] as number;
  const vector = S[EVENT_VECTOR] as number;
  if (kind === EVENT_SOFTWARE && vector === HYPERCALL_VECTOR) enterHypercall(xen);
  else if (kind === EVENT_EXTERNAL) cpu.ledger.charge(ENTRY);
  else handleException(xen, vector, S[EVENT_HAS_ERROR] !== 0 ? (S[EVENT_ERROR] as number) : undefined);
  leave(xen);
}

/** The way back into the guest: a waiting guest stays out; a due event is delivered first. */
export function leave(xen: Hypervisor): void {
  if (xen.waiting) xen.wake();
  if (xen.waiting) return;
  if (xen.events.upcallDue) xen.bounce.upcall();
  xen.cpu.ledger.charge(RESUME);
}

function enterHypercall(xen: Hypervisor): void {
  const { cpu, counters } = xen;
  const S = cpu.memory.state;
  cpu.ledger.charge(HYPERCALL);
  const number = S[EAX] as number;
  const call = number >>> 0 < 64 ? hypercall(number) : undefined;
  if (number >>> 0 < 64) counters.hypercalls[number]++;
  if (call === undefined) {
    S[EAX] = ENOSYS;
    return;
  }
  for (let index = 0; index < 6; index++) args[index] = S[ARGUMENTS[index] as number] as number;
  const result = call(xen, args, false);
  if (result !== CONTINUE) {
    S[EAX] = result;
    return;
  }
  counters.count(COUNT_CONTINUATION);
  for (let index = 0; index < 6; index++) S[ARGUMENTS[index] as number] = args[index] as number;
  S[EIP] = ((S[EIP] as number) - INT_BYTES) | 0;
}

function handleException(xen: Hypervisor, vector: number, error: number | undefined): void {
  const { cpu } = xen;
  const S = cpu.memory.state;
  cpu.ledger.charge(ENTRY);
  switch (vector) {
    case PAGE_FAULT:
      pageFault(xen, (S[EVENT_ADDRESS] as number) >>> 0, error ?? 0);
      return;
    case GP:
      protectionFault(xen, error ?? 0);
      return;
    case UD:
      if (!emulateForcedCpuid(xen, ((S[CS_BASE] as number) + (S[EIP] as number)) | 0)) xen.bounce.trap(UD);
      return;
    case NM:
      // The guest asked for the trap by setting TS; Xen clears it before telling it.
      if (xen.vcpu[GUEST_TS] !== 0) xen.setTaskSwitched(false);
      xen.bounce.trap(NM);
      return;
    default:
      xen.bounce.trap(vector, error);
  }
}

function pageFault(xen: Hypervisor, linear: number, error: number): void {
  const window = linear - LDT_LINEAR;
  if (window >= 0 && window < LDT_PAGES * 4096) {
    if (mapLdtPage(xen, window >>> 12)) return;
    xen.reportPageFault(((xen.vcpu[LDT_BASE] as number) + window) >>> 0, error);
    return;
  }
  const assisted = ((xen.vcpu[ASSISTS] as number) & (1 << ASSIST_WRITABLE_PAGE_TABLES)) !== 0;
  const store = (error & (PF_WRITE | PF_RESERVED | PF_FETCH)) === PF_WRITE;
  if (assisted && store && xen.cpu.memory.state[CPL] === 1 && emulateTableStore(xen, linear)) return;
  xen.reportPageFault(linear, error);
}

/** A software interrupt that has no gate of its own shows as #GP on the gate; the trap table says who may use it. */
function protectionFault(xen: Hypervisor, error: number): void {
  const S = xen.cpu.memory.state;
  const V = xen.vcpu;
  if ((error & (ERROR_IDT | ERROR_EXTERNAL)) === ERROR_IDT) {
    const vector = (error >>> 3) & 0xff;
    const at = TRAPS + TRAP_STRIDE * vector;
    const privilege = (V[at + TRAP_FLAGS] as number) & 3;
    if (V[at + TRAP_CS] !== 0 && privilege >= (S[CPL] as number)) {
      S[EIP] = ((S[EIP] as number) + INT_BYTES) | 0;
      xen.bounce.trap(vector);
      return;
    }
  } else if (error === 0 && emulatePrivileged(xen)) {
    return;
  }
  xen.bounce.trap(GP, error);
}
