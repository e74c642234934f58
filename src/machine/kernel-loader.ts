/** Loads a guest's kernel by the boot protocol that its image speaks: Linux's, if it has Linux's header, or multiboot. */
import type { Profile } from '../cost/profile.ts';
import type { BootState } from './boot-state.ts';
import { ImageError } from './elf.ts';
import { isLinux, loadLinux } from './linux-loader.ts';
import { loadMultiboot, type PhysicalWriter } from './multiboot.ts';

export interface KernelFiles {
  readonly image: Uint8Array;
  /** An initial RAM disk, for Linux. */
  readonly initrd?: Uint8Array;
  readonly commandLine: string;
  /** The processor's CPUID signature goes into the firmware tables. */
  readonly profile: Profile;
  /** Guest RAM in bytes. */
  readonly ramBytes: number;
}

/** Loads the kernel into guest RAM, which is still zero. Throws ImageError, with a sentence for the user. */
export function loadKernel(files: KernelFiles, ram: PhysicalWriter): BootState {
  if (isLinux(files.image)) return loadLinux(files, ram);
  if (files.initrd !== undefined)
    throw new ImageError('Only a Linux kernel takes an initial RAM disk, and this image has no Linux setup header.');
  return loadMultiboot(files.image, files.commandLine, files.ramBytes, ram);
}
