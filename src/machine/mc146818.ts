/**
 * The real-time clock and CMOS memory of a PC (Motorola MC146818A data sheet): index at port 0x70, data at 0x71, interrupt
 * input 8. The clock starts at 2011-01-09 00:00:00 when virtual time does, so that every run of a guest sees the same
 * dates. Nothing ticks: time and flags follow from the virtual time that has passed, and an event is planned only for an
 * interrupt that the guest has enabled.
 *
 * The day of the week follows from the date. Daylight saving and the square wave are not built.
 */
import { type CalendarTime, calendarAt, secondsOf } from './calendar.ts';
import { type DeviceClock, RTC_HZ } from './clock.ts';
import type { EventQueue } from './events.ts';
import type { BytePortDevice, MachinePortBus } from './port-bus.ts';

const INDEX_PORT = 0x70;
const DATA_PORT = 0x71;
const CMOS_BYTES = 128;
const START: CalendarTime = { second: 0, minute: 0, hour: 0, weekday: 1, day: 9, month: 1, year: 11 };
const DAY_SECONDS = 86400;

const SECONDS = 0;
const SECONDS_ALARM = 1;
const MINUTES = 2;
const MINUTES_ALARM = 3;
const HOURS = 4;
const HOURS_ALARM = 5;
const WEEKDAY = 6;
const DAY = 7;
const MONTH = 8;
const YEAR = 9;
const REGISTER_A = 10;
const REGISTER_B = 11;
const REGISTER_C = 12;
const REGISTER_D = 13;

const UPDATE_IN_PROGRESS = 0x80;
/** Register A's divider bits: 010 counts a 32768 Hz crystal, 11x holds the divider at zero. */
const DIVIDER = 0x70;
const DIVIDER_COUNTS = 0x20;
/** Register B. The three interrupt enables have the places of their flags in register C. */
const SET = 0x80;
const PERIODIC = 0x40;
const ALARM = 0x20;
const UPDATE_ENDED = 0x10;
const BINARY = 0x04;
const HOURS_24 = 0x02;
/** Register C. */
const INTERRUPT = 0x80;
const FLAGS = PERIODIC | ALARM | UPDATE_ENDED;
/** Register D: the battery is good. */
const VALID = 0x80;
const PM = 0x80;

/** Crystal ticks from the warning (244 us) to the end of an update (1984 us). */
const UPDATE_TICKS = 73;
/** An alarm byte of this or more matches anything. */
const ANY = 0xc0;

/** CMOS memory that PC firmware fills in. */
const EQUIPMENT = 0x14;
const BASE_MEMORY = 0x15;
const EXTENDED_MEMORY = 0x17;
const CHECKED_FIRST = 0x10;
const CHECKED_LAST = 0x2d;
const CHECKSUM = 0x2e;
const EXTENDED_MEMORY_AGAIN = 0x30;
const CENTURY = 0x32;
const MEMORY_ABOVE_16M = 0x34;
/** Coprocessor, no display adapter, pointing device. */
const EQUIPPED = 0x06;
const BASE_KB = 640;

export class Mc146818 implements BytePortDevice {
  readonly #clock: DeviceClock;
  readonly #events: EventQueue;
  readonly #setLine: (level: boolean) => void;
  readonly #source: number;
  readonly #cmos = new Uint8Array(CMOS_BYTES);
  #index = 0;
  #nmiMasked = 0;
  /** Crystal tick of a second's beginning, and the time then (seconds since 2000) or, while stopped, all along. */
  #phase = 0;
  #seconds = secondsOf(START);
  /** Register C's flags as of crystal tick `#seen`. */
  #flags = 0;
  #seen = 0;

  /** `clock` counts the 32768 Hz crystal; `ramBytes` is what the CMOS memory says of RAM. */
  constructor(clock: DeviceClock, events: EventQueue, setLine: (level: boolean) => void, ramBytes: number) {
    this.#clock = clock;
    this.#events = events;
    this.#setLine = setLine;
    this.#source = events.register(() => this.#update());
    this.#cmos[REGISTER_A] = DIVIDER_COUNTS | 6;
    this.#cmos[REGISTER_B] = HOURS_24;
    this.#describe(ramBytes);
  }

  attach(ports: MachinePortBus): void {
    ports.claimBytes(INDEX_PORT, 2, this);
  }

  /** Bit 7 of the index port: the chip set keeps NMIs from the processor. */
  get nmiMasked(): boolean {
    return this.#nmiMasked !== 0;
  }

  readByte(port: number): number {
    // The index port is write-only.
    return port === DATA_PORT ? this.#read(this.#index) : 0xff;
  }

  writeByte(port: number, value: number): void {
    if (port === DATA_PORT) {
      this.#write(this.#index, value);
      return;
    }
    this.#index = value & 0x7f;
    this.#nmiMasked = value >>> 7;
  }

  save(): number[] {
    return [...this.#cmos, this.#index, this.#nmiMasked, this.#phase, this.#seconds, this.#flags, this.#seen];
  }

  load(values: readonly number[]): void {
    this.#cmos.set(values.slice(0, CMOS_BYTES));
    let at = CMOS_BYTES;
    const next = (): number => values[at++] as number;
    this.#index = next();
    this.#nmiMasked = next();
    this.#phase = next();
    this.#seconds = next();
    this.#flags = next();
    this.#seen = next();
  }

  #read(index: number): number {
    if (index > REGISTER_D) return this.#cmos[index] as number;
    const now = this.#clock.ticks();
    switch (index) {
      case REGISTER_A:
        return this.#register(REGISTER_A) | (this.#isUpdating(now) ? UPDATE_IN_PROGRESS : 0);
      case REGISTER_C:
        return this.#readFlags();
      case REGISTER_D:
        return VALID;
      case REGISTER_B:
      case SECONDS_ALARM:
      case MINUTES_ALARM:
      case HOURS_ALARM:
        return this.#register(index);
      default:
        return this.#timeRegister(index, calendarAt(this.#time(now)));
    }
  }

  #write(index: number, value: number): void {
    if (index > REGISTER_D) {
      this.#cmos[index] = value;
      return;
    }
    if (index === REGISTER_C || index === REGISTER_D) return;
    const now = this.#clock.ticks();
    this.#advance(now);
    if (index === REGISTER_A || index === REGISTER_B) this.#control(index, value, now);
    else if (index === SECONDS_ALARM || index === MINUTES_ALARM || index === HOURS_ALARM) this.#cmos[index] = value;
    else this.#setTime(index, value, now);
    this.#update();
  }

  #register(index: number): number {
    return this.#cmos[index] as number;
  }

  /** The time stands still while it is being set and while the divider does not count. */
  #isRunning(): boolean {
    return (this.#register(REGISTER_B) & SET) === 0 && (this.#register(REGISTER_A) & DIVIDER) === DIVIDER_COUNTS;
  }

  /** Seconds since 2000 that the time registers show. */
  #time(now: number): number {
    return this.#isRunning() ? this.#seconds + Math.floor((now - this.#phase) / RTC_HZ) : this.#seconds;
  }

  #isUpdating(now: number): boolean {
    return this.#isRunning() && RTC_HZ - remainder(now - this.#phase, RTC_HZ) <= UPDATE_TICKS;
  }

  #control(index: number, value: number, now: number): void {
    // The running time becomes the standing one, and the other way round: seconds begin where they did.
    this.#seconds = this.#time(now);
    this.#phase = now - remainder(now - this.#phase, RTC_HZ);
    const before = this.#register(REGISTER_A) & DIVIDER;
    this.#cmos[index] = index === REGISTER_A ? value & 0x7f : value;
    // Setting inhibits the update-ended interrupt for good (data sheet, register B).
    if (index === REGISTER_B && (value & SET) !== 0) this.#cmos[REGISTER_B] = value & ~UPDATE_ENDED;
    const after = this.#register(REGISTER_A) & DIVIDER;
    // The first update comes half a second after the divider is let go.
    if (before !== after && after === DIVIDER_COUNTS) this.#phase = now - RTC_HZ / 2;
  }

  #timeRegister(index: number, time: CalendarTime): number {
    switch (index) {
      case SECONDS:
        return this.#encode(time.second);
      case MINUTES:
        return this.#encode(time.minute);
      case HOURS:
        return this.#encodeHour(time.hour);
      case WEEKDAY:
        return this.#encode(time.weekday);
      case DAY:
        return this.#encode(time.day);
      case MONTH:
        return this.#encode(time.month);
      default:
        return this.#encode(time.year);
    }
  }

  #setTime(index: number, value: number, now: number): void {
    const time = calendarAt(this.#time(now));
    const field = this.#decode(value);
    const changed: CalendarTime = {
      ...time,
      ...(index === SECONDS && { second: field }),
      ...(index === MINUTES && { minute: field }),
      ...(index === HOURS && { hour: this.#decodeHour(value) }),
      ...(index === DAY && { day: field }),
      ...(index === MONTH && { month: field }),
      ...(index === YEAR && { year: field % 100 }),
    };
    this.#seconds += secondsOf(changed) - secondsOf(time);
  }

  #encode(value: number): number {
    return (this.#register(REGISTER_B) & BINARY) !== 0 ? value : (Math.floor(value / 10) << 4) | (value % 10);
  }
  #decode(value: number): number {
    return (this.#register(REGISTER_B) & BINARY) !== 0 ? value : (value >>> 4) * 10 + (value & 15);
  }
  #encodeHour(hour: number): number {
    if ((this.#register(REGISTER_B) & HOURS_24) !== 0) return this.#encode(hour);
    return this.#encode(hour % 12 === 0 ? 12 : hour % 12) | (hour >= 12 ? PM : 0);
  }
  #decodeHour(value: number): number {
    if ((this.#register(REGISTER_B) & HOURS_24) !== 0) return this.#decode(value);
    return (this.#decode(value & ~PM) % 12) + ((value & PM) !== 0 ? 12 : 0);
  }

  /** Reading register C clears its flags, and with them the interrupt. */
  #readFlags(): number {
    this.#advance(this.#clock.ticks());
    const flags = this.#flags | (this.#interrupts() ? INTERRUPT : 0);
    this.#flags = 0;
    this.#update();
    return flags;
  }

  #interrupts(): boolean {
    return (this.#flags & this.#register(REGISTER_B) & FLAGS) !== 0;
  }

  /** Sets the flags of all that has happened since they were last looked at. */
  #advance(now: number): void {
    for (const flag of [PERIODIC, ALARM, UPDATE_ENDED]) {
      if ((this.#flags & flag) === 0 && this.#next(flag, this.#seen) <= now) this.#flags |= flag;
    }
    this.#seen = now;
  }

  /** The first crystal tick after `from` at which a flag is set, or Infinity. */
  #next(flag: number, from: number): number {
    if (flag === PERIODIC) {
      const period = this.#period();
      const phase = this.#phase % period;
      return period === Infinity ? Infinity : from - remainder(from - phase, period) + period;
    }
    if (!this.#isRunning()) return Infinity;
    const begun = Math.floor((from - this.#phase) / RTC_HZ);
    const updates = flag === UPDATE_ENDED ? 1 : this.#untilAlarm(this.#seconds + begun);
    return this.#phase + (begun + updates) * RTC_HZ;
  }

  /** Crystal ticks between periodic interrupts, by the rate in register A; rates 1 and 2 are those of 8 and 9. */
  #period(): number {
    const rate = this.#register(REGISTER_A) & 15;
    const counts = (this.#register(REGISTER_A) & DIVIDER) === DIVIDER_COUNTS;
    if (rate === 0 || !counts) return Infinity;
    return 1 << (rate <= 2 ? rate + 6 : rate - 1);
  }

  /** Seconds from `seconds` to the next time that the alarm registers match, at least 1, or Infinity. */
  #untilAlarm(seconds: number): number {
    const second = this.#alarmField(SECONDS_ALARM);
    const minute = this.#alarmField(MINUTES_ALARM);
    const hour = this.#alarmField(HOURS_ALARM);
    const first = (((seconds + 1) % DAY_SECONDS) + DAY_SECONDS) % DAY_SECONDS;
    for (let h = Math.floor(first / 3600); h < 48; h++) {
      if (hour !== null && hour !== h % 24) continue;
      for (let m = Math.max(0, Math.floor((first - h * 3600) / 60)); m < 60; m++) {
        if (minute !== null && minute !== m) continue;
        const from = Math.max(0, first - h * 3600 - m * 60);
        const found = second === null ? from : second;
        if (found >= from && found < 60) return 1 + h * 3600 + m * 60 + found - first;
      }
    }
    return Infinity;
  }

  /** The value that an alarm register asks for, or null if it takes any. */
  #alarmField(index: number): number | null {
    const value = this.#register(index);
    if (value >= ANY) return null;
    return index === HOURS_ALARM ? this.#decodeHour(value) : this.#decode(value);
  }

  /** Drives the interrupt line, and plans the next event that would raise it. */
  #update(): void {
    this.#advance(this.#clock.ticks());
    const raised = this.#interrupts();
    this.#setLine(raised);
    let due = Infinity;
    if (!raised) {
      for (const flag of [PERIODIC, ALARM, UPDATE_ENDED]) {
        if ((this.#register(REGISTER_B) & flag) !== 0) due = Math.min(due, this.#next(flag, this.#seen));
      }
    }
    if (due === Infinity) this.#events.cancel(this.#source);
    else this.#events.schedule(this.#source, this.#clock.cyclesAt(due));
  }

  /** What a PC's firmware leaves in the CMOS memory. */
  #describe(ramBytes: number): void {
    const put = (index: number, value: number): void => {
      this.#cmos[index] = value & 0xff;
      this.#cmos[index + 1] = value >>> 8;
    };
    this.#cmos[EQUIPMENT] = EQUIPPED;
    put(BASE_MEMORY, BASE_KB);
    const extended = Math.min(0xffff, Math.max(0, ramBytes / 1024 - 1024));
    put(EXTENDED_MEMORY, extended);
    put(EXTENDED_MEMORY_AGAIN, extended);
    put(MEMORY_ABOVE_16M, Math.min(0xffff, Math.max(0, ramBytes / 65536 - 256)));
    this.#cmos[CENTURY] = 0x20;
    let sum = 0;
    for (let index = CHECKED_FIRST; index <= CHECKED_LAST; index++) sum += this.#register(index);
    this.#cmos[CHECKSUM] = sum >>> 8;
    this.#cmos[CHECKSUM + 1] = sum & 0xff;
  }
}

/** Remainder with the sign of the divisor. */
function remainder(a: number, b: number): number {
  return ((a % b) + b) % b;
}
