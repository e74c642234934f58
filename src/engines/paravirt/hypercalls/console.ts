/** console_io (public/xen.h): the hypervisor's own console. */
import { EFAULT, EINVAL, ENOSYS } from '../errno.ts';
import type { Hypervisor } from '../hypervisor.ts';

const WRITE = 0;
const READ = 1;
/** Longest text of one call. */
const LONGEST = 65536;

/** args: command, bytes, pointer. Nothing is ever typed at this console. */
export function consoleIo(xen: Hypervisor, args: Int32Array): number {
  const [command, bytes, pointer] = args as unknown as readonly [number, number, number];
  if (command === READ) return 0;
  if (command !== WRITE) return ENOSYS;
  if (bytes >>> 0 > LONGEST) return EINVAL;
  const text = xen.guest.text(pointer, bytes);
  if (text === null) return EFAULT;
  xen.machine.uart.print(Uint8Array.from(text, (character) => character.charCodeAt(0)));
  return 0;
}
