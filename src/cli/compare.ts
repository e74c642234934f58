/** `trivisor compare`: two results, cell by cell, and why they differ. */
import { comparisonText } from '../report/comparison.ts';
import { comparisonMarkdown } from '../report/markdown.ts';
import { wallComparisonText } from '../report/wall-comparison.ts';
import { resolveRun } from '../suite/baseline.ts';
import { compareRuns } from '../suite/compare.ts';
import { EXIT, SuiteError } from '../suite/failure.ts';
import type { Run } from '../suite/schema.ts';
import { compareWall } from '../suite/wall-compare.ts';
import { type Command, print, tell } from './command.ts';

export const compareCommand: Command = {
  name: 'compare',
  usage: '<base> <head>',
  what: 'Compare two results (files, run ids, @names of baselines) cell by cell, with the causes of every difference.',
  options: ['format', 'plain', 'strict-inconclusive'],
  examples: ['trivisor compare @baseline 20260101-120000-abc', 'trivisor compare before.json after.json'],
  run(args) {
    const [base, head] = args.positionals;
    if (base === undefined || head === undefined || args.positionals.length > 2) {
      throw new SuiteError('Expected two results to compare: trivisor compare <base> <head>.');
    }
    const format = args.choice('format', ['table', 'md', 'json'], 'table');
    const runs = [resolveRun(base).run, resolveRun(head).run] as const;
    const comparison = compareRuns(...runs);
    const wall = compareWall(...runs);
    tellImages(...runs);
    if (format === 'json') print(JSON.stringify({ ...comparison, wall }, null, 2));
    else if (format === 'md') print(comparisonMarkdown(comparison));
    else print(comparisonText(comparison, args.has('plain')));
    if (wall.length > 0 && format === 'table') print(`\n${wallComparisonText(wall, args.has('plain'))}`);
    if (args.has('strict-inconclusive') && wall.some((cell) => cell.verdict === 'UNSURE')) return EXIT.inconclusive;
    return EXIT.done;
  },
};

/** A rebuilt guest explains differences better than any count. */
export function tellImages(base: Run, head: Run): void {
  const images = new Map(base.cells.map((cell) => [cell.id, cell.image]));
  const rebuilt = head.cells.some((cell) => images.has(cell.id) && images.get(cell.id) !== cell.image);
  if (rebuilt) tell('The guest image is not the same in both: differences may come from the guest.');
}
