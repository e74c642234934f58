import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { attribute } from '../../src/suite/attribute.ts';
import { compareRuns, totalCauses } from '../../src/suite/compare.ts';
import { cyclesPerOperation } from '../../src/suite/figures.ts';
import { gate } from '../../src/suite/gate.ts';
import { cellOf, figuresOf, type RegionShape, runOf } from './figures-of.ts';

const price = fc.integer({ min: 1, max: 5000 });
const count = fc.integer({ min: 0, max: 1000 });
const shape: fc.Arbitrary<RegionShape> = fc.record({
  operations: fc.integer({ min: 1, max: 1000 }),
  retired: fc.integer({ min: 1, max: 10_000 }),
  instructionCycles: fc.integer({ min: 1, max: 50_000 }),
  events: fc.record({
    vmExit: fc.tuple(count, price),
    vmEntry: fc.tuple(count, price),
    pageWalkAccess: fc.tuple(count, price),
  }),
});
const moved = { base: { instructions: { alu: 1 }, events: {} }, head: { instructions: { alu: 2 }, events: {} } };

const ID = 'nano/in@vtx:sandy-bridge';
const plain: RegionShape = {
  operations: 10,
  retired: 100,
  instructionCycles: 200,
  events: { vmExit: [10, 507], vmEntry: [10, 277] },
};

describe('attribution', () => {
  it('explains the whole difference, whatever moved', () => {
    fc.assert(
      fc.property(shape, shape, fc.boolean(), (before, after, constants) => {
        const [base, head] = [figuresOf(before), figuresOf(after)];
        const prices = constants ? moved : { base: moved.base, head: moved.base };
        const explained = attribute(base, head, prices.base, prices.head).reduce((sum, cause) => sum + cause.cycles, 0);
        expect(explained).toBeCloseTo(cyclesPerOperation(head) - cyclesPerOperation(base), 4);
      }),
    );
  });

  it('gives a changed price to the constant and a changed count to the event', () => {
    const dearer = figuresOf({ ...plain, events: { ...plain.events, vmExit: [10, 600] } });
    expect(attribute(figuresOf(plain), dearer, moved.base, moved.base)).toEqual([
      { kind: 'constant', name: 'vmExit', cycles: 93, before: 507, after: 600 },
    ]);
    const oftener = figuresOf({ ...plain, events: { ...plain.events, vmExit: [20, 507] } });
    expect(attribute(figuresOf(plain), oftener, moved.base, moved.base)).toEqual([
      { kind: 'count', name: 'vmExit', cycles: 507, before: 1, after: 2 },
    ]);
  });

  it('gives the price of VMM software to the step, wherever it was charged', () => {
    const steps = (price: number) =>
      figuresOf({ ...plain, events: { vmmTouch: [10, price], vmmDispatch: [10, 4 * price] } });
    const run = (price: number) => runOf([cellOf(ID, steps(price))]);
    const comparison = compareRuns(run(10), run(12));
    expect(comparison.cells[0]?.causes).toMatchObject([
      { name: 'step (vmmDispatch)', cycles: 8, before: 10, after: 12 },
      { name: 'step (vmmTouch)', cycles: 2, before: 10, after: 12 },
    ]);
    expect(totalCauses(comparison)).toMatchObject([
      { kind: 'constant', name: 'step', profile: 'sandy-bridge', cells: 1, effect: [10, 10] },
    ]);
  });

  it('names the instruction class whose price moved', () => {
    const dearer = figuresOf({ ...plain, instructionCycles: 300 });
    const [cause] = attribute(figuresOf(plain), dearer, moved.base, moved.head);
    expect(cause).toMatchObject({
      kind: 'constant',
      name: 'alu (instructions at CPL 0)',
      cycles: 10,
      before: 1,
      after: 2,
    });
  });
});

describe('comparison and gate', () => {
  it('calls a run equal to itself SAME and passes it', () => {
    fc.assert(
      fc.property(shape, (s) => {
        const run = runOf([cellOf(ID, figuresOf(s))]);
        const comparison = compareRuns(run, structuredClone(run));
        expect(comparison.cells.map((cell) => cell.verdict)).toEqual(['SAME']);
        expect(gate(comparison, run).exitCode).toBe(0);
      }),
    );
  });

  it('tells the direction, and the inverse comparison tells the other', () => {
    const base = runOf([cellOf(ID, figuresOf(plain))]);
    const head = runOf([cellOf(ID, figuresOf({ ...plain, events: { ...plain.events, vmExit: [11, 507] } }))]);
    expect(compareRuns(base, head).cells[0]).toMatchObject({ verdict: 'SLOWER', id: ID });
    expect(compareRuns(head, base).cells[0]).toMatchObject({ verdict: 'FASTER', id: ID });
    expect(gate(compareRuns(base, head), head)).toMatchObject({ exitCode: 3 });
    expect(gate(compareRuns(head, base), base).verdict).toContain('An improvement needs a new baseline');
  });

  it('notices equal cycles made of different counts', () => {
    const base = runOf([cellOf(ID, figuresOf({ ...plain, events: { vmExit: [10, 100], vmEntry: [20, 100] } }))]);
    const head = runOf([cellOf(ID, figuresOf({ ...plain, events: { vmExit: [20, 100], vmEntry: [10, 100] } }))]);
    const comparison = compareRuns(base, head);
    expect(comparison.cells[0]?.verdict).toBe('CHANGED');
    expect(gate(comparison, head).exitCode).toBe(3);
  });

  it('refuses to compare unlike work', () => {
    const figures = figuresOf(plain);
    const base = runOf([cellOf(ID, figures)]);
    const verdict = (more: object): string | undefined =>
      compareRuns(base, runOf([cellOf(ID, figures, more)])).cells[0]?.verdict;
    expect(verdict({ ops: 11 })).toBe('UNLIKE');
    expect(verdict({ checksum: '00000002' })).toBe('BROKEN');
    expect(verdict({ console: 'x' })).toBe('BROKEN');
    const user = structuredClone(figures) as { measured: { retired: { cpl3: number } } };
    user.measured.retired.cpl3 += 1;
    expect(verdict({ exact: user })).toBe('BROKEN');
    // A timer's interrupts come where the prices put them.
    expect(verdict({ exact: user, tags: ['interrupts', 'device'] })).toBe('CHANGED');
    expect(verdict({ status: 'timeout', why: 'It ran too long.' })).toBe('MISSING');
  });

  it('gives an unmeasurable cell exit code 1 even beside a drift', () => {
    const base = runOf([cellOf(ID, figuresOf(plain)), cellOf('nano/out@vtx:sandy-bridge', figuresOf(plain))]);
    const head = runOf([
      cellOf(ID, figuresOf({ ...plain, instructionCycles: 300 })),
      cellOf('nano/out@vtx:sandy-bridge', figuresOf(plain), { status: 'failed', why: 'The guest crashed.' }),
    ]);
    expect(gate(compareRuns(base, head), head).exitCode).toBe(1);
  });

  it('counts the cells that one constant moved', () => {
    const price = (p: number) => figuresOf({ ...plain, events: { vmExit: [10, p] } });
    const ids = [ID, 'nano/out@vtx:sandy-bridge'];
    const totals = totalCauses(
      compareRuns(runOf(ids.map((id) => cellOf(id, price(500)))), runOf(ids.map((id) => cellOf(id, price(501))))),
    );
    expect(totals).toMatchObject([{ kind: 'constant', name: 'vmExit', cells: 2, before: 500, after: 501 }]);
  });
});
