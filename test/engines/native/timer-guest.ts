/** A guest of a few bytes with its own GDT, IDT and timer handler: it sleeps until the fifth tick and exits with the count. */
import { tinyImage } from '../../support/tiny-image.ts';

/** Where `tinyImage` puts the first byte of code. */
const ORIGIN = 0x100060;
const JUMP_BYTES = 5;
const GDT_BYTES = 24;
/** Vectors 0 .. 0x20. */
const IDT_BYTES = 0x21 * 8;

/** Timer ticks between interrupts, and how many interrupts the guest waits for. */
export const TIMER_COUNT = 298;
export const TICKS = 5;

function word32(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
}
function word16(value: number): number[] {
  return [value & 0xff, value >>> 8];
}
function out(port: number, ...values: number[]): number[] {
  return values.flatMap((value) => [0xb0, value, 0xe6, port]);
}

/** `sleep` is what the guest does between looks at its tick count: HLT, or nothing. */
export function timerGuest(sleep: 'hlt' | 'spin'): Uint8Array {
  const gdt = ORIGIN + JUMP_BYTES;
  const idt = gdt + GDT_BYTES;
  const tables = idt + IDT_BYTES;
  const counter = tables + 12;
  const handler = counter + 4;
  const handlerCode = [0xff, 0x05, ...word32(counter), ...out(0x20, 0x20), 0xcf];
  const descriptor = (type: number): number[] => [0xff, 0xff, 0, 0, 0, type, 0xcf, 0];
  const gate = [...word16(handler & 0xffff), ...word16(8), 0, 0x8e, ...word16(handler >>> 16)];
  const data = [
    ...new Array<number>(8).fill(0),
    ...descriptor(0x9a),
    ...descriptor(0x92),
    ...new Array<number>(0x20 * 8).fill(0),
    ...gate,
    ...word16(GDT_BYTES - 1),
    ...word32(gdt),
    ...word16(IDT_BYTES - 1),
    ...word32(idt),
    ...word32(0),
    ...handlerCode,
  ];
  const start = gdt + data.length;
  const afterReload = start + 7 + 7 + 7;
  const program = [
    // lgdt, lidt, far jump to the next instruction, SS from the new table, a stack.
    ...[0x0f, 0x01, 0x15, ...word32(tables)],
    ...[0x0f, 0x01, 0x1d, ...word32(tables + 6)],
    ...[0xea, ...word32(afterReload), ...word16(8)],
    ...[0xb8, ...word32(0x10), 0x8e, 0xd0, 0xbc, ...word32(0x80000)],
    ...out(0x20, 0x11),
    ...out(0x21, 0x20, 0x04, 0x01, 0xfe),
    ...out(0x43, 0x34),
    ...out(0x40, TIMER_COUNT & 0xff, TIMER_COUNT >>> 8),
  ];
  // cli; cmp dword [counter], TICKS; jae done; sti; hlt or nop; jmp back. done: mov eax, [counter]; out 0xf4, eax
  const pause = sleep === 'hlt' ? 0xf4 : 0x90;
  const loop = [0xfa, 0x83, 0x3d, ...word32(counter), TICKS, 0x73, 0x04, 0xfb, pause, 0xeb, 0xf2];
  const done = [0xa1, ...word32(counter), 0xe7, 0xf4];
  return tinyImage([0xe9, ...word32(data.length), ...data, ...program, ...loop, ...done]);
}
