/** set_gdt and update_descriptor: the guest's part of the GDT. */

import type { MachineAddress } from '../../../core/address.ts';
import { eventNumber } from '../../../cost/event.ts';
import { DescriptorCheck } from '../descriptor.ts';
import { EFAULT, EINVAL } from '../errno.ts';
import type { Hypervisor } from '../hypervisor.ts';
import { FIRST_RESERVED_GDT_ENTRY, FIRST_RESERVED_GDT_PAGE, GDT_LINEAR, GDT_PAGE } from '../layout.ts';
import { type PageTypes, TYPE_DESCRIPTORS, TYPE_WRITABLE } from '../page-types.ts';
import { GDT_ENTRIES } from '../vcpu.ts';

const VALIDATE = eventNumber('directValidateEntry');

const check = new DescriptorCheck();

/** args: list of frames, number of entries (at most those below Xen's own). The frames become descriptor pages. */
export function setGdt(xen: Hypervisor, args: Int32Array): number {
  const { guest, pages, area, vcpu: V } = xen;
  const [list, entries] = args as unknown as readonly [number, number];
  if (entries >>> 0 > FIRST_RESERVED_GDT_ENTRY) return EINVAL;
  const count = Math.ceil((entries >>> 0) / 512);
  if (!guest.copyIn(list, count)) return EFAULT;
  const frames = Array.from(guest.words.subarray(0, count), (frame) => frame >>> 0);
  for (const [index, frame] of frames.entries()) {
    if (pages.getPageAndType(frame, TYPE_DESCRIPTORS) === 0) continue;
    release(pages, frames.slice(0, index));
    return EINVAL;
  }
  for (let page = 0; page < FIRST_RESERVED_GDT_PAGE; page++) {
    const old = page * 512 < (V[GDT_ENTRIES] as number) ? area.privateFrame(GDT_PAGE + page) : -1;
    const frame = frames[page] ?? -1;
    if (old < 0 && frame < 0) continue;
    area.mapGdt(page, frame);
    xen.cpu.mmu.invalidatePage((GDT_LINEAR + page * 4096) | 0);
    if (old >= 0) pages.putPageAndType(old);
  }
  V[GDT_ENTRIES] = entries;
  return 0;
}

function release(pages: PageTypes, frames: readonly number[]): void {
  for (const frame of frames) pages.putPageAndType(frame);
}

/** args: machine address (64 bits), descriptor (64 bits). */
export function updateDescriptor(xen: Hypervisor, args: Int32Array): number {
  const { cpu, pages } = xen;
  const [address, addressHigh, low, high] = args as unknown as readonly [number, number, number, number];
  const frame = address >>> 12;
  if ((address & 7) !== 0 || addressHigh !== 0) return EINVAL;
  cpu.ledger.charge(VALIDATE);
  if (!check.accept(low, high)) return EINVAL;
  if (!pages.owned(frame)) return EINVAL;
  const isDescriptors = pages.typeCounts[frame] !== 0 && pages.types[frame] === TYPE_DESCRIPTORS;
  if (pages.getPageAndType(frame, isDescriptors ? TYPE_DESCRIPTORS : TYPE_WRITABLE) !== 0) return EINVAL;
  cpu.memory.write32((address >>> 0) as MachineAddress, check.low);
  cpu.memory.write32(((address >>> 0) + 4) as MachineAddress, check.high);
  pages.putPageAndType(frame);
  return 0;
}
