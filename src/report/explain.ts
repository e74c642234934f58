/** Where a cell's cycles went. */
import { cellName, engineFamily } from '../suite/cell-name.ts';
import {
  cyclesPerOperation,
  describeEvent,
  type ExactFigures,
  IDLE_EVENT,
  ledgerStack,
  perOperation,
  RETIRED_NAMES,
  type RegionFigures,
} from '../suite/figures.ts';
import type { Cell } from '../suite/schema.ts';
import { formatNumber, formatRate } from './number.ts';
import { renderTable, type TextTable } from './text-table.ts';

const BAR = 40;
const TOP_EVENTS = 12;

export function explainCell(cell: Cell, plain: boolean): string {
  if (cell.exact === undefined) return `${cellName(cell)}: ${cell.status}. ${cell.why ?? ''}`;
  const figures = cell.exact;
  const sections = [
    head(cell, figures),
    stackText(figures.measured, plain),
    eventsText(figures, plain),
    retiredText(cell, figures.measured, plain),
  ];
  if (Object.keys(figures.measured.counters).length > 0) sections.push(countersText(figures, plain));
  return sections.join('\n\n');
}

function head(cell: Cell, figures: ExactFigures): string {
  const lines = [
    `${cellName(cell)}: ${formatNumber(cyclesPerOperation(figures))} cycles per operation (${formatNumber(figures.measured.operations)} operations)`,
  ];
  if (cell.status !== 'ok') lines.push(`The cell is '${cell.status}': ${cell.why ?? ''} Its figures do not count.`);
  if (figures.calibration !== null && figures.calibration.operations > 0) {
    const loop = figures.calibration.cycles / figures.calibration.operations;
    lines.push(`The empty loop's ${formatNumber(loop)} cycles per operation are subtracted.`);
  }
  const idle = figures.measured.events[IDLE_EVENT]?.cycles ?? 0;
  if (idle > 0) {
    lines.push(
      `Halted waiting of ${formatNumber(idle / figures.measured.operations)} cycles per operation is not counted as its cost.`,
    );
  }
  if (figures.cold !== null && figures.cold.operations > 0) {
    lines.push(
      `Cold: ${formatNumber(figures.cold.cycles / figures.cold.operations)} cycles per operation over the first ${figures.cold.operations}.`,
    );
  }
  return lines.join('\n');
}

function stackText(region: RegionFigures, plain: boolean): string {
  const stack = [...ledgerStack(region).entries()].sort((a, b) => b[1] - a[1]);
  const rows = stack.map(([category, cycles]) => {
    const share = cycles / region.cycles;
    return [
      category,
      formatNumber(cycles / region.operations),
      `${(share * 100).toFixed(1)} %`,
      '#'.repeat(Math.round(share * BAR)),
    ];
  });
  rows.push(['total', formatNumber(region.cycles / region.operations), '100.0 %', '']);
  const table: TextTable = {
    head: ['ledger', 'cycles/op', 'share', ''],
    align: ['left', 'right', 'right', 'left'],
    rows,
  };
  return renderTable(table, plain);
}

function eventsText(figures: ExactFigures, plain: boolean): string {
  const events = Object.entries(figures.measured.events).sort((a, b) => b[1].cycles - a[1].cycles);
  const rows = events.slice(0, TOP_EVENTS).map(([name, charge]) => {
    const count = charge.count / figures.measured.operations;
    const cycles = charge.cycles / figures.measured.operations;
    return [
      name,
      formatRate(count),
      formatNumber(charge.cycles / charge.count),
      formatNumber(cycles),
      describeEvent(name),
    ];
  });
  if (rows.length === 0) return 'No event was charged: every cycle is an ordinary instruction.';
  const align = ['left', 'right', 'right', 'right', 'left'] as const;
  const text = renderTable({ head: ['event', 'times/op', 'cycles each', 'cycles/op', 'what'], align, rows }, plain);
  return events.length > TOP_EVENTS ? `${text}\n${events.length - TOP_EVENTS} cheaper events are left out.` : text;
}

function retiredText(cell: Cell, region: RegionFigures, plain: boolean): string {
  const titles = {
    cpl0: 'CPL 0',
    cpl1: 'CPL 1',
    cpl2: 'CPL 2',
    cpl3: 'CPL 3',
    translationCache: 'CPL 1, translation cache',
  };
  const rows = RETIRED_NAMES.map((name) => {
    return [titles[name], formatNumber(region.retired[name]), formatNumber(region.retired[name] / region.operations)];
  });
  const text = renderTable(
    { head: ['retired at', 'instructions', 'per operation'], align: ['left', 'right', 'right'], rows },
    plain,
  );
  return `${text}\n${privilegeSentence(cell, region)}`;
}

/** The invariant that a reader should see confirmed: who never ran at CPL 0. */
export function privilegeSentence(cell: Pick<Cell, 'engine'>, region: RegionFigures): string {
  const family = engineFamily(cell.engine);
  const { cpl0, cpl1 } = region.retired;
  if (family !== 'ring-compression' && family !== 'paravirt') {
    return `The guest kernel owns ring 0 under ${family}: ${formatNumber(cpl0)} instructions retired at CPL 0.`;
  }
  const zero =
    cpl0 === 0
      ? 'Zero instructions retired at CPL 0'
      : `VIOLATION: ${formatNumber(cpl0)} instructions retired at CPL 0`;
  if (family === 'paravirt') return `${zero}.`;
  const cache =
    cpl1 === 0
      ? 'none at CPL 1 outside the translation cache'
      : `VIOLATION: ${formatNumber(cpl1)} at CPL 1 outside the translation cache`;
  return `${zero}, ${cache}.`;
}

function countersText(figures: ExactFigures, plain: boolean): string {
  const rows = Object.entries(figures.measured.counters).map(([name, count]) => {
    return [name, formatNumber(count), formatNumber(perOperation(figures, (region) => region.counters[name] ?? 0))];
  });
  return renderTable(
    { head: ["the engine's own counts", 'count', 'per operation'], align: ['left', 'right', 'right'], rows },
    plain,
  );
}
