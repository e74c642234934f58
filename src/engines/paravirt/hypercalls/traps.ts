/** set_trap_table (public/arch-x86/xen.h, trap_info): the guest's exception handlers. */

import { TRAP_MASKS } from '../bounce.ts';
import { gateSelectorAllowed, guestSelector } from '../descriptor.ts';
import { EFAULT } from '../errno.ts';
import type { Hypervisor } from '../hypervisor.ts';
import { DIRECT_VECTOR } from '../layout.ts';
import { TRAP_ADDRESS, TRAP_CS, TRAP_FLAGS, TRAP_STRIDE, TRAPS } from '../vcpu.ts';

/** Entries are 8 bytes and end with one whose address is 0; a null pointer clears the table. */
export function setTrapTable(xen: Hypervisor, args: Int32Array): number {
  const { guest, vcpu: V } = xen;
  const table = (args[0] as number) >>> 0;
  if (table === 0) {
    V.fill(0, TRAPS, TRAPS + 256 * TRAP_STRIDE);
    xen.area.clearDirectGate(DIRECT_VECTOR);
    return 0;
  }
  for (let entry = table; ; entry += 8) {
    if (!guest.copyIn(entry, 2)) return EFAULT;
    const [first, address] = guest.words as unknown as readonly [number, number];
    if (address === 0) return 0;
    const vector = first & 0xff;
    const at = TRAPS + TRAP_STRIDE * vector;
    V[at + TRAP_FLAGS] = (first >>> 8) & 0xff;
    V[at + TRAP_CS] = guestSelector(first >>> 16);
    V[at + TRAP_ADDRESS] = address;
    if (vector === DIRECT_VECTOR) setDirectGate(xen, at);
  }
}

/**
 * The gate leads straight to the guest only if its handler wants events left as they are (the processor knows no event
 * mask) and its selector is one that a gate may hold.
 */
function setDirectGate(xen: Hypervisor, at: number): void {
  const { vcpu: V, area } = xen;
  const flags = V[at + TRAP_FLAGS] as number;
  const selector = V[at + TRAP_CS] as number;
  if ((flags & TRAP_MASKS) !== 0 || !gateSelectorAllowed(selector)) area.clearDirectGate(DIRECT_VECTOR);
  else area.setDirectGate(DIRECT_VECTOR, selector, V[at + TRAP_ADDRESS] as number, flags & 3);
}
