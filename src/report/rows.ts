/** A run as reports lay it out: per profile a row per workload, per row a figure per engine. */
import { engineFamily, workloadName } from '../suite/cell-name.ts';
import { cyclesPerOperation, hypercallsPerOperation, vmmEntriesPerOperation } from '../suite/figures.ts';
import type { Cell, CellStatus, Run } from '../suite/schema.ts';

export interface Figure {
  readonly engine: string;
  readonly status: CellStatus;
  readonly why: string;
  /** Cycles per operation; NaN unless the status is ok. */
  readonly cycles: number;
  /** To native on the same profile; NaN if either is missing. */
  readonly ratio: number;
  /** Entries into the VMM per operation: exits under vtx, traps (hypercalls among them) under the others. */
  readonly entries: number;
  readonly hypercalls: number;
  /** Milliseconds of wall clock per operation; NaN if not measured. */
  readonly wall: number;
}

export interface ReportRow {
  readonly workload: string;
  readonly figures: readonly Figure[];
}

export interface ReportSection {
  readonly profile: string;
  readonly engines: readonly string[];
  readonly rows: readonly ReportRow[];
}

export function reportSections(run: Run): ReportSection[] {
  return [...new Set(run.cells.map((cell) => cell.profile))].map((profile) => {
    const cells = run.cells.filter((cell) => cell.profile === profile);
    const engines = [...new Set(cells.map((cell) => cell.engine))];
    const byRow = new Map<string, Cell[]>();
    for (const cell of cells) {
      const key = `${workloadName(cell)} ${cell.ops}`;
      byRow.set(key, [...(byRow.get(key) ?? []), cell]);
    }
    const rows = [...byRow.values()].map((row) => ({
      workload: rowTitle(row[0] as Cell, cells),
      figures: rowFigures(row, engines),
    }));
    return { profile, engines, rows };
  });
}

/** The workload's name with only those parameters that tell its rows apart. */
function rowTitle(cell: Cell, cells: readonly Cell[]): string {
  const siblings = cells.filter((other) => other.workload === cell.workload);
  const varying = Object.entries(cell.params).filter(([name, value]) =>
    siblings.some((other) => other.params[name] !== value),
  );
  const title = workloadName({ workload: cell.workload, params: Object.fromEntries(varying) });
  return siblings.some((other) => other.ops !== cell.ops) ? `${title} x${cell.ops}` : title;
}

function rowFigures(cells: readonly Cell[], engines: readonly string[]): Figure[] {
  const native = cells.find((cell) => cell.engine === 'native');
  const base = native === undefined ? Number.NaN : cyclesOf(native);
  return engines.map((engine) => {
    const cell = cells.find((candidate) => candidate.engine === engine);
    return figureOf(engine, cell, base);
  });
}

function figureOf(engine: string, cell: Cell | undefined, native: number): Figure {
  const cycles = cell === undefined ? Number.NaN : cyclesOf(cell);
  const exact = cell?.status === 'ok' ? cell.exact : undefined;
  return {
    engine,
    status: cell?.status ?? 'skipped',
    why: cell?.why ?? '',
    cycles,
    ratio: native > 0 ? cycles / native : Number.NaN,
    entries: exact === undefined ? Number.NaN : vmmEntriesPerOperation(exact),
    hypercalls: exact === undefined ? Number.NaN : hypercallsPerOperation(exact),
    wall: cell?.wall?.milliseconds ?? Number.NaN,
  };
}

function cyclesOf(cell: Cell): number {
  return cell.status === 'ok' && cell.exact !== undefined ? cyclesPerOperation(cell.exact) : Number.NaN;
}

/** What an entry into the VMM is called under an engine. */
export function entryName(engine: string): string {
  return engineFamily(engine) === 'vtx' ? 'exits' : 'traps';
}
