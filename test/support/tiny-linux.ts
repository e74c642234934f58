/** A bzImage of a few instructions, with the setup header of boot protocol 2.15. */

/** Fields of the setup header, by name: offset and size in bytes. */
const FIELDS = {
  setupSects: [0x1f1, 1],
  syssize: [0x1f4, 4],
  bootFlag: [0x1fe, 2],
  jump: [0x200, 2],
  header: [0x202, 4],
  version: [0x206, 2],
  loadflags: [0x211, 1],
  code32Start: [0x214, 4],
  initrdAddrMax: [0x22c, 4],
  kernelAlignment: [0x230, 4],
  relocatable: [0x234, 1],
  cmdlineSize: [0x238, 4],
  prefAddress: [0x258, 4],
  initSize: [0x260, 4],
} as const;

export type HeaderFields = Partial<Record<keyof typeof FIELDS, number>>;

const SETUP_BYTES = 2 * 512;

/** Prints its command line on the serial port and exits with status 0. */
const CODE = [
  ...[0x8b, 0x8e, 0x28, 0x02, 0x00, 0x00], // mov ecx, [esi+0x228]
  ...[0xba, 0xf8, 0x03, 0x00, 0x00], // mov edx, 0x3f8
  ...[0x8a, 0x01], // next: mov al, [ecx]
  ...[0x84, 0xc0], // test al, al
  ...[0x74, 0x04], // jz done
  0xee, // out dx, al
  0x41, // inc ecx
  ...[0xeb, 0xf6], // jmp next
  ...[0xb8, 0x00, 0x00, 0x00, 0x00], // done: mov eax, 0
  ...[0xe7, 0xf4], // out 0xf4, eax
];

/** The kernel with some header fields changed. */
export function tinyLinux(fields: HeaderFields = {}): Uint8Array {
  const paragraphs = Math.ceil(CODE.length / 16);
  const image = new Uint8Array(SETUP_BYTES + 16 * paragraphs);
  image.set(CODE, SETUP_BYTES);
  const values: Required<HeaderFields> = {
    setupSects: SETUP_BYTES / 512 - 1,
    syssize: paragraphs,
    bootFlag: 0xaa55,
    jump: 0x6aeb,
    header: 0x53726448,
    version: 0x020f,
    loadflags: 1,
    code32Start: 0x100000,
    initrdAddrMax: 0x7fffffff,
    kernelAlignment: 0x1000,
    relocatable: 1,
    cmdlineSize: 2047,
    prefAddress: 0x1000000,
    initSize: 0x100000,
    ...fields,
  };
  const view = new DataView(image.buffer);
  for (const [name, [offset, bytes]] of Object.entries(FIELDS)) {
    const value = values[name as keyof typeof FIELDS];
    if (bytes === 1) view.setUint8(offset, value);
    else if (bytes === 2) view.setUint16(offset, value, true);
    else view.setUint32(offset, value, true);
  }
  return image;
}
