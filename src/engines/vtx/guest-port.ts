/**
 * Guest-linear memory as the VMM's instruction emulator reaches it: through the guest's own page tables, at the guest's
 * privilege, with A and D set as the processor would. A fault is the guest's and throws FAULT. Stores are reported to
 * shadow paging; what is no RAM goes to the device registers.
 */
import type { MachineAddress } from '../../core/address.ts';
import type { MemoryPort } from '../../core/buses.ts';
import { PAGE_FAULT, raiseWithError } from '../../core/signals.ts';
import { CPL, EVENT_ADDRESS } from '../../core/state.ts';
import { eventNumber } from '../../cost/event.ts';
import type { GuestWalk } from '../shadow-paging/guest-walk.ts';
import type { Vmm } from './vmm.ts';

const DEVICE_MODEL = eventNumber('vmmDeviceModel');
const USER_TRANSITION = eventNumber('hostUserTransition');

export class GuestPort implements MemoryPort {
  /** The last emulation ended in a page fault of a data access. */
  faulted = false;
  readonly #vmm: Vmm;
  readonly #walk: GuestWalk;

  constructor(vmm: Vmm, walk: GuestWalk) {
    this.#vmm = vmm;
    this.#walk = walk;
  }

  load(linear: number, size: number): number {
    const split = 4096 - (linear & 0xfff);
    if (size > split) {
      let value = 0;
      for (let i = 0; i < size; i++) value |= this.load(linear + i, 1) << (8 * i);
      return value;
    }
    const physical = this.#translate(linear, false);
    const machine = this.#machine(physical);
    if (machine < 0) {
      this.#chargeDevice();
      return this.#vmm.machine.mmio.read(physical, size);
    }
    const { memory } = this.#vmm.machine;
    const at = machine as MachineAddress;
    return size === 1 ? memory.read8(at) : size === 2 ? memory.read16(at) : memory.read32(at) | 0;
  }

  store(linear: number, size: number, value: number): void {
    const split = 4096 - (linear & 0xfff);
    if (size > split) {
      // Both pages must allow the store before either changes.
      this.#translate(linear, true);
      this.#translate(linear + split, true);
      for (let i = 0; i < size; i++) this.store(linear + i, 1, (value >> (8 * i)) & 0xff);
      return;
    }
    const physical = this.#translate(linear, true);
    const machine = this.#machine(physical);
    if (machine < 0) {
      this.#chargeDevice();
      this.#vmm.machine.mmio.write(physical, value, size);
      return;
    }
    const { memory } = this.#vmm.machine;
    const at = machine as MachineAddress;
    if (size === 1) memory.write8(at, value);
    else if (size === 2) memory.write16(at, value);
    else memory.write32(at, value);
    this.#vmm.shadow?.stored(physical, size);
  }

  /** Within one page the first store raises what all would. */
  checkWrite(linear: number, bytes: number): void {
    const split = 4096 - (linear & 0xfff);
    if (split >= bytes) return;
    this.#translate(linear, true);
    this.#translate((linear + split) >>> 0, true);
  }

  #translate(linear: number, write: boolean): number {
    const walk = this.#walk;
    const { state } = this.#vmm;
    const user = state[CPL] === 3;
    walk.walk(linear);
    if (!walk.allows(write, user, false)) {
      this.faulted = true;
      state[EVENT_ADDRESS] = linear;
      raiseWithError(state, PAGE_FAULT, walk.errorCode(write, user, false));
    }
    walk.setAccessed(write);
    return walk.frame * 4096 + (linear & 0xfff);
  }

  #machine(physical: number): number {
    const frame = Math.floor(physical / 4096);
    const { frames } = this.#vmm;
    return frame < frames.guestFrames ? frames.machineFrame(frame) * 4096 + (physical & 0xfff) : -1;
  }

  #chargeDevice(): void {
    this.#vmm.ledger.charge(DEVICE_MODEL);
    if (this.#vmm.features.userspaceIo) this.#vmm.ledger.charge(USER_TRANSITION);
  }
}
