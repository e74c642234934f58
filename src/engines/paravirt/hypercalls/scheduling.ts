/** sched_op and its older form (public/sched.h). */
import { EFAULT, EINVAL, ENOSYS } from '../errno.ts';
import { PORTS } from '../event-channels.ts';
import type { Hypervisor } from '../hypervisor.ts';
import { POLL_COUNT, POLL_MAXIMUM, POLL_PORTS } from '../vcpu.ts';

const YIELD = 0;
const BLOCK = 1;
const SHUTDOWN = 2;
const POLL = 3;

/** args: command, pointer. */
export function schedOp(xen: Hypervisor, args: Int32Array): number {
  const [command, pointer] = args as unknown as readonly [number, number];
  switch (command) {
    case YIELD:
      return 0;
    case BLOCK:
      xen.block();
      return 0;
    case SHUTDOWN:
      if (!xen.guest.copyIn(pointer, 1)) return EFAULT;
      xen.shutDown(xen.guest.words[0] as number);
      return 0;
    case POLL:
      return poll(xen, pointer);
    default:
      return ENOSYS;
  }
}

/** args: command, shutdown reason. */
export function schedOpCompat(xen: Hypervisor, args: Int32Array): number {
  if (args[0] === SHUTDOWN) {
    xen.shutDown(args[1] as number);
    return 0;
  }
  return args[0] === YIELD || args[0] === BLOCK ? schedOp(xen, args) : ENOSYS;
}

/** { ports, count, u64 timeout }: waits until one of the ports is pending or the time has come. */
function poll(xen: Hypervisor, pointer: number): number {
  const { guest, vcpu: V, clock } = xen;
  if (!guest.copyIn(pointer, 4)) return EFAULT;
  const [ports, count, low, high] = guest.words as unknown as readonly [number, number, number, number];
  if (count >>> 0 > POLL_MAXIMUM) return EINVAL;
  const timeout = (high >>> 0) * 0x1_0000_0000 + (low >>> 0);
  for (let index = 0; index < count; index++) {
    if (!guest.copyIn((ports >>> 0) + 4 * index, 1)) return EFAULT;
    const port = guest.words[0] as number;
    if (port >>> 0 >= PORTS) return EINVAL;
    V[POLL_PORTS + index] = port;
  }
  V[POLL_COUNT] = count;
  clock.setPollLimit(timeout);
  xen.poll();
  if (!xen.waiting) clock.setPollLimit(0);
  return 0;
}
