/** xen_version (public/version.h). The plain query is also the cheapest hypercall: guests make it to be given waiting events. */
import { EFAULT, ENOSYS } from '../errno.ts';
import { XEN_VERSION } from '../forced-cpuid.ts';
import type { Hypervisor } from '../hypervisor.ts';
import { HYPERVISOR_START } from '../layout.ts';

/** Text results by command: what, and the bytes of their field. */
const TEXTS: Readonly<Record<number, readonly [text: string, bytes: number]>> = {
  1: ['.0-trivisor', 16],
  3: ['xen-3.0-x86_32p ', 1024],
  4: ['unavailable', 64],
  9: ['', 1024],
};
/** compile_info: compiler[64], by[16], domain[32], date[32]. */
const COMPILE_INFO_BYTES = 144;
const VERSION = 0;
const COMPILE_INFO = 2;
const PLATFORM_PARAMETERS = 5;
const GET_FEATURES = 6;
const PAGE_SIZE = 7;
const GUEST_HANDLE = 8;

/** Submap 0 (public/features.h): mmu_update may keep accessed and dirty bits. */
const FEATURES = 1 << 5;

/** args: command, pointer. */
export function xenVersion(xen: Hypervisor, args: Int32Array): number {
  const { guest } = xen;
  const [command, pointer] = args as unknown as readonly [number, number];
  const text = TEXTS[command];
  if (text !== undefined) {
    const bytes = new Uint8Array(text[1]);
    bytes.set(Uint8Array.from(text[0], (character) => character.charCodeAt(0)));
    return guest.copyOut(pointer, bytes) ? 0 : EFAULT;
  }
  switch (command) {
    case VERSION:
      return XEN_VERSION;
    case COMPILE_INFO:
      return guest.copyOut(pointer, new Uint8Array(COMPILE_INFO_BYTES)) ? 0 : EFAULT;
    case PLATFORM_PARAMETERS:
      return guest.store32(pointer, HYPERVISOR_START) ? 0 : EFAULT;
    case GET_FEATURES:
      if (!guest.copyIn(pointer, 1)) return EFAULT;
      return guest.store32(pointer + 4, guest.words[0] === 0 ? FEATURES : 0) ? 0 : EFAULT;
    case PAGE_SIZE:
      return 4096;
    case GUEST_HANDLE:
      return guest.copyOut(pointer, new Uint8Array(16)) ? 0 : EFAULT;
    default:
      return ENOSYS;
  }
}
