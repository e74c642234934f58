/** Random byte strings that look like instructions: prefixes in any order, then an opcode, then anything. */
import type { Random } from '../support/random.ts';

const PREFIXES = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x66, 0x66, 0x67, 0x67, 0xf0, 0xf0, 0xf2, 0xf3, 0xf3];
/** Opcodes of which a uniform choice would reach some forms too seldom. */
const RARE: readonly (readonly number[])[] = [
  [0x0f, 0x00],
  [0x0f, 0x01],
  [0x0f, 0xae],
  [0x0f, 0xba],
  [0x0f, 0xc7],
  [0x0f, 0x38, 0x80],
  [0x0f, 0x38, 0x81],
  [0x0f, 0x01, 0xc1],
  [0x0f, 0x01, 0xc2],
  [0x0f, 0x01, 0xc3],
  [0x0f, 0x01, 0xc4],
];
const range = (first: number, last: number): number[] => Array.from({ length: last - first + 1 }, (_, i) => first + i);
/** Groups of shifts, and opcodes with a form for registers only, more often. */
const SIMD_OPCODES = [
  ...[range(0x10, 0x17), range(0x28, 0x2f), range(0x50, 0x7f), range(0xc2, 0xc6), range(0xd0, 0xff)].flat(),
  ...[0x50, 0x71, 0x72, 0x73, 0x73, 0x73, 0xae, 0xd6],
];
export const SLOT = 16;

/** Fills `bytes` with strings of SLOT bytes. */
export function fillByteStrings(bytes: Uint8Array, random: Random): void {
  for (let at = 0; at < bytes.length; at += SLOT) fillOne(bytes, at, random);
}

function fillOne(bytes: Uint8Array, start: number, random: Random): void {
  const end = Math.min(start + SLOT, bytes.length);
  let at = start;
  const put = (byte: number): void => {
    if (at < end) bytes[at++] = byte;
  };
  let more = random.below(64) === 0 ? 15 : 3;
  while (more-- > 0 && random.below(100) < (more > 3 ? 90 : 45)) put(random.pick(PREFIXES));
  const kind = random.below(100);
  if (kind < 12) for (const byte of random.pick(RARE)) put(byte);
  else if (kind < 26) {
    // x87: most of its forms are single ModRM bytes.
    put(0xd8 + random.below(8));
    put(random.below(4) === 0 ? random.below(256) : 0xc0 + random.below(64));
  } else if (kind < 46) {
    // MMX and SSE: a mandatory prefix or none.
    const prefix = random.pick([0, 0x66, 0xf3, 0xf2]);
    if (prefix !== 0) put(prefix);
    put(0x0f);
    put(random.pick(SIMD_OPCODES));
    if (random.below(2) === 0) put(0xc0 + random.below(64));
  } else {
    if (kind < 70) put(0x0f);
    put(random.below(256));
  }
  while (at < end) put(random.below(8) === 0 ? random.pick([0, 0x7f, 0x80, 0xff]) : random.below(256));
}
