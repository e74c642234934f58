import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatApart, formatChange, formatNumber, formatPercent, formatRatio } from '../../src/report/number.ts';

describe('numbers', () => {
  it.each([
    [0, '0'],
    [12, '12'],
    [1234567, '1,234,567'],
    [1234.5, '1,235'],
    [12.34, '12.3'],
    [1.234, '1.23'],
    [0.5, '0.50'],
    [-1234.4, '-1,234'],
    [Number.NaN, '-'],
  ])('%d is %s', (value, text) => {
    expect(formatNumber(value)).toBe(text);
  });

  it('groups any whole number so that it reads back', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        expect(Number(formatNumber(value).replaceAll(',', ''))).toBe(value);
      }),
    );
  });

  it('gives ratios and percentages their sign and unit', () => {
    expect(formatRatio(1)).toBe('1.00x');
    expect(formatRatio(12.34)).toBe('12.3x');
    expect(formatRatio(4965.2)).toBe('4,965x');
    expect(formatPercent(1.034)).toBe('+3.40 %');
    expect(formatPercent(0.5)).toBe('-50 %');
  });
});

describe('a change', () => {
  it('shows, however small', () => {
    expect(formatApart(8.79, 8.7912)).toEqual(['8.79', '8.791']);
    expect(formatApart(12_650_038, 12_650_039)).toEqual(['12,650,038', '12,650,039']);
    expect(formatApart(1, 1)).toEqual(['1', '1']);
    expect(formatApart(Number.NaN, Number.NaN)).toEqual(['-', '-']);
    expect([507, -0.0004, 0].map(formatChange)).toEqual(['+507', '-0.0004', '0']);
    expect([1, 1.00001, 0.99999].map(formatPercent)).toEqual(['+0.00 %', '+0.001 %', '-0.001 %']);
  });
});
