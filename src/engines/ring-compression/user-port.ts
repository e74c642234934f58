/** IN and OUT of user code that the guest's IOPL or I/O bitmap allows: the real IOPL is 0 and the real bitmap empty. */
import { EIP } from '../../core/state.ts';
import { eventNumber } from '../../cost/event.ts';
import type { Decoded } from '../../isa/instruction.ts';
import { HANDLERS } from './callouts/callout.ts';
import { portNumber } from './callouts/devices.ts';
import type { Monitor } from './monitor.ts';
import { peekByte, userInstruction } from './user-code.ts';
import { V_IF, V_IOPL_DELTA, V_TSS_BASE, V_TSS_LIMIT } from './vcpu.ts';

const EXECUTE = eventNumber('emulateExecute');
const IF = 0x200;
const ALL_RINGS = 0x3000 - IF;
const IO_MAP_BASE = 0x66;

/** True if the instruction at EIP was one that the guest allows its user, and has been carried out; `pc` is after it. */
export function emulateUserPort(m: Monitor): boolean {
  const { state, v } = m;
  const d = userInstruction(m);
  if (d === null) return false;
  const { semantics, privilege } = d.instruction;
  const open = v[V_IOPL_DELTA] === ALL_RINGS;
  if (privilege === 'iopl' && open) v[V_IF] = semantics === 'sti' ? IF : 0;
  else if (privilege === 'io' && (open || inBitmap(m, d))) HANDLERS[semantics]?.(m, d, 0);
  else return false;
  m.ledger.charge(EXECUTE);
  m.cpu.retireEmulated(3);
  m.pc = ((state[EIP] as number) + d.length) >>> 0;
  return true;
}

/** The I/O permission bitmap of the guest's TSS (SDM volume 1, 18.5.2). */
function inBitmap(m: Monitor, d: Decoded): boolean {
  const { v } = m;
  const limit = (v[V_TSS_LIMIT] as number) >>> 0;
  if (limit < IO_MAP_BASE + 1) return false;
  const tss = (v[V_TSS_BASE] as number) >>> 0;
  const base = peekByte(m, tss + IO_MAP_BASE) | (peekByte(m, tss + IO_MAP_BASE + 1) << 8);
  const port = portNumber(m, d);
  const size = d.instruction.operands.includes('AL') ? 1 : d.operandSize;
  const at = base + (port >>> 3);
  if (at + 1 > limit) return false;
  const map = (peekByte(m, tss + at) | (peekByte(m, tss + at + 1) << 8)) >>> (port & 7);
  return (map & ((1 << size) - 1)) === 0;
}
