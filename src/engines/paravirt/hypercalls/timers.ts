/** set_timer_op and vcpu_op (public/xen.h, public/vcpu.h). Times are system time in ns; 64-bit ones come as low, high. */
import { EFAULT, EINVAL, ENOENT, ENOSYS, ETIME } from '../errno.ts';
import type { Hypervisor } from '../hypervisor.ts';
import { STATE_ENTRY, TIME_BLOCKED, TIME_RUNNING } from '../vcpu.ts';

const IS_UP = 3;
const GET_RUNSTATE = 4;
const SET_PERIODIC = 6;
const STOP_PERIODIC = 7;
const SET_SINGLE_SHOT = 8;
const STOP_SINGLE_SHOT = 9;
/** The timeout must lie in the future. */
const FUTURE = 1;
/** Periods below this are refused, as a storm of events would starve the guest. */
const SHORTEST_PERIOD = 1_000_000;

/** A 64-bit number of nanoseconds; beyond 2^53 (104 days) it loses its last digits. */
function join(low: number, high: number): number {
  return (high >>> 0) * 0x1_0000_0000 + (low >>> 0);
}

/** args: timeout low, high; 0 stops the timer. */
export function setTimerOp(xen: Hypervisor, args: Int32Array): number {
  xen.clock.setSingleShot(join(args[0] as number, args[1] as number));
  return 0;
}

/** args: command, vcpu, pointer. */
export function vcpuOp(xen: Hypervisor, args: Int32Array): number {
  const { guest, clock } = xen;
  const [command, vcpu, pointer] = args as unknown as readonly [number, number, number];
  if (vcpu >>> 0 >= 32) return EINVAL;
  if (vcpu !== 0) return ENOENT;
  switch (command) {
    case IS_UP:
      return 1;
    case GET_RUNSTATE:
      return runState(xen, pointer >>> 0) ? 0 : EFAULT;
    case SET_PERIODIC: {
      if (!guest.copyIn(pointer, 2)) return EFAULT;
      const period = join(guest.words[0] as number, guest.words[1] as number);
      if (period < SHORTEST_PERIOD) return EINVAL;
      clock.setPeriodic(period);
      return 0;
    }
    case STOP_PERIODIC:
      clock.setPeriodic(0);
      return 0;
    case SET_SINGLE_SHOT: {
      if (!guest.copyIn(pointer, 3)) return EFAULT;
      const timeout = join(guest.words[0] as number, guest.words[1] as number);
      if (((guest.words[2] as number) & FUTURE) !== 0 && timeout < clock.now) return ETIME;
      clock.setSingleShot(Math.max(timeout, 1));
      return 0;
    }
    case STOP_SINGLE_SHOT:
      clock.setSingleShot(0);
      return 0;
    default:
      return ENOSYS;
  }
}

/** vcpu_runstate_info: state, entry time, time in each of running, runnable, blocked, offline. */
function runState(xen: Hypervisor, pointer: number): boolean {
  const { guest, times, clock } = xen;
  const now = clock.now;
  const running = (times[TIME_RUNNING] as number) + now - (times[STATE_ENTRY] as number);
  return (
    guest.store32(pointer, 0) &&
    guest.store64(pointer + 4, times[STATE_ENTRY] as number) &&
    guest.store64(pointer + 12, running) &&
    guest.store64(pointer + 20, 0) &&
    guest.store64(pointer + 28, times[TIME_BLOCKED] as number) &&
    guest.store64(pointer + 36, 0)
  );
}
