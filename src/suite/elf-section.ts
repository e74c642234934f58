/** Finds a section of an ELF32 little-endian file by name (System V ABI, chapter 4). */

/** The bytes of section `name`, or null if there is none. Throws a sentence if the file is no ELF32 file. */
export function elfSection(file: Uint8Array, name: string): Uint8Array | null {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < 52 || view.getUint32(0) !== 0x7f454c46) throw new Error('It is not an ELF file.');
  if (file[4] !== 1 || file[5] !== 1) throw new Error('It is not a 32-bit little-endian ELF file.');
  const headers = view.getUint32(32, true);
  const entrySize = view.getUint16(46, true);
  const count = view.getUint16(48, true);
  const namesIndex = view.getUint16(50, true);
  if (count === 0 || headers + count * entrySize > file.length || namesIndex >= count) return null;
  const header = (index: number, field: number): number => view.getUint32(headers + index * entrySize + field, true);
  const bytes = (index: number): Uint8Array => {
    const start = header(index, 16);
    return file.subarray(start, start + header(index, 20));
  };
  const names = bytes(namesIndex);
  for (let index = 0; index < count; index++) {
    const start = header(index, 0);
    const end = names.indexOf(0, start);
    if (end >= 0 && new TextDecoder().decode(names.subarray(start, end)) === name) return bytes(index);
  }
  return null;
}
