/**
 * Virtual time in the units of the PC's timer chips. Time is the processor's cycle count; a chip's time is derived
 * from it by exact rational arithmetic, so that a tick falls on the same cycle on every host. Products stay below
 * 2^53 because whole seconds are split off first.
 */

/** Input clock of the 8254 in a PC: 14.31818 MHz / 12, in Hz. */
export const PIT_HZ = 1193182;

/** Quotient rounded down, exact for whole `a` and `b` below 2^53 (a plain division may round up to the next whole). */
function wholeQuotient(a: number, b: number): number {
  return (a - (a % b)) / b;
}

/** Ticks of a `tickHz` clock that have passed at `cycles` of a `cycleHz` processor (both clocks start at 0). */
export function ticksAt(cycles: number, cycleHz: number, tickHz: number): number {
  const seconds = wholeQuotient(cycles, cycleHz);
  return seconds * tickHz + wholeQuotient((cycles - seconds * cycleHz) * tickHz, cycleHz);
}

/** The first cycle at which `ticks` ticks have passed: the inverse of `ticksAt`. */
export function cyclesAt(ticks: number, cycleHz: number, tickHz: number): number {
  const seconds = wholeQuotient(ticks, tickHz);
  const product = (ticks - seconds * tickHz) * cycleHz;
  return seconds * cycleHz + wholeQuotient(product + tickHz - 1, tickHz);
}
