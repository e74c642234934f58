/**
 * Virtual time in the units of the PC's timer chips. Time is the processor's cycle count; a chip's time is derived
 * from it by exact rational arithmetic, so that a tick falls on the same cycle on every host. Products stay below
 * 2^53 because whole seconds are split off first.
 */
import { CYCLES } from '../core/state.ts';

/** Input clock of the 8254 in a PC: 14.31818 MHz / 12, in Hz. */
export const PIT_HZ = 1193182;
/** The ACPI power management timer: 14.31818 MHz / 4, in Hz (ACPI Specification 4.8.2.1). */
export const PM_TIMER_HZ = 3579545;
/** The real-time clock's crystal, in Hz. */
export const RTC_HZ = 32768;

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

/** A device's clock, and its ticks in cycles of virtual time. */
export interface DeviceClock {
  /** Ticks that have passed now. */
  ticks(): number;
  /** First cycle at which `ticks` ticks have passed. */
  cyclesAt(ticks: number): number;
}

/** A device clock on virtual time. It reads the time of the last block boundary, as everything outside the processor does. */
export class TickClock implements DeviceClock {
  readonly #time: Float64Array;
  readonly #cycleHz: number;
  readonly #tickHz: number;

  /** `time` holds CYCLES. The frequencies are divided by what they share, so that fast clocks stay exact too. */
  constructor(time: Float64Array, cycleHz: number, tickHz: number) {
    const shared = greatestCommonDivisor(cycleHz, tickHz);
    this.#time = time;
    this.#cycleHz = cycleHz / shared;
    this.#tickHz = tickHz / shared;
    if (this.#cycleHz * this.#tickHz > Number.MAX_SAFE_INTEGER) {
      throw new Error(`A clock of ${tickHz} Hz cannot be counted exactly in cycles of ${cycleHz} Hz.`);
    }
  }

  ticks(): number {
    return ticksAt(this.#time[CYCLES] as number, this.#cycleHz, this.#tickHz);
  }

  cyclesAt(ticks: number): number {
    return cyclesAt(ticks, this.#cycleHz, this.#tickHz);
  }
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
