/** memory_op (public/memory.h): what a domain asks and gives back of its memory. */
import type { MachineAddress } from '../../../core/address.ts';
import { EFAULT, EINVAL, ENOSYS, ESRCH } from '../errno.ts';
import type { Hypervisor } from '../hypervisor.ts';
import { M2P_END, M2P_START } from '../layout.ts';
import { FRAME_OWNED } from '../page-types.ts';
import { BALLOON_COUNT } from '../vcpu.ts';
import { isSelf } from './page-tables.ts';

const INCREASE_RESERVATION = 0;
const DECREASE_RESERVATION = 1;
const MAXIMUM_RAM_PAGE = 2;
const CURRENT_RESERVATION = 3;
const MAXIMUM_RESERVATION = 4;
const POPULATE_PHYSMAP = 6;
const MACHPHYS_MAPPING = 12;
/** No pseudo-physical address. */
const NO_FRAME = -1;

/** args: command, pointer. Reservations return how many extents were done. */
export function memoryOp(xen: Hypervisor, args: Int32Array): number {
  const { guest, area, vcpu: V } = xen;
  const [command, pointer] = args as unknown as readonly [number, number];
  switch (command) {
    case INCREASE_RESERVATION:
    case DECREASE_RESERVATION:
    case POPULATE_PHYSMAP:
      return reservation(xen, command, pointer);
    case MAXIMUM_RAM_PAGE:
      return area.m2pLast;
    case CURRENT_RESERVATION:
    case MAXIMUM_RESERVATION: {
      if (!guest.copyIn(pointer, 1)) return EFAULT;
      if (!isSelf(guest.words[0] as number)) return ESRCH;
      const pages = xen.machine.ramBytes >>> 12;
      return command === MAXIMUM_RESERVATION ? pages : pages - (V[BALLOON_COUNT] as number);
    }
    case MACHPHYS_MAPPING: {
      const at = pointer >>> 0;
      const done =
        guest.store32(at, M2P_START) && guest.store32(at + 4, M2P_END) && guest.store32(at + 8, area.m2pLast);
      return done ? 0 : EFAULT;
    }
    default:
      return ENOSYS;
  }
}

/** { extent_start, nr_extents, extent_order, mem_flags, u16 domid }. Only single pages: machine memory is scattered. */
function reservation(xen: Hypervisor, command: number, pointer: number): number {
  const { guest } = xen;
  if (!guest.copyIn(pointer, 5)) return EFAULT;
  const [list, count, order, , domain] = guest.words as unknown as readonly [number, number, number, number, number];
  if (!isSelf(domain)) return ESRCH;
  if (order !== 0) return EINVAL;
  if (list !== 0 && !guest.accessible(list, 4 * (count >>> 0))) return EFAULT;
  for (let done = 0; done < count; done++) {
    const at = (list >>> 0) + 4 * done;
    const ok = command === DECREASE_RESERVATION ? giveBack(xen, at) : take(xen, command, list === 0 ? 0 : at);
    if (!ok) return done;
  }
  if (command === DECREASE_RESERVATION) xen.flushTlb();
  return count;
}

/** A frame goes back only when nothing refers to it. */
function giveBack(xen: Hypervisor, at: number): boolean {
  const { guest, pages, area, vcpu: V, balloon } = xen;
  if (!guest.copyIn(at, 1)) return false;
  const frame = (guest.words[0] as number) >>> 0;
  if (!pages.owned(frame) || pages.totalCounts[frame] !== 1) return false;
  pages.totalCounts[frame] = 0;
  pages.flags[frame] &= ~FRAME_OWNED;
  area.setM2p(frame, NO_FRAME);
  balloon[V[BALLOON_COUNT] as number] = frame;
  V[BALLOON_COUNT]++;
  return true;
}

/** increase_reservation gives a frame; populate_physmap also makes it a pseudo-physical page, whose number it reads. */
function take(xen: Hypervisor, command: number, at: number): boolean {
  const { guest, pages, area, cpu, vcpu: V, balloon } = xen;
  if (V[BALLOON_COUNT] === 0) return false;
  const frame = balloon[(V[BALLOON_COUNT] as number) - 1] as number;
  if (command === POPULATE_PHYSMAP) {
    if (!guest.copyIn(at, 1)) return false;
    area.setM2p(frame, guest.words[0] as number);
  }
  if (at !== 0 && !guest.store32(at, frame)) return false;
  V[BALLOON_COUNT]--;
  cpu.memory.writeBytes((frame * 4096) as MachineAddress, new Uint8Array(4096));
  pages.allocate(frame);
  return true;
}
