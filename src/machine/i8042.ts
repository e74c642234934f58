/**
 * The keyboard controller of a PC, an 8042 with the firmware of the IBM PS/2 (IBM PS/2 Hardware Interface Technical
 * Reference, "Keyboard and Auxiliary Device Controller"): data at port 0x60, status and commands at 0x64, interrupt inputs 1
 * and 12. A keyboard and a mouse are connected that answer commands and are never touched. Bytes take no time: the
 * next one waits as soon as the last is read.
 *
 * Address line 20 is always on: the guest may switch its gate and reads back what it wrote, but addresses do not wrap.
 */

import type { BytePortDevice, MachinePortBus } from './port-bus.ts';
import { Ps2Device } from './ps2-device.ts';

const DATA_PORT = 0x60;
const COMMAND_PORT = 0x64;

/** Status register. */
const OUTPUT_FULL = 0x01;
const SELF_TESTED = 0x04;
const WAS_COMMAND = 0x08;
const NOT_LOCKED = 0x10;
const AUXILIARY_FULL = 0x20;

/** Command byte: interrupts, devices disabled, translation of scan codes. */
const KEYBOARD_INTERRUPT = 0x01;
const AUXILIARY_INTERRUPT = 0x02;
const SYSTEM = 0x04;
const KEYBOARD_OFF = 0x10;
const AUXILIARY_OFF = 0x20;
const TRANSLATE = 0x40;
/** As firmware leaves it. */
const COMMAND_BYTE = TRANSLATE | AUXILIARY_OFF | SYSTEM | KEYBOARD_INTERRUPT;

/** Output port: not reset, address line 20. */
const OUTPUT_NOT_RESET = 0x01;
const OUTPUT_A20 = 0x02;
/** Input port: keyboard not locked, manufacturing jumper open. */
const INPUT_PORT = 0xa0;

const RAM_BYTES = 32;
const CONTROLLER = 0;
const KEYBOARD = 1;
const AUXILIARY = 2;

export interface I8042Wires {
  /** Drives interrupt input 1 (the keyboard's) or 12 (the auxiliary device's). */
  readonly setLine: (irq: 1 | 12, level: boolean) => void;
  readonly reset: () => void;
}

export class I8042 implements BytePortDevice {
  readonly #wires: I8042Wires;
  readonly #keyboard: Ps2Device = new Ps2Device('keyboard');
  readonly #auxiliary: Ps2Device = new Ps2Device('mouse');
  /** Controller RAM; byte 0 is the command byte. */
  readonly #ram = new Uint8Array(RAM_BYTES);
  /** The controller's own answers, which come before the devices'; and the byte in the output buffer with its source. */
  #answers: number[] = [];
  #data = 0;
  #source = CONTROLLER;
  #full = 0;
  #wasCommand = 0;
  /** The command that waits for its data byte, or 0. */
  #command = 0;
  #outputPort = OUTPUT_NOT_RESET | OUTPUT_A20;

  constructor(wires: I8042Wires) {
    this.#wires = wires;
    this.#ram[0] = COMMAND_BYTE;
  }

  attach(ports: MachinePortBus): void {
    ports.claimBytes(DATA_PORT, 1, this);
    ports.claimBytes(COMMAND_PORT, 1, this);
  }

  readByte(port: number): number {
    if (port === COMMAND_PORT) return this.#status();
    const value = this.#data;
    this.#full = 0;
    // The line falls between two bytes, so that each makes an edge.
    this.#drive();
    this.#fill();
    return value;
  }

  writeByte(port: number, value: number): void {
    this.#wasCommand = port === COMMAND_PORT ? 1 : 0;
    if (port === COMMAND_PORT) this.#execute(value);
    else this.#receive(value);
    this.#fill();
    this.#drive();
  }

  save(): number[] {
    return [
      ...this.#ram,
      this.#data,
      this.#source,
      this.#full,
      this.#wasCommand,
      this.#command,
      this.#outputPort,
      this.#answers.length,
      ...this.#answers,
      ...this.#keyboard.save(),
      ...this.#auxiliary.save(),
    ];
  }

  load(values: readonly number[]): void {
    this.#ram.set(values.slice(0, RAM_BYTES));
    let at = RAM_BYTES;
    const next = (): number => values[at++] as number;
    this.#data = next();
    this.#source = next();
    this.#full = next();
    this.#wasCommand = next();
    this.#command = next();
    this.#outputPort = next();
    const answers = next();
    this.#answers = values.slice(at, at + answers);
    at += answers;
    at += this.#keyboard.load(values.slice(at));
    this.#auxiliary.load(values.slice(at));
  }

  #commandByte(): number {
    return this.#ram[0] as number;
  }

  #status(): number {
    const full = this.#full !== 0 ? OUTPUT_FULL | (this.#source === AUXILIARY ? AUXILIARY_FULL : 0) : 0;
    return (
      full | (this.#commandByte() & SYSTEM ? SELF_TESTED : 0) | (this.#wasCommand !== 0 ? WAS_COMMAND : 0) | NOT_LOCKED
    );
  }

  #execute(command: number): void {
    this.#command = 0;
    if (command >= 0x20 && command < 0x40) {
      this.#answers.push(this.#ram[command & 0x1f] as number);
      return;
    }
    if ((command >= 0x60 && command < 0x80) || (command >= 0xd1 && command <= 0xd4)) {
      this.#command = command;
      return;
    }
    if (command >= 0xf0) {
      // Pulses the output lines whose bits are zero; line 0 resets the processor.
      if ((command & 1) === 0) this.#wires.reset();
      return;
    }
    switch (command) {
      case 0xa7:
        this.#setCommandByte(this.#commandByte() | AUXILIARY_OFF);
        break;
      case 0xa8:
        this.#setCommandByte(this.#commandByte() & ~AUXILIARY_OFF);
        break;
      case 0xa9:
        this.#answers.push(0x00);
        break;
      case 0xaa:
        this.#setCommandByte(this.#commandByte() | SYSTEM);
        this.#answers.push(0x55);
        break;
      case 0xab:
        this.#answers.push(0x00);
        break;
      case 0xad:
        this.#setCommandByte(this.#commandByte() | KEYBOARD_OFF);
        break;
      case 0xae:
        this.#setCommandByte(this.#commandByte() & ~KEYBOARD_OFF);
        break;
      case 0xc0:
        this.#answers.push(INPUT_PORT);
        break;
      case 0xd0:
        this.#answers.push(this.#readOutputPort());
        break;
      case 0xe0:
        // Test inputs: both clock lines are low.
        this.#answers.push(0x00);
        break;
    }
  }

  /** A byte at the data port: a command's operand, or the keyboard's. */
  #receive(value: number): void {
    const command = this.#command;
    this.#command = 0;
    if (command === 0) this.#keyboard.receive(value);
    else if (command < 0x80) {
      if (command === 0x60) this.#setCommandByte(value);
      else this.#ram[command & 0x1f] = value;
    } else if (command === 0xd1) this.#writeOutputPort(value);
    else if (command === 0xd2) this.#put(value, KEYBOARD);
    else if (command === 0xd3) this.#put(value, AUXILIARY);
    else this.#auxiliary.receive(value);
  }

  #setCommandByte(value: number): void {
    this.#ram[0] = value;
  }

  #readOutputPort(): number {
    const keyboard = this.#full !== 0 && this.#source === KEYBOARD ? 0x10 : 0;
    const auxiliary = this.#full !== 0 && this.#source === AUXILIARY ? 0x20 : 0;
    return this.#outputPort | keyboard | auxiliary;
  }

  #writeOutputPort(value: number): void {
    this.#outputPort = (value & 0xcf) | OUTPUT_NOT_RESET;
    if ((value & OUTPUT_NOT_RESET) === 0) this.#wires.reset();
  }

  #put(value: number, source: number): void {
    this.#data = value;
    this.#source = source;
    this.#full = 1;
  }

  /** Moves the next waiting byte into the output buffer: the controller's, the keyboard's, the auxiliary device's. */
  #fill(): void {
    if (this.#full !== 0) return;
    const command = this.#commandByte();
    const answer = this.#answers.shift();
    if (answer !== undefined) this.#put(answer, CONTROLLER);
    else if ((command & KEYBOARD_OFF) === 0 && this.#keyboard.waits) {
      const byte = this.#keyboard.take();
      this.#put((command & TRANSLATE) !== 0 ? translated(byte) : byte, KEYBOARD);
    } else if ((command & AUXILIARY_OFF) === 0 && this.#auxiliary.waits) this.#put(this.#auxiliary.take(), AUXILIARY);
    this.#drive();
  }

  #drive(): void {
    const command = this.#commandByte();
    const isFull = this.#full !== 0;
    const { setLine } = this.#wires;
    setLine(1, isFull && this.#source === KEYBOARD && (command & KEYBOARD_INTERRUPT) !== 0);
    setLine(12, isFull && this.#source === AUXILIARY && (command & AUXILIARY_INTERRUPT) !== 0);
  }
}

/** The controller's translation to scan code set 1, of the one byte of the keyboard's answers that it changes: its identity. */
function translated(byte: number): number {
  return byte === 0x83 ? 0x41 : byte;
}
