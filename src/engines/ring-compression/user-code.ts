/** The instruction that directly executed code stands at, decoded. */
import { BASE, CS, EIP, segmentSlot } from '../../core/state.ts';
import { eventNumber } from '../../cost/event.ts';
import { createDecoded, decode } from '../../isa/decode.ts';
import { DECODE_OK, type Decoded } from '../../isa/instruction.ts';
import type { Monitor } from './monitor.ts';

const DECODE = eventNumber('emulateDecode');
const decoded = createDecoded();
const bytes = new Uint8Array(15);

/** Byte of guest memory, 0 where nothing is mapped. */
export function peekByte(m: Monitor, linear: number): number {
  return (m.guest.peek32((linear & ~3) >>> 0) >>> (8 * (linear & 3))) & 0xff;
}

/** The instruction at EIP, or null if its bytes are none. Good until the next call. */
export function userInstruction(m: Monitor): Decoded | null {
  const { state } = m;
  const linear = (state[segmentSlot(CS) + BASE] as number) + (state[EIP] as number);
  for (let i = 0; i < bytes.length; i++) bytes[i] = peekByte(m, (linear + i) >>> 0);
  m.ledger.charge(DECODE);
  return decode(bytes, 0, bytes.length, true, decoded) === DECODE_OK ? decoded : null;
}
