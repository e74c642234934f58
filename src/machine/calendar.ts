/** Dates from 2000-01-01 to 2099-12-31 as numbers of seconds: what a clock with a two-digit year can tell. */

const DAY_SECONDS = 86400;
/** Four years with one leap day, the first of them. */
const CYCLE_DAYS = 1461;
/** Days of the century; the clock goes round after it. */
const CENTURY_DAYS = 25 * CYCLE_DAYS;
/** Days before each month of a leap year. */
const MONTH_STARTS = [0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335] as const;

export interface CalendarTime {
  readonly second: number;
  readonly minute: number;
  /** 0 to 23. */
  readonly hour: number;
  /** 1 is Sunday. */
  readonly weekday: number;
  /** 1 to 31, 1 to 12. */
  readonly day: number;
  readonly month: number;
  /** 0 to 99 after 2000. */
  readonly year: number;
}

/** Seconds since 2000-01-01 00:00:00, modulo a century. Fields outside their ranges carry over; the weekday is not looked at. */
export function secondsOf(time: CalendarTime): number {
  const inCycle = time.year % 4;
  const month = Math.min(Math.max(time.month, 1), 12);
  const isShort = inCycle !== 0 && month > 2 ? 1 : 0;
  const yearDays = inCycle === 0 ? 0 : 366 + 365 * (inCycle - 1);
  const cycles = (time.year - inCycle) / 4;
  const days = cycles * CYCLE_DAYS + yearDays + (MONTH_STARTS[month - 1] as number) - isShort + time.day - 1;
  return ((days + CENTURY_DAYS) % CENTURY_DAYS) * DAY_SECONDS + time.hour * 3600 + time.minute * 60 + time.second;
}

/** The date and time `seconds` after 2000-01-01 00:00:00, which was a Saturday. */
export function calendarAt(seconds: number): CalendarTime {
  const rest = seconds % DAY_SECONDS;
  const days = ((seconds - rest) / DAY_SECONDS) % CENTURY_DAYS;
  const cycleDay = days % CYCLE_DAYS;
  const inCycle = cycleDay < 366 ? 0 : 1 + Math.floor((cycleDay - 366) / 365);
  let day = inCycle === 0 ? cycleDay : (cycleDay - 366) % 365;
  // Counted as in a leap year, from the end of February on.
  if (inCycle !== 0 && day >= 59) day++;
  let month = 12;
  while (day < (MONTH_STARTS[month - 1] as number)) month--;
  return {
    second: rest % 60,
    minute: Math.floor(rest / 60) % 60,
    hour: Math.floor(rest / 3600),
    weekday: ((days + 6) % 7) + 1,
    day: day - (MONTH_STARTS[month - 1] as number) + 1,
    month,
    year: 4 * Math.floor(days / CYCLE_DAYS) + inCycle,
  };
}
