/** mmu_update and update_va_mapping (public/xen.h). */
import { COUNT_MMU_UPDATE_ENTRY } from '../counters.ts';
import { EFAULT, EINVAL, ENOSYS, ESRCH } from '../errno.ts';
import type { Hypervisor } from '../hypervisor.ts';
import { DOMAIN_ID, DOMID_SELF } from '../layout.ts';
import { CONTINUE, PREEMPTED } from './continuation.ts';

/** Low bits of an update's pointer. */
const NORMAL = 0;
const MACHPHYS = 1;
const PRESERVE_AD = 2;
const UPDATE_BYTES = 16;

const FLUSH_TLB = 1;
const FLUSH_PAGE = 2;
const FLUSH_MASK = 3;

/** Whether a domain id names the only domain there is. */
export function isSelf(domain: number): boolean {
  const id = domain & 0xffff;
  return id === DOMID_SELF || id === DOMAIN_ID;
}

/** args: list of { u64 ptr, u64 val }, count, where to put the number done (or null), domain. */
export function mmuUpdate(xen: Hypervisor, args: Int32Array): number {
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
  if (!guest.accessible(list, UPDATE_BYTES * (count >>> 0))) return EFAULT;
  let result = 0;
  for (let index = 0; index < count; index++) {
    result = updateOne(xen, (list >>> 0) + UPDATE_BYTES * index);
    if (result !== 0) break;
    finished++;
    if (index + 1 === count || !xen.preempts) continue;
    if (done !== 0 && !guest.store32(done, finished)) return EFAULT;
    args[0] = (list + UPDATE_BYTES * (index + 1)) | 0;
    args[1] = (count - index - 1) | PREEMPTED;
    return CONTINUE;
  }
  if (done !== 0 && !guest.store32(done, finished)) return EFAULT;
  return result;
}

function updateOne(xen: Hypervisor, entry: number): number {
  const { guest, tables, pages, area } = xen;
  if (!guest.copyIn(entry, 4)) return EFAULT;
  const [pointer, pointerHigh, low, high] = guest.words as unknown as readonly [number, number, number, number];
  xen.counters.count(COUNT_MMU_UPDATE_ENTRY);
  const command = pointer & 3;
  const address = (pointer & ~3) >>> 0;
  if (pointerHigh !== 0) return EINVAL;
  if (command === NORMAL || command === PRESERVE_AD) return tables.update(address, low, high, command === PRESERVE_AD);
  if (command !== MACHPHYS) return ENOSYS;
  const frame = address >>> 12;
  if (!pages.owned(frame)) return EINVAL;
  area.setM2p(frame, low);
  return 0;
}

/** args: address, entry low, entry high, flags. */
export function updateVaMapping(xen: Hypervisor, args: Int32Array): number {
  const { tables, pages, cpu } = xen;
  const [linear, low, high, flags] = args as unknown as readonly [number, number, number, number];
  const at = tables.entryOf(linear);
  if (at < 0 || !pages.owned(at >>> 12)) return EINVAL;
  const result = tables.updateEntry(at, low, high, false);
  // With one processor, local, some and all are the same.
  if ((flags & FLUSH_MASK) === FLUSH_TLB) xen.flushTlb();
  else if ((flags & FLUSH_MASK) === FLUSH_PAGE) cpu.mmu.invalidatePage(linear);
  return result;
}
