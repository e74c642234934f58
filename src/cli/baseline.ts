/** `trivisor baseline`: save, list, show and remove the named references that `check` compares with. */
import { rmSync } from 'node:fs';
import { relative } from 'node:path';
import { runTable } from '../report/table.ts';
import { renderTable } from '../report/text-table.ts';
import { baselinePath, DEFAULT_BASELINE, listBaselines, resolveRun } from '../suite/baseline.ts';
import { compareRuns } from '../suite/compare.ts';
import { EXIT, SuiteError } from '../suite/failure.ts';
import { didYouMean } from '../suite/nearest.ts';
import { asBaseline, readRun, writeBaseline } from '../suite/results.ts';
import { checkWritable } from '../suite/write-file.ts';
import type { Arguments } from './arguments.ts';
import { type Command, print, tell } from './command.ts';
import { guestOf, measurePlan, PLAN_OPTIONS, planOf, SESSION_OPTIONS, tellFailures } from './run-request.ts';

const ACTIONS = ['save', 'list', 'show', 'rm'] as const;

export const baselineCommand: Command = {
  name: 'baseline',
  usage: 'save|list|show|rm [name]',
  what: `Keep named references in results/ (default name: ${DEFAULT_BASELINE}). 'save' measures twice and refuses if the runs disagree.`,
  options: [...PLAN_OPTIONS, ...SESSION_OPTIONS, 'plain'],
  examples: [
    'trivisor baseline save',
    'trivisor baseline save quick --quick',
    'trivisor baseline list',
    'trivisor baseline show',
  ],
  run(args, raw) {
    const [action, name = DEFAULT_BASELINE, ...rest] = args.positionals;
    if (action === undefined || rest.length > 0)
      throw new SuiteError(`Expected one of ${ACTIONS.join(', ')} and at most one name.`);
    switch (action) {
      case 'save':
        return save(args, name, raw);
      case 'list':
        return list(args);
      case 'show':
        print(runTable(resolveRun(`@${name}`).run, args.has('plain')));
        return EXIT.done;
      case 'rm':
        return remove(name);
      default:
        throw new SuiteError(
          `'trivisor baseline' has no action '${action}'; it has ${ACTIONS.join(', ')}.${didYouMean(action, ACTIONS)}`,
        );
    }
  },
};

async function save(args: Arguments, name: string, raw: readonly string[]): Promise<number> {
  const path = baselinePath(name);
  const guest = guestOf(args);
  // The name is not a filter: workloads are chosen by --filter here.
  const cells = planOf(args.withoutPositionals(), guest);
  const command = ['baseline', ...raw];
  checkWritable(path);
  tell('First of two runs.');
  const first = await measurePlan(args, guest, cells, { command });
  if (first.interrupted !== null) return first.interrupted;
  tellFailures(first.run);
  const baseline = asBaseline(first.run);
  tell('Second run.');
  const second = await measurePlan(args, guest, cells, { command });
  if (second.interrupted !== null) return second.interrupted;
  const differing = compareRuns(baseline, second.run).cells.filter((cell) => cell.verdict !== 'SAME');
  if (differing.length > 0) {
    const ids = differing.slice(0, 3).map((cell) => cell.id);
    throw new SuiteError(
      `The two runs disagree in ${differing.length} cells (${ids.join(', ')}), so no baseline was saved.`,
      EXIT.cellFailed,
    );
  }
  writeBaseline(path, baseline);
  print(
    `Saved ${relative(process.cwd(), path)}: ${baseline.cells.length} cells, measured twice with identical figures.`,
  );
  return EXIT.done;
}

function list(args: Arguments): number {
  const entries = listBaselines();
  if (entries.length === 0) {
    print('There are no baselines in results/ yet. Make one: npx trivisor baseline save');
    return EXIT.done;
  }
  const rows = entries.map((entry) => {
    const run = readRun(entry.path);
    const engines = [...new Set(run.cells.map((cell) => cell.engine))].join(', ');
    const profiles = [...new Set(run.cells.map((cell) => cell.profile))].join(', ');
    return [`@${entry.name}`, String(run.cells.length), engines, profiles];
  });
  print(
    renderTable(
      { head: ['baseline', 'cells', 'engines', 'profiles'], align: ['left', 'right', 'left', 'left'], rows },
      args.has('plain'),
    ),
  );
  return EXIT.done;
}

function remove(name: string): number {
  const entry = listBaselines().find((candidate) => candidate.name === name);
  if (entry === undefined) throw new SuiteError(`There is no baseline '${name}' in results/.`, EXIT.noBaseline);
  rmSync(entry.path);
  print(`Removed ${relative(process.cwd(), entry.path)}.`);
  return EXIT.done;
}
