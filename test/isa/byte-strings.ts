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
  } else {
    if (kind < 60) put(0x0f);
    put(random.below(256));
  }
  while (at < end) put(random.below(8) === 0 ? random.pick([0, 0x7f, 0x80, 0xff]) : random.below(256));
}
