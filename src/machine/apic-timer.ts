/**
 * The local APIC's timer (SDM 3A 10.5.4): counts down from the initial count at the bus clock over the divider, once or
 * periodically, or waits until the TSC reaches a deadline. Nothing ticks: the current count follows from the virtual
 * time that has passed, and an event is planned only while an interrupt would come of it.
 */
import type { DeviceClock } from './clock.ts';
import type { EventQueue } from './events.ts';

/** Timer modes: LVT bits 18:17. */
const PERIODIC = 1;
const TSC_DEADLINE = 2;

const TWO_32 = 0x1_0000_0000;

/** The bus clock. */
export interface ApicTimerClock extends DeviceClock {
  /** Cycles that have passed now, and what the TSC is above them. */
  cycles(): number;
  tscBase(): number;
}

export class ApicTimer {
  readonly #clock: ApicTimerClock;
  readonly #events: EventQueue;
  readonly #expired: () => void;
  readonly #source: number;
  #mode = 0;
  #masked = 1;
  /** Divide configuration register: bits 3, 1 and 0. */
  #divide = 0;
  #initial = 0;
  /** The count at bus tick `#start`; 0: stopped. */
  #count = 0;
  #start = 0;
  /** TSC deadline, 0: not armed. */
  #deadlineLow = 0;
  #deadlineHigh = 0;

  /** `expired` is called when the timer reaches zero with its interrupt unmasked. */
  constructor(clock: ApicTimerClock, events: EventQueue, expired: () => void) {
    this.#clock = clock;
    this.#events = events;
    this.#expired = expired;
    this.#source = events.register(() => this.plan());
  }

  get initial(): number {
    return this.#initial;
  }
  get divide(): number {
    return this.#divide;
  }

  /** The local vector table's timer entry has been written. Changing to or from TSC-deadline mode disarms the timer. */
  setEntry(mode: number, masked: boolean): void {
    this.#settle();
    if ((mode === TSC_DEADLINE) !== (this.#mode === TSC_DEADLINE)) this.stop();
    this.#mode = mode;
    this.#masked = masked ? 1 : 0;
    this.plan();
  }

  /** Writes the initial count, which starts the timer; in TSC-deadline mode the write is ignored. */
  setInitial(value: number): void {
    this.#settle();
    if (this.#mode === TSC_DEADLINE) return;
    this.#initial = value >>> 0;
    this.#count = this.#initial;
    this.#start = this.#clock.ticks();
    this.plan();
  }

  setDivide(value: number): void {
    this.#settle();
    this.#divide = value & 0xb;
    this.plan();
  }

  current(): number {
    this.#settle();
    return this.#count;
  }

  deadline(): readonly [low: number, high: number] {
    return [this.#deadlineLow, this.#deadlineHigh];
  }

  /** IA32_TSC_DEADLINE: 0 disarms; in the other modes the write is ignored (SDM 3A 10.5.4.1). */
  setDeadline(low: number, high: number): void {
    this.#settle();
    if (this.#mode !== TSC_DEADLINE) return;
    this.#deadlineLow = low | 0;
    this.#deadlineHigh = high | 0;
    this.plan();
  }

  stop(): void {
    this.#initial = 0;
    this.#count = 0;
    this.#deadlineLow = 0;
    this.#deadlineHigh = 0;
    this.plan();
  }

  /** Plans the next expiry; to be called too when the TSC has been written. */
  plan(): void {
    this.#settle();
    const due = this.#due();
    if (due === Infinity) this.#events.cancel(this.#source);
    else this.#events.schedule(this.#source, due);
  }

  save(): number[] {
    return [
      this.#mode,
      this.#masked,
      this.#divide,
      this.#initial,
      this.#count,
      this.#start,
      this.#deadlineLow,
      this.#deadlineHigh,
    ];
  }

  load(values: readonly number[]): void {
    let at = 0;
    const next = (): number => values[at++] as number;
    this.#mode = next();
    this.#masked = next();
    this.#divide = next();
    this.#initial = next();
    this.#count = next();
    this.#start = next();
    this.#deadlineLow = next();
    this.#deadlineHigh = next();
  }

  /** Bus ticks that one count takes: 2, 4, .. 128, or 1 (SDM 3A figure 10-10). */
  #divider(): number {
    const code = (this.#divide & 3) | ((this.#divide & 8) >>> 1);
    return code === 7 ? 1 : 2 << code;
  }

  /** Brings the count and its tick up to the present; an expiry that has come about raises its interrupt here. */
  #settle(): void {
    if (this.#mode === TSC_DEADLINE) {
      if (this.#deadlineCycle() > this.#clock.cycles()) return;
      this.#deadlineLow = 0;
      this.#deadlineHigh = 0;
    } else {
      if (this.#count === 0) return;
      const divider = this.#divider();
      const ticks = this.#clock.ticks() - this.#start;
      const passed = (ticks - (ticks % divider)) / divider;
      this.#start += passed * divider;
      if (passed < this.#count) {
        this.#count -= passed;
        return;
      }
      const over = passed - this.#count;
      this.#count = this.#mode === PERIODIC && this.#initial !== 0 ? this.#initial - (over % this.#initial) : 0;
    }
    if (this.#masked === 0) this.#expired();
  }

  /** Cycle of the armed deadline, or Infinity. */
  #deadlineCycle(): number {
    const deadline = (this.#deadlineHigh >>> 0) * TWO_32 + (this.#deadlineLow >>> 0);
    return deadline === 0 ? Infinity : deadline - this.#clock.tscBase();
  }

  /** Cycle at which the timer next has something to do, or Infinity. */
  #due(): number {
    if (this.#mode === TSC_DEADLINE) return this.#deadlineCycle();
    if (this.#masked !== 0 || this.#count === 0) return Infinity;
    return this.#clock.cyclesAt(this.#start + this.#count * this.#divider());
  }
}
