/** One line a cell, for spreadsheets and data frames (RFC 4180, full precision, no grouping). */
import { workloadName } from '../suite/cell-name.ts';
import { cyclesPerOperation, hypercallsPerOperation, RETIRED_NAMES, vmmEntriesPerOperation } from '../suite/figures.ts';
import type { Cell, Run } from '../suite/schema.ts';

const HEAD = [
  'id',
  'workload',
  'engine',
  'profile',
  'ops',
  'status',
  'cycles_per_operation',
  'ratio_to_native',
  'vmm_entries_per_operation',
  'hypercalls_per_operation',
  'cycles',
  ...RETIRED_NAMES.map((name) => `retired_${name}`),
  'wall_ms_per_operation',
  'checksum',
  'why',
];

export function runCsv(run: Run): string {
  const native = new Map<string, number>();
  for (const cell of run.cells) {
    if (cell.engine === 'native' && cell.status === 'ok' && cell.exact)
      native.set(rowKey(cell), cyclesPerOperation(cell.exact));
  }
  return [HEAD, ...run.cells.map((cell) => line(cell, native.get(rowKey(cell))))]
    .map((row) => row.map(quoted).join(','))
    .join('\n');
}

function rowKey(cell: Cell): string {
  return `${workloadName(cell)}:${cell.profile} ${cell.ops}`;
}

function line(cell: Cell, native: number | undefined): string[] {
  const exact = cell.status === 'ok' ? cell.exact : undefined;
  const cycles = exact === undefined ? Number.NaN : cyclesPerOperation(exact);
  const number = (value: number | undefined): string =>
    value === undefined || !Number.isFinite(value) ? '' : String(value);
  return [
    cell.id,
    workloadName(cell),
    cell.engine,
    cell.profile,
    String(cell.ops),
    cell.status,
    number(cycles),
    number(native === undefined ? undefined : cycles / native),
    number(exact && vmmEntriesPerOperation(exact)),
    number(exact && hypercallsPerOperation(exact)),
    number(exact?.measured.cycles),
    ...RETIRED_NAMES.map((name) => number(exact?.measured.retired[name])),
    number(cell.wall?.milliseconds),
    cell.checksum ?? '',
    cell.why ?? '',
  ];
}

function quoted(field: string): string {
  return /[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
}
