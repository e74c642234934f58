/**
 * Loads a Linux kernel as a 32-bit boot loader does (Linux, Documentation/arch/x86/boot.rst, "32-bit boot protocol"): the
 * protected-mode part of a bzImage at its preferred address, the initial RAM disk as high as it may lie, and in low
 * memory the boot parameters ("zero page") with setup header and memory map, the command line and a GDT; in the BIOS area the
 * firmware's tables. The 16-bit setup code is not run.
 */
import type { BootState } from './boot-state.ts';
import { ImageError } from './elf.ts';
import { firmwareTables } from './firmware/firmware.ts';
import type { KernelFiles } from './kernel-loader.ts';
import { BIOS_AREA, HIGH_MEMORY, LOW_MEMORY_END } from './memory-map.ts';
import type { PhysicalWriter } from './multiboot.ts';

const SECTOR = 512;
/** Fields of the setup header, by their offset in the file and in the boot parameters alike. */
const SETUP_SECTS = 0x1f1;
const SYSSIZE = 0x1f4;
const BOOT_FLAG = 0x1fe;
const JUMP_LENGTH = 0x201;
const HEADER = 0x202;
const VERSION = 0x206;
const TYPE_OF_LOADER = 0x210;
const LOADFLAGS = 0x211;
const CODE32_START = 0x214;
const RAMDISK_IMAGE = 0x218;
const RAMDISK_SIZE = 0x21c;
const CMD_LINE_PTR = 0x228;
const INITRD_ADDR_MAX = 0x22c;
const RELOCATABLE = 0x234;
const CMDLINE_SIZE = 0x238;
const PREF_ADDRESS = 0x258;
const INIT_SIZE = 0x260;

const MAGIC = 0x53726448; // "HdrS"
/** The oldest protocol that says where the kernel wants to lie and how much room it needs there. */
const OLDEST_VERSION = 0x020a;
const LOADED_HIGH = 0x01;
const OTHER_LOADER = 0xff;

/** Fields of the boot parameters outside the setup header (Documentation/arch/x86/zero-page.rst). */
const ALT_MEM_K = 0x1e0;
const E820_ENTRIES = 0x1e8;
const E820_TABLE = 0x2d0;
const E820_RAM = 1;
const E820_RESERVED = 2;
const PARAMETERS_BYTES = 4096;

/** Where things go in low memory, which Linux takes over only after it has copied them. */
const PARAMETERS = 0x10000;
const GDT = 0x11000;
const COMMAND_LINE = 0x20000;
const LOW_END = 0x30000;

/** The protocol's selectors, __BOOT_CS and __BOOT_DS, and flat 4 GB descriptors for them. */
const BOOT_CS = 0x10;
const BOOT_DS = 0x18;
const FLAT_CODE = [0x0000ffff, 0x00cf9b00] as const;
const FLAT_DATA = [0x0000ffff, 0x00cf9300] as const;
const GDT_BYTES = 32;

interface SetupHeader {
  readonly setupBytes: number;
  readonly kernelBytes: number;
  readonly commandLineBytes: number;
  readonly initrdMax: number;
  readonly relocatable: boolean;
  readonly preferred: number;
  readonly roomBytes: number;
  /** The header as it lies in the file, from SETUP_SECTS on. */
  readonly bytes: Uint8Array;
}

/** True if the image has the setup header's magic number. */
export function isLinux(image: Uint8Array): boolean {
  return image.length >= HEADER + 4 && viewOf(image).getUint32(HEADER, true) === MAGIC;
}

/** Loads the kernel of `files`. Throws ImageError if it is no bzImage of protocol 2.10 or newer or does not fit. */
export function loadLinux(files: KernelFiles, ram: PhysicalWriter): BootState {
  const { image, initrd, commandLine, ramBytes } = files;
  const header = readHeader(image);
  if (commandLine.length > header.commandLineBytes) {
    throw new ImageError(
      `The command line has ${commandLine.length} characters; this kernel takes ${header.commandLineBytes}.`,
    );
  }
  const load = placeKernel(header, ramBytes);
  const disk = initrd === undefined ? 0 : placeInitrd(initrd.length, load + header.roomBytes, header, ramBytes);
  ram.writeBytes(load, image.subarray(header.setupBytes, header.setupBytes + header.kernelBytes));
  if (initrd !== undefined) ram.writeBytes(disk, initrd);
  ram.writeBytes(PARAMETERS, parameters(header, load, disk, initrd?.length ?? 0, ramBytes));
  ram.writeBytes(COMMAND_LINE, new TextEncoder().encode(`${commandLine}\0`));
  ram.writeBytes(GDT, descriptors());
  for (const { address, bytes } of firmwareTables(files.profile.cpuid.signature)) ram.writeBytes(address, bytes);
  return {
    entry: load,
    registers: { esi: PARAMETERS },
    codeSelector: BOOT_CS,
    dataSelector: BOOT_DS,
    gdt: { base: GDT, limit: GDT_BYTES - 1 },
  };
}

function readHeader(image: Uint8Array): SetupHeader {
  const view = viewOf(image);
  if (!isLinux(image) || view.getUint16(BOOT_FLAG, true) !== 0xaa55)
    throw new ImageError(`The image (${image.length} bytes) is no Linux kernel: it has no setup header.`);
  const version = view.getUint16(VERSION, true);
  if (version < OLDEST_VERSION) {
    throw new ImageError(
      `The Linux kernel speaks boot protocol ${version >>> 8}.${version & 0xff}; 2.10 (Linux 2.6.31) or newer is needed.`,
    );
  }
  const headerEnd = HEADER + (view.getUint8(JUMP_LENGTH) as number);
  const setupBytes = ((view.getUint8(SETUP_SECTS) || 4) + 1) * SECTOR;
  const kernelBytes = view.getUint32(SYSSIZE, true) * 16;
  // The last paragraph of an unsigned kernel may be cut short.
  if (headerEnd < INIT_SIZE + 4 || image.length <= headerEnd || image.length + 15 < setupBytes + kernelBytes) {
    throw new ImageError(
      `The Linux kernel is cut short: it has ${image.length} bytes, and its header promises ${setupBytes + kernelBytes}.`,
    );
  }
  if ((view.getUint8(LOADFLAGS) & LOADED_HIGH) === 0)
    throw new ImageError('The Linux kernel is a zImage, to be loaded below 1 MB; only a bzImage is loaded.');
  return {
    setupBytes,
    kernelBytes,
    commandLineBytes: Math.min(view.getUint32(CMDLINE_SIZE, true), LOW_END - COMMAND_LINE - 1),
    initrdMax: view.getUint32(INITRD_ADDR_MAX, true),
    relocatable: view.getUint8(RELOCATABLE) !== 0,
    preferred: Number(view.getBigUint64(PREF_ADDRESS, true)),
    roomBytes: view.getUint32(INIT_SIZE, true),
    bytes: image.subarray(SETUP_SECTS, headerEnd),
  };
}

/** The preferred address, or 1 MB if RAM ends too early for that: the kernel then moves itself. */
function placeKernel(header: SetupHeader, ramBytes: number): number {
  const room = Math.max(header.roomBytes, header.kernelBytes);
  for (const address of header.relocatable ? [header.preferred, HIGH_MEMORY] : [HIGH_MEMORY])
    if (address >= HIGH_MEMORY && address + room <= ramBytes) return address;
  throw new ImageError(
    `The Linux kernel needs ${megabytes(HIGH_MEMORY + room)} MB of RAM to unpack itself, and the guest has ${megabytes(ramBytes)} MB.`,
  );
}

/** The highest page-aligned place for the RAM disk that the kernel can reach and that is not the kernel's own. */
function placeInitrd(bytes: number, kernelEnd: number, header: SetupHeader, ramBytes: number): number {
  const end = Math.min(ramBytes, header.initrdMax + 1);
  const address = (end - bytes) & ~0xfff;
  if (address >= kernelEnd) return address;
  throw new ImageError(
    `The initial RAM disk (${megabytes(bytes)} MB) does not fit between the kernel's end at ${megabytes(kernelEnd)} MB and ${megabytes(end)} MB.`,
  );
}

function parameters(
  header: SetupHeader,
  load: number,
  initrd: number,
  initrdBytes: number,
  ramBytes: number,
): Uint8Array {
  const page = new Uint8Array(PARAMETERS_BYTES);
  const view = viewOf(page);
  page.set(header.bytes, SETUP_SECTS);
  view.setUint8(TYPE_OF_LOADER, OTHER_LOADER);
  view.setUint32(CODE32_START, load, true);
  view.setUint32(RAMDISK_IMAGE, initrd, true);
  view.setUint32(RAMDISK_SIZE, initrdBytes, true);
  view.setUint32(CMD_LINE_PTR, COMMAND_LINE, true);
  view.setUint32(ALT_MEM_K, (ramBytes - HIGH_MEMORY) >>> 10, true);
  const map = [
    [0, LOW_MEMORY_END, E820_RAM],
    [LOW_MEMORY_END, 0xa0000 - LOW_MEMORY_END, E820_RESERVED],
    [BIOS_AREA, HIGH_MEMORY - BIOS_AREA, E820_RESERVED],
    [HIGH_MEMORY, ramBytes - HIGH_MEMORY, E820_RAM],
  ] as const;
  view.setUint8(E820_ENTRIES, map.length);
  for (const [index, [base, bytes, type]] of map.entries()) {
    const at = E820_TABLE + 20 * index;
    view.setUint32(at, base, true);
    view.setUint32(at + 8, bytes, true);
    view.setUint32(at + 16, type, true);
  }
  return page;
}

function descriptors(): Uint8Array {
  const table = new Uint8Array(GDT_BYTES);
  const view = viewOf(table);
  for (const [selector, [low, high]] of [
    [BOOT_CS, FLAT_CODE],
    [BOOT_DS, FLAT_DATA],
  ] as const) {
    view.setUint32(selector, low, true);
    view.setUint32(selector + 4, high, true);
  }
  return table;
}

function megabytes(bytes: number): string {
  return String(Math.ceil((bytes / (1 << 20)) * 10) / 10);
}

function viewOf(data: Uint8Array): DataView {
  return new DataView(data.buffer, data.byteOffset, data.byteLength);
}
