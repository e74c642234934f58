import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PlannedCell } from '../../src/suite/plan.ts';
import { groupCells } from '../../src/suite/runner.ts';

function plan(engines: readonly string[], each: number): PlannedCell[] {
  return engines.flatMap((engine) =>
    Array.from({ length: each }, (_, index) => ({
      workload: `nano/w${index}`,
      params: {},
      engine,
      profile: 'core2',
      id: `nano/w${index}@${engine}:core2`,
      ops: 1,
      tags: [],
      imagePath: 'native.elf',
      image: '',
      skip: index === 3 ? 'It is skipped.' : null,
      aliasOf: null,
    })),
  );
}

describe('groups of cells', () => {
  it('stay whole, native last, where there are as many as the cores can take', () => {
    const groups = groupCells(plan(['native', 'paravirt', 'vtx', 'vtx~noept'], 3), 2);
    expect(groups).toEqual([
      [3, 4, 5],
      [6, 7, 8],
      [9, 10, 11],
      [0, 1, 2],
    ]);
  });

  it('are split for the cores if they are few, but not into small pieces', () => {
    expect(groupCells(plan(['vtx'], 41), 2).map((group) => group.length)).toEqual([10, 10, 10, 10]);
    expect(groupCells(plan(['vtx'], 11), 4).map((group) => group.length)).toEqual([8, 2]);
  });

  it('hold every cell that is not skipped once, and one engine each', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 32 }), (each, jobs) => {
        const cells = plan(['native', 'vtx'], each);
        const groups = groupCells(cells, jobs);
        const runnable = [...cells.keys()].filter((index) => cells[index]?.skip === null);
        expect(groups.flat().sort((a, b) => a - b)).toEqual(runnable);
        for (const group of groups) expect(new Set(group.map((index) => cells[index]?.engine)).size).toBe(1);
      }),
    );
  });
});
