/**
 * What the devices have planned. Every source (a timer channel, a device completion) owns one slot with its due
 * time in cycles of virtual time, or Infinity; the sources are few, so the earliest is found by scanning them, and a
 * snapshot is one copied array. Due events run in order of time, ties in order of registration: never in an order
 * that depends on the host.
 */
import { CYCLES, NEXT_EVENT } from '../core/state.ts';

/** Sources a machine can have. A machine registers them while it is built. */
const CAPACITY = 32;

/** Called once when its time has come; `due` is the planned time (cycles), which may lie before the present. */
export type EventAction = (due: number) => void;

export class EventQueue {
  /** Due time of every source in cycles, by source number. Part of the snapshot. */
  readonly due: Float64Array = new Float64Array(CAPACITY).fill(Infinity);
  readonly #time: Float64Array;
  readonly #actions: EventAction[] = [];
  readonly #attention: () => void;

  /** `time` holds CYCLES and NEXT_EVENT; `attention` asks the processor to look at events at its next boundary. */
  constructor(time: Float64Array, attention: () => void) {
    this.#time = time;
    this.#attention = attention;
    time[NEXT_EVENT] = Infinity;
  }

  /** Adds a source and returns its number. */
  register(action: EventAction): number {
    if (this.#actions.length === CAPACITY) throw new Error(`A machine has at most ${CAPACITY} event sources.`);
    return this.#actions.push(action) - 1;
  }

  /** Plans (or moves) a source's one event to `cycles` of virtual time. */
  schedule(source: number, cycles: number): void {
    this.due[source] = cycles;
    this.#publish();
  }

  cancel(source: number): void {
    this.due[source] = Infinity;
    this.#publish();
  }

  /** Runs every event whose time is not after CYCLES. Actions may schedule again, for now or later. */
  runDue(): void {
    for (;;) {
      const source = this.#earliest();
      if (source < 0) break;
      const due = this.due[source] as number;
      if (due > (this.#time[CYCLES] as number)) break;
      this.due[source] = Infinity;
      (this.#actions[source] as EventAction)(due);
    }
    this.#publish();
  }

  /** Recomputes NEXT_EVENT after a snapshot was restored into `due`. */
  restored(): void {
    this.#publish();
  }

  /** The source that is due first, or -1. Strict comparison lets the earliest registered win a tie. */
  #earliest(): number {
    let best = -1;
    let at = Infinity;
    for (let source = 0; source < this.#actions.length; source++) {
      const due = this.due[source] as number;
      if (due < at) {
        at = due;
        best = source;
      }
    }
    return best;
  }

  #publish(): void {
    const source = this.#earliest();
    this.#time[NEXT_EVENT] = source < 0 ? Infinity : (this.due[source] as number);
    this.#attention();
  }
}
