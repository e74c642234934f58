/** Where the virtual CPU goes on: interrupts first, then direct execution or the translation cache, by its CPL. */

import { NMI, PAGE_FAULT, UD } from '../../core/signals.ts';
import {
  EVENT_ADDRESS,
  EVENT_EXTERNAL,
  EVENT_HARDWARE,
  EVENT_NMI,
  NMI_BLOCKED,
  NMI_PENDING,
} from '../../core/state.ts';
import { COUNT } from './counts.ts';
import { deliver } from './delivery.ts';
import { CALLOUT_BYTES } from './emitter.ts';
import type { Monitor } from './monitor.ts';
import {
  CALLOUT_CONTINUE,
  SITE_CONDITION,
  SITE_DISTANCE,
  SITE_ENTRY,
  SITE_INLINE,
  SITE_NONE,
} from './translate/kinds.ts';
import { U_START } from './translation-cache.ts';

const UNIT_WORDS = 6;

/** An NMI goes before an interrupt (SDM 3A table 6-2). */
function deliverEvent(m: Monitor): void {
  if (!m.nmiDue()) {
    deliver(m, m.acknowledgeInterrupt(), EVENT_EXTERNAL, false, 0);
    return;
  }
  m.state[NMI_PENDING] = 0;
  m.state[NMI_BLOCKED] = 1;
  deliver(m, NMI, EVENT_NMI, false, 0);
}

/** Enters the guest at `m.pc`. Everything that changes the virtual CPU ends here. */
export function dispatch(m: Monitor): void {
  m.dropStale();
  const shadow = m.takeShadow();
  const due = m.eventDue();
  if (due && !shadow) deliverEvent(m);
  if (m.direct) {
    m.counts.add(COUNT.enterDirect);
    m.enterDirect();
    return;
  }
  m.enterCache(translated(m, due && shadow));
}

/**
 * Cache address for `m.pc`; a fetch that faults is the guest's page fault, and its handler is next. Mapped addresses
 * outside RAM hold nothing but FF bytes, which are no instruction.
 */
function translated(m: Monitor, single: boolean): number {
  for (;;) {
    const address = m.lookUp(m.pc, single);
    if (address >= 0) return address;
    const { faultAddress } = m.translator;
    const { guest } = m.shadow;
    guest.walk(faultAddress);
    m.state[EVENT_ADDRESS] = faultAddress;
    if (guest.allows(false, false, true)) deliver(m, UD, EVENT_HARDWARE, false, 0);
    else deliver(m, PAGE_FAULT, EVENT_HARDWARE, true, guest.errorCode(false, false, true));
    single = false;
  }
}

/**
 * A continuation ran: translate its target if that is new, and replace the continuation by a jump; or, where it is the
 * last thing in the cache, by the target's code itself, so that the cache straightens into the path first taken.
 */
export function continueAt(m: Monitor, pc: number, place: number, how: number): void {
  const { cache, counts } = m;
  m.pc = pc;
  if (how === SITE_NONE || m.eventDue()) {
    counts.add(COUNT.unchainedExit);
    dispatch(m);
    return;
  }
  const { generation } = cache;
  let target = cache.find(pc);
  if (target < 0 && cache.hasRoom() && m.translator.isFetchable(pc) && straighten(m, place, how)) {
    m.enterCache(m.translator.translate(pc, false));
    return;
  }
  if (target < 0) target = translated(m, false);
  // A page fault on the way went elsewhere, a flush left nothing to patch.
  if (m.pc === pc && cache.generation === generation) {
    counts.add(COUNT.chained);
    if (how === SITE_INLINE || how === SITE_ENTRY) cache.patchJump(place, target);
    else cache.patchDistance(place, target);
  }
  m.enterCache(target);
}

/** Makes the cache's top the place where the target's code may directly follow. False: it must be reached by a jump. */
function straighten(m: Monitor, place: number, how: number): boolean {
  const { cache, counts } = m;
  const inline = how === SITE_CONDITION ? place + 4 : place;
  if ((how !== SITE_INLINE && how !== SITE_CONDITION) || inline + CALLOUT_BYTES !== cache.top) return false;
  const unit = cache.unitAt(inline);
  // The unit must keep room for its own entry to be patched.
  if (inline - ((cache.units[unit * UNIT_WORDS + U_START] as number) >>> 0) < CALLOUT_BYTES) return false;
  if (how === SITE_CONDITION) {
    const fall = cache.recordOf(inline);
    const at = 4 * fall;
    if (fall < 0 || cache.callouts[at] !== CALLOUT_CONTINUE || (cache.callouts[at + 2] as number) >>> 0 !== inline)
      return false;
    cache.patchDistance(place, cache.stub(CALLOUT_CONTINUE, cache.callouts[at + 1] as number, place, SITE_DISTANCE));
    cache.invert(place);
    counts.add(COUNT.inverted);
  }
  cache.retract();
  counts.add(COUNT.elided);
  return true;
}
