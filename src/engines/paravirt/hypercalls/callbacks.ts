/**
 * set_callbacks, callback_op (public/callback.h) and nmi_op (public/nmi.h): where events, failed returns and NMIs take the guest
 * kernel. The NMI callback is the trap table's entry 2; no NMI is ever sent to this domain.
 */
import { NMI } from '../../../core/signals.ts';
import { TRAP_MASKS } from '../bounce.ts';
import { guestSelector } from '../descriptor.ts';
import { EFAULT, EINVAL, ENOSYS } from '../errno.ts';
import type { Hypervisor } from '../hypervisor.ts';
import { FLAT_RING1_CS } from '../layout.ts';
import {
  EVENT_CS,
  EVENT_EIP,
  FAILSAFE_CS,
  FAILSAFE_EIP,
  FAILSAFE_MASKS,
  TRAP_ADDRESS,
  TRAP_CS,
  TRAP_FLAGS,
  TRAP_STRIDE,
  TRAPS,
} from '../vcpu.ts';

const REGISTER = 0;
const UNREGISTER = 1;
const TYPE_EVENT = 0;
const TYPE_FAILSAFE = 1;
const TYPE_NMI = 4;
/** The two forms of the SYSENTER callback: a processor's SYSENTER leads to ring 0 only, which a ring-1 kernel is not. */
const TYPE_SYSENTER_OLD = 2;
const TYPE_SYSENTER = 5;
const MASK_EVENTS = 1;
const NMI_ENTRY = TRAPS + TRAP_STRIDE * NMI;

/** args: event CS, event EIP, failsafe CS, failsafe EIP. */
export function setCallbacks(xen: Hypervisor, args: Int32Array): number {
  const V = xen.vcpu;
  V[EVENT_CS] = guestSelector(args[0] as number);
  V[EVENT_EIP] = args[1] as number;
  V[FAILSAFE_CS] = guestSelector(args[2] as number);
  V[FAILSAFE_EIP] = args[3] as number;
  return 0;
}

/** args: command, pointer to { u16 type, u16 flags, cs, eip } (unregister: type alone). */
export function callbackOp(xen: Hypervisor, args: Int32Array): number {
  const { guest, vcpu: V } = xen;
  if (args[0] === UNREGISTER) {
    if (!guest.copyIn(args[1] as number, 1)) return EFAULT;
    switch ((guest.words[0] as number) & 0xffff) {
      case TYPE_NMI:
        setNmi(V, 0);
        return 0;
      // The two that a guest cannot run without stay; there is no SYSENTER callback to take away.
      case TYPE_EVENT:
      case TYPE_FAILSAFE:
      case TYPE_SYSENTER:
      case TYPE_SYSENTER_OLD:
        return EINVAL;
      default:
        return ENOSYS;
    }
  }
  if (args[0] !== REGISTER) return ENOSYS;
  if (!guest.copyIn(args[1] as number, 3)) return EFAULT;
  const [first, cs, eip] = guest.words as unknown as readonly [number, number, number];
  switch (first & 0xffff) {
    case TYPE_EVENT:
      V[EVENT_CS] = guestSelector(cs);
      V[EVENT_EIP] = eip;
      return 0;
    case TYPE_FAILSAFE:
      V[FAILSAFE_CS] = guestSelector(cs);
      V[FAILSAFE_EIP] = eip;
      V[FAILSAFE_MASKS] = (first >>> 16) & MASK_EVENTS;
      return 0;
    case TYPE_NMI:
      setNmi(V, eip);
      return 0;
    case TYPE_SYSENTER:
    case TYPE_SYSENTER_OLD:
      return EINVAL;
    default:
      return ENOSYS;
  }
}

/** args: command, pointer to { handler address, pad }. */
export function nmiOp(xen: Hypervisor, args: Int32Array): number {
  if (args[0] === UNREGISTER) {
    setNmi(xen.vcpu, 0);
    return 0;
  }
  if (args[0] !== REGISTER) return ENOSYS;
  if (!xen.guest.copyIn(args[1] as number, 1)) return EFAULT;
  setNmi(xen.vcpu, xen.guest.words[0] as number);
  return 0;
}

/** The handler starts in the flat kernel segment with events masked; address 0 takes it away. */
function setNmi(V: Int32Array, address: number): void {
  V[NMI_ENTRY + TRAP_FLAGS] = address === 0 ? 0 : TRAP_MASKS;
  V[NMI_ENTRY + TRAP_CS] = address === 0 ? 0 : FLAT_RING1_CS;
  V[NMI_ENTRY + TRAP_ADDRESS] = address;
}
