/**
 * Loads a kernel as a multiboot 1 boot loader does (Multiboot Specification 0.6.96): segments of an ELF32 file to their
 * physical addresses, an information structure with memory sizes, command line and memory map below 640 KB, and the
 * register state the specification promises. Writes go through the caller, because only it knows where the guest's
 * frames lie in machine memory.
 */
import type { BootState } from './boot-state.ts';
import { type ElfFile, type ElfSegment, ImageError, parseElf } from './elf.ts';
import { BIOS_AREA, HIGH_MEMORY, LOW_MEMORY_END } from './memory-map.ts';

/** Writes to guest-physical memory. */
export interface PhysicalWriter {
  writeBytes(guestPhysical: number, data: Uint8Array): void;
}

/** EAX at entry: the loader's magic number. */
export const MULTIBOOT_MAGIC = 0x2badb002;
const HEADER_MAGIC = 0x1badb002;
/** The header lies in the first 8192 bytes of the file, aligned to 4. */
const HEADER_SEARCH_BYTES = 8192;
/** Header flags: page-aligned modules (there are none), memory information. */
const FLAGS_KNOWN = 0x3;
const FLAG_ADDRESSES = 0x10000;

/** The information structure, its memory map and strings lie here, in RAM below the extended BIOS data area. */
const INFORMATION = 0x9000;
const MEMORY_MAP = INFORMATION + 0x80;
const LOADER_NAME = INFORMATION + 0x100;
const COMMAND_LINE = INFORMATION + 0x200;
const INFORMATION_END = INFORMATION + 0x1000;
/** Selectors of the loader's code and data segments; a kernel loads its own before it relies on any. */
const CODE_SELECTOR = 0x08;
const DATA_SELECTOR = 0x10;

/**
 * Loads `image` into `ramBytes` of guest RAM. Throws ImageError if it is no multiboot kernel, does not fit, or the
 * command line is too long.
 */
export function loadMultiboot(
  image: Uint8Array,
  commandLine: string,
  ramBytes: number,
  ram: PhysicalWriter,
): BootState {
  checkHeader(image);
  const file = parseElf(image);
  if (file.segments.length === 0) throw new ImageError('The kernel image has no segment to load.');
  for (const segment of file.segments) {
    checkPlace(segment, ramBytes);
    ram.writeBytes(segment.physical, segment.data);
    // RAM is zero at power-on, so the rest of the segment is zero already.
  }
  ram.writeBytes(INFORMATION, informationBytes(commandLine, ramBytes));
  return {
    entry: physicalEntry(file),
    registers: { eax: MULTIBOOT_MAGIC, ebx: INFORMATION },
    codeSelector: CODE_SELECTOR,
    dataSelector: DATA_SELECTOR,
    gdt: null,
  };
}

function checkHeader(image: Uint8Array): void {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const end = Math.min(HEADER_SEARCH_BYTES, image.length) - 12;
  for (let at = 0; at <= end; at += 4) {
    if (view.getUint32(at, true) !== HEADER_MAGIC) continue;
    const flags = view.getUint32(at + 4, true);
    if (((HEADER_MAGIC + flags + view.getUint32(at + 8, true)) | 0) !== 0) continue;
    if ((flags & FLAG_ADDRESSES) !== 0) {
      throw new ImageError('The multiboot header gives load addresses (flag bit 16); only ELF kernels are loaded.');
    }
    const unknown = flags & 0xffff & ~FLAGS_KNOWN;
    if (unknown !== 0) {
      throw new ImageError(`The multiboot header demands features 0x${unknown.toString(16)} that this loader lacks.`);
    }
    return;
  }
  throw new ImageError(`The image has no multiboot 1 header in its first ${HEADER_SEARCH_BYTES} bytes.`);
}

function checkPlace(segment: ElfSegment, ramBytes: number): void {
  const end = segment.physical + segment.memorySize;
  const range = `0x${segment.physical.toString(16)}..0x${end.toString(16)}`;
  if (end > ramBytes) {
    throw new ImageError(
      `The kernel occupies ${range}, but the guest has only 0x${ramBytes.toString(16)} bytes of RAM.`,
    );
  }
  if (segment.physical < INFORMATION_END && end > INFORMATION) {
    throw new ImageError(`The kernel occupies ${range}, where the multiboot information goes (0x9000..0xa000).`);
  }
  if (segment.physical < HIGH_MEMORY && end > LOW_MEMORY_END) {
    throw new ImageError(`The kernel occupies ${range}, which overlaps the BIOS area (0x9fc00..0x100000).`);
  }
}

/** A virtual entry point is turned into the physical one of the segment that holds it, as GRUB 2 does. */
function physicalEntry(file: ElfFile): number {
  const inside = (start: number, segment: ElfSegment): boolean =>
    file.entry >= start && file.entry < start + segment.memorySize;
  const byVirtual = file.segments.find((segment) => inside(segment.virtual, segment));
  if (byVirtual !== undefined) return file.entry - byVirtual.virtual + byVirtual.physical;
  if (file.segments.some((segment) => inside(segment.physical, segment))) return file.entry;
  throw new ImageError(`The entry point 0x${file.entry.toString(16)} lies in no segment of the kernel.`);
}

/** One page: information structure, memory map, loader name, command line. */
function informationBytes(commandLine: string, ramBytes: number): Uint8Array {
  const page = new Uint8Array(INFORMATION_END - INFORMATION);
  const view = new DataView(page.buffer);
  const put = (address: number, value: number): void => view.setUint32(address - INFORMATION, value, true);
  const putText = (address: number, text: string): void => {
    for (let index = 0; index < text.length; index++) page[address - INFORMATION + index] = text.charCodeAt(index);
  };
  const room = INFORMATION_END - COMMAND_LINE - 1;
  if (commandLine.length > room) {
    throw new ImageError(`The command line has ${commandLine.length} characters; at most ${room} fit.`);
  }
  putText(COMMAND_LINE, commandLine);
  putText(LOADER_NAME, 'trivisor');
  const map: readonly (readonly [base: number, bytes: number, type: number])[] = [
    [0, LOW_MEMORY_END, 1],
    [LOW_MEMORY_END, 0xa0000 - LOW_MEMORY_END, 2],
    [BIOS_AREA, HIGH_MEMORY - BIOS_AREA, 2],
    [HIGH_MEMORY, ramBytes - HIGH_MEMORY, 1],
  ];
  for (const [index, [base, bytes, type]] of map.entries()) {
    const at = MEMORY_MAP + index * 24;
    put(at, 20);
    put(at + 4, base);
    put(at + 12, bytes);
    put(at + 20, type);
  }
  put(INFORMATION, 0x1 | 0x4 | 0x40 | 0x200);
  put(INFORMATION + 4, LOW_MEMORY_END / 1024);
  put(INFORMATION + 8, (ramBytes - HIGH_MEMORY) / 1024);
  put(INFORMATION + 16, COMMAND_LINE);
  put(INFORMATION + 44, map.length * 24);
  put(INFORMATION + 48, MEMORY_MAP);
  put(INFORMATION + 64, LOADER_NAME);
  return page;
}
