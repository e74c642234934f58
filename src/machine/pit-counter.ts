/**
 * One counter of the 8254 as a function of time. A count that is written is loaded at the next tick (datasheet: "the
 * counting element is loaded one CLK after the write"); from then on value and output are computed from the ticks that
 * have passed since. Times are in ticks of the counter's clock, absolute.
 */
const NEVER = Infinity;

export class PitCounter {
  /** 0..5. */
  #mode = 0;
  #bcd = 0;
  /** Access: 1 low byte, 2 high byte, 3 low then high. */
  #access = 3;
  #writeHigh = 0;
  #readHigh = 0;
  #writtenLow = 0;
  /** Written count as a number of ticks (1..65536, BCD 1..10000); 0 = none since the control word. */
  #count = 0;
  /** Tick at which counting of #count starts; NEVER while waiting for a trigger. */
  #start = NEVER;
  /** A count that replaces #count at tick #nextStart (modes 2 and 3) or at the next trigger (modes 1 and 5). */
  #nextCount = 0;
  #nextStart = NEVER;
  #gate = 1;
  /** Modes 0 and 4: ticks counted before the gate went low; -1 while running. */
  #held = -1;
  /** Latched count, or -1. */
  #latch = -1;
  #status = -1;

  /** Writes a control word (its counter field already decoded), or a counter latch command (access bits 00). */
  control(word: number, now: number): void {
    const access = (word >>> 4) & 3;
    if (access === 0) {
      this.latchCount(now);
      return;
    }
    const mode = (word >>> 1) & 7;
    this.#mode = mode > 5 ? mode - 4 : mode;
    this.#bcd = word & 1;
    this.#access = access;
    this.#writeHigh = 0;
    this.#readHigh = 0;
    this.#count = 0;
    this.#start = NEVER;
    this.#nextStart = NEVER;
    this.#held = -1;
    this.#latch = -1;
    this.#status = -1;
  }

  /** Writes a byte of the count. */
  write(value: number, now: number): void {
    this.#settle(now);
    if (this.#access === 3 && this.#writeHigh === 0) {
      this.#writtenLow = value;
      this.#writeHigh = 1;
      // Mode 0: the first byte of two stops counting at once.
      if (this.#mode === 0) this.#start = NEVER;
      return;
    }
    this.#writeHigh = 0;
    const raw = this.#access === 1 ? value : this.#access === 2 ? value << 8 : this.#writtenLow | (value << 8);
    this.#loadCount(this.#toTicks(raw), now);
  }

  /** Reads the next byte: a latched status, then a latched count, then the running count. */
  read(now: number): number {
    this.#settle(now);
    if (this.#status >= 0) {
      const status = this.#status;
      this.#status = -1;
      return status;
    }
    const value = this.#latch >= 0 ? this.#latch : this.#raw(now);
    const high = this.#access === 2 || (this.#access === 3 && this.#readHigh !== 0);
    if (this.#access === 3) this.#readHigh ^= 1;
    if (this.#access !== 3 || this.#readHigh === 0) this.#latch = -1;
    return high ? value >>> 8 : value & 0xff;
  }

  /** Latches the count until it has been read; a second latch before that is ignored. */
  latchCount(now: number): void {
    this.#settle(now);
    if (this.#latch < 0) this.#latch = this.#raw(now);
  }

  /** Latches the status byte: output, null count, access, mode, BCD. */
  latchStatus(now: number): void {
    this.#settle(now);
    if (this.#status >= 0) return;
    const loading = this.#count === 0 || this.#nextStart !== NEVER || (now < this.#start && this.#start !== NEVER);
    const waiting = this.#start === NEVER && this.#held < 0;
    const nullCount = loading || waiting;
    this.#status =
      (this.output(now) ? 0x80 : 0) | (nullCount ? 0x40 : 0) | (this.#access << 4) | (this.#mode << 1) | this.#bcd;
  }

  /** Drives the gate. Low suspends modes 0 and 4 and stops modes 2 and 3; a rising edge triggers modes 1, 2, 3, 5. */
  setGate(level: boolean, now: number): void {
    const gate = level ? 1 : 0;
    if (gate === this.#gate) return;
    this.#settle(now);
    this.#gate = gate;
    if (this.#count === 0) return;
    const counts = this.#mode === 0 || this.#mode === 4;
    if (counts && gate === 0 && this.#start !== NEVER) {
      this.#held = Math.max(0, now - this.#start);
      this.#start = NEVER;
    } else if (counts && gate === 1 && this.#held >= 0) {
      this.#start = now - this.#held;
      this.#held = -1;
    } else if (!counts && gate === 1) {
      if (this.#nextCount !== 0) this.#count = this.#nextCount;
      this.#nextCount = 0;
      this.#nextStart = NEVER;
      this.#start = now + 1;
    } else if (gate === 0 && (this.#mode === 2 || this.#mode === 3)) {
      this.#start = NEVER;
    }
  }

  /** Level of the output. */
  output(now: number): boolean {
    this.#settle(now);
    // After the control word the output is low in mode 0 and high in all others.
    if (this.#count === 0) return this.#mode !== 0;
    const passed = this.#passed(now);
    if (passed < 0) return this.#mode !== 0;
    switch (this.#mode) {
      case 0:
        return passed >= this.#count;
      case 1:
        return passed >= this.#count;
      case 2:
        return passed % this.#count !== this.#count - 1;
      case 3:
        return passed % this.#count < Math.ceil(this.#count / 2);
      default:
        return passed !== this.#count;
    }
  }

  /** The first tick after `now` at which the output goes from low to high, or Infinity. */
  nextRisingEdge(now: number): number {
    this.#settle(now);
    if (this.#count === 0 || this.#start === NEVER) return NEVER;
    const passed = now - this.#start;
    let edge: number;
    if (this.#mode === 2 || this.#mode === 3) {
      const period = this.#count;
      edge = this.#start + (passed < 0 ? period : passed - (passed % period) + period);
    } else {
      // Modes 4 and 5 strobe low for one tick at terminal count.
      edge = this.#start + this.#count + (this.#mode >= 4 ? 1 : 0);
    }
    return edge > now ? edge : NEVER;
  }

  save(): number[] {
    return [
      this.#mode,
      this.#bcd,
      this.#access,
      this.#writeHigh,
      this.#readHigh,
      this.#writtenLow,
      this.#count,
      this.#start,
      this.#nextCount,
      this.#nextStart,
      this.#gate,
      this.#held,
      this.#latch,
      this.#status,
    ];
  }

  load(values: readonly number[]): void {
    let at = 0;
    const next = (): number => values[at++] as number;
    this.#mode = next();
    this.#bcd = next();
    this.#access = next();
    this.#writeHigh = next();
    this.#readHigh = next();
    this.#writtenLow = next();
    this.#count = next();
    this.#start = next();
    this.#nextCount = next();
    this.#nextStart = next();
    this.#gate = next();
    this.#held = next();
    this.#latch = next();
    this.#status = next();
  }

  #loadCount(count: number, now: number): void {
    const running = this.#count !== 0 && this.#start !== NEVER && now >= this.#start;
    if (this.#mode === 0 || this.#mode === 4) {
      this.#count = count;
      if (this.#gate === 1) this.#start = now + 1;
      else this.#held = 0;
    } else if (this.#mode === 1 || this.#mode === 5) {
      // The trigger is a rising gate edge; a running one-shot keeps its count.
      if (running) this.#nextCount = count;
      else this.#count = count;
    } else if (running) {
      this.#nextCount = count;
      // Both periodic modes finish their cycle first (the chip lets mode 3 change at its half cycle already).
      this.#nextStart = now - ((now - this.#start) % this.#count) + this.#count;
    } else {
      this.#count = count;
      this.#start = this.#gate === 1 ? now + 1 : NEVER;
    }
  }

  /** Lets a count that was written while counting take over once its time has come. */
  #settle(now: number): void {
    if (now < this.#nextStart) return;
    this.#start = this.#nextStart;
    this.#count = this.#nextCount;
    this.#nextCount = 0;
    this.#nextStart = NEVER;
  }

  /** Ticks counted, or -1 before the count is loaded. */
  #passed(now: number): number {
    if (this.#held >= 0) return this.#held;
    if (this.#start === NEVER) return -1;
    return now - this.#start < 0 ? -1 : now - this.#start;
  }

  /** What the counting element holds, as the guest reads it (16 bits, BCD if so programmed). */
  #raw(now: number): number {
    const passed = Math.max(0, this.#passed(now));
    const modulus = this.#bcd !== 0 ? 10000 : 0x10000;
    let value: number;
    if (this.#mode === 2) {
      value = this.#count - (passed % Math.max(1, this.#count));
    } else if (this.#mode === 3) {
      // Counts down by two in each half; an odd count starts its halves from one less.
      const half = Math.ceil(this.#count / 2);
      const phase = this.#count === 0 ? 0 : passed % this.#count;
      value = (this.#count & ~1) - 2 * (phase < half ? phase : phase - half);
    } else {
      value = this.#count - passed;
    }
    value = ((value % modulus) + modulus) % modulus;
    return this.#bcd !== 0 ? toBcd(value) : value;
  }

  /** A written value as a number of ticks: 0 stands for the largest count. */
  #toTicks(raw: number): number {
    const count = this.#bcd !== 0 ? fromBcd(raw) : raw;
    if (count === 0) return this.#bcd !== 0 ? 10000 : 0x10000;
    return count;
  }
}

function fromBcd(value: number): number {
  return (value >>> 12) * 1000 + ((value >>> 8) & 15) * 100 + ((value >>> 4) & 15) * 10 + (value & 15);
}

function toBcd(value: number): number {
  const digit = (unit: number): number => Math.floor(value / unit) % 10;
  return (digit(1000) << 12) | (digit(100) << 8) | (digit(10) << 4) | digit(1);
}
