import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { plotLog } from '../../src/report/chart.ts';

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
});
