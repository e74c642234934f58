/** What a kernel tells the domain builder about itself in ELF notes (public/elfnote.h). */
import { type ElfFile, ImageError } from '../../machine/elf.ts';
import { HYPERVISOR_START } from './layout.ts';

const OWNER = 'Xen';
const ENTRY = 1;
const HYPERCALL_PAGE = 2;
const VIRT_BASE = 3;
const PADDR_OFFSET = 4;
const XEN_VERSION = 5;
const LOADER = 8;
const PAE_MODE = 9;
const FEATURES = 10;
const HV_START_LOW = 12;
const INIT_P2M = 15;

/** Features (public/features.h) that a kernel may demand with '!' and that this hypervisor has. */
const FEATURES_OFFERED = ['pae_pgdir_above_4gb', 'mmu_pt_update_preserve_ad'];

export interface KernelNotes {
  /** Guest-linear entry point. */
  readonly entry: number;
  /** Guest-linear address of the page to fill with call stubs, or null. */
  readonly hypercallPage: number | null;
  /** Guest-linear address of pseudo-physical 0. */
  readonly virtualBase: number;
  /** What the file's physical addresses are above pseudo-physical ones. */
  readonly physicalOffset: number;
}

/** Reads and checks them. Throws ImageError if the kernel cannot run here. */
export function readKernelNotes(file: ElfFile): KernelNotes {
  const notes = new Map(file.notes.filter((note) => note.owner === OWNER).map((note) => [note.type, note.data]));
  if (notes.size === 0)
    throw new ImageError("The image has no ELF notes of owner 'Xen'; paravirt boots the Xen build of the kernel.");
  const version = text(notes.get(XEN_VERSION));
  if (version !== null && version !== 'xen-3.0') throw new ImageError(`The kernel is for ${version}, not for xen-3.0.`);
  const loader = text(notes.get(LOADER));
  if (loader !== null && loader !== 'generic')
    throw new ImageError(`The kernel asks for the loader '${loader}', not for 'generic'.`);
  const pae = text(notes.get(PAE_MODE));
  if (pae !== null && !pae.startsWith('yes') && pae !== 'bimodal') {
    throw new ImageError(`The kernel's PAE_MODE note is '${pae}'; the hypervisor runs PAE kernels only.`);
  }
  for (const feature of (text(notes.get(FEATURES)) ?? '').split('|')) {
    if (feature.startsWith('!') && !FEATURES_OFFERED.includes(feature.slice(1))) {
      throw new ImageError(`The kernel demands the feature '${feature.slice(1)}', which the hypervisor does not have.`);
    }
  }
  if (notes.has(INIT_P2M))
    throw new ImageError('The kernel wants its frame list at an address of its own (INIT_P2M), which is not built.');
  const holeStart = number(notes.get(HV_START_LOW));
  if (holeStart !== null && holeStart > HYPERVISOR_START) {
    throw new ImageError(
      `The kernel wants the hypervisor no lower than 0x${holeStart.toString(16)}; it begins at 0x${HYPERVISOR_START.toString(16)}.`,
    );
  }
  return {
    entry: number(notes.get(ENTRY)) ?? file.entry,
    hypercallPage: number(notes.get(HYPERCALL_PAGE)),
    virtualBase: number(notes.get(VIRT_BASE)) ?? 0,
    physicalOffset: number(notes.get(PADDR_OFFSET)) ?? 0,
  };
}

/** Numbers are 4 or 8 bytes. */
function number(data: Uint8Array | undefined): number | null {
  if (data === undefined || data.length < 4) return null;
  return new DataView(data.buffer, data.byteOffset, data.byteLength).getUint32(0, true);
}

function text(data: Uint8Array | undefined): string | null {
  if (data === undefined) return null;
  const end = data.indexOf(0);
  return String.fromCharCode(...data.subarray(0, end < 0 ? data.length : end));
}
