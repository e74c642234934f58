/** `trivisor check`: run what the baseline holds, compare exactly, gate. All that CI needs. */
import { appendFileSync } from 'node:fs';
import { comparisonText } from '../report/comparison.ts';
import { githubAnnotations } from '../report/github.ts';
import { comparisonMarkdown } from '../report/markdown.ts';
import { DEFAULT_BASELINE, resolveRun } from '../suite/baseline.ts';
import { compareRuns } from '../suite/compare.ts';
import { EXIT, SuiteError } from '../suite/failure.ts';
import { gate } from '../suite/gate.ts';
import { loadGuest } from '../suite/guest.ts';
import { allWorkloads, replanCells } from '../suite/plan.ts';
import type { Run } from '../suite/schema.ts';
import type { Arguments } from './arguments.ts';
import { type Command, print, tell } from './command.ts';
import { tellImages } from './compare.ts';
import { measurePlan, SESSION_OPTIONS } from './run-request.ts';

export const checkCommand: Command = {
  name: 'check',
  usage: '',
  what: 'Measure the cells of a baseline again and exit 3 if any figure differs, saying which, which way and why.',
  options: ['against', 'from', ...SESSION_OPTIONS, 'format', 'plain'],
  examples: [
    'trivisor check',
    'trivisor check --against @baseline --twice',
    'trivisor check --from results/runs/ID.json',
  ],
  async run(args) {
    if (args.positionals.length > 0)
      throw new SuiteError(`'trivisor check' takes no arguments, got '${args.positionals.join(' ')}'.`);
    const base = baselineOf(args);
    if (base === null) {
      tell('There is no baseline to check against yet, so there is nothing to fail. Make one: trivisor baseline save');
      return EXIT.done;
    }
    const from = args.text('from');
    const measured = from === null ? await measureAgain(args, base) : { run: resolveRun(from).run, interrupted: null };
    if (measured.interrupted !== null) return measured.interrupted;
    return conclude(args, base, measured.run);
  },
};

/** A baseline that was not asked for by name may be missing: a first run passes. */
function baselineOf(args: Arguments): Run | null {
  const against = args.text('against');
  if (against !== null) return resolveRun(against).run;
  try {
    return resolveRun(`@${DEFAULT_BASELINE}`).run;
  } catch (error) {
    if (error instanceof SuiteError && error.exitCode === EXIT.noBaseline) return null;
    throw error;
  }
}

async function measureAgain(args: Arguments, base: Run): Promise<{ run: Run; interrupted: number | null }> {
  const guest = loadGuest();
  const cells = replanCells(guest, base.cells);
  if (cells.length === 0) throw new SuiteError('The baseline has no cell that can still be measured.', EXIT.noBaseline);
  const known = new Set(base.cells.map((cell) => cell.workload));
  const fresh = allWorkloads(guest).filter((workload) => !known.has(workload.id));
  if (fresh.length > 0) tell(`Not in the baseline: ${fresh.map((workload) => workload.id).join(', ')}.`);
  return measurePlan(args, guest, cells, {
    command: ['check'],
    twice: args.has('twice') || process.env.CI !== undefined,
  });
}

function conclude(args: Arguments, base: Run, head: Run): number {
  const comparison = compareRuns(base, head);
  const result = gate(comparison, head);
  tellImages(base, head);
  const format = args.choice('format', ['table', 'md', 'json'], 'table');
  if (format === 'json')
    print(JSON.stringify({ verdict: result.verdict, exitCode: result.exitCode, ...comparison }, null, 2));
  else if (format === 'md') print(comparisonMarkdown(comparison));
  else print(comparisonText(comparison, args.has('plain')));
  if (format !== 'json') print(result.verdict);
  if (process.env.GITHUB_ACTIONS === 'true') tell(githubAnnotations(result));
  const summary = process.env.GITHUB_STEP_SUMMARY;
  if (summary !== undefined && summary !== '')
    appendFileSync(summary, `${result.verdict}\n\n${comparisonMarkdown(comparison)}\n`);
  return result.exitCode;
}
