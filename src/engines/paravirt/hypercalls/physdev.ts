/** physdev_op (public/physdev.h): of a domain without devices only its virtual I/O privilege. */
import { EFAULT, EINVAL, ENOSYS } from '../errno.ts';
import type { Hypervisor } from '../hypervisor.ts';
import { VIRTUAL_IOPL } from '../vcpu.ts';

const SET_IOPL = 6;

/** args: command, pointer. */
export function physdevOp(xen: Hypervisor, args: Int32Array): number {
  if (args[0] !== SET_IOPL) return ENOSYS;
  if (!xen.guest.copyIn(args[1] as number, 1)) return EFAULT;
  const level = xen.guest.words[0] as number;
  if (level >>> 0 > 3) return EINVAL;
  xen.vcpu[VIRTUAL_IOPL] = level;
  return 0;
}
