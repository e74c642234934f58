import { describe, expect, it } from 'vitest';
import { answer } from '../../src/suite/answer.ts';
import type { Cell } from '../../src/suite/schema.ts';
import { cellOf, figuresOf, runOf } from './figures-of.ts';

/** Cells of one workload at so many cycles under each engine. */
function cells(workload: string, cycles: Readonly<Record<string, number>>): Cell[] {
  return Object.entries(cycles).map(([engine, instructionCycles]) =>
    cellOf(`${workload}@${engine}:core2`, figuresOf({ operations: 1, retired: 1, instructionCycles, events: {} })),
  );
}

describe('the answer', () => {
  it('ranks the engines on kernel operations, and speaks of compute apart', () => {
    const run = runOf([
      ...cells('nano/in', { native: 100, paravirt: 300, vtx: 200 }),
      ...cells('macro/compute/fib', { native: 1000, paravirt: 1000, vtx: 1010 }),
    ]);
    expect(answer(run)).toBe(
      'on core2 vtx costs least: 2.00x native over 1 kernel operation, before paravirt (3.00x); programs that only compute stay within 1.0 % of native under every engine.',
    );
  });

  it('of a run that only computes is the sentence on compute', () => {
    expect(answer(runOf(cells('macro/compute/fib', { native: 1000, vtx: 1002 })))).toBe(
      'programs that only compute stay within 0.2 % of native under every engine.',
    );
  });

  it('calls what an image of the user does a workload', () => {
    expect(answer(runOf(cells('image/mine', { native: 10, vtx: 20 })))).toBe(
      'on core2 vtx costs 2.00x native over 1 workload.',
    );
  });

  it('says what is missing for a comparison', () => {
    expect(answer(runOf(cells('nano/in', { native: 10 })))).toMatch(/^No engine besides native gave a figure/);
    expect(answer(runOf(cells('nano/hypercall', { vtx: 10 })))).toMatch(/^Native gave no figure/);
    const apart = [...cells('nano/in', { native: 10 }), ...cells('nano/out', { vtx: 10 })];
    expect(answer(runOf(apart))).toMatch(/^No workload has a figure both/);
  });
});
