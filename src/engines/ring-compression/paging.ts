/** The guest's address space changes: another shadow root, and the processor's caches with it. */
import { COUNT } from './counts.ts';
import type { Monitor } from './monitor.ts';
import { U_FRAME0, U_FRAME1, U_GUEST_LENGTH, U_PC } from './translation-cache.ts';
import { V_CR0, V_CR3, V_CR4, V_EFER } from './vcpu.ts';

/** Takes over the guest's paging registers. False: #GP(0), nothing has changed. */
export function activatePaging(m: Monitor): boolean {
  const { v, shadow, cpu } = m;
  const root = shadow.activate(v[V_CR3] as number, v[V_CR0] as number, v[V_CR4] as number, v[V_EFER] as number);
  if (root < 0) return false;
  cpu.mmu.setCr3(root);
  shadow.flushed();
  m.guest.quiet.context.set(shadow.guest.context);
  m.descriptors.recheck();
  recheckCode(m);
  return true;
}

/**
 * Units are found by linear address: those whose pages hold other code now must go. `page`: the one page number that
 * may have changed, or -1 for the whole address space.
 */
export function recheckCode(m: Monitor, page = -1): void {
  const known = new Map<number, number>();
  const frame = (page: number): number => {
    let found = known.get(page);
    if (found === undefined) {
      found = peekFrame(m, page * 4096);
      known.set(page, found);
    }
    return found;
  };
  m.restoreFpuPointers();
  const dropped = m.cache.invalidateWhere((u, at) => {
    const pc = (u[at + U_PC] as number) >>> 0;
    if (page >= 0 && pc >>> 12 !== page && (pc + (u[at + U_GUEST_LENGTH] as number) - 1) >>> 12 !== page) return false;
    if (frame(pc >>> 12) !== u[at + U_FRAME0]) return true;
    const second = u[at + U_FRAME1] as number;
    return second >= 0 && frame((pc + (u[at + U_GUEST_LENGTH] as number) - 1) >>> 12) !== second;
  });
  m.counts.add(COUNT.remapInvalidation, dropped);
}

/** Uncharged: a VMM learns of a changed entry from the trace on its table. */
function peekFrame(m: Monitor, linear: number): number {
  const { quiet } = m.guest;
  quiet.walk(linear);
  return quiet.allows(false, false, true) ? quiet.frame : -1;
}
