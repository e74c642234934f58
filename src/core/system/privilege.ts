/** Checks that many system instructions begin with. */
import { IOPL, VM } from '../../isa/eflags.ts';
import { GP, raise, raiseWithError, UD } from '../signals.ts';
import { CPL, CR0, CR0_PE, EFLAGS_SYSTEM, VMX_MODE } from '../state.ts';

/** Raises #GP(0) unless CPL is 0. */
export function requireRing0(state: Int32Array): void {
  if (state[CPL] !== 0) raiseWithError(state, GP, 0);
}

export function isProtected(state: Int32Array): boolean {
  return (state[CR0] & CR0_PE) !== 0 && (state[EFLAGS_SYSTEM] & VM) === 0;
}

/** Raises #UD in real-address and virtual-8086 mode: LLDT, LTR, SLDT, STR, LAR, LSL, VERR, VERW. */
export function requireProtected(state: Int32Array): void {
  if (!isProtected(state)) raise(state, UD);
}

/** CPL <= IOPL. */
export function hasIoPrivilege(state: Int32Array): boolean {
  return state[CPL] <= (state[EFLAGS_SYSTEM] & IOPL) >>> 12;
}

/** True where instructions may be intercepted: VMX non-root operation. */
export function isNonRoot(state: Int32Array): boolean {
  return state[VMX_MODE] === 2;
}
