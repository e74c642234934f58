/** mmuext_op (public/xen.h): pinning, address-space switch, flushes, LDT. */

import type { MachineAddress } from '../../../core/address.ts';
import { eventNumber } from '../../../cost/event.ts';
import { EFAULT, EINVAL, ENOSYS, ESRCH } from '../errno.ts';
import type { Hypervisor } from '../hypervisor.ts';
import { unmapLdt } from '../ldt.ts';
import { TYPE_L1, TYPE_L2, TYPE_L3, TYPE_WRITABLE } from '../page-types.ts';
import { LDT_BASE, LDT_ENTRIES } from '../vcpu.ts';
import { CONTINUE, PREEMPTED } from './continuation.ts';
import { isSelf } from './page-tables.ts';

const CLEAR = eventNumber('vmmClearPage');
const OP_BYTES = 12;

type Operation = (xen: Hypervisor, first: number, second: number) => number;

function pin(type: number): Operation {
  return (xen, frame) => xen.pages.pin(frame >>> 0, type);
}
function flush(xen: Hypervisor): number {
  xen.flushTlb();
  return 0;
}
function invalidate(xen: Hypervisor, linear: number): number {
  xen.cpu.mmu.invalidatePage(linear);
  return 0;
}

/** By command. A missing one is -ENOSYS. PIN_L4 has no table to pin under PAE; FLUSH_CACHE is for domains with devices. */
const OPERATIONS: Readonly<Record<number, Operation>> = {
  0: pin(TYPE_L1),
  1: pin(TYPE_L2),
  2: pin(TYPE_L3),
  3: () => EINVAL,
  4: (xen, frame) => xen.pages.unpin(frame >>> 0),
  5: (xen, frame) => xen.setBase(frame >>> 0),
  6: flush,
  7: invalidate,
  8: flush,
  9: invalidate,
  10: flush,
  11: invalidate,
  12: () => EINVAL,
  13: setLdt,
  16: clearPage,
  17: copyPage,
};

/** args: list of { cmd, arg1, arg2 }, count, where to put the number done (or null), domain. */
export function extendedOp(xen: Hypervisor, args: Int32Array): number {
  const { guest } = xen;
  let [list, count, done, domain] = args as unknown as [number, number, number, number];
  let finished = 0;
  if ((count & PREEMPTED) !== 0) {
    count &= ~PREEMPTED;
    if (done !== 0) {
      if (!guest.copyIn(done, 1)) return EFAULT;
      finished = guest.words[0] as number;
    }
  }
  if (!isSelf(domain)) return ESRCH;
  if (!guest.accessible(list, OP_BYTES * (count >>> 0))) return EFAULT;
  let result = 0;
  for (let index = 0; index < count; index++) {
    if (!guest.copyIn((list >>> 0) + OP_BYTES * index, 3)) {
      result = EFAULT;
      break;
    }
    const [command, first, second] = guest.words as unknown as readonly [number, number, number];
    const operation = OPERATIONS[command];
    result = operation === undefined ? ENOSYS : operation(xen, first, second);
    if (result !== 0) break;
    finished++;
    if (index + 1 === count || !xen.preempts) continue;
    if (done !== 0 && !guest.store32(done, finished)) return EFAULT;
    args[0] = (list + OP_BYTES * (index + 1)) | 0;
    args[1] = (count - index - 1) | PREEMPTED;
    return CONTINUE;
  }
  if (done !== 0 && !guest.store32(done, finished)) return EFAULT;
  return result;
}

/** The table is page-aligned in guest-linear memory; its pages are looked at when the processor first reads them. */
function setLdt(xen: Hypervisor, linear: number, entries: number): number {
  const V = xen.vcpu;
  if ((linear & 0xfff) !== 0 || entries >>> 0 > 8192) return EINVAL;
  if (entries !== 0 && !xen.guest.accessible(linear, 8 * entries)) return EINVAL;
  if (V[LDT_BASE] === linear && V[LDT_ENTRIES] === entries) return 0;
  unmapLdt(xen);
  V[LDT_BASE] = linear;
  V[LDT_ENTRIES] = entries;
  xen.area.setLdt(entries);
  return 0;
}

function clearPage(xen: Hypervisor, frame: number): number {
  const { pages, cpu } = xen;
  if (pages.getPageAndType(frame >>> 0, TYPE_WRITABLE) !== 0) return EINVAL;
  cpu.ledger.charge(CLEAR);
  cpu.memory.writeBytes((frame * 4096) as MachineAddress, new Uint8Array(4096));
  pages.putPageAndType(frame);
  return 0;
}

function copyPage(xen: Hypervisor, to: number, from: number): number {
  const { pages, cpu } = xen;
  if (!pages.getPage(from >>> 0)) return EINVAL;
  const error = pages.getPageAndType(to >>> 0, TYPE_WRITABLE);
  if (error === 0) {
    cpu.ledger.charge(CLEAR);
    cpu.memory.writeBytes((to * 4096) as MachineAddress, cpu.memory.ram.slice(from * 4096, from * 4096 + 4096));
    pages.putPageAndType(to);
  }
  pages.putPage(from);
  return error;
}
