/**
 * The translator's own small assembler: exactly the forms that its sequences use. None of them changes a flag unless
 * its name is that of an instruction that does.
 */
import { CALLOUT_GATE } from './layout.ts';
import { slotAddress } from './vcpu.ts';

export const EAX = 0;
export const ECX = 1;

export class Emitter {
  readonly bytes: Uint8Array = new Uint8Array(4096);
  length = 0;
  /** Linear address of bytes[0]. */
  base = 0;

  reset(base: number): void {
    this.length = 0;
    this.base = base;
  }

  get address(): number {
    return this.base + this.length;
  }

  put(...bytes: number[]): void {
    for (const byte of bytes) this.bytes[this.length++] = byte;
  }

  word32(value: number): void {
    this.put(value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >> 24) & 0xff);
  }

  copy(source: Uint8Array, from: number, count: number): void {
    this.bytes.set(source.subarray(from, from + count), this.length);
    this.length += count;
  }

  /** gs:[slot] with a ModRM register or digit. */
  #slot(opcode: number, register: number, slot: number): void {
    this.put(0x65, opcode, (register << 3) | 5);
    this.word32(slotAddress(slot));
  }

  /** mov gs:[slot], r32 */
  store(slot: number, register: number): void {
    this.#slot(0x89, register, slot);
  }
  /** mov r32, gs:[slot] */
  load(register: number, slot: number): void {
    this.#slot(0x8b, register, slot);
  }
  /** mov dword gs:[slot], imm32 */
  storeConstant(slot: number, value: number): void {
    this.#slot(0xc7, 0, slot);
    this.word32(value);
  }
  /** push dword gs:[slot] */
  pushSlot(slot: number, size: number): void {
    if (size === 2) this.put(0x66);
    this.#slot(0xff, 6, slot);
  }
  /** jmp dword gs:[slot] */
  jumpSlot(slot: number): void {
    this.#slot(0xff, 4, slot);
  }
  /** and r32, gs:[slot]: changes flags. */
  andSlot(register: number, slot: number): void {
    this.#slot(0x23, register, slot);
  }
  pushConstant(value: number): void {
    this.put(0x68);
    this.word32(value);
  }
  /** mov r32, [esp] */
  loadTop(register: number): void {
    this.put(0x8b, (register << 3) | 4, 0x24);
  }
  /** mov [esp], r32 */
  storeTop(register: number): void {
    this.put(0x89, (register << 3) | 4, 0x24);
  }
  /** lea target, [a + b] */
  leaSum(target: number, a: number, b: number): void {
    this.put(0x8d, (target << 3) | 4, (b << 3) | a);
  }
  /** lea esp, [esp + count] */
  dropStack(count: number): void {
    this.put(0x8d, 0xa4, 0x24);
    this.word32(count);
  }
  /** movzx ecx, al: the low byte of an indirect target indexes the table. */
  lowByte(target: number): void {
    this.put(0x0f, 0xb6, 0xc0 | (target << 3));
  }
  /** mov r32, gs:[table + 8 * r32] */
  loadTable(register: number, table: number): void {
    this.put(0x65, 0x8b, (register << 3) | 4, 0xc0 | (register << 3) | 5);
    this.word32(table);
  }
  pop(register: number): void {
    this.put(0x58 + register);
  }
  /** jecxz with a distance that `land` fills in; returns the place of the distance byte. */
  jecxz(): number {
    this.put(0xe3, 0);
    return this.length - 1;
  }
  /** jcc short, as `jecxz`. */
  jccShort(condition: number): number {
    this.put(0x70 + condition, 0);
    return this.length - 1;
  }
  land(place: number): void {
    this.bytes[place] = this.length - place - 1;
  }
  /** jcc rel32; returns the address of the distance word. */
  jcc(condition: number, target: number): number {
    this.put(0x0f, 0x80 + condition);
    return this.#distance(target);
  }
  jmp(target: number): number {
    this.put(0xe9);
    return this.#distance(target);
  }
  #distance(target: number): number {
    const at = this.address;
    this.word32(target - (at + 4));
    return at;
  }
  /** callf to the VMM's gate, which ignores the offset: it carries the number of the callout's record. */
  callout(record: number): void {
    this.put(0x9a);
    this.word32(record);
    this.put(CALLOUT_GATE & 0xff, CALLOUT_GATE >> 8);
  }
}

/** Bytes of a callout: also the least size of a unit, so that its entry can always be patched into one. */
export const CALLOUT_BYTES = 7;
