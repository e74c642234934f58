/** A picture of overhead: one curve an engine over the workloads, log scale, drawn by asciichart. */
import asciichart from 'asciichart';
import type { Run } from '../suite/schema.ts';
import { geometricMean } from '../suite/statistics.ts';
import { formatRatio } from './number.ts';
import { type ReportSection, reportSections } from './rows.ts';

const HEIGHT = 6;
/** A curve whose highest point is not this many times its lowest says less than its two ends. */
const FLAT = 1.05;
/** Characters per workload along the axis. */
const STEP = 3;

/**
 * asciichart prints wrong labels for large numbers, throws on NaN and on no data, and allocates by range unless told a
 * height; so it is given logarithms of finite values only, a height, and its own labels.
 */
export function plotLog(series: readonly (readonly number[])[], height: number = HEIGHT): string | null {
  const finite = series.map((values) => values.filter((value) => Number.isFinite(value) && value > 0));
  const drawable = finite
    .filter((values) => values.length > 0)
    .map((values) => values.map((value) => Math.log10(value)));
  if (drawable.length === 0) return null;
  const all = drawable.flat();
  const low = Math.min(...all);
  const high = Math.max(...all);
  // A flat line has no range to divide by.
  const range = high - low < 1e-6 ? { min: low - 0.5, max: low + 0.5 } : { min: low, max: high };
  return asciichart.plot(drawable, { height, ...range, format: (log: number) => formatRatio(10 ** log).padStart(9) });
}

/** Ratio to native over the workloads, cheapest first, for each profile. Empty if there is nothing to draw. */
export function overheadChart(run: Run): string {
  return reportSections(run)
    .map(sectionChart)
    .filter((picture) => picture !== '')
    .join('\n\n');
}

function sectionChart(section: ReportSection): string {
  const engines = section.engines.filter((engine) => engine !== 'native');
  const rows = section.rows
    .map((row) => ({
      workload: row.workload,
      ratios: engines.map((engine) => row.figures.find((f) => f.engine === engine)?.ratio ?? Number.NaN),
    }))
    .filter((row) => row.ratios.some((ratio) => ratio > 0))
    .sort((a, b) => typical(a.ratios) - typical(b.ratios));
  if (engines.length === 0 || rows.length < 2) return '';
  const pictures = engines.map((engine, index) => {
    const ratios = rows.map((row) => row.ratios[index] as number).filter((ratio) => ratio > 0);
    const [low, high] = [Math.min(...ratios), Math.max(...ratios)];
    if (high < low * FLAT) return `${engine}: ${formatRatio(low)} to ${formatRatio(high)} on each workload`;
    const picture = plotLog([ratios.flatMap((ratio) => new Array<number>(STEP).fill(ratio))]);
    return picture === null ? '' : `${engine} (geometric mean ${formatRatio(geometricMean(ratios))})\n${picture}`;
  });
  const order = `left to right: ${rows.map((row) => row.workload.replace(/^(nano|macro\/compute)\//, '')).join(', ')}`;
  return [`${section.profile}: ratio to native, log scale`, ...pictures.filter((p) => p !== ''), order].join('\n');
}

function typical(ratios: readonly number[]): number {
  return geometricMean(ratios.filter((ratio) => ratio > 0));
}
