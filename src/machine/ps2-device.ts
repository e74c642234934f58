/**
 * A keyboard or mouse at the other end of a PS/2 cable, as far as a driver's probe can tell (IBM PS/2 Hardware Interface
 * Technical Reference): every command is acknowledged and answered, and nobody presses a key or moves the mouse.
 */

const ACKNOWLEDGE = 0xfa;
const RESEND = 0xfe;
const PASSED = 0xaa;

type Kind = 'keyboard' | 'mouse';

/** What follows the acknowledgement, by command. */
const ANSWERS: Readonly<Record<Kind, ReadonlyMap<number, readonly number[]>>> = {
  keyboard: new Map([
    [0xed, []],
    [0xf0, []],
    [0xf2, [0xab, 0x83]],
    [0xf3, []],
    [0xf4, []],
    [0xf5, []],
    [0xf6, []],
    [0xff, [PASSED]],
  ]),
  mouse: new Map([
    [0xe6, []],
    [0xe7, []],
    [0xe8, []],
    // Stream mode, disabled, scaling 1:1; 4 counts a millimetre; 100 reports a second.
    [0xe9, [0x00, 0x02, 0x64]],
    [0xea, []],
    [0xeb, [0x08, 0x00, 0x00]],
    [0xf0, []],
    [0xf2, [0x00]],
    [0xf3, []],
    [0xf4, []],
    [0xf5, []],
    [0xf6, []],
    [0xff, [PASSED, 0x00]],
  ]),
};
/** Commands that are followed by a byte of data, which is acknowledged too. */
const WITH_DATA: Readonly<Record<Kind, readonly number[]>> = { keyboard: [0xed, 0xf0, 0xf3], mouse: [0xe8, 0xf3] };
const ECHO = 0xee;
const SCAN_CODE_SET = 0xf0;
const SET_2 = 2;

export class Ps2Device {
  readonly #kind: Kind;
  #queue: number[] = [];
  /** The command whose data byte comes next, or 0. */
  #command = 0;

  constructor(kind: Kind) {
    this.#kind = kind;
  }

  /** Whether a byte waits to be taken. */
  get waits(): boolean {
    return this.#queue.length > 0;
  }

  take(): number {
    return this.#queue.shift() ?? 0;
  }

  /** A byte from the controller. What was still waiting is void. */
  receive(byte: number): void {
    const command = this.#command;
    this.#command = 0;
    if (command !== 0) {
      this.#queue = [ACKNOWLEDGE];
      // Asked for its scan code set with data 0, the keyboard names it.
      if (this.#kind === 'keyboard' && command === SCAN_CODE_SET && byte === 0) this.#queue.push(SET_2);
      return;
    }
    if (this.#kind === 'keyboard' && byte === ECHO) {
      this.#queue = [ECHO];
      return;
    }
    const answer = ANSWERS[this.#kind].get(byte);
    this.#queue = answer === undefined ? [RESEND] : [ACKNOWLEDGE, ...answer];
    if (WITH_DATA[this.#kind].includes(byte)) this.#command = byte;
  }

  save(): number[] {
    return [this.#command, this.#queue.length, ...this.#queue];
  }

  /** Returns how many of `values` it has taken. */
  load(values: readonly number[]): number {
    const [command, waiting] = values as [number, number];
    this.#command = command;
    this.#queue = values.slice(2, 2 + waiting);
    return 2 + waiting;
  }
}
