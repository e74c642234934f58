/** Multiboot images of a few bytes of machine code, for guests that behave or misbehave in one way each. */

const LOAD_ADDRESS = 0x100000;
const HEADER_BYTES = 52 + 32;

/** `0F 1F 80 <disp32>`: the marker with this code. */
function marker(code: number): number[] {
  return [0x0f, 0x1f, 0x80, code, 0x00, 0x56, 0x54];
}

function load(register: 'eax' | 'ecx' | 'edx' | 'ebx', value: number): number[] {
  const opcode = { eax: 0xb8, ecx: 0xb9, edx: 0xba, ebx: 0xbb }[register];
  return [opcode, value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
}

const BEGIN = [...load('ebx', 0), ...marker(2)];
const END = [...load('ebx', 0), ...load('ecx', 1000), ...load('edx', 0x2a), ...marker(3)];
/** mov ecx, 1000; loop: dec ecx; jnz loop */
const THOUSAND = [...load('ecx', 1000), 0x49, 0x75, 0xfd];

function exit(status: number): number[] {
  return [...load('eax', status), 0xe7, 0xf4];
}

/** Guests by what becomes of them. */
export const GUESTS = {
  /** Measures a loop of 1000 operations with the checksum 0x2a and exits. */
  good: [...BEGIN, ...THOUSAND, ...END, ...exit(0)],
  /** jmp self */
  endless: [...BEGIN, 0xeb, 0xfe],
  /** cli; hlt */
  hangs: [...BEGIN, 0xfa, 0xf4],
  /** Loads an empty IDT (six zero bytes that the stack holds) and traps: #DF cannot be delivered either. */
  tripleFaults: [...BEGIN, ...load('eax', 0x200000), 0x89, 0xc4, 0x6a, 0x00, 0x6a, 0x00, 0x0f, 0x01, 0x1c, 0x24, 0xcc],
  exitsWithStatus: [...BEGIN, ...THOUSAND, ...exit(3)],
  neverMeasures: exit(0),
} as const satisfies Record<string, readonly number[]>;

/** An ELF32 file with one segment: multiboot header, then the code, which is the entry point. */
export function tinyImage(code: readonly number[]): Uint8Array {
  const size = HEADER_BYTES + 12 + code.length;
  const file = new Uint8Array(size);
  const view = new DataView(file.buffer);
  const put = (offset: number, ...words: number[]): void => {
    for (const [index, word] of words.entries()) view.setUint32(offset + 4 * index, word, true);
  };
  file.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  put(16, 0x0003_0002, 1, LOAD_ADDRESS + HEADER_BYTES + 12, 52, 0, 0, 0x0020_0034, 0x0028_0001, 0);
  put(52, 1, 0, LOAD_ADDRESS, LOAD_ADDRESS, size, size, 7, 4096);
  put(HEADER_BYTES, 0x1badb002, 0, -0x1badb002 >>> 0);
  file.set(code, HEADER_BYTES + 12);
  return file;
}
