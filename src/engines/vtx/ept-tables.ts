/**
 * The EPT tables: guest RAM, frame by frame because its frames are scattered, all rights, write-back. Beyond RAM nothing
 * is mapped, so that an access there is an EPT violation and reaches a device model.
 */
import type { MachineAddress } from '../../core/address.ts';
import type { MachineMemory } from '../../core/memory.ts';
import { EPT_EXECUTE, EPT_READ, EPT_WRITE, EPT_WRITE_BACK } from '../../core/vmx/ept.ts';
import type { FrameMap } from '../frames.ts';

const ALL = EPT_READ | EPT_WRITE | EPT_EXECUTE;
/** Guest-physical frame of the identity page directory, where KVM has it: below 4 GB, far from RAM. */
export const IDENTITY_FRAME = 0xfffbc;

/** VMM frames that `buildEpt` takes for this much RAM: PML4, PDPT, four directories, and a table for each 2 MB. */
export function eptFrames(guestFrames: number): number {
  return 2 + 4 + Math.ceil(guestFrames / 512) + 1;
}

/** Builds the tables in VMM frames; returns the EPT pointer. `identityFrame`: machine frame mapped at IDENTITY_FRAME. */
export function buildEpt(memory: MachineMemory, frames: FrameMap, identityFrame: number): number {
  const root = frames.allocate();
  const pointers = frames.allocate();
  const directories = frames.allocate(4);
  set(memory, root, 0, pointers, ALL);
  for (let gigabyte = 0; gigabyte < 4; gigabyte++) set(memory, pointers, gigabyte, directories + gigabyte, ALL);
  let table = -1;
  for (let frame = 0; frame < frames.guestFrames; frame++) {
    if ((frame & 511) === 0) {
      table = frames.allocate();
      set(memory, directories + (frame >>> 18), (frame >>> 9) & 511, table, ALL);
    }
    set(memory, table, frame & 511, frames.machineFrame(frame), ALL | EPT_WRITE_BACK);
  }
  if (identityFrame >= 0) {
    table = frames.allocate();
    set(memory, directories + 3, (IDENTITY_FRAME >>> 9) & 511, table, ALL);
    set(memory, table, IDENTITY_FRAME & 511, identityFrame, ALL | EPT_WRITE_BACK);
  }
  // Write-back, four levels.
  return root * 4096 + (6 | (3 << 3));
}

/** A page directory of 4 MB pages that maps every address to itself: paging for a guest that has none yet. */
export function buildIdentity(memory: MachineMemory, machineFrame: number): void {
  for (let slot = 0; slot < 1024; slot++)
    memory.write32((machineFrame * 4096 + 4 * slot) as MachineAddress, (slot << 22) | 0xe7);
}

function set(memory: MachineMemory, table: number, slot: number, frame: number, bits: number): void {
  memory.write32((table * 4096 + 8 * slot) as MachineAddress, (frame << 12) | bits);
}
