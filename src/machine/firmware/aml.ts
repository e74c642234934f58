/**
 * Terms of the ACPI machine language as bytes (ACPI Specification 3.0, chapters 18.2 and 6.4): what a DSDT needs that names
 * devices and has no methods.
 */

type Bytes = readonly number[];

const word = (value: number): Bytes => [value & 0xff, (value >>> 8) & 0xff];
const doubleWord = (value: number): Bytes => [...word(value & 0xffff), ...word(value >>> 16)];

/** Name segments have four characters, the short ones underscores at the end; `\` goes before. */
function nameString(path: string): Bytes {
  const root = path.startsWith('\\') ? [0x5c] : [];
  const segment = path.replace('\\', '').padEnd(4, '_');
  return [...root, ...[...segment].map((letter) => letter.charCodeAt(0))];
}

/** A package length before what it counts; it counts itself too (18.2.4). */
function counted(content: Bytes): Bytes {
  const { length } = content;
  if (length + 1 <= 0x3f) return [length + 1, ...content];
  const total = length + 2;
  if (total <= 0xfff) return [0x40 | (total & 15), total >>> 4, ...content];
  throw new Error(`An AML package of ${length} bytes is longer than this encoder allows.`);
}

/** An integer constant in its shortest form. */
export function integer(value: number): Bytes {
  if (value === 0) return [0x00];
  if (value === 1) return [0x01];
  if (value <= 0xff) return [0x0a, value];
  return value <= 0xffff ? [0x0b, ...word(value)] : [0x0c, ...doubleWord(value)];
}

/** The number that stands for a Plug and Play identifier such as 'PNP0A03' (EISA encoding, 18.5.35). */
export function eisaId(id: string): Bytes {
  const letter = (at: number): number => id.charCodeAt(at) - 0x40;
  const maker = (letter(0) << 10) | (letter(1) << 5) | letter(2);
  const product = Number.parseInt(id.slice(3), 16);
  return [0x0c, maker >>> 8, maker & 0xff, product >>> 8, product & 0xff];
}

export function name(path: string, value: Bytes): Bytes {
  return [0x08, ...nameString(path), ...value];
}
export function scope(path: string, ...terms: readonly Bytes[]): Bytes {
  return [0x10, ...counted([...nameString(path), ...terms.flat()])];
}
export function device(path: string, ...terms: readonly Bytes[]): Bytes {
  return [0x5b, 0x82, ...counted([...nameString(path), ...terms.flat()])];
}
export function packageOf(...elements: readonly Bytes[]): Bytes {
  return [0x12, ...counted([elements.length, ...elements.flat()])];
}
/** A buffer of resource descriptors, with the end tag. */
export function resources(...descriptors: readonly Bytes[]): Bytes {
  const content = [...descriptors.flat(), 0x79, 0x00];
  return [0x11, ...counted([...integer(content.length), ...content])];
}

/** I/O ports, all sixteen address bits decoded (6.4.2.5). */
export function ports(first: number, count: number): Bytes {
  return [0x47, 0x01, ...word(first), ...word(first), 1, count];
}
/** An ISA interrupt: edge-triggered, active high (6.4.2.1). */
export function interrupt(irq: number): Bytes {
  return [0x22, ...word(1 << irq)];
}

/** Address spaces with fixed ends that a bridge passes on: bus numbers, ports, memory (6.4.3.5). */
const FIXED_ENDS = 0x0c;
export function busNumbers(first: number, last: number): Bytes {
  return wordSpace(2, 0x00, first, last);
}
export function portSpace(first: number, last: number): Bytes {
  // The entire range, ISA and not.
  return wordSpace(1, 0x03, first, last);
}
/** Not cached, writable. */
export function memorySpace(first: number, last: number): Bytes {
  const range = [0, first, last, 0, last - first + 1].flatMap(doubleWord);
  return [0x87, ...word(23), 0, FIXED_ENDS, 0x01, ...range];
}
function wordSpace(kind: number, flags: number, first: number, last: number): Bytes {
  const range = [0, first, last, 0, last - first + 1].flatMap(word);
  return [0x88, ...word(13), kind, FIXED_ENDS, flags, ...range];
}
