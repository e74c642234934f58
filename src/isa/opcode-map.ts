/**
 * The opcode maps as look-up tables, made from the instruction table. A cell is chosen by mandatory-prefix class,
 * map and opcode byte; it holds an instruction's id, -1 for #UD, or, where the ModRM byte decides
 * (groups, memory-only and register-only forms), the negated number of a 256-entry row of MODRM_CELLS.
 */
import type { Instruction } from './instruction.ts';
import { INSTRUCTIONS, usesModrm } from './table.ts';

export const PREFIX_NONE = 0;
export const PREFIX_66 = 1;
export const PREFIX_F3 = 2;
export const PREFIX_F2 = 3;
const PREFIX_BYTES = [0, 0x66, 0xf3, 0xf2];

/** Cell value of an opcode that is not there. */
export const ABSENT = -1;
/** Cell values at or below this one are groups: `GROUP_FIRST - value` is the group's number. */
export const GROUP_FIRST = -2;

/** May this row have this ModRM byte? */
function admits(row: Instruction, modrm: number): boolean {
  const { extension, modrmFirst, modrmLast } = row.encoding;
  const reg = (modrm >> 3) & 7;
  if (extension >= 0 && reg !== extension) return false;
  if (modrmFirst >= 0 && (modrm < modrmFirst || modrm > modrmLast)) return false;
  return row.operands.every((code, position) => {
    // Memory only: with mod = 3 these bytes are #UD, or belong to VEX and EVEX.
    if (code.startsWith('M')) return modrm < 0xc0;
    if (code === 'Nq' || code === 'Udq') return modrm >= 0xc0;
    // ES CS SS DS FS GS; CS cannot be loaded (SDM volume 2, MOV).
    if (code === 'Sw') return reg < 6 && !(position === 0 && reg === 1);
    // CR0, CR2, CR3, CR4; CR8 exists in 64-bit mode only (SDM volume 2, MOV to/from control registers).
    if (code === 'Cd') return reg === 0 || (reg >= 2 && reg <= 4);
    return true;
  });
}

/** Rows by `map << 10 | prefix class << 8 | opcode byte`. */
const candidates: Instruction[][] = Array.from({ length: 3 * 4 * 256 }, () => []);
for (const row of INSTRUCTIONS) {
  const { map, opcode, register, prefix } = row.encoding;
  for (let prefixClass = 0; prefixClass < 4; prefixClass++) {
    if (prefix !== -1 && prefix !== PREFIX_BYTES[prefixClass]) continue;
    for (let low = 0; low < (register ? 8 : 1); low++) {
      candidates[(map << 10) | (prefixClass << 8) | (opcode + low)]!.push(row);
    }
  }
}

/** The more specific row first: F3 90 before 90, 90 before 90+r, a whole ModRM byte before a digit. */
function weight({ encoding }: Instruction): number {
  return (encoding.prefix >= 0 ? 4 : 0) + (encoding.modrmFirst >= 0 ? 2 : 0) + (encoding.register ? 0 : 1);
}

const cells = new Int16Array(3 * 4 * 256);
const groups: Int16Array[] = [];

/** Cell values by the rows they stand for: most opcodes have the same under every prefix. */
const knownCells = new Map<string, number>();

function cellOf(rows: Instruction[]): number {
  if (rows.length === 0) return ABSENT;
  rows.sort((a, b) => weight(b) - weight(a));
  const key = rows.map(({ id }) => id).join();
  let cell = knownCells.get(key);
  if (cell === undefined) {
    cell = usesModrm(rows[0]!) ? modrmCell(rows) : rows[0]!.id;
    knownCells.set(key, cell);
  }
  return cell;
}

function takesAnyModrm({ encoding, operands }: Instruction): boolean {
  if (encoding.extension >= 0 || encoding.modrmFirst >= 0) return false;
  return !operands.some((code) => /^[MNU]/.test(code) || code === 'Sw' || code === 'Cd');
}

function modrmCell(rows: readonly Instruction[]): number {
  if (takesAnyModrm(rows[0]!)) return rows[0]!.id;
  const group = new Int16Array(256).map((_, modrm) => rows.find((row) => admits(row, modrm))?.id ?? ABSENT);
  return GROUP_FIRST - (groups.push(group) - 1);
}

candidates.forEach((rows, place) => {
  cells[place] = cellOf(rows);
});

const flatGroups = new Int16Array(groups.length * 256);
groups.forEach((group, number) => {
  flatGroups.set(group, number * 256);
});

/** Indexed by `map << 10 | prefix class << 8 | opcode byte`. */
export const OPCODE_CELLS: Int16Array = cells;
/** Indexed by `group << 8 | ModRM byte`. */
export const MODRM_CELLS: Int16Array = flatGroups;
