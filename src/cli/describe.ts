/** `trivisor describe`: everything about one workload, engine or profile. */

import { EVENT_ROWS } from '../cost/event.ts';
import type { Priced, Profile, Source } from '../cost/profile.ts';
import type { EngineDefinition } from '../engines/engine.ts';
import { renderTable } from '../report/text-table.ts';
import type { Workload } from '../suite/catalogue.ts';
import { ENGINES, PROFILES } from '../suite/choices.ts';
import { EXIT, SuiteError } from '../suite/failure.ts';
import { loadGuest } from '../suite/guest.ts';
import { didYouMean } from '../suite/nearest.ts';
import { allWorkloads } from '../suite/plan.ts';
import { type Command, print } from './command.ts';

export const describeCommand: Command = {
  name: 'describe',
  usage: '<id>',
  what: 'Describe one workload, engine or profile; a profile with the source of every constant.',
  options: ['plain'],
  examples: ['trivisor describe nano/syscall', 'trivisor describe vtx', 'trivisor describe pentium4-672'],
  run(args) {
    const [id] = args.positionals;
    if (id === undefined || args.positionals.length > 1)
      throw new SuiteError('Expected one name: trivisor describe <id>.');
    const engine = ENGINES.find((candidate) => candidate.name === id);
    if (engine !== undefined) print(describeEngine(engine));
    const profile = PROFILES.find((candidate) => candidate.name === id);
    if (profile !== undefined) print(describeProfile(profile, args.has('plain')));
    if (engine !== undefined || profile !== undefined) return EXIT.done;
    const workloads = allWorkloads(loadGuest());
    const workload =
      workloads.find((candidate) => candidate.id === id) ??
      workloads.find((candidate) => candidate.id.endsWith(`/${id}`));
    if (workload === undefined) {
      const known = [...workloads.map((w) => w.id), ...ENGINES.map((e) => e.name), ...PROFILES.map((p) => p.name)];
      throw new SuiteError(`There is no workload, engine or profile called '${id}'.${didYouMean(id, known)}`);
    }
    print(describeWorkload(workload));
    return EXIT.done;
  },
};

function describeWorkload(workload: Workload): string {
  const lines = [
    workload.id,
    `  one operation: ${workload.operation}`,
    `  operations: ${workload.defaultOps}, ${workload.quickOps} with --quick`,
  ];
  for (const parameter of workload.parameters) {
    lines.push(`  parameter ${parameter.name}: ${parameter.choices.join(', ')} (default ${parameter.default})`);
  }
  if (workload.tags.length > 0) lines.push(`  tags: ${workload.tags.join(', ')}`);
  if (workload.skipUnderParavirt !== '') lines.push(`  skipped under paravirt: ${workload.skipUnderParavirt}`);
  return lines.join('\n');
}

function describeEngine(engine: EngineDefinition): string {
  const lines = [engine.name, `  ${engine.what}`, `  boots the ${engine.kernel} build of the guest`];
  for (const [name, what] of Object.entries(engine.variations)) lines.push(`  ~${name}: ${what}`);
  return lines.join('\n');
}

function describeProfile(profile: Profile, plain: boolean): string {
  const features = Object.entries(profile.features).map(([name, has]) => `${has ? '' : 'no '}${name}`);
  const lines = [
    `${profile.name}: ${profile.title}`,
    `TLB: ${profile.tlb.data} data and ${profile.tlb.fetch} fetch entries; ${features.join(', ')}`,
    `Bus clock: ${profile.bus.frequencyHz / 1e6} MHz (${sourceText(profile.bus.source)})`,
  ];
  const rows = [
    ...Object.entries(profile.instructions).map(([name, priced]) => priceRow(`instruction ${name}`, priced)),
    ...EVENT_ROWS.filter((row) => profile.events[row.name] !== undefined).map((row) =>
      priceRow(row.name, profile.events[row.name] as Priced),
    ),
    priceRow('one VMM software step', profile.step),
  ];
  const table = renderTable({ head: ['constant', 'cycles', 'source'], align: ['left', 'right', 'left'], rows }, plain);
  return `${lines.join('\n')}\n${table}`;
}

function priceRow(name: string, priced: Priced): string[] {
  return [name, String(priced.cycles), sourceText(priced.source)];
}

function sourceText(source: Source): string {
  const text = source.kind === 'published' ? source.where : source.kind === 'derived' ? source.formula : source.why;
  return `${source.kind}: ${text}`;
}
