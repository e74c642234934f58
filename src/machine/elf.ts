/**
 * Reads 32-bit little-endian x86 ELF files (System V ABI, chapter 4): program segments to load, sections by name,
 * notes. Used for guest kernels, for the workload catalogue in an image, and for Xen's notes.
 */

/** The image is not a file this reader can use. The message is one sentence for the user. */
export class ImageError extends Error {
  override readonly name = 'ImageError';
}

/** A PT_LOAD program header. Addresses are as in the file: `physical` is where it is loaded. */
export interface ElfSegment {
  readonly virtual: number;
  readonly physical: number;
  /** The bytes in the file. */
  readonly data: Uint8Array;
  /** Bytes in memory; those beyond `data` are zero. */
  readonly memorySize: number;
}

export interface ElfSection {
  readonly name: string;
  readonly type: number;
  /** Link-time address (linear). */
  readonly address: number;
  /** Empty for a section without bytes in the file. */
  readonly data: Uint8Array;
}

export interface ElfNote {
  readonly owner: string;
  readonly type: number;
  readonly data: Uint8Array;
}

export interface ElfFile {
  /** Entry point as in the file: a virtual address, or physical where the kernel is linked so. */
  readonly entry: number;
  readonly segments: readonly ElfSegment[];
  readonly sections: readonly ElfSection[];
  readonly notes: readonly ElfNote[];
}

const PT_LOAD = 1;
const PT_NOTE = 4;
const SHT_NOTE = 7;
const SHT_NOBITS = 8;
const EM_386 = 3;
const HEADER_BYTES = 52;

/** Parses an image. Throws ImageError if it is not a complete 32-bit x86 ELF executable. */
export function parseElf(image: Uint8Array): ElfFile {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  checkHeader(image, view);
  const segments: ElfSegment[] = [];
  const notes: ElfNote[] = [];
  const programHeaders = view.getUint32(28, true);
  const programHeaderBytes = view.getUint16(42, true);
  const programHeaderCount = view.getUint16(44, true);
  for (let index = 0; index < programHeaderCount; index++) {
    const at = programHeaders + index * programHeaderBytes;
    slice(image, at, 32, `program header ${index}`);
    const type = view.getUint32(at, true);
    const data = (): Uint8Array =>
      slice(image, view.getUint32(at + 4, true), view.getUint32(at + 16, true), `segment ${index}`);
    if (type === PT_NOTE) notes.push(...parseNotes(data()));
    const memorySize = view.getUint32(at + 20, true);
    if (type !== PT_LOAD || memorySize === 0) continue;
    const segment = {
      virtual: view.getUint32(at + 8, true),
      physical: view.getUint32(at + 12, true),
      data: data(),
      memorySize,
    };
    if (segment.data.length > memorySize) {
      throw new ImageError(`Segment ${index} of the ELF image has more bytes in the file than in memory.`);
    }
    segments.push(segment);
  }
  const sections = parseSections(image, view);
  if (notes.length === 0) {
    for (const section of sections) if (section.type === SHT_NOTE) notes.push(...parseNotes(section.data));
  }
  return { entry: view.getUint32(24, true), segments, sections, notes };
}

/** The bytes of the first section called `name`, or null. */
export function sectionData(file: ElfFile, name: string): Uint8Array | null {
  return file.sections.find((section) => section.name === name)?.data ?? null;
}

function checkHeader(image: Uint8Array, view: DataView): void {
  if (image.length < HEADER_BYTES || view.getUint32(0, false) !== 0x7f454c46) {
    throw new ImageError(`The image (${image.length} bytes) is not an ELF file.`);
  }
  if (image[4] !== 1 || image[5] !== 1) {
    throw new ImageError('The image is not a 32-bit little-endian ELF file; build the kernel with -m32.');
  }
  const machine = view.getUint16(18, true);
  if (machine !== EM_386) throw new ImageError(`The ELF image is for machine ${machine}, not for 3 (x86).`);
  const type = view.getUint16(16, true);
  if (type !== 2) throw new ImageError(`The ELF image is of type ${type}, not 2 (a linked executable).`);
}

function parseSections(image: Uint8Array, view: DataView): ElfSection[] {
  const headers = view.getUint32(32, true);
  const headerBytes = view.getUint16(46, true);
  const count = view.getUint16(48, true);
  const namesIndex = view.getUint16(50, true);
  if (headers === 0 || count === 0) return [];
  const bytesOf = (index: number): Uint8Array => {
    const at = headers + index * headerBytes;
    slice(image, at, 40, `section header ${index}`);
    if (view.getUint32(at + 4, true) === SHT_NOBITS || view.getUint32(at + 4, true) === 0) return new Uint8Array(0);
    return slice(image, view.getUint32(at + 16, true), view.getUint32(at + 20, true), `section ${index}`);
  };
  const names = namesIndex < count ? bytesOf(namesIndex) : new Uint8Array(0);
  return Array.from({ length: count }, (_, index) => {
    const data = bytesOf(index);
    const at = headers + index * headerBytes;
    return {
      name: text(names, view.getUint32(at, true)),
      type: view.getUint32(at + 4, true),
      address: view.getUint32(at + 12, true),
      data,
    };
  });
}

/** Notes: name size, descriptor size, type, name and descriptor, each padded to four bytes. */
function parseNotes(data: Uint8Array): ElfNote[] {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const notes: ElfNote[] = [];
  for (let at = 0; at + 12 <= data.length; ) {
    const nameBytes = view.getUint32(at, true);
    const descriptorBytes = view.getUint32(at + 4, true);
    const descriptorAt = at + 12 + ((nameBytes + 3) & ~3);
    const descriptor = slice(data, descriptorAt, descriptorBytes, 'note');
    notes.push({ owner: text(data, at + 12), type: view.getUint32(at + 8, true), data: descriptor });
    at = descriptorAt + ((descriptorBytes + 3) & ~3);
  }
  return notes;
}

/** A NUL-terminated ASCII string. */
function text(data: Uint8Array, start: number): string {
  let end = start;
  while (end < data.length && data[end] !== 0) end++;
  return String.fromCharCode(...data.subarray(start, end));
}

function slice(data: Uint8Array, start: number, length: number, what: string): Uint8Array {
  if (start + length > data.length) {
    throw new ImageError(
      `The ELF image ends inside its ${what}: it has ${data.length} bytes and ${start + length} are needed.`,
    );
  }
  return data.subarray(start, start + length);
}
