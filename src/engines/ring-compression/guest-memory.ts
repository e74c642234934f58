/**
 * Guest-linear memory as the VMM reaches it: through the guest's own page tables, with the guest's privilege. The port
 * of every emulated access. Faults are the guest's: they throw FAULT with EVENT_* set. Stores are reported to shadow
 * paging, so that traces are honoured.
 */
import type { MachineAddress } from '../../core/address.ts';
import type { MemoryPort, MmioBus } from '../../core/buses.ts';
import type { MachineMemory } from '../../core/memory.ts';
import { PAGE_FAULT, raiseWithError } from '../../core/signals.ts';
import { EVENT_ADDRESS } from '../../core/state.ts';
import type { Ledger } from '../../cost/ledger.ts';
import { GuestWalk } from '../shadow-paging/guest-walk.ts';
import type { ShadowPaging } from '../shadow-paging/shadow-paging.ts';
import type { GuestFrames } from '../shadow-paging/types.ts';

/** Charges nothing. */
const FREE = { charge: () => {} } as unknown as Ledger;

export class GuestMemory implements MemoryPort {
  /** The accesses are made at CPL 3. */
  user = false;
  /** An access since this was last cleared faulted. */
  faulted = false;
  /** A store since this was last cleared reached a traced frame. */
  hitTrace = false;
  /** A walker that charges nothing, for what the VMM knows without walking. Its context is the guest's. */
  readonly quiet: GuestWalk;

  readonly #memory: MachineMemory;
  readonly #frames: GuestFrames;
  readonly #shadow: ShadowPaging;
  readonly #mmio: MmioBus;

  constructor(memory: MachineMemory, frames: GuestFrames, shadow: ShadowPaging, mmio: MmioBus) {
    this.#memory = memory;
    this.#frames = frames;
    this.#shadow = shadow;
    this.#mmio = mmio;
    this.quiet = new GuestWalk(memory, FREE, frames);
  }

  /** After a restore: the quiet walker's context is a copy. */
  restored(): void {
    this.quiet.context.set(this.#shadow.guest.context);
  }

  /** Guest-physical address of a guest-linear one, checked for the access, A and D set. */
  translate(linear: number, write: boolean): number {
    const { guest } = this.#shadow;
    guest.walk(linear);
    if (!guest.allows(write, this.user, false)) {
      this.faulted = true;
      this.#memory.state[EVENT_ADDRESS] = linear;
      raiseWithError(this.#memory.state, PAGE_FAULT, guest.errorCode(write, this.user, false));
    }
    guest.setAccessed(write);
    return guest.frame * 4096 + (linear & 0xfff);
  }

  /** Machine address of a guest-physical one, or -1 beyond RAM. */
  machine(physical: number): number {
    const frame = Math.floor(physical / 4096);
    return frame < this.#frames.guestFrames ? this.#frames.machineFrame(frame) * 4096 + (physical & 0xfff) : -1;
  }

  load(linear: number, size: number): number {
    const physical = this.translate(linear, false);
    const split = 4096 - (linear & 0xfff);
    if (split >= size) return this.#read(physical, size);
    const second = this.translate((linear + split) >>> 0, false);
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.#read(i < split ? physical + i : second + i - split, 1) << (8 * i);
    return value;
  }

  store(linear: number, size: number, value: number): void {
    const physical = this.translate(linear, true);
    const split = 4096 - (linear & 0xfff);
    if (split >= size) {
      this.#write(physical, size, value);
      return;
    }
    const second = this.translate((linear + split) >>> 0, true);
    for (let i = 0; i < size; i++) this.#write(i < split ? physical + i : second + i - split, 1, value >>> (8 * i));
  }

  /** Within one page the first store raises what all would. */
  checkWrite(linear: number, bytes: number): void {
    const split = 4096 - (linear & 0xfff);
    if (split >= bytes) return;
    this.translate(linear, true);
    this.translate((linear + split) >>> 0, true);
  }

  /** Without side effects: the word at a guest-linear address, or 0 where nothing is mapped. */
  peek32(linear: number): number {
    const { quiet } = this;
    quiet.walk(linear);
    if (!quiet.present) return 0;
    const at = this.machine(quiet.frame * 4096 + (linear & 0xfff));
    return at < 0 ? 0 : this.#memory.read32(at as MachineAddress) | 0;
  }

  #read(physical: number, size: number): number {
    const at = this.machine(physical) as MachineAddress;
    if (at < 0) return this.#mmio.read(physical, size);
    if (size === 1) return this.#memory.read8(at);
    return size === 2 ? this.#memory.read16(at) : this.#memory.read32(at);
  }

  #write(physical: number, size: number, value: number): void {
    const at = this.machine(physical) as MachineAddress;
    if (at < 0) {
      this.#mmio.write(physical, value, size);
      return;
    }
    if (size === 1) this.#memory.write8(at, value & 0xff);
    else if (size === 2) this.#memory.write16(at, value & 0xffff);
    else this.#memory.write32(at, value);
    if (this.#shadow.traces[Math.floor(physical / 4096)] !== 0) this.hitTrace = true;
    this.#shadow.stored(physical, size);
  }
}
