/**
 * Where guest frames lie in machine memory. Under `native` they lie where the guest thinks; under every other engine
 * they are permuted behind the VMM's own frames, so that code which confuses a guest-physical with a machine address
 * fails at once.
 *
 * Frames are numbers of 4096-byte pages. The VMM's frames are the machine's first ones, handed out from below.
 */
import { type GuestPhysicalAddress, type MachineAddress, PAGE_SHIFT } from '../core/address.ts';
import type { MachineMemory } from '../core/memory.ts';
import type { Machine } from '../machine/machine.ts';
import type { PhysicalWriter } from '../machine/multiboot.ts';

const OFFSET_MASK = (1 << PAGE_SHIFT) - 1;

export class FrameMap implements PhysicalWriter {
  /** Frames of guest RAM, from guest-physical 0 up. */
  readonly guestFrames: number;
  /** Frames of the VMM: machine frames 0 .. vmmFrames - 1. */
  readonly vmmFrames: number;
  readonly #memory: MachineMemory;
  readonly #toMachine: Int32Array;
  readonly #toGuest: Int32Array;
  /** [0]: the first VMM frame not handed out yet. */
  readonly #next = new Int32Array(1);

  /** Maps the guest RAM of `machine` onto its machine memory: permuted if the VMM has frames of its own, else as is. */
  constructor(machine: Machine) {
    this.#memory = machine.memory;
    this.guestFrames = machine.ramBytes >>> PAGE_SHIFT;
    const machineFrames = machine.memory.size >>> PAGE_SHIFT;
    this.vmmFrames = machineFrames - this.guestFrames;
    this.#toMachine = new Int32Array(this.guestFrames);
    this.#toGuest = new Int32Array(machineFrames).fill(-1);
    const step = this.vmmFrames === 0 ? 1 : coprimeStep(this.guestFrames);
    let place = this.vmmFrames === 0 ? 0 : firstPlace(this.guestFrames, this.vmmFrames);
    for (let frame = 0; frame < this.guestFrames; frame++) {
      this.#toMachine[frame] = this.vmmFrames + place;
      this.#toGuest[this.vmmFrames + place] = frame;
      place = (place + step) % this.guestFrames;
    }
    machine.register('vmm frames', this.#next);
    machine.busMemory = {
      readBytes: (physical, into) => {
        this.#each(physical, into.length, (at, done, length) => {
          into.set(this.#memory.ram.subarray(at, at + length), done);
        });
      },
      writeBytes: (physical, data) => {
        this.#each(physical, data.length, (at, done, length) => {
          this.#memory.writeBytes(at, data.subarray(done, done + length));
        });
      },
    };
  }

  /** Machine frame of a guest frame below `guestFrames`. */
  machineFrame(guestFrame: number): number {
    return this.#toMachine[guestFrame] as number;
  }

  /** Guest frame that lies in a machine frame, or -1 if it is the VMM's or outside memory. */
  guestFrame(machineFrame: number): number {
    return this.#toGuest[machineFrame] ?? -1;
  }

  /** Machine address of a guest-physical address, or null beyond guest RAM. */
  toMachine(address: number): MachineAddress | null {
    const frame = this.#toMachine[address >>> PAGE_SHIFT];
    if (frame === undefined) return null;
    return (frame * 4096 + (address & OFFSET_MASK)) as MachineAddress;
  }

  /** Guest-physical address of a machine address, or null for the VMM's frames. */
  toGuest(address: number): GuestPhysicalAddress | null {
    const frame = this.guestFrame(address >>> PAGE_SHIFT);
    if (frame < 0) return null;
    return (frame * 4096 + (address & OFFSET_MASK)) as GuestPhysicalAddress;
  }

  /** Takes `count` consecutive VMM frames for good; returns the first one's number. They hold zeros at power-on. */
  allocate(count = 1): number {
    const first = this.#next[0] as number;
    if (first + count > this.vmmFrames) {
      throw new Error(`The VMM has ${this.vmmFrames} frames, ${first} are taken and ${count} more were asked for.`);
    }
    this.#next[0] = first + count;
    return first;
  }

  /** Writes to guest-physical memory, across frames as needed. */
  writeBytes(guestPhysical: number, data: Uint8Array): void {
    const done = this.#each(guestPhysical, data.length, (at, from, length) => {
      this.#memory.writeBytes(at, data.subarray(from, from + length));
    });
    if (done < data.length) {
      const address = (guestPhysical + done).toString(16);
      throw new Error(`Guest-physical address 0x${address} lies beyond guest RAM.`);
    }
  }

  /** Calls `act` for each piece of a guest-physical range that lies in one frame; returns how many bytes are in guest RAM. */
  #each(physical: number, bytes: number, act: (at: MachineAddress, done: number, length: number) => void): number {
    let done = 0;
    while (done < bytes) {
      const machine = this.toMachine(physical + done);
      if (machine === null) break;
      const length = Math.min(bytes - done, 4096 - ((physical + done) & OFFSET_MASK));
      act(machine, done, length);
      done += length;
    }
    return done;
  }
}

/** A step near the golden section of `count` (neighbours land far apart) that visits every residue. */
function coprimeStep(count: number): number {
  for (let step = Math.floor(count * 0.618); step > 1; step--)
    if (greatestCommonDivisor(step, count) === 1) return step;
  return 1;
}

/**
 * Where frame 0 goes. A guest frame `f` stays in place if (step - 1) f = -(place + vmmFrames) modulo the even number of
 * guest frames; the left side is even because the step is odd, so an odd right side has no solution.
 */
function firstPlace(guestFrames: number, vmmFrames: number): number {
  const middle = guestFrames >>> 1;
  return (middle + vmmFrames) % 2 === 1 ? middle : middle + 1;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
