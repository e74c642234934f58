/** `trivisor resume`: go on with an interrupted run; cells that had finished are not measured again. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FORMATS } from '../report/formats.ts';
import type { CellOutcome } from '../suite/cell.ts';
import { SuiteError } from '../suite/failure.ts';
import { runsFolder } from '../suite/paths.ts';
import type { PlannedCell } from '../suite/plan.ts';
import { readRun } from '../suite/results.ts';
import type { Run } from '../suite/schema.ts';
import { parseArguments } from './arguments.ts';
import type { Command } from './command.ts';
import { concludeRun, journalFolder, runCommand } from './run.ts';
import { guestOf, measurePlan, planOf } from './run-request.ts';

export const resumeCommand: Command = {
  name: 'resume',
  usage: '<file>',
  what: 'Go on with an interrupted run, from its partial result or, after a crash, from its journal (.jsonl).',
  options: ['jobs', 'no-progress', 'output', 'format', 'plain'],
  examples: ['trivisor resume results/runs/20260101-120000-abc.json'],
  async run(args) {
    const [reference] = args.positionals;
    if (reference === undefined || args.positionals.length > 1)
      throw new SuiteError('Expected one partial result: trivisor resume <file>.');
    const partial = readPartial(reference);
    const original = parseArguments('run', partial.command.slice(1), runCommand.options);
    const guest = guestOf(original);
    const cells = planOf(original, guest);
    const done = finishedCells(cells, partial.outcomes);
    const result = await measurePlan(original, guest, cells, {
      command: partial.command,
      track: original.choice('track', ['exact', 'wall', 'both'], 'exact'),
      journal: journalFolder(args),
      done,
    });
    return concludeRun(args, result, args.choice('format', FORMATS, 'table'));
  },
};

interface Partial {
  readonly command: readonly string[];
  /** By cell id, operation count and image. */
  readonly outcomes: ReadonlyMap<string, CellOutcome>;
}

function finishedCells(
  cells: readonly PlannedCell[],
  outcomes: ReadonlyMap<string, CellOutcome>,
): Map<number, CellOutcome> {
  const done = new Map<number, CellOutcome>();
  for (const [index, cell] of cells.entries()) {
    const outcome = outcomes.get(partialKey(cell));
    if (outcome?.status === 'ok') done.set(index, outcome);
  }
  return done;
}

/** A rebuilt image or another operation count is another cell. */
function partialKey(cell: { id: string; ops: number; image: string }): string {
  return `${cell.id} ${cell.ops} ${cell.image}`;
}

function readPartial(reference: string): Partial {
  const journal = reference.endsWith('.jsonl') ? reference : join(runsFolder(), `${reference}.jsonl`);
  if (existsSync(journal)) return readJournal(journal);
  const path = existsSync(reference) ? reference : join(runsFolder(), `${reference}.json`);
  const run = readRun(path);
  if (run.kind !== 'run' || run.command[0] !== 'run')
    throw new SuiteError(`'${path}' is not the result of 'trivisor run', so it cannot be resumed.`);
  const outcomes = new Map<string, CellOutcome>();
  for (const cell of run.cells) {
    const outcome = outcomeOf(cell);
    if (outcome !== null) outcomes.set(partialKey(cell), outcome);
  }
  return { command: run.command, outcomes };
}

function outcomeOf(cell: Run['cells'][number]): CellOutcome | null {
  if (cell.exact === undefined || cell.checksum === undefined || cell.console === undefined) return null;
  return { status: 'ok', checksum: cell.checksum, console: cell.console, exact: cell.exact };
}

/** A journal's last line may have been cut short by whatever ended the run. */
function readJournal(path: string): Partial {
  const outcomes = new Map<string, CellOutcome>();
  let command: string[] | null = null;
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    let record: { command?: string[]; id?: string; ops?: number; image?: string; outcome?: CellOutcome };
    try {
      record = JSON.parse(line);
    } catch {
      continue;
    }
    if (record.command !== undefined) command = record.command;
    else if (
      record.id !== undefined &&
      record.ops !== undefined &&
      record.image !== undefined &&
      record.outcome !== undefined
    ) {
      outcomes.set(partialKey({ id: record.id, ops: record.ops, image: record.image }), record.outcome);
    }
  }
  if (command === null)
    throw new SuiteError(`The journal '${path}' does not say which command it belongs to, so it cannot be resumed.`);
  return { command, outcomes };
}
