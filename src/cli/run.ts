/** `trivisor run`: measure, print the table and the answer, save the result. */
import { rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { overheadChart } from '../report/chart.ts';
import { FORMATS, formatRun } from '../report/formats.ts';
import { answer } from '../suite/answer.ts';
import { baselinePath } from '../suite/baseline.ts';
import { EXIT, SuiteError } from '../suite/failure.ts';
import { runsFolder } from '../suite/paths.ts';
import type { PlannedCell } from '../suite/plan.ts';
import { asBaseline, writeBaseline, writeRun } from '../suite/results.ts';
import type { Run } from '../suite/schema.ts';
import type { Arguments } from './arguments.ts';
import { type Command, print, tell } from './command.ts';
import { guestOf, measurePlan, PLAN_OPTIONS, planOf, SESSION_OPTIONS, type SessionResult } from './run-request.ts';

export const runCommand: Command = {
  name: 'run',
  usage: '[filter...]',
  what: 'Measure workloads under the engines; print the table and a one-sentence answer; save the result.',
  options: [
    ...PLAN_OPTIONS,
    ...SESSION_OPTIONS,
    'track',
    'rounds',
    'time-budget',
    'seed',
    'output',
    'save',
    'format',
    'plain',
    'dry-run',
  ],
  examples: [
    'trivisor run                                   the default comparison',
    'trivisor run nano/syscall -e all               one workload, every engine',
    "trivisor run -e vtx,vtx~noept 'nano/p*'        the worth of EPT",
    'trivisor run nano/ptemod -P batch=1,8,64       a sweep',
    'trivisor run --image my-kernel.elf             your own kernel',
  ],
  async run(args, raw) {
    const guest = guestOf(args);
    const cells = planOf(args, guest);
    const format = args.choice('format', FORMATS, 'table');
    const track = args.choice('track', ['exact', 'wall', 'both'], 'exact');
    const save = args.text('save');
    if (save !== null) baselinePath(save);
    if (args.has('dry-run')) return dryRun(cells);
    const result = await measurePlan(args, guest, cells, {
      command: ['run', ...raw],
      track,
      journal: true,
      rounds: args.whole('rounds', 5),
      timeBudget: args.whole('time-budget', 120) * 1000,
      seed: args.whole('seed', 1, 0),
    });
    return concludeRun(args, result, format);
  },
};

/** Saves and prints a finished or interrupted run; returns its exit code. */
export function concludeRun(
  args: Arguments,
  { run, interrupted }: SessionResult,
  format: (typeof FORMATS)[number],
): number {
  const path = args.text('output') ?? join(runsFolder(), `${run.id}.json`);
  saveRun(path, run);
  rmSync(join(runsFolder(), `${run.id}.jsonl`), { force: true });
  if (interrupted !== null) {
    tell(
      `Interrupted after ${run.cells.length} cells; what is finished is in ${path}. To go on: trivisor resume ${path}`,
    );
    return interrupted;
  }
  const plain = args.has('plain');
  print(formatRun(run, format, plain));
  if (format === 'table') {
    const chart = overheadChart(run);
    if (chart !== '' && !plain) print(`\n${chart}`);
    print(`\n${capital(answer(run))}`);
  }
  const save = args.text('save');
  if (save !== null) {
    writeBaseline(baselinePath(save), asBaseline(run));
    tell(`Kept the exact figures as the baseline @${save}.`);
  }
  tell(`Saved ${relative(process.cwd(), path) || path}. Next: trivisor explain ${exampleCell(run)} --from ${run.id}`);
  return exitCode(run);
}

function saveRun(path: string, run: Run): void {
  try {
    writeRun(path, run);
  } catch (error) {
    throw new SuiteError(
      `The result cannot be written to '${path}' (${(error as NodeJS.ErrnoException).code ?? 'unknown error'}).`,
      EXIT.cellFailed,
    );
  }
}

function exitCode(run: Run): number {
  if (run.cells.some((cell) => cell.status !== 'ok' && cell.status !== 'skipped')) return EXIT.cellFailed;
  if (run.cells.every((cell) => cell.status === 'skipped')) return EXIT.allSkipped;
  return EXIT.done;
}

function dryRun(cells: readonly PlannedCell[]): number {
  for (const cell of cells)
    print(cell.skip === null ? `${cell.id} ops=${cell.ops}` : `${cell.id} skipped: ${cell.skip}`);
  return EXIT.done;
}

/** The cell most worth a look: the one furthest above native is where the question "why" arises. */
function exampleCell(run: Run): string {
  const candidates = run.cells.filter((cell) => cell.status === 'ok' && cell.engine !== 'native' && cell.exact);
  const cost = (cell: Run['cells'][number]): number =>
    (cell.exact?.measured.cycles ?? 0) / (cell.exact?.measured.operations || 1);
  const id = candidates.sort((a, b) => cost(b) - cost(a))[0]?.id ?? run.cells[0]?.id ?? '';
  return /[{}~]/.test(id) ? `'${id}'` : id;
}

export function capital(sentence: string): string {
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}
