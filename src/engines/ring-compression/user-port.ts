/** IN and OUT of user code that the guest's IOPL or I/O bitmap allows: the real IOPL is 0 and the real bitmap empty. */
import { BASE, CS, EIP, segmentSlot } from '../../core/state.ts';
import { eventNumber } from '../../cost/event.ts';
import { createDecoded, decode } from '../../isa/decode.ts';
import { DECODE_OK } from '../../isa/instruction.ts';
import { HANDLERS } from './callouts/callout.ts';
import { portNumber } from './callouts/devices.ts';
import type { Monitor } from './monitor.ts';
import { V_IF, V_IOPL_DELTA, V_TSS_BASE, V_TSS_LIMIT } from './vcpu.ts';

const DECODE = eventNumber('emulateDecode');
const EXECUTE = eventNumber('emulateExecute');
const IF = 0x200;
const ALL_RINGS = 0x3000 - IF;
const IO_MAP_BASE = 0x66;
const decoded = createDecoded();
const bytes = new Uint8Array(16);

/** True if the instruction at EIP was one that the guest allows its user, and has been carried out; `pc` is after it. */
export function emulateUserPort(m: Monitor): boolean {
  const { state, v, guest } = m;
  const eip = (state[EIP] as number) >>> 0;
  const linear = ((state[segmentSlot(CS) + BASE] as number) + eip) >>> 0;
  let count = 0;
  for (let word = 0; word < 4; word++) {
    const at = (linear + 4 * word) >>> 0;
    const value = guest.peek32(at & ~3);
    for (let i = at & 3; i < 4 && count < 15; i++) bytes[count++] = value >>> (8 * i);
    if ((at & 3) !== 0) {
      const rest = guest.peek32(((at & ~3) + 4) >>> 0);
      for (let i = 0; i < (at & 3) && count < 15; i++) bytes[count++] = rest >>> (8 * i);
    }
  }
  m.ledger.charge(DECODE);
  if (decode(bytes, 0, count, true, decoded) !== DECODE_OK) return false;
  const { semantics, privilege } = decoded.instruction;
  const open = v[V_IOPL_DELTA] === ALL_RINGS;
  if (privilege === 'iopl' && open) v[V_IF] = semantics === 'sti' ? IF : 0;
  else if (privilege === 'io' && (open || inBitmap(m))) HANDLERS[semantics]?.(m, decoded, 0);
  else return false;
  m.ledger.charge(EXECUTE);
  m.cpu.retireEmulated(3);
  m.pc = (eip + decoded.length) >>> 0;
  return true;
}

/** The I/O permission bitmap of the guest's TSS (SDM volume 1, 18.5.2). */
function inBitmap(m: Monitor): boolean {
  const { v, guest } = m;
  const limit = (v[V_TSS_LIMIT] as number) >>> 0;
  if (limit < IO_MAP_BASE + 1) return false;
  const tss = (v[V_TSS_BASE] as number) >>> 0;
  const base = (guest.peek32((tss + IO_MAP_BASE - 2) >>> 0) >>> 16) & 0xffff;
  const port = portNumber(m, decoded);
  const size = decoded.instruction.operands.includes('AL') ? 1 : decoded.operandSize;
  const at = base + (port >>> 3);
  if (at + 1 > limit) return false;
  const map = (byteAt(m, tss + at) | (byteAt(m, tss + at + 1) << 8)) >>> (port & 7);
  return (map & ((1 << size) - 1)) === 0;
}

function byteAt(m: Monitor, linear: number): number {
  return (m.guest.peek32((linear & ~3) >>> 0) >>> (8 * (linear & 3))) & 0xff;
}
