/** `trivisor check`: run what the baseline holds, compare exactly, gate. All that CI needs. */
import { appendFileSync } from 'node:fs';
import { comparisonText } from '../report/comparison.ts';
import { githubAnnotations } from '../report/github.ts';
import { comparisonMarkdown } from '../report/markdown.ts';
import { DEFAULT_BASELINE, resolveRun } from '../suite/baseline.ts';
import { chooseEngines, chooseProfiles } from '../suite/choices.ts';
import { compareRuns } from '../suite/compare.ts';
import { EXIT, SuiteError } from '../suite/failure.ts';
import { gate } from '../suite/gate.ts';
import { filterMatches } from '../suite/glob.ts';
import { loadGuest } from '../suite/guest.ts';
import { didYouMean } from '../suite/nearest.ts';
import { allWorkloads, replanCells } from '../suite/plan.ts';
import type { Run } from '../suite/schema.ts';
import type { Arguments } from './arguments.ts';
import { type Command, print, tell } from './command.ts';
import { tellImages } from './compare.ts';
import { measurePlan, SESSION_OPTIONS } from './run-request.ts';

export const checkCommand: Command = {
  name: 'check',
  usage: '[filter...]',
  what: 'Measure the cells of a baseline again and exit 3 if any figure differs, saying which, which way and why.',
  options: ['filter', 'engine', 'profile', 'against', 'from', ...SESSION_OPTIONS, 'format', 'plain'],
  examples: [
    'trivisor check',
    'trivisor check nano/pgfault -e vtx            some cells of the baseline',
    'trivisor check --against @baseline --twice',
    'trivisor check --from results/runs/ID.json',
  ],
  async run(args) {
    const whole = baselineOf(args);
    if (whole === null) {
      tell(
        'There is no baseline to check against yet, so there is nothing to fail. Make one: npx trivisor baseline save',
      );
      return EXIT.done;
    }
    const wanted = selection(args, whole);
    const base = { ...whole, cells: whole.cells.filter(wanted) };
    if (base.cells.length < whole.cells.length)
      tell(`Checking ${base.cells.length} of the baseline's ${whole.cells.length} cells.`);
    const from = args.text('from');
    const measured =
      from === null ? await measureAgain(args, base) : { run: narrowed(from, wanted), interrupted: null };
    if (measured.interrupted !== null) return measured.interrupted;
    return conclude(args, base, measured.run);
  },
};

/** A baseline that was not asked for by name may be missing: a first run passes. One that cannot be compared with never does. */
function baselineOf(args: Arguments): Run | null {
  const against = args.text('against');
  try {
    return resolveRun(against ?? `@${DEFAULT_BASELINE}`).run;
  } catch (error) {
    if (!(error instanceof SuiteError)) throw error;
    if (against === null && error.exitCode === EXIT.noBaseline) return null;
    throw new SuiteError(error.message, EXIT.noBaseline);
  }
}

type Wanted = (cell: Run['cells'][number]) => boolean;

function narrowed(from: string, wanted: Wanted): Run {
  const { run } = resolveRun(from);
  return { ...run, cells: run.cells.filter(wanted) };
}

/** The cells that the arguments choose. Native stays in: it is the oracle. */
function selection(args: Arguments, base: Run): Wanted {
  const filters = [...args.positionals, ...args.list('filter')];
  const engines = chooseEngines(args.list('engine')).map((engine) => engine.name);
  const profiles = chooseProfiles(args.list('profile')).map((profile) => profile.name);
  const workloads = [...new Set(base.cells.map((cell) => cell.workload))];
  for (const filter of filters) {
    if (workloads.some((workload) => filterMatches(filter, workload))) continue;
    throw new SuiteError(`The filter '${filter}' matches no workload of the baseline.${didYouMean(filter, workloads)}`);
  }
  const wanted: Wanted = (cell) =>
    (filters.length === 0 || filters.some((filter) => filterMatches(filter, cell.workload))) &&
    (engines.length === 0 || cell.engine === 'native' || engines.includes(cell.engine)) &&
    (profiles.length === 0 || profiles.includes(cell.profile));
  for (const key of ['engine', 'profile'] as const) {
    const names = key === 'engine' ? engines : profiles;
    const absent = names.find((name) => !base.cells.some((cell) => cell[key] === name && wanted(cell)));
    if (absent !== undefined)
      throw new SuiteError(`The baseline has no cell of the ${key} '${absent}' among those asked for.`);
  }
  return wanted;
}

async function measureAgain(args: Arguments, base: Run): Promise<{ run: Run; interrupted: number | null }> {
  const guest = loadGuest();
  const cells = replanCells(guest, base.cells);
  if (cells.length === 0) throw new SuiteError('The baseline has no cell that can still be measured.', EXIT.noBaseline);
  const known = new Set(base.cells.map((cell) => cell.workload));
  const fresh =
    args.positionals.length + args.list('filter').length > 0
      ? []
      : allWorkloads(guest).filter((workload) => !known.has(workload.id));
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
  if (process.env.GITHUB_ACTIONS === 'true') tell(githubAnnotations(result, comparison));
  const summary = process.env.GITHUB_STEP_SUMMARY;
  if (summary !== undefined && summary !== '')
    appendFileSync(summary, `${result.verdict}\n\n${comparisonMarkdown(comparison)}\n`);
  return result.exitCode;
}
