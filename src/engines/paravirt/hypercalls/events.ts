/** event_channel_op (public/event_channel.h): operations on ports, each with a small structure in guest memory. */
import { EFAULT, EINVAL, ENOSYS, EPERM, ESRCH } from '../errno.ts';
import { PORT_FREE, PORT_IPI, PORT_UNBOUND, PORT_VIRQ, PORTS } from '../event-channels.ts';
import type { Hypervisor } from '../hypervisor.ts';
import { isSelf } from './page-tables.ts';

/** Works on the structure's words, already read; `at` is its guest-linear address, for results. */
type Operation = (xen: Hypervisor, words: Int32Array, at: number) => number;

interface Row {
  /** Words of the structure that are arguments. */
  readonly words: number;
  readonly call: Operation;
}

const OPERATIONS: Readonly<Record<number, Row>> = {
  // bind_interdomain { u16 remote_dom; remote_port; local_port }: there is no other domain.
  0: { words: 2, call: () => ESRCH },
  // bind_virq { virq; vcpu; port }
  1: {
    words: 2,
    call: (xen, words, at) => give(xen, xen.events.bindVirq(words[0] as number, words[1] as number), at + 8),
  },
  // bind_pirq: the domain has no devices.
  2: { words: 2, call: () => EPERM },
  // close { port }
  3: { words: 1, call: (xen, words) => xen.events.close(words[0] as number) },
  // send { port }
  4: { words: 1, call: (xen, words) => xen.events.send(words[0] as number) },
  5: { words: 2, call: status },
  // alloc_unbound { u16 dom, u16 remote_dom; port }
  6: { words: 1, call: allocUnbound },
  // bind_ipi { vcpu; port }
  7: { words: 1, call: (xen, words, at) => give(xen, xen.events.bindIpi(words[0] as number), at + 4) },
  // bind_vcpu { port; vcpu }: every port is vcpu 0's already.
  8: { words: 2, call: (xen, words) => (words[1] === 0 && isPort(xen, words[0] as number) ? 0 : EINVAL) },
  // unmask { port }
  9: { words: 1, call: (xen, words) => xen.events.unmask(words[0] as number) },
  // reset { u16 dom }
  10: { words: 1, call: reset },
};

/** args: command, pointer. */
export function eventChannelOp(xen: Hypervisor, args: Int32Array): number {
  return run(xen, args[0] as number, (args[1] as number) >>> 0);
}

/** The older form: args: pointer to { cmd, structure }. */
export function eventChannelCompat(xen: Hypervisor, args: Int32Array): number {
  const pointer = (args[0] as number) >>> 0;
  if (!xen.guest.copyIn(pointer, 1)) return EFAULT;
  return run(xen, xen.guest.words[0] as number, pointer + 4);
}

function run(xen: Hypervisor, command: number, pointer: number): number {
  const row = OPERATIONS[command];
  if (row === undefined) return ENOSYS;
  if (!xen.guest.copyIn(pointer, row.words)) return EFAULT;
  return row.call(xen, xen.guest.words, pointer);
}

/** Stores a port that was allocated, or passes the error on. */
function give(xen: Hypervisor, port: number, at: number): number {
  if (port < 0) return port;
  return xen.guest.store32(at, port) ? 0 : EFAULT;
}

function allocUnbound(xen: Hypervisor, words: Int32Array, at: number): number {
  const domains = words[0] as number;
  if (!isSelf(domains)) return EPERM;
  return give(xen, xen.events.allocate(PORT_UNBOUND, domains >>> 16), at + 4);
}

/** status { u16 dom; port; status; vcpu; union }. */
function status(xen: Hypervisor, words: Int32Array, at: number): number {
  const [domain, port] = words as unknown as readonly [number, number];
  if (!isSelf(domain)) return EPERM;
  if (port >>> 0 >= PORTS) return EINVAL;
  const state = port === 0 ? PORT_FREE : (xen.events.states[port] as number);
  const detail = state === PORT_VIRQ || state === PORT_UNBOUND ? (xen.events.details[port] as number) : 0;
  const { guest } = xen;
  const stored = guest.store32(at + 8, state) && guest.store32(at + 12, 0);
  if (!stored) return EFAULT;
  if (state !== PORT_FREE && state !== PORT_IPI && !guest.store32(at + 16, detail)) return EFAULT;
  return 0;
}

function reset(xen: Hypervisor, words: Int32Array): number {
  if (!isSelf(words[0] as number)) return EPERM;
  for (let port = 1; port < PORTS; port++) if (isPort(xen, port)) xen.events.close(port);
  return 0;
}

function isPort(xen: Hypervisor, port: number): boolean {
  return port > 0 && port < PORTS && xen.events.states[port] !== PORT_FREE;
}
