/**
 * The two 8259A programmable interrupt controllers of a PC (Intel datasheet 231468): master at 0x20, slave at 0xa0
 * on the master's input 2, edge/level registers at 0x4d0 and 0x4d1 (as in the PIIX).
 *
 * In edge mode a request must stay high until it is acknowledged; one that goes away before is answered with the
 * default vector 7. That is how spurious interrupts come about here too.
 */
import type { BytePortDevice, MachinePortBus } from './port-bus.ts';

const CASCADE = 2;
const DEFAULT_INPUT = 7;

/** One chip. Inputs and outputs are wires to the pair; it knows no ports. */
class I8259 {
  readonly #isMaster: boolean;
  /** Inputs wired for level triggering by the edge/level register, a bit each. */
  levelInputs = 0;
  #lines = 0;
  #request = 0;
  #service = 0;
  #mask = 0xff;
  #vectorBase = 0;
  /** Input with the highest priority; rotation moves it. */
  #highest = 0;
  /** 0 ready for commands, else the number of the next initialization word (2, 3, 4). */
  #nextWord = 0;
  #icw1 = 0;
  #icw4 = 0;
  #icw3 = 0;
  #rotateOnAutoEnd = 0;
  #specialMask = 0;
  #readService = 0;
  #poll = 0;

  constructor(isMaster: boolean) {
    this.#isMaster = isMaster;
  }

  /** Drives an input. A rising edge latches a request; a falling one withdraws it. */
  setLine(input: number, level: boolean): void {
    const bit = 1 << input;
    if (level) {
      if ((this.#lines & bit) === 0) this.#request |= bit;
      this.#lines |= bit;
    } else {
      this.#lines &= ~bit;
      this.#request &= ~bit;
    }
  }

  /** Requests standing now: latched edges and high level-triggered inputs. */
  #pending(): number {
    const levels = (this.#icw1 & 0x08) !== 0 ? 0xff : this.levelInputs;
    return (this.#request & ~levels) | (this.#lines & levels);
  }

  /** The input that would be acknowledged now, or -1: the fully nested priority rule with its special modes. */
  #winner(): number {
    const pending = this.#pending() & ~this.#mask;
    if (pending === 0 || this.#nextWord !== 0) return -1;
    // Special mask mode: a masked level in service holds nothing back.
    const inService = this.#specialMask !== 0 ? this.#service & ~this.#mask : this.#service;
    const speciallyNested = this.#isMaster && (this.#icw4 & 0x10) !== 0;
    for (let step = 0; step < 8; step++) {
      const input = (this.#highest + step) & 7;
      const bit = 1 << input;
      const serving = (inService & bit) !== 0;
      // In special fully nested mode the slave may interrupt again while its level is in service.
      if ((pending & bit) !== 0 && (!serving || (speciallyNested && input === CASCADE))) return input;
      // In special mask mode only the level itself is inhibited, not those below it.
      if (serving && this.#specialMask === 0) return -1;
    }
    return -1;
  }

  get output(): boolean {
    return this.#winner() >= 0;
  }

  /** The acknowledge cycle inside this chip: the input taken, or -1 if nothing is pending any more. */
  take(): number {
    const input = this.#winner();
    if (input < 0) return -1;
    this.#request &= ~(1 << input);
    if ((this.#icw4 & 0x02) === 0) this.#service |= 1 << input;
    else if (this.#rotateOnAutoEnd !== 0) this.#highest = (input + 1) & 7;
    return input;
  }

  vector(input: number): number {
    return (this.#vectorBase & 0xf8) | (input < 0 ? DEFAULT_INPUT : input);
  }

  /** Reads the command port (`data` false) or the mask port; poll mode answers either and acts as an acknowledge. */
  read(data: boolean): number {
    if (this.#poll !== 0) {
      this.#poll = 0;
      const input = this.take();
      return input < 0 ? 0 : 0x80 | input;
    }
    if (data) return this.#mask;
    return this.#readService !== 0 ? this.#service : this.#pending();
  }

  writeCommand(value: number): void {
    if ((value & 0x10) !== 0) this.#initialize(value);
    else if ((value & 0x08) !== 0) this.#operation3(value);
    else this.#operation2(value);
  }

  writeData(value: number): void {
    if (this.#nextWord === 0) {
      this.#mask = value;
    } else if (this.#nextWord === 2) {
      this.#vectorBase = value & 0xf8;
      this.#nextWord = (this.#icw1 & 0x02) === 0 ? 3 : this.#afterWord3();
    } else if (this.#nextWord === 3) {
      this.#icw3 = value;
      this.#nextWord = this.#afterWord3();
    } else {
      this.#icw4 = value;
      this.#nextWord = 0;
    }
  }

  #afterWord3(): number {
    return (this.#icw1 & 0x01) !== 0 ? 4 : 0;
  }

  /** ICW1 clears the edge latches, the mask and the modes; input 7 becomes the lowest priority. */
  #initialize(value: number): void {
    this.#icw1 = value;
    this.#icw4 = 0;
    this.#icw3 = 0;
    this.#request = 0;
    this.#service = 0;
    this.#mask = 0;
    this.#highest = 0;
    this.#rotateOnAutoEnd = 0;
    this.#specialMask = 0;
    this.#readService = 0;
    this.#poll = 0;
    this.#nextWord = 2;
  }

  /** OCW2: ends of interrupt and rotation, by bits 7:5 (R, SL, EOI). */
  #operation2(value: number): void {
    const level = value & 7;
    switch (value >>> 5) {
      case 0:
      case 4:
        this.#rotateOnAutoEnd = value >>> 7;
        break;
      case 1:
        this.#end(this.#highestInService());
        break;
      case 5: {
        const ended = this.#highestInService();
        this.#end(ended);
        if (ended >= 0) this.#highest = (ended + 1) & 7;
        break;
      }
      case 3:
        this.#end(level);
        break;
      case 7:
        this.#end(level);
        this.#highest = (level + 1) & 7;
        break;
      case 6:
        this.#highest = (level + 1) & 7;
        break;
    }
  }

  #operation3(value: number): void {
    if ((value & 0x40) !== 0) this.#specialMask = (value >>> 5) & 1;
    if ((value & 0x04) !== 0) this.#poll = 1;
    else if ((value & 0x02) !== 0) this.#readService = value & 1;
  }

  /** A non-specific end does not touch a level that special mask mode has masked (datasheet, "EOI"). */
  #highestInService(): number {
    const service = this.#specialMask !== 0 ? this.#service & ~this.#mask : this.#service;
    for (let step = 0; step < 8; step++) {
      const input = (this.#highest + step) & 7;
      if ((service & (1 << input)) !== 0) return input;
    }
    return -1;
  }

  #end(input: number): void {
    if (input >= 0) this.#service &= ~(1 << input);
  }

  save(): number[] {
    return [
      this.levelInputs,
      this.#lines,
      this.#request,
      this.#service,
      this.#mask,
      this.#vectorBase,
      this.#highest,
      this.#nextWord,
      this.#icw1,
      this.#icw3,
      this.#icw4,
      this.#rotateOnAutoEnd,
      this.#specialMask,
      this.#readService,
      this.#poll,
    ];
  }

  load(values: readonly number[]): void {
    let at = 0;
    const next = (): number => values[at++] as number;
    this.levelInputs = next();
    this.#lines = next();
    this.#request = next();
    this.#service = next();
    this.#mask = next();
    this.#vectorBase = next();
    this.#highest = next();
    this.#nextWord = next();
    this.#icw1 = next();
    this.#icw3 = next();
    this.#icw4 = next();
    this.#rotateOnAutoEnd = next();
    this.#specialMask = next();
    this.#readService = next();
    this.#poll = next();
  }
}

/** Number of state words of one chip. */
const CHIP_WORDS = 15;

export class I8259Pair {
  readonly #master = new I8259(true);
  readonly #slave = new I8259(false);
  readonly #onOutput: (level: boolean) => void;
  #output = false;

  /** `onOutput` is called when the master's INT output changes. */
  constructor(onOutput: (level: boolean) => void) {
    this.#onOutput = onOutput;
  }

  /** Level of the master's INT output: the processor's INTR input. */
  get output(): boolean {
    return this.#output;
  }

  attach(ports: MachinePortBus): void {
    ports.claimBytes(0x20, 2, this.#portsOf(this.#master, 0x20));
    ports.claimBytes(0xa0, 2, this.#portsOf(this.#slave, 0xa0));
    ports.claimBytes(0x4d0, 2, {
      readByte: (port) => (port === 0x4d0 ? this.#master : this.#slave).levelInputs,
      writeByte: (port, value) => {
        // Inputs 0, 1, 2, 8 and 13 of a PC are edge-triggered for good.
        if (port === 0x4d0) this.#master.levelInputs = value & 0xf8;
        else this.#slave.levelInputs = value & 0xde;
        this.#update();
      },
    });
  }

  /** Drives interrupt input 0..15 of the pair. Input 2 is the cascade and has no wire. */
  setLine(irq: number, level: boolean): void {
    if (irq < 8) this.#master.setLine(irq, level);
    else this.#slave.setLine(irq - 8, level);
    this.#update();
  }

  /** The processor's acknowledge cycle: takes the interrupt and returns its vector (a default vector if it went away). */
  acknowledge(): number {
    const input = this.#master.take();
    let vector: number;
    if (input === CASCADE) {
      vector = this.#slave.vector(this.#slave.take());
      // The slave's INT output drops while it is acknowledged, so a second request makes a new edge.
      this.#master.setLine(CASCADE, false);
    } else {
      vector = this.#master.vector(input);
    }
    this.#update();
    return vector;
  }

  save(): number[] {
    return [...this.#master.save(), ...this.#slave.save(), this.#output ? 1 : 0];
  }

  /** Restores the chips; the processor's INTR slot is restored with the rest of its state, so nobody is called. */
  load(values: readonly number[]): void {
    this.#master.load(values.slice(0, CHIP_WORDS));
    this.#slave.load(values.slice(CHIP_WORDS, 2 * CHIP_WORDS));
    this.#output = values[2 * CHIP_WORDS] === 1;
  }

  #portsOf(chip: I8259, base: number): BytePortDevice {
    return {
      readByte: (port) => {
        const value = chip.read(port !== base);
        this.#update();
        return value;
      },
      writeByte: (port, value) => {
        if (port === base) chip.writeCommand(value);
        else chip.writeData(value);
        this.#update();
      },
    };
  }

  #update(): void {
    this.#master.setLine(CASCADE, this.#slave.output);
    const output = this.#master.output;
    if (output === this.#output) return;
    this.#output = output;
    this.#onOutput(output);
  }
}
