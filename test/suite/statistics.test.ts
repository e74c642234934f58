import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  geometricMean,
  holm,
  median,
  studentCdf,
  studentQuantile,
  trimmedMean,
  yuenInterval,
} from '../../src/suite/statistics.ts';

const samples = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 40 });

describe('statistics', () => {
  it('takes the middle value as the median whatever the order', () => {
    fc.assert(
      fc.property(samples, (values) => {
        const m = median(values);
        expect(values.filter((v) => v < m).length).toBeLessThanOrEqual(values.length / 2);
        expect(values.filter((v) => v > m).length).toBeLessThanOrEqual(values.length / 2);
        expect(median([...values].reverse())).toBe(m);
      }),
    );
  });

  it('ignores one wild value in five when trimming', () => {
    expect(trimmedMean([1, 2, 3, 4, 1e9])).toBe(3);
    expect(trimmedMean([-1e9, 2, 3, 4, 5])).toBe(3);
  });

  it('agrees with published quantiles of the t distribution', () => {
    expect(studentQuantile(0.975, 4)).toBeCloseTo(2.776, 3);
    expect(studentQuantile(0.975, 10)).toBeCloseTo(2.228, 3);
    expect(studentQuantile(0.95, 1)).toBeCloseTo(6.314, 3);
    expect(studentCdf(0, 7)).toBeCloseTo(0.5, 12);
  });

  it('inverts its own distribution function', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.01, max: 0.99, noNaN: true }), fc.integer({ min: 1, max: 60 }), (p, freedom) => {
        expect(studentCdf(studentQuantile(p, freedom), freedom)).toBeCloseTo(p, 8);
      }),
    );
  });

  it('puts the estimate inside its interval, narrower with less confidence', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -1e3, max: 1e3, noNaN: true }), { minLength: 5, maxLength: 30 }),
        (values) => {
          const wide = yuenInterval(values, 0.99);
          const narrow = yuenInterval(values, 0.8);
          expect(wide.low).toBeLessThanOrEqual(wide.estimate);
          expect(wide.high).toBeGreaterThanOrEqual(wide.estimate);
          expect(narrow.high - narrow.low).toBeLessThanOrEqual(wide.high - wide.low);
        },
      ),
    );
  });

  it('refuses to be sure of too few values', () => {
    expect(yuenInterval([1])).toMatchObject({ low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY, p: 1 });
  });

  it("adjusts by Holm's steps", () => {
    expect(holm([0.01, 0.04, 0.03])).toEqual([0.03, 0.06, 0.06]);
  });

  it('never makes a p value smaller, and keeps their order', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 20 }), (ps) => {
        const adjusted = holm(ps);
        for (const [i, p] of ps.entries()) {
          expect(adjusted[i]).toBeGreaterThanOrEqual(p);
          for (const [j, q] of ps.entries()) if (p < q) expect(adjusted[i]!).toBeLessThanOrEqual(adjusted[j]!);
        }
      }),
    );
  });

  it('multiplies out to the geometric mean', () => {
    expect(geometricMean([1, 4, 16])).toBeCloseTo(4, 12);
  });
});
