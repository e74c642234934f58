/** `trivisor validate`: the model against published figures, and how firmly each claimed sign stands. */
import { availableParallelism } from 'node:os';
import { formatNumber, formatPercent, formatRatio } from '../report/number.ts';
import { renderTable } from '../report/text-table.ts';
import { workloadName } from '../suite/cell-name.ts';
import type { PriceOverride } from '../suite/cell-protocol.ts';
import { chooseEngines, chooseProfile } from '../suite/choices.ts';
import { EXIT, SuiteError } from '../suite/failure.ts';
import { cyclesPerOperation, type ExactFigures } from '../suite/figures.ts';
import { type Guest, loadGuest } from '../suite/guest.ts';
import { allWorkloads, type PlannedCell, planCells } from '../suite/plan.ts';
import { OUTSIDE_THE_MODEL, PUBLISHED, type PublishedFigure } from '../suite/published.ts';
import { runExact } from '../suite/runner.ts';
import type { Run } from '../suite/schema.ts';
import {
  assumedConstants,
  type SignFigures,
  type SignSurvival,
  sameCounts,
  signSurvival,
} from '../suite/sensitivity.ts';
import { SIGN_PROFILE, SIGNS } from '../suite/signs.ts';
import type { Arguments } from './arguments.ts';
import { type Command, print, tell } from './command.ts';
import { watchInterrupts } from './interrupt.ts';
import { measurePlan, SESSION_OPTIONS, tellFailures } from './run-request.ts';

const ENGINES = ['native', 'ring-compression', 'paravirt', 'vtx'];

export const validateCommand: Command = {
  name: 'validate',
  usage: '',
  what: 'Hold the model against published figures, and each claimed sign against halved and doubled assumptions.',
  options: [...SESSION_OPTIONS, 'quick', 'plain'],
  examples: ['trivisor validate', 'trivisor validate --quick'],
  async run(args) {
    if (args.positionals.length > 0)
      throw new SuiteError(`'trivisor validate' takes no arguments, got '${args.positionals.join(' ')}'.`);
    const plain = args.has('plain');
    const guest = loadGuest();
    const cells = publishedCells(guest, args.has('quick'));
    const { run, interrupted } = await measurePlan(args, guest, cells, { command: ['validate'] });
    if (interrupted !== null) return interrupted;
    tellFailures(run);
    print(publishedText(run, plain));
    print(`\nOutside the model:\n${OUTSIDE_THE_MODEL.map((what) => `  ${what}`).join('\n')}`);
    const broken = await signTable(args, guest, plain);
    if (broken === null) return EXIT.interrupted;
    const failed = run.cells.some((cell) => cell.status !== 'ok' && cell.status !== 'skipped');
    return failed || broken > 0 ? EXIT.cellFailed : EXIT.done;
  },
};

/** The cells of all published figures and signs: at their parameters' defaults, and at the values that figures name. */
function publishedCells(guest: Guest, quick: boolean): PlannedCell[] {
  const filters = [...new Set([...PUBLISHED, ...SIGNS].map((figure) => figure.workload))];
  const sweeps: Record<string, string[]> = {};
  for (const workload of allWorkloads(guest).filter(({ id }) => filters.includes(id))) {
    const named = PUBLISHED.filter((figure) => figure.workload === workload.id);
    for (const parameter of workload.parameters) {
      const values = named.flatMap(({ params }) => params[parameter.name] ?? []);
      if (values.length > 0) sweeps[parameter.name] = [...new Set([parameter.default, ...values])];
    }
  }
  const profiles = [chooseProfile(SIGN_PROFILE)];
  return planCells({ guest, filters, engines: chooseEngines(ENGINES), profiles, sweeps, quick, shard: null });
}

function publishedText(run: Run, plain: boolean): string {
  const rows = PUBLISHED.map((figure) => {
    const model = modelled(run, figure);
    const error = Number.isFinite(model) ? formatPercent(model / figure.value) : 'not measured';
    const name = `${workloadName(figure)}@${figure.engine}`;
    return [name, figure.kind, formatNumber(figure.value), formatNumber(model), error, figure.source, figure.note];
  });
  const head = ['cell', 'figure', 'published', 'model', 'error', 'source', 'note'];
  const table = renderTable({ head, align: ['left', 'left', 'right', 'right', 'right', 'left', 'left'], rows }, plain);
  return `The model on ${SIGN_PROFILE} against published figures (checks, never inputs):\n${table}`;
}

function modelled(run: Run, figure: PublishedFigure): number {
  const cycles = (engine: string): number => {
    const cell = run.cells.find((c) => {
      const same = Object.entries(figure.params).every(([name, value]) => c.params[name] === value);
      return c.workload === figure.workload && c.engine === engine && c.profile === figure.profile && same;
    });
    return cell?.exact === undefined || cell.status !== 'ok' ? Number.NaN : cyclesPerOperation(cell.exact);
  };
  return figure.kind === 'cycles' ? cycles(figure.engine) : cycles(figure.engine) / cycles('native');
}

/** Operations of the runs that count instruction classes: enough to settle, few enough for a run a class. */
const COUNTING_OPERATIONS = '1000';

/** Prints the table of signs; returns how many do not survive, or null if interrupted. */
async function signTable(args: Arguments, guest: Guest, plain: boolean): Promise<number | null> {
  const profile = chooseProfile(SIGN_PROFILE);
  const constants = assumedConstants(profile);
  const cells = planCells({
    guest,
    filters: SIGNS.map((sign) => sign.workload),
    engines: chooseEngines(['ring-compression', 'vtx']),
    profiles: [profile],
    sweeps: { ops: [COUNTING_OPERATIONS] },
    quick: true,
    shard: null,
  });
  const classes = constants.filter(({ kind }) => kind === 'instruction').map(({ name }) => name);
  const rounds = await measureRounds(args, guest, cells, [
    null,
    ...classes.map((instruction) => ({ instruction, cycles: 1 })),
  ]);
  if (rounds === null) return null;
  const [base, ...others] = rounds as [SignFigures, ...SignFigures[]];
  const dearer = new Map<string, SignFigures>();
  for (const [index, name] of classes.entries()) {
    const figures = others[index] as SignFigures;
    const linear = [...base].every(([key, exact]) => sameCounts(exact, figures.get(key) ?? exact));
    // Without it the class stays unknown, and an unknown breaks the signs.
    if (linear) dearer.set(name, figures);
  }
  const survivals = signSurvival(base, dearer, constants);
  print(`\nSigns of the 2006 paper, each of ${constants.length} assumed constants halved and doubled:`);
  print(signText(survivals, plain));
  return SIGNS.length - survivals.filter((sign) => sign.breaksAt.length === 0 && sign.margin > 1).length;
}

function signText(survivals: readonly SignSurvival[], plain: boolean): string {
  const rows = survivals.map((sign) => {
    const verdict = !(sign.margin > 1)
      ? 'does not hold'
      : sign.breaksAt.length === 0
        ? 'holds'
        : `breaks at ${sign.breaksAt.join(', ')}`;
    const cycles = [formatNumber(sign.ringCompression), formatNumber(sign.vtx)];
    return [
      sign.workload,
      sign.winner,
      ...cycles,
      formatRatio(sign.margin),
      formatRatio(sign.leastMargin),
      sign.leastAt,
      verdict,
    ];
  });
  const head = ['sign', 'winner', 'ring-compression', 'vtx', 'margin', 'least', 'at', 'verdict'];
  return renderTable(
    { head, align: ['left', 'left', 'right', 'right', 'right', 'right', 'left', 'left'], rows },
    plain,
  );
}

/**
 * The cells once per override, in as few processes as there are cores to fill: an engine's code, once warm, runs a round four
 * times as fast as in a process of its own. Null if interrupted.
 */
async function measureRounds(
  args: Arguments,
  guest: Guest,
  cells: readonly PlannedCell[],
  overrides: readonly (PriceOverride | null)[],
): Promise<SignFigures[] | null> {
  const all = overrides.flatMap((override) => cells.map((cell) => ({ ...cell, override })));
  const interrupt = watchInterrupts();
  let done = 0;
  const outcomes = await runExact(all, {
    jobs: args.whole('jobs', availableParallelism()),
    limit: args.cycles('timeout', 20e9),
    backstop: args.whole('wall-limit', 120) * 1000,
    twice: false,
    ramBytes: guest.ramBytes,
    cancel: interrupt.signal,
    onCell: () => {
      if (++done % cells.length > 0 || args.has('no-progress')) return;
      tell(`one class of instructions dearer ${done / cells.length}/${overrides.length}`);
    },
  });
  interrupt.release();
  if (interrupt.signal.aborted) return null;
  return overrides.map((_, round) => {
    const figures = new Map<string, ExactFigures>();
    for (const [index, cell] of cells.entries()) {
      const outcome = outcomes.get(round * cells.length + index);
      if (outcome?.status === 'ok') figures.set(`${cell.workload}@${cell.engine}`, outcome.exact);
    }
    return figures;
  });
}
