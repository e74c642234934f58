/**
 * How an instruction that cannot complete leaves its handler: it throws one of two preallocated
 * signals (throwing a constant costs about a microsecond and allocates nothing). The run loop knows
 * the instruction's address from its record, so handlers need no bookkeeping for precise faults.
 */
import { EVENT_ERROR, EVENT_HARDWARE, EVENT_HAS_ERROR, EVENT_KIND, EVENT_VECTOR } from './state.ts';

/** The guest instruction faulted; EVENT_* describe the exception; it has changed no state. */
export const FAULT: unique symbol = Symbol('fault');
/** The instruction leaves the guest before completing (VM exit); the cause is recorded by `vmx/`. */
export const VM_EXIT: unique symbol = Symbol('vm exit');

/** Exception vectors (SDM 3A 6.3.1). */
export const DE = 0;
export const DB = 1;
export const NMI = 2;
export const BP = 3;
export const OF_TRAP = 4;
export const BR = 5;
export const UD = 6;
export const NM = 7;
export const DOUBLE_FAULT = 8;
export const TS = 10;
export const NP = 11;
export const SS_FAULT = 12;
export const GP = 13;
export const PAGE_FAULT = 14;
export const MF = 16;
export const AC_FAULT = 17;
export const XM = 19;

/** Raises a hardware exception without an error code. */
export function raise(state: Int32Array, vector: number): never {
  state[EVENT_VECTOR] = vector;
  state[EVENT_KIND] = EVENT_HARDWARE;
  state[EVENT_HAS_ERROR] = 0;
  state[EVENT_ERROR] = 0;
  throw FAULT;
}

/** Raises a hardware exception with an error code. For a page fault the caller has set EVENT_ADDRESS. */
export function raiseWithError(state: Int32Array, vector: number, error: number): never {
  state[EVENT_VECTOR] = vector;
  state[EVENT_KIND] = EVENT_HARDWARE;
  state[EVENT_HAS_ERROR] = 1;
  state[EVENT_ERROR] = error;
  throw FAULT;
}

/** Why `Cpu.run` returned. */
export const STOP_NONE = 0;
/** CYCLES reached BUDGET. */
export const STOP_DEADLINE = 1;
/** HLT with nothing pending: ACTIVITY is 1; the machine may advance CYCLES to NEXT_EVENT and run again. */
export const STOP_HALT = 2;
/** Triple fault. */
export const STOP_SHUTDOWN = 3;
/** A marker retired: MARKER_CODE, payload in EBX, ECX, EDX; EIP is after it. */
export const STOP_MARKER = 4;
/** Hosted: an event reached ring 0. EVENT_* say which; no frame was pushed; guest state is as at the event. */
export const STOP_TRAP = 5;
/** VMX: a VM exit with a VMM attached. Guest state is in the VMCS. */
export const STOP_VM_EXIT = 6;
/** STOP_REQUEST was set (by a device such as debug-exit, or by an engine). */
export const STOP_REQUESTED = 7;
