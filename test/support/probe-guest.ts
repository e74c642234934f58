/**
 * A guest that carries out a list of accesses to ports, device registers and MSRs, and prints every value it reads on the
 * serial port as a line of eight hexadecimal digits; an interrupt prints `i` and its vector. The same image runs on other
 * emulators, whose chips are then the reference.
 */
import { tinyImage } from './tiny-image.ts';

/** Where `tinyImage` puts the first byte of code. */
const ORIGIN = 0x100060;
const CODE_SELECTOR = 8;
const DATA_SELECTOR = 16;
const STUB_BYTES = 10;

export type Step =
  | { readonly do: 'in'; readonly port: number; readonly size: 1 | 2 | 4 }
  /** Reads without printing. */
  | { readonly do: 'drop'; readonly port: number }
  | { readonly do: 'out'; readonly port: number; readonly value: number; readonly size: 1 | 2 | 4 }
  | { readonly do: 'read'; readonly address: number }
  | { readonly do: 'write'; readonly address: number; readonly value: number }
  | { readonly do: 'rdmsr'; readonly index: number }
  /** Lets what is pending in. */
  | { readonly do: 'open' }
  /** Waits for one interrupt, halted. */
  | { readonly do: 'wait' };

const word32 = (value: number): number[] => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
const word16 = (value: number): number[] => [value & 0xff, (value >>> 8) & 0xff];
const eax = (value: number): number[] => [0xb8, ...word32(value)];
const edx = (value: number): number[] => [0xba, ...word32(value)];
const ecx = (value: number): number[] => [0xb9, ...word32(value)];

/**
 * Sends AL on COM1 and waits until it has left (line status bit 6), so that no character is lost to a slow reader or to
 * the end of the emulator. Changes EDX.
 */
const SEND = [
  ...edx(0x3f8),
  0xee, // out dx, al
  0x50, // push eax
  ...edx(0x3fd),
  0xec, // wait: in al, dx
  ...[0xa8, 0x40], // test al, 0x40
  ...[0x74, 0xfb], // jz wait
  0x58, // pop eax
  0xc3, // ret
];

const call = (from: number, to: number): number[] => [0xe8, ...word32(to - (from + 5))];

/** Prints EAX and a newline; keeps every register. `at` and `send` are the routine's address and that of SEND. */
function printRoutine(at: number, send: number): number[] {
  const code = [
    0x60, // pushad
    ...[0x89, 0xc3], // mov ebx, eax
    ...ecx(8),
  ];
  const next = code.length;
  code.push(
    ...[0xc1, 0xc3, 0x04], // next: rol ebx, 4
    ...[0x88, 0xd8], // mov al, bl
    ...[0x24, 0x0f], // and al, 15
    ...[0x3c, 0x0a], // cmp al, 10
    ...[0x72, 0x02], // jb digit
    ...[0x04, 0x27], // add al, 'a' - 10 - '0'
    ...[0x04, 0x30], // digit: add al, '0'
  );
  code.push(...call(at + code.length, send));
  code.push(0xe2, (next - (code.length + 2)) & 0xff); // loop next
  code.push(0xb0, 0x0a); // mov al, newline
  code.push(...call(at + code.length, send));
  code.push(0x61, 0xc3); // popad; ret
  return code;
}

export function probeGuest(steps: readonly Step[]): Uint8Array {
  const jump = 5;
  const gdt = ORIGIN + jump;
  const idt = gdt + 24;
  const tables = idt + 256 * 8;
  const send = tables + 12;
  const print = send + SEND.length;
  const printCode = printRoutine(print, send);
  const common = print + printCode.length;

  const commonCode = [
    0x60, // pushad
    ...[0xb0, 0x69], // mov al, 'i'
  ];
  commonCode.push(...call(common + commonCode.length, send));
  commonCode.push(0x8b, 0x44, 0x24, 0x20); // mov eax, [esp + 32]
  commonCode.push(...call(common + commonCode.length, print));
  commonCode.push(0x61, 0x83, 0xc4, 0x04, 0xcf); // popad; add esp, 4; iret
  const stubs = common + commonCode.length;
  const stubCode = Array.from({ length: 256 }, (_, vector) => {
    const at = stubs + vector * STUB_BYTES;
    return [0x68, ...word32(vector), 0xe9, ...word32(common - (at + STUB_BYTES))];
  }).flat();

  const descriptor = (type: number): number[] => [0xff, 0xff, 0, 0, 0, type, 0xcf, 0];
  const gate = (vector: number): number[] => {
    const at = stubs + vector * STUB_BYTES;
    return [...word16(at & 0xffff), ...word16(CODE_SELECTOR), 0, 0x8e, ...word16(at >>> 16)];
  };
  const data = [
    ...new Array<number>(8).fill(0),
    ...descriptor(0x9a),
    ...descriptor(0x92),
    ...Array.from({ length: 256 }, (_, vector) => gate(vector)).flat(),
    ...word16(23),
    ...word32(gdt),
    ...word16(256 * 8 - 1),
    ...word32(idt),
    ...SEND,
    ...printCode,
    ...commonCode,
    ...stubCode,
  ];
  const program: number[] = [];
  const here = (): number => gdt + data.length + program.length;
  const emit = (...bytes: readonly number[]): void => {
    program.push(...bytes);
  };
  emit(0x0f, 0x01, 0x15, ...word32(tables), 0x0f, 0x01, 0x1d, ...word32(tables + 6));
  emit(0xea, ...word32(here() + 7), ...word16(CODE_SELECTOR));
  emit(...eax(DATA_SELECTOR), 0x8e, 0xd0, 0x8e, 0xd8, 0x8e, 0xc0, 0xbc, ...word32(0x80000));
  for (const step of steps) {
    switch (step.do) {
      case 'in':
        emit(...edx(step.port), ...eax(0), ...(step.size === 1 ? [0xec] : step.size === 2 ? [0x66, 0xed] : [0xed]));
        emit(...call(here(), print));
        break;
      case 'drop':
        emit(...edx(step.port), 0xec);
        break;
      case 'out':
        emit(...edx(step.port), ...eax(step.value));
        emit(...(step.size === 1 ? [0xee] : step.size === 2 ? [0x66, 0xef] : [0xef]));
        break;
      case 'read':
        emit(0xa1, ...word32(step.address), ...call(here() + 5, print));
        break;
      case 'write':
        emit(0xc7, 0x05, ...word32(step.address), ...word32(step.value));
        break;
      case 'rdmsr':
        emit(...ecx(step.index), 0x0f, 0x32, ...call(here() + 7, print));
        break;
      case 'open':
        emit(0xfb, 0x90, 0x90, 0x90, 0x90, 0xfa);
        break;
      case 'wait':
        emit(0xfb, 0xf4, 0xfa);
        break;
    }
  }
  // mov eax, 0; out 0xf4, eax
  emit(...eax(0), 0xe7, 0xf4, 0xfa, 0xf4);
  return tinyImage([0xe9, ...word32(data.length), ...data, ...program]);
}
