/** `trivisor validate`: the model against published figures, and how firmly each claimed sign stands. */
import { availableParallelism } from 'node:os';
import { formatNumber, formatPercent } from '../report/number.ts';
import { renderTable } from '../report/text-table.ts';
import { workloadName } from '../suite/cell-name.ts';
import { chooseEngines, chooseProfile } from '../suite/choices.ts';
import { EXIT, SuiteError } from '../suite/failure.ts';
import { cyclesPerOperation } from '../suite/figures.ts';
import { type Guest, loadGuest } from '../suite/guest.ts';
import { type PlannedCell, planCells } from '../suite/plan.ts';
import { OUTSIDE_THE_MODEL, PUBLISHED, type PublishedFigure } from '../suite/published.ts';
import { runExact } from '../suite/runner.ts';
import type { Run } from '../suite/schema.ts';
import { assumedConstants, FACTORS } from '../suite/sensitivity.ts';
import { checkSigns, SIGN_PROFILE, SIGNS } from '../suite/signs.ts';
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
    const filters = [...new Set([...PUBLISHED, ...SIGNS].map((figure) => figure.workload))];
    const cells = plan(guest, filters, ENGINES, args.has('quick'));
    const { run, interrupted } = await measurePlan(args, guest, cells, { command: ['validate'] });
    if (interrupted !== null) return interrupted;
    tellFailures(run);
    print(publishedText(run, plain));
    print(`\nOutside the model:\n${OUTSIDE_THE_MODEL.map((what) => `  ${what}`).join('\n')}`);
    const broken = await signTable(args, guest, run, plain);
    const failed = run.cells.some((cell) => cell.status !== 'ok' && cell.status !== 'skipped');
    return failed || broken > 0 ? EXIT.cellFailed : EXIT.done;
  },
};

function plan(guest: Guest, filters: readonly string[], engines: readonly string[], quick: boolean): PlannedCell[] {
  const profiles = [chooseProfile(SIGN_PROFILE)];
  return planCells({ guest, filters, engines: chooseEngines(engines), profiles, sweeps: {}, quick, shard: null });
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

/** Prints the table of signs; returns how many do not survive. */
async function signTable(args: Arguments, guest: Guest, run: Run, plain: boolean): Promise<number> {
  const base = checkSigns(run);
  const constants = assumedConstants(chooseProfile(SIGN_PROFILE));
  const cells = plan(
    guest,
    SIGNS.map((sign) => sign.workload),
    ['ring-compression', 'vtx'],
    true,
  );
  // The weakest margin of each sign over all variants, and the variants that break it.
  const weakest = new Map(base.map((sign) => [sign.workload, { margin: margin(sign), where: 'as assumed' }]));
  const broken = new Map<string, string[]>();
  const interrupt = watchInterrupts();
  for (const [done, constant] of constants.entries()) {
    if (!args.has('no-progress'))
      tell(`signs ${done + 1}/${constants.length} ${constant.name} (${constant.cycles} cycles)`);
    for (const factor of FACTORS) {
      if (interrupt.signal.aborted) break;
      const variant = await measureVariant(
        args,
        guest,
        cells,
        run,
        { kind: constant.kind, name: constant.name, factor },
        interrupt.signal,
      );
      for (const sign of checkSigns(variant)) {
        const label = `${constant.name} x${factor}`;
        if (!sign.holds) broken.set(sign.workload, [...(broken.get(sign.workload) ?? []), label]);
        const least = weakest.get(sign.workload);
        if (least !== undefined && margin(sign) < least.margin)
          weakest.set(sign.workload, { margin: margin(sign), where: label });
      }
    }
  }
  interrupt.release();
  const rows = base.map((sign) => {
    const least = weakest.get(sign.workload) ?? { margin: Number.NaN, where: '' };
    const breaks = broken.get(sign.workload) ?? [];
    const verdict = !sign.holds ? 'does not hold' : breaks.length === 0 ? 'holds' : `breaks at ${breaks.join(', ')}`;
    const cycles = [formatNumber(sign.ringCompression), formatNumber(sign.vtx)];
    return [sign.workload, sign.winner, ...cycles, `${least.margin.toFixed(2)}x`, least.where, verdict];
  });
  const head = ['sign', 'winner', 'ring-compression', 'vtx', 'least margin', 'at', 'verdict'];
  print(`\nSigns of the 2006 paper, each of ${constants.length} assumed constants halved and doubled:`);
  print(renderTable({ head, align: ['left', 'left', 'right', 'right', 'right', 'left', 'left'], rows }, plain));
  return rows.filter((row) => row.at(-1) !== 'holds').length;
}

/** By how much the published winner wins; below 1 it loses. */
function margin(sign: { winner: string; ringCompression: number; vtx: number }): number {
  return sign.winner === 'vtx' ? sign.ringCompression / sign.vtx : sign.vtx / sign.ringCompression;
}

async function measureVariant(
  args: Arguments,
  guest: Guest,
  cells: readonly PlannedCell[],
  run: Run,
  override: { kind: 'instruction' | 'event' | 'step'; name: string; factor: number },
  cancel: AbortSignal,
): Promise<Run> {
  const outcomes = await runExact(cells, {
    jobs: args.whole('jobs', availableParallelism()),
    limit: args.cycles('timeout', 20e9),
    backstop: args.whole('wall-limit', 120) * 1000,
    twice: false,
    ramBytes: guest.ramBytes,
    cancel,
    override,
    onCell: () => {},
  });
  const measured = cells.flatMap((cell, index) => {
    const outcome = outcomes.get(index);
    const original = run.cells.find((candidate) => candidate.id === cell.id);
    if (outcome?.status !== 'ok' || original === undefined) return [];
    return [
      {
        ...original,
        status: 'ok' as const,
        exact: structuredClone(outcome.exact) as NonNullable<typeof original.exact>,
      },
    ];
  });
  return { ...run, cells: measured };
}
