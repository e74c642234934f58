/** `trivisor explain`: where one cell's cycles went. */
import { explainCell } from '../report/explain.ts';
import { resolveRun } from '../suite/baseline.ts';
import { cellName, parseCellName } from '../suite/cell-name.ts';
import { chooseEngine, chooseProfile, DEFAULT_PROFILE } from '../suite/choices.ts';
import { EXIT, SuiteError } from '../suite/failure.ts';
import { loadGuest } from '../suite/guest.ts';
import { didYouMean } from '../suite/nearest.ts';
import { planCells } from '../suite/plan.ts';
import type { Cell, Run } from '../suite/schema.ts';
import type { Arguments } from './arguments.ts';
import { type Command, print, tell } from './command.ts';
import { measurePlan, SESSION_OPTIONS } from './run-request.ts';

export const explainCommand: Command = {
  name: 'explain',
  usage: '<cell>',
  what: 'Show where the cycles of a cell went: ledger, events, privilege levels. Measures it unless --from names a result.',
  options: ['from', 'quick', ...SESSION_OPTIONS, 'format', 'plain'],
  examples: [
    'trivisor explain nano/in@vtx',
    "trivisor explain 'nano/syscall{method=sysenter}@vtx~noept:sandy-bridge'",
    'trivisor explain nano/pgfault@ring-compression:pentium4-672 --from @baseline',
  ],
  async run(args) {
    const [text] = args.positionals;
    if (text === undefined || args.positionals.length > 1)
      throw new SuiteError('Expected one cell: trivisor explain <workload>@<engine>[:<profile>].');
    const format = args.choice('format', ['table', 'json'], 'table');
    const from = args.text('from');
    const cells = from === null ? await measureCells(args, text) : cellsOf(resolveRun(from).run, text, from);
    if (cells === null) return EXIT.interrupted;
    if (format === 'json') print(JSON.stringify(cells, null, 2));
    else print(cells.map((cell) => explainCell(cell, args.has('plain'))).join('\n\n'));
    return cells.some((cell) => cell.status !== 'ok' && cell.status !== 'skipped') ? EXIT.cellFailed : EXIT.done;
  },
};

function parse(text: string): NonNullable<ReturnType<typeof parseCellName>> {
  const name = parseCellName(text);
  if (name === null)
    throw new SuiteError(
      `Expected a cell such as nano/in@vtx:sandy-bridge or 'nano/syscall{method=int80}@vtx~noept', got '${text}'.`,
    );
  return name;
}

function cellsOf(run: Run, text: string, from: string): Cell[] {
  const name = parse(text);
  const matching = run.cells.filter((cell) => {
    const { workload } = cell;
    if (workload !== name.workload && !workload.endsWith(`/${name.workload}`)) return false;
    if (name.engine !== null && name.engine !== cell.engine) return false;
    if (name.profile !== null && name.profile !== cell.profile) return false;
    return Object.entries(name.params).every(([key, value]) => cell.params[key] === value);
  });
  if (matching.length > 0) return matching;
  const ids = run.cells.map((cell) => cell.id);
  throw new SuiteError(`The result '${from}' has no cell '${text}'.${didYouMean(text, ids)}`);
}

/** Native runs too: a cell's figures count only after the oracle. */
async function measureCells(args: Arguments, text: string): Promise<Cell[] | null> {
  const name = parse(text);
  if (name.engine === null)
    throw new SuiteError(`Expected the cell's engine after '@', as in ${name.workload}@vtx, got '${text}'.`);
  const engine = chooseEngine(name.engine);
  const profile = chooseProfile(name.profile ?? DEFAULT_PROFILE);
  const guest = loadGuest();
  const sweeps = Object.fromEntries(Object.entries(name.params).map(([key, value]) => [key, [value]]));
  const engines = engine.name === 'native' ? [engine] : [chooseEngine('native'), engine];
  const planned = planCells({
    guest,
    filters: [name.workload],
    engines,
    profiles: [profile],
    sweeps,
    quick: args.has('quick'),
    shard: null,
  });
  if (name.profile === null)
    tell(
      `On ${profile.name}; name another profile after ':', as in ${cellName({ ...name, engine: engine.name, profile: 'pentium4-672' })}.`,
    );
  const { run, interrupted } = await measurePlan(args, guest, planned, { command: ['explain', text] });
  return interrupted === null ? run.cells.filter((cell) => cell.engine === engine.name) : null;
}
