/** multicall (public/xen.h): a list of { op, result, args[6] } carried out in one entry. */
import { COUNT_MULTICALL_ENTRY } from '../counters.ts';
import { EFAULT, EINVAL, ENOSYS } from '../errno.ts';
import type { Hypervisor } from '../hypervisor.ts';
import { CONTINUE } from './continuation.ts';
import type { Hypercall } from './table.ts';

const ENTRY_BYTES = 32;
const MULTICALL = 13;
const IRET = 23;

const inner = new Int32Array(6);

type LookUp = (number: number) => Hypercall | undefined;

/** The call, over the table that it stands in itself. */
export function multicallOver(lookUp: LookUp): Hypercall {
  return (xen, args, nested) => multicall(xen, args, nested, lookUp);
}

/** args: list, count. The result of each call goes to its entry; -EFAULT if an entry cannot be read or written. */
function multicall(xen: Hypervisor, args: Int32Array, nested: boolean, lookUp: LookUp): number {
  const { guest } = xen;
  const [list, count] = args as unknown as readonly [number, number];
  if (nested) return EINVAL;
  if (!guest.accessible(list, ENTRY_BYTES * (count >>> 0))) return EFAULT;
  for (let index = 0; index < count; index++) {
    const entry = (list >>> 0) + ENTRY_BYTES * index;
    if (!guest.copyIn(entry, 8)) return EFAULT;
    const number = guest.words[0] as number;
    inner.set(guest.words.subarray(2, 8));
    const result = callOne(xen, number, lookUp);
    if (result === CONTINUE) {
      // What is left of the inner call goes back into its entry, and the whole is entered again there.
      for (let word = 0; word < 6; word++) {
        if (!guest.store32(entry + 8 + 4 * word, inner[word] as number)) return EFAULT;
      }
      return again(args, entry, count - index);
    }
    xen.counters.count(COUNT_MULTICALL_ENTRY);
    if (!guest.store32(entry + 4, result)) return EFAULT;
    // A call that waits or ends the domain is the last for now.
    const left = count - index - 1;
    if (left !== 0 && (xen.preempts || xen.waiting)) return again(args, entry + ENTRY_BYTES, left);
  }
  return 0;
}

function callOne(xen: Hypervisor, number: number, lookUp: LookUp): number {
  // Neither has a meaning inside a list.
  const call = number === IRET || number === MULTICALL || number >>> 0 >= 64 ? undefined : lookUp(number);
  if (call === undefined) return ENOSYS;
  xen.counters.hypercalls[number]++;
  return call(xen, inner, true);
}

function again(args: Int32Array, list: number, count: number): number {
  args[0] = list;
  args[1] = count;
  return CONTINUE;
}
