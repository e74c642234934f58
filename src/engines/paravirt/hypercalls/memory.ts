/** memory_op (public/memory.h): what a domain asks and gives back of its memory. */
import type { MachineAddress } from '../../../core/address.ts';
import { EFAULT, ENOSYS, ESRCH } from '../errno.ts';
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
/** Largest extent: 2 MB, as Xen allows domains without devices. */
const MAXIMUM_ORDER = 9;
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

/**
 * { extent_start, nr_extents, extent_order, mem_flags, u16 domid }: extents of 2^order frames that are contiguous and aligned in
 * machine memory. What the domain has given back is scattered, so a larger extent is found only where one was given back.
 */
function reservation(xen: Hypervisor, command: number, pointer: number): number {
  const { guest } = xen;
  if (!guest.copyIn(pointer, 5)) return EFAULT;
  const [list, count, order, , domain] = guest.words as unknown as readonly [number, number, number, number, number];
  if (!isSelf(domain)) return ESRCH;
  if (order >>> 0 > MAXIMUM_ORDER) return 0;
  if (list !== 0 && !guest.accessible(list, 4 * (count >>> 0))) return EFAULT;
  for (let done = 0; done < count; done++) {
    const at = (list >>> 0) + 4 * done;
    const ok =
      command === DECREASE_RESERVATION ? giveBack(xen, at, order) : take(xen, command, list === 0 ? 0 : at, order);
    if (!ok) return done;
  }
  if (command === DECREASE_RESERVATION) xen.flushTlb();
  return count;
}

/** A frame goes back only when nothing refers to it. Those of an extent before one that does are given back, as Xen does. */
function giveBack(xen: Hypervisor, at: number, order: number): boolean {
  if (!xen.guest.copyIn(at, 1)) return false;
  const first = (xen.guest.words[0] as number) >>> 0;
  for (let frame = first; frame < first + (1 << order); frame++) if (!giveBackFrame(xen, frame)) return false;
  return true;
}

function giveBackFrame(xen: Hypervisor, frame: number): boolean {
  const { pages, area, vcpu: V, balloon } = xen;
  if (!pages.owned(frame) || pages.totalCounts[frame] !== 1) return false;
  pages.totalCounts[frame] = 0;
  pages.flags[frame] &= ~FRAME_OWNED;
  area.setM2p(frame, NO_FRAME);
  balloon[V[BALLOON_COUNT] as number] = frame;
  V[BALLOON_COUNT]++;
  return true;
}

/** increase_reservation gives frames; populate_physmap also makes them pseudo-physical pages, whose first number it reads. */
function take(xen: Hypervisor, command: number, at: number, order: number): boolean {
  const { guest, pages, area, cpu, vcpu: V, balloon } = xen;
  const first = findExtent(balloon.subarray(0, V[BALLOON_COUNT]), order);
  if (first < 0) return false;
  const size = 1 << order;
  let pseudo = -1;
  if (command === POPULATE_PHYSMAP) {
    if (!guest.copyIn(at, 1)) return false;
    pseudo = guest.words[0] as number;
  }
  if (at !== 0 && !guest.store32(at, first)) return false;
  let kept = 0;
  for (let index = 0; index < (V[BALLOON_COUNT] as number); index++) {
    const frame = balloon[index] as number;
    if (frame < first || frame >= first + size) balloon[kept++] = frame;
  }
  V[BALLOON_COUNT] = kept;
  for (let index = 0; index < size; index++) {
    if (command === POPULATE_PHYSMAP) area.setM2p(first + index, pseudo + index);
    cpu.memory.writeBytes(((first + index) * 4096) as MachineAddress, new Uint8Array(4096));
    pages.allocate(first + index);
  }
  return true;
}

/** The last frame given back, or for a larger extent the lowest aligned run of frames; -1 if there is none. */
function findExtent(pool: Int32Array, order: number): number {
  if (order === 0) return pool.at(-1) ?? -1;
  const frames = new Set(pool);
  const size = 1 << order;
  const starts = [...frames].filter((frame) => (frame & (size - 1)) === 0).sort((a, b) => a - b);
  const whole = (start: number): boolean => {
    for (let frame = start; frame < start + size; frame++) if (!frames.has(frame)) return false;
    return true;
  };
  return starts.find(whole) ?? -1;
}
