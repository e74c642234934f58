/** Two runs, cell by cell. On the exact track any difference is real: there is no noise to allow for. */
import { attribute, type Cause } from './attribute.ts';
import { cyclesPerOperation } from './figures.ts';
import { TIMED_TAGS } from './oracle.ts';
import type { Cell, Run } from './schema.ts';
import { sortedJson } from './sorted-json.ts';
import { geometricMean } from './statistics.ts';

export type Verdict =
  /** Every figure is equal. */
  | 'SAME'
  | 'FASTER'
  | 'SLOWER'
  /** Equal cycles, but something counted differs. */
  | 'CHANGED'
  /** Checksum, console or user instructions differ: the guest did other work. */
  | 'BROKEN'
  /** Only in the head, or not measured in the base. */
  | 'NEW'
  /** Only in the base, or not measured in the head. */
  | 'MISSING'
  /** Measured with other operation counts or another image. */
  | 'UNLIKE';

export interface ComparedCell {
  readonly id: string;
  readonly profile: string;
  readonly verdict: Verdict;
  /** The run that does not have the cell at all. */
  readonly absentFrom: 'base' | 'head' | null;
  /** Cycles per operation; NaN where not measured. */
  readonly base: number;
  readonly head: number;
  readonly causes: readonly Cause[];
  /** A sentence for verdicts other than SAME, FASTER and SLOWER. */
  readonly note: string;
}

export interface Comparison {
  readonly cells: readonly ComparedCell[];
  /** Geometric mean of head / base over the cells that have both; NaN if there are none. */
  readonly ratio: number;
  readonly common: number;
}

export function compareRuns(base: Run, head: Run): Comparison {
  const baseCells = new Map(base.cells.map((cell) => [cell.id, cell]));
  const headCells = new Map(head.cells.map((cell) => [cell.id, cell]));
  const ids = [...baseCells.keys(), ...[...headCells.keys()].filter((id) => !baseCells.has(id))];
  const cells = ids.map((id) => compareCell(id, baseCells.get(id), headCells.get(id), base, head));
  const common = cells.filter((cell) => cell.base > 0 && cell.head > 0 && cell.verdict !== 'UNLIKE');
  const ratio = geometricMean(common.map((cell) => cell.head / cell.base));
  return { cells, ratio, common: common.length };
}

function compareCell(
  id: string,
  base: Cell | undefined,
  head: Cell | undefined,
  baseRun: Run,
  headRun: Run,
): ComparedCell {
  const baseCycles = measured(base);
  const headCycles = measured(head);
  const cell = (verdict: Verdict, note = '', causes: readonly Cause[] = []): ComparedCell => {
    const absentFrom = base === undefined ? 'base' : head === undefined ? 'head' : null;
    const profile = (base ?? head)?.profile ?? '';
    return { id, profile, verdict, absentFrom, base: baseCycles, head: headCycles, causes, note };
  };
  if (base?.exact === undefined || base.status !== 'ok') {
    if (head === undefined) return cell('MISSING', 'It is not in the head.');
    if (base?.status === head.status) return cell('SAME');
    if (head.status === 'ok')
      return cell('NEW', base === undefined ? 'It is not in the base.' : `It was '${base.status}' in the base.`);
    return cell('MISSING', `It is '${head.status}' in the head: ${head.why ?? ''}`);
  }
  if (head === undefined) return cell('MISSING', 'It is not in the head.');
  if (head.exact === undefined || head.status !== 'ok')
    return cell('MISSING', `It is '${head.status}' in the head: ${head.why ?? ''}`);
  if (base.ops !== head.ops)
    return cell('UNLIKE', `It did ${base.ops} operations in the base and ${head.ops} in the head.`);
  if (base.checksum !== head.checksum)
    return cell('BROKEN', `Its checksum was ${base.checksum} and is ${head.checksum}.`);
  if (base.console !== head.console) return cell('BROKEN', 'Its console between begin and end is not what it was.');
  const users = [base.exact.measured.retired.cpl3, head.exact.measured.retired.cpl3];
  // How often a timer interrupts user code follows from the prices.
  const timed = TIMED_TAGS.every((tag) => head.tags.includes(tag));
  if (users[0] !== users[1] && !timed)
    return cell('BROKEN', `It retired ${users[0]} user-mode instructions, and retires ${users[1]} now.`);
  if (sortedJson(base.exact) === sortedJson(head.exact)) return cell('SAME');
  const none = { instructions: {}, events: {} };
  const causes = attribute(
    base.exact,
    head.exact,
    baseRun.profiles[base.profile] ?? none,
    headRun.profiles[head.profile] ?? none,
  );
  if (baseCycles === headCycles) return cell('CHANGED', 'Its cycles are equal, but its counts are not.', causes);
  return cell(headCycles > baseCycles ? 'SLOWER' : 'FASTER', '', causes);
}

function measured(cell: Cell | undefined): number {
  return cell?.exact === undefined || cell.status !== 'ok' ? Number.NaN : cyclesPerOperation(cell.exact);
}

/** One cause over all the cells it moved. */
export interface MovedTotal {
  readonly kind: Cause['kind'];
  readonly name: string;
  /** Of a constant; empty for a count. */
  readonly profile: string;
  /** Of a constant, in cycles; NaN if several acted together. */
  readonly before: number;
  readonly after: number;
  readonly cells: number;
  /** Least and most effect on a cell, in cycles per operation. */
  readonly effect: Range;
  /** Least and most change of a count, per operation. */
  readonly times: Range;
  /** Sum of its absolute effects, in cycles per operation: only for ordering. */
  readonly weight: number;
}

export type Range = readonly [least: number, most: number];

/** The causes over all cells, weightiest first. */
export function totalCauses(comparison: Comparison): MovedTotal[] {
  const totals = new Map<string, MovedTotal>();
  for (const cell of comparison.cells) {
    for (const [key, cause] of causesOfCell(cell)) {
      const total = totals.get(key);
      const times = cause.kind === 'count' ? cause.after - cause.before : 0;
      totals.set(key, {
        kind: cause.kind,
        name: cause.name,
        profile: cause.kind === 'constant' ? cell.profile : '',
        before: cause.before,
        after: cause.after,
        cells: (total?.cells ?? 0) + 1,
        effect: widened(total?.effect, cause.cycles),
        times: widened(total?.times, times),
        weight: (total?.weight ?? 0) + Math.abs(cause.cycles),
      });
    }
  }
  return [...totals.values()].sort((a, b) => b.weight - a.weight);
}

/** A cell's causes by what they are; one constant that was charged in several places counts once. */
function causesOfCell(cell: ComparedCell): Map<string, Cause> {
  const causes = new Map<string, Cause>();
  for (const cause of cell.causes) {
    const name = cause.kind === 'constant' ? cause.name.replace(/ \(.*\)$/, '') : cause.name;
    const key = cause.kind === 'count' ? name : `${cell.profile}: ${name} ${cause.before} ${cause.after}`;
    causes.set(key, { ...cause, name, cycles: cause.cycles + (causes.get(key)?.cycles ?? 0) });
  }
  return causes;
}

function widened(range: Range | undefined, value: number): Range {
  return range === undefined ? [value, value] : [Math.min(range[0], value), Math.max(range[1], value)];
}
