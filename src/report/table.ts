/** The terminal table of a run: cycles per operation, ratio to native, and how often the VMM was entered. */
import { engineFamily } from '../suite/cell-name.ts';
import type { Cell, Run } from '../suite/schema.ts';
import { formatNumber, formatRatio } from './number.ts';
import { entryName, type Figure, type ReportSection, reportSections } from './rows.ts';
import { renderTable, type TextTable } from './text-table.ts';

export function runTable(run: Run, plain: boolean): string {
  const sections = reportSections(run).map((section) => {
    const title = `${section.profile}: virtual cycles per operation, ratio to native, entries into the VMM per operation`;
    return `${title}\n${renderTable(sectionTable(section), plain)}`;
  });
  return [...sections, ...notes(run)].join('\n\n');
}

export function sectionTable(section: ReportSection): TextTable {
  const withWall = section.rows.some((row) => row.figures.some((figure) => Number.isFinite(figure.wall)));
  const head = ['workload'];
  for (const engine of section.engines) {
    head.push(engine, ...extraColumns(engine).map((column) => column.title));
    if (withWall) head.push('ms');
  }
  const rows = section.rows.map((row) => {
    const line = [row.workload];
    for (const figure of row.figures) {
      const measured = figure.status === 'ok';
      line.push(measured ? formatNumber(figure.cycles) : figure.status);
      for (const column of extraColumns(figure.engine)) line.push(measured ? column.value(figure) : '');
      if (withWall) line.push(Number.isFinite(figure.wall) ? figure.wall.toPrecision(3) : '');
    }
    return line;
  });
  return { head, align: head.map((_, index) => (index === 0 ? 'left' : 'right')), rows };
}

interface ExtraColumn {
  readonly title: string;
  readonly value: (figure: Figure) => string;
}

function extraColumns(engine: string): ExtraColumn[] {
  const family = engineFamily(engine);
  if (family === 'native') return [];
  const columns: ExtraColumn[] = [{ title: 'x', value: (figure) => formatRatio(figure.ratio) }];
  columns.push({ title: entryName(engine), value: (figure) => formatNumber(figure.entries) });
  if (family === 'paravirt') columns.push({ title: 'hcalls', value: (figure) => formatNumber(figure.hypercalls) });
  return columns;
}

/** More cells than this with one reason are named by the first of them. */
const SPELLED_OUT = 6;

function cellsByReason(run: Run): Map<string, Cell[]> {
  const reasons = new Map<string, Cell[]>();
  for (const cell of run.cells) {
    if (cell.status === 'ok' || cell.why === undefined) continue;
    reasons.set(cell.why, [...(reasons.get(cell.why) ?? []), cell]);
  }
  return reasons;
}

/** Why cells have no figures, and which are one engine under two names. */
function notes(run: Run): string[] {
  const lines: string[] = [];
  const said = new Set<string>();
  for (const [why, cells] of cellsByReason(run)) {
    const others = cells.length > SPELLED_OUT ? ` and ${cells.length - 1} more cells` : '';
    for (const cell of others === '' ? cells : cells.slice(0, 1)) {
      const name = cell.status === 'skipped' ? `${cell.workload} under ${cell.engine}` : cell.id;
      const line = `${cell.status}: ${name}${others}. ${why}`;
      if (!said.has(line)) lines.push(line);
      said.add(line);
    }
  }
  for (const cell of run.cells) {
    if (cell.aliasOf === undefined) continue;
    const line = `alias: on ${cell.profile} ${cell.engine} is ${cell.aliasOf}.`;
    if (!said.has(line)) lines.push(line);
    said.add(line);
  }
  return lines.length === 0 ? [] : [lines.join('\n')];
}
