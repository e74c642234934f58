/**
 * iret: returns by a frame on the guest's stack, with the event mask set from the frame's IF in the same step. The page's
 * stub has pushed EAX on top of it: EAX, EIP, CS, EFLAGS and, unless it stays in ring 1, ESP and SS.
 */
import { BASE, CPL, CS, EAX, EIP, ESP, SELECTOR, SS, segmentSlot } from '../../../core/state.ts';
import { ALWAYS_SET, IF, IOPL, NT, VIF, VIP, VM } from '../../../isa/eflags.ts';
import { guestSelector } from '../descriptor.ts';
import { DomainCrash } from '../domain-crash.ts';
import type { Hypervisor } from '../hypervisor.ts';

const SS_BASE = segmentSlot(SS) + BASE;
const SS_SELECTOR = segmentSlot(SS) + SELECTOR;
const CS_SELECTOR = segmentSlot(CS) + SELECTOR;
/** What the frame may not choose: the hypervisor runs guests with interrupts on and no port privilege. */
const FIXED = IF | IOPL | VM | NT | VIF | VIP;

/** Returns what EAX is to be: the call's result is the restored register. */
export function iret(xen: Hypervisor): number {
  const { cpu, guest, segments } = xen;
  const S = cpu.memory.state;
  const frame = ((S[SS_BASE] as number) + (S[ESP] as number)) >>> 0;
  if (!guest.copyIn(frame, 4))
    throw new DomainCrash('The guest made the iret hypercall on a stack that cannot be read.');
  const [eax, eip, rawCs, eflags] = guest.words as unknown as readonly [number, number, number, number];
  if ((eflags & VM) !== 0) throw new DomainCrash('The guest returned to virtual-8086 mode, which is not built.');
  const cs = guestSelector(rawCs);
  let esp = ((S[ESP] as number) + 16) | 0;
  let ss = S[SS_SELECTOR] as number;
  if ((cs & 3) !== 1) {
    if (!guest.copyIn(frame + 16, 2)) {
      throw new DomainCrash('The guest made the iret hypercall on a stack that cannot be read.');
    }
    [esp, ss] = guest.words as unknown as readonly [number, number];
    ss = guestSelector(ss);
  }
  S[EAX] = eax;
  xen.events.masked = (eflags & IF) === 0;
  const before = S[CS_SELECTOR] as number;
  if (!segments.loadCode(cs) || !segments.loadStack(ss, S[CPL] as number)) {
    // The kernel hears of it where the frame would have led, on the stack that it is on.
    segments.loadCode(before);
    S[EIP] = eip;
    xen.bounce.failsafe();
    return eax;
  }
  [S[EIP], S[ESP]] = [eip, esp];
  if ((cs & 3) === 3) segments.dropPrivileged(3);
  cpu.setEflags((eflags & ~FIXED) | IF | ALWAYS_SET);
  return eax;
}
