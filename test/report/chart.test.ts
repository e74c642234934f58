import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { overheadChart, plotLog } from '../../src/report/chart.ts';
import { cellOf, figuresOf, runOf } from '../suite/figures-of.ts';

describe('the chart', () => {
  it('draws nothing of nothing', () => {
    expect(plotLog([])).toBeNull();
    expect(plotLog([[Number.NaN, -1, 0]])).toBeNull();
  });

  it('keeps its height and never prints NaN, whatever the values', () => {
    const value = fc.oneof(
      fc.double({ min: 1e-3, max: 1e9 }),
      fc.constant(Number.NaN),
      fc.constant(Number.POSITIVE_INFINITY),
    );
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 60 }), (values) => {
        const picture = plotLog([values], 8);
        if (picture === null) return;
        expect(picture.split('\n').length).toBeLessThanOrEqual(10);
        expect(picture).not.toContain('NaN');
      }),
    );
  });

  it('labels a large overhead with its own ratio', () => {
    expect(plotLog([[1, 10_000]])).toContain('10,000x');
  });

  it('says of an engine that costs the same everywhere what that is, and draws the others', () => {
    const cell = (workload: string, engine: string, cycles: number) =>
      cellOf(
        `${workload}@${engine}:core2`,
        figuresOf({ operations: 1, retired: 1, instructionCycles: cycles, events: {} }),
      );
    const run = runOf([
      ...['a', 'b'].map((workload) => cell(workload, 'native', 1000)),
      cell('a', 'vtx', 1000),
      cell('b', 'vtx', 1020),
      cell('a', 'paravirt', 1000),
      cell('b', 'paravirt', 9000),
    ]);
    const picture = overheadChart(run);
    expect(picture).toContain('vtx: 1.00x to 1.02x on each workload');
    expect(picture).toContain('paravirt (geometric mean 3.00x)');
  });
});
