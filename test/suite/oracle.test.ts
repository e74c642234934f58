import { describe, expect, it } from 'vitest';
import type { CellOutcome } from '../../src/suite/cell.ts';
import { judge, TIMED_TAGS } from '../../src/suite/oracle.ts';
import { figuresOf } from './figures-of.ts';

const exact = figuresOf({ operations: 10, retired: 100, instructionCycles: 200, events: {} });
type Ok = Extract<CellOutcome, { status: 'ok' }>;
const ok: Ok = { status: 'ok', checksum: '0000002a', console: 'hi\n', exact };

function statuses(native: CellOutcome, other: CellOutcome, tags: string[] = []): (string | null | undefined)[] {
  const cell = (engine: string) => ({
    id: engine,
    workload: 'nano/in',
    params: {},
    engine,
    profile: 'core2',
    ops: 10,
    tags,
  });
  const judged = judge(
    [cell('vtx'), cell('native')],
    new Map([
      [0, other],
      [1, native],
    ]),
  );
  return [judged.get(0)?.status, judged.get(0)?.why];
}

function withUser(cpl3: number): Ok {
  const measured = { ...exact.measured, retired: { ...exact.measured.retired, cpl3 } };
  return { ...ok, exact: { ...exact, measured } };
}

describe('the oracle', () => {
  it('lets an equal cell pass', () => {
    expect(statuses(ok, ok)).toEqual(['ok', null]);
  });

  it.each([
    ['another checksum', { ...ok, checksum: '0000002b' }, "Its checksum is 0000002b, native's is 0000002a."],
    ['another console', { ...ok, console: 'ho\n' }, "Its console between begin and end differs from native's."],
    ['other user-mode work', withUser(7), 'It retired 7 instructions in user mode, native 0.'],
  ])('calls %s a mismatch', (_, other, why) => {
    expect(statuses(ok, other)).toEqual(['mismatch', why]);
  });

  it('leaves user-mode counts alone where the workload waits for time', () => {
    expect(statuses(ok, withUser(7), [...TIMED_TAGS])).toEqual(['ok', null]);
  });

  it('takes no figure whose native twin failed', () => {
    expect(statuses({ status: 'failed', why: 'x' }, ok)[0]).toBe('mismatch');
  });

  it('judges engines against one another where native itself skips', () => {
    const skipped: CellOutcome = { status: 'skipped', why: 'Bare hardware has no hypercall.' };
    expect(statuses(skipped, ok)[0]).toBe('ok');
    const cell = (engine: string) => ({
      id: engine,
      workload: 'nano/hypercall',
      params: {},
      engine,
      profile: 'core2',
      ops: 10,
      tags: [],
    });
    const cells = [cell('native'), cell('paravirt'), cell('vtx')];
    const judged = judge(
      cells,
      new Map<number, CellOutcome>([
        [0, skipped],
        [1, ok],
        [2, { ...ok, checksum: '1' }],
      ]),
    );
    expect([0, 1, 2].map((index) => judged.get(index)?.status)).toEqual(['skipped', 'ok', 'mismatch']);
  });
});
