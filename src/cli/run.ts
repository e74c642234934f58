/** `trivisor run`: measure, print the table and the answer, save the result. */
import { rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { overheadChart } from '../report/chart.ts';
import { FORMATS, formatRun } from '../report/formats.ts';
import { answer } from '../suite/answer.ts';
import { baselinePath } from '../suite/baseline.ts';
import { workloadName } from '../suite/cell-name.ts';
import { EXIT } from '../suite/failure.ts';
import { cyclesPerOperation } from '../suite/figures.ts';
import { runsFolder } from '../suite/paths.ts';
import type { PlannedCell } from '../suite/plan.ts';
import { asBaseline, writeBaseline, writeRun } from '../suite/results.ts';
import type { Run } from '../suite/schema.ts';
import { checkWritable } from '../suite/write-file.ts';
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
    const baseline = save === null ? null : baselinePath(save);
    if (args.has('dry-run')) return dryRun(cells);
    if (baseline !== null) checkWritable(baseline);
    const result = await measurePlan(args, guest, cells, {
      command: ['run', ...raw],
      track,
      journal: journalFolder(args),
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
  writeRun(path, run);
  rmSync(join(journalFolder(args), `${run.id}.jsonl`), { force: true });
  if (interrupted !== null) {
    tell(
      `Interrupted after ${run.cells.length} cells; what is finished is in ${path}. To go on: npx trivisor resume ${path}`,
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
  const example = exampleCell(run);
  const next = example === null ? '' : ` Next: npx trivisor explain ${example} --from ${reference(path, run)}`;
  tell(`Saved ${relative(process.cwd(), path) || path}.${next}`);
  return exitCode(run);
}

/** The journal lies beside the result to come, so that a folder that cannot be written to shows before anything is measured. */
export function journalFolder(args: Arguments): string {
  const output = args.text('output');
  return output === null ? runsFolder() : dirname(output);
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

/** What `--from` takes: the short id if the result lies where ids are looked up. */
function reference(path: string, run: Run): string {
  return path === join(runsFolder(), `${run.id}.json`) ? run.id : relative(process.cwd(), path);
}

/** The cell most worth a look: the one furthest above native is where the question "why" arises. */
function exampleCell(run: Run): string | null {
  const twin = (cell: Run['cells'][number]): string => `${workloadName(cell)} ${cell.ops} ${cell.profile}`;
  const measured = run.cells.flatMap((cell) =>
    cell.status === 'ok' && cell.exact !== undefined ? [{ cell, cycles: cyclesPerOperation(cell.exact) }] : [],
  );
  const native = new Map(measured.filter(({ cell }) => cell.engine === 'native').map((m) => [twin(m.cell), m.cycles]));
  const cost = ({ cell, cycles }: (typeof measured)[number]): number => cycles / (native.get(twin(cell)) ?? Infinity);
  const candidates = measured.filter(({ cell }) => cell.engine !== 'native');
  const id = (candidates.sort((a, b) => cost(b) - cost(a))[0] ?? measured[0])?.cell.id;
  if (id === undefined) return null;
  return /[{}~]/.test(id) ? `'${id}'` : id;
}

export function capital(sentence: string): string {
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}
