import { describe, expect, it } from 'vitest';
import { yuenTwoSample } from '../../src/suite/wall-compare.ts';
import { seededRandom, williamsSquare } from '../../src/suite/williams.ts';

/** Log times of a run: noise of a few per mille, and an occasional spike as hosts have them. */
function logTimes(random: () => number, rounds: number, shift: number): number[] {
  return Array.from({ length: rounds }, () => shift + 0.006 * (random() - 0.5) + (random() < 0.1 ? 0.3 : 0));
}

describe('the comparison of wall-clock samples', () => {
  it('finds 5 % among spikes and raises few false alarms', () => {
    const random = seededRandom(7);
    let found = 0;
    let alarms = 0;
    for (let trial = 0; trial < 200; trial++) {
      const slower = yuenTwoSample(logTimes(random, 12, 0), logTimes(random, 12, Math.log(1.05)));
      if (slower.low > 0 && slower.p < 0.05) found++;
      const same = yuenTwoSample(logTimes(random, 12, 0), logTimes(random, 12, 0));
      if (same.p < 0.05 && Math.abs(same.estimate) > 0.02) alarms++;
    }
    expect(found).toBeGreaterThan(150);
    expect(alarms).toBeLessThan(6);
  });
});

describe('the balanced square', () => {
  it.each([2, 3, 4, 5, 6, 7])('has every engine follow every other equally often (%i engines)', (n) => {
    const follows = new Map<string, number>();
    for (const row of williamsSquare(n)) {
      expect([...row].sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
      for (let at = 1; at < n; at++) {
        const pair = `${row[at - 1]} ${row[at]}`;
        follows.set(pair, (follows.get(pair) ?? 0) + 1);
      }
    }
    expect(follows.size).toBe(n * (n - 1));
    expect(new Set(follows.values()).size).toBe(1);
  });
});
