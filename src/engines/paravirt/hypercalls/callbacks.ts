/** set_callbacks and callback_op (public/callback.h): where events and failed returns take the guest kernel. */
import { guestSelector } from '../descriptor.ts';
import { EFAULT, EINVAL, ENOSYS } from '../errno.ts';
import type { Hypervisor } from '../hypervisor.ts';
import { EVENT_CS, EVENT_EIP, FAILSAFE_CS, FAILSAFE_EIP, FAILSAFE_MASKS } from '../vcpu.ts';

const REGISTER = 0;
const UNREGISTER = 1;
const TYPE_EVENT = 0;
const TYPE_FAILSAFE = 1;
/** The two forms of the SYSENTER callback: a processor's SYSENTER leads to ring 0 only, which a ring-1 kernel is not. */
const TYPE_SYSENTER_OLD = 2;
const TYPE_SYSENTER = 5;
const MASK_EVENTS = 1;

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
    // The two that a guest cannot run without stay.
    return EINVAL;
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
    case TYPE_SYSENTER:
    case TYPE_SYSENTER_OLD:
      return EINVAL;
    default:
      return ENOSYS;
  }
}
