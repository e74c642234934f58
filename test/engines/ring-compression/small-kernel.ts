/** Descriptor tables and handlers for test guests, made by the guest's own code. */
import type { Assembler, Label } from '../../../src/isa/assemble.ts';

export const GDT_AT = 0x220000;
export const IDT_AT = 0x221000;
export const TSS_AT = 0x222000;
const POINTER_AT = 0x223000;
export const KERNEL_CODE = 0x08;
export const KERNEL_DATA = 0x10;
export const USER_CODE = 0x1b;
export const USER_DATA = 0x23;
const TSS_SELECTOR = 0x28;
/** A data segment of 256 bytes that begins at BASED_AT. */
export const BASED_DATA = 0x30;
export const BASED_AT = 0x240040;
/** An LDT with one descriptor, flat data: selector 4. */
export const LOCAL_TABLE = 0x38;
const LDT_AT = 0x224000;
const KERNEL_STACK = 0x1f0000;

/** mov dword [address], value */
export function put(a: Assembler, address: number, value: number): void {
  a.bytes(0xc7, 0x05).value(address, 4).value(value, 4);
}

function descriptor(a: Assembler, selector: number, low: number, high: number): void {
  put(a, GDT_AT + (selector & ~7), low);
  put(a, GDT_AT + (selector & ~7) + 4, high);
}

/** Loads a GDT with flat segments for both rings, a TSS, and an empty IDT of 256 gates. */
export function loadTables(a: Assembler): void {
  descriptor(a, KERNEL_CODE, 0xffff, 0x00cf9b00);
  descriptor(a, KERNEL_DATA, 0xffff, 0x00cf9300);
  descriptor(a, USER_CODE, 0xffff, 0x00cffb00);
  descriptor(a, USER_DATA, 0xffff, 0x00cff300);
  descriptor(a, TSS_SELECTOR, ((TSS_AT & 0xffff) << 16) | 0x67, 0x8900 | (TSS_AT >>> 16));
  descriptor(a, BASED_DATA, (BASED_AT << 16) | 0xff, 0x00409200 | (BASED_AT >>> 16));
  descriptor(a, LOCAL_TABLE, ((LDT_AT & 0xffff) << 16) | 7, 0x8200 | (LDT_AT >>> 16));
  put(a, LDT_AT, 0xffff);
  put(a, LDT_AT + 4, 0x00cf9200);
  put(a, TSS_AT + 4, KERNEL_STACK);
  put(a, TSS_AT + 8, KERNEL_DATA);
  put(a, POINTER_AT, (GDT_AT << 16) | 0x3f);
  put(a, POINTER_AT + 4, GDT_AT >>> 16);
  a.bytes(0x0f, 0x01, 0x15).value(POINTER_AT, 4);
  put(a, POINTER_AT, (IDT_AT << 16) | 0x7ff);
  put(a, POINTER_AT + 4, IDT_AT >>> 16);
  a.bytes(0x0f, 0x01, 0x1d).value(POINTER_AT, 4);
  a.bytes(0xea)
    .value(a.address + 6, 4)
    .value(KERNEL_CODE, 2);
  a.bytes(0xb8).value(KERNEL_DATA, 4);
  for (const segment of [0, 2, 3, 4, 5]) a.bytes(0x8e, 0xc0 | (segment << 3));
  a.bytes(0xb8).value(TSS_SELECTOR, 4);
  a.bytes(0x0f, 0x00, 0xd8);
}

/** Points an IDT gate at a bound label. */
export function gate(a: Assembler, vector: number, handler: Label, dpl = 0, type = 0x8e): void {
  put(a, IDT_AT + 8 * vector, (KERNEL_CODE << 16) | (handler.address & 0xffff));
  put(a, IDT_AT + 8 * vector + 4, (handler.address & 0xffff0000) | ((type | (dpl << 5)) << 8));
}

/** Enters ring 3 at `eip` with stack `esp`. */
export function enterUser(a: Assembler, eip: Label, esp: number): void {
  a.bytes(0x6a, USER_DATA, 0x68).value(esp, 4);
  a.bytes(0x68).value(0x202, 4);
  a.bytes(0x6a, USER_CODE, 0x68).value(eip.address, 4);
  a.bytes(0xcf);
}
