/**
 * The guest's serial console on the user's terminal. Output always goes to stdout; input is taken only from a terminal,
 * which is then in raw mode: every key is the guest's, but for Ctrl-A x, which ends the run, and Ctrl-A Ctrl-A, which
 * sends one Ctrl-A. What is typed reaches the guest at a time of the host's, so such a run is not repeatable.
 */
import type { Ns16550 } from '../machine/ns16550.ts';
import { EXIT } from '../suite/failure.ts';
import { tell } from './command.ts';
import { type Interrupt, watchInterrupts } from './interrupt.ts';

/** `turn` returns this when the user has asked to leave. */
export const QUIT: number = EXIT.done;
const ESCAPE = 0x01;
const LEAVE = 0x78;
/** Virtual seconds of waiting that are made up for by real waiting in one piece. */
const PATIENCE = 0.02;

export class Console {
  readonly #uart: Ns16550;
  readonly #interrupt: Interrupt = watchInterrupts();
  readonly #typed: Buffer[] = [];
  #shown = 0;
  /** The last line that has been begun: a text to look for may come in pieces. */
  #line = '';
  #escaped = false;
  #owed = 0;
  #wake: (() => void) | null = null;

  constructor(uart: Ns16550) {
    this.#uart = uart;
    if (!process.stdin.isTTY) return;
    tell("The keyboard is the guest's. Ctrl-A x ends the run.");
    process.stdin.setRawMode(true);
    process.stdin.on('data', this.#onData);
  }

  /** Writes what the guest has printed since the last call; returns it, with the line it goes on from. */
  show(): string {
    const text = this.#uart.text(this.#shown);
    if (text === '') return '';
    this.#shown += text.length;
    process.stdout.write(Buffer.from(text, 'latin1'));
    const printed = this.#line + text;
    this.#line = printed.slice(printed.lastIndexOf('\n') + 1);
    return printed;
  }

  /**
   * Lets the host have its turn: signals, and keys for the guest. `idle` is the virtual time in seconds that the guest has just
   * spent waiting; with a user at the keyboard it passes in real time. Returns an exit code if the run is to end.
   */
  async turn(idle: number): Promise<number | null> {
    this.#owed += process.stdin.isTTY ? idle : 0;
    if (this.#owed >= PATIENCE && this.#typed.length === 0) await this.#sleep();
    else await new Promise((resolve) => setImmediate(resolve));
    for (const bytes of this.#typed.splice(0)) if (this.#pass(bytes)) return QUIT;
    return this.#interrupt.code();
  }

  close(): void {
    this.#interrupt.release();
    if (!process.stdin.isTTY) return;
    process.stdin.off('data', this.#onData);
    process.stdin.setRawMode(false);
    process.stdin.pause();
  }

  readonly #onData = (bytes: Buffer): void => {
    this.#typed.push(bytes);
    this.#wake?.();
  };

  /** Waits for as long as is owed, or until a key is pressed. */
  async #sleep(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, this.#owed * 1000);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = null;
    this.#owed = 0;
  }

  /** Gives the guest what was typed; true if it asks to leave. */
  #pass(bytes: Buffer): boolean {
    const passed: number[] = [];
    for (const byte of bytes) {
      if (this.#escaped && byte === LEAVE) return true;
      if (byte === ESCAPE && !this.#escaped) this.#escaped = true;
      else {
        this.#escaped = false;
        passed.push(byte);
      }
    }
    this.#uart.receive(Uint8Array.from(passed));
    return false;
  }
}
