/** `trivisor list`: what there is to measure, and to measure it with. */
import { renderTable } from '../report/text-table.ts';
import { DEFAULT_PROFILE, ENGINES, PROFILES } from '../suite/choices.ts';
import { EXIT, SuiteError } from '../suite/failure.ts';
import { filterMatches } from '../suite/glob.ts';
import { loadGuest } from '../suite/guest.ts';
import { didYouMean } from '../suite/nearest.ts';
import { allWorkloads } from '../suite/plan.ts';
import { type Command, print } from './command.ts';

export const listCommand: Command = {
  name: 'list',
  usage: '[filter...]',
  what: 'List workloads, engines with their variations, and CPU profiles.',
  options: ['plain'],
  examples: ['trivisor list', "trivisor list 'nano/*'"],
  run(args) {
    const plain = args.has('plain');
    const all = allWorkloads(loadGuest());
    const ids = all.map((workload) => workload.id);
    for (const filter of args.positionals) {
      if (ids.some((id) => filterMatches(filter, id))) continue;
      throw new SuiteError(`The filter '${filter}' matches no workload.${didYouMean(filter, ids)}`);
    }
    const workloads = all.filter(
      (w) => args.positionals.length === 0 || args.positionals.some((f) => filterMatches(f, w.id)),
    );
    const rows = workloads.map((workload) => {
      const parameters = workload.parameters.map((parameter) => `${parameter.name}=${parameter.choices.join('|')}`);
      return [workload.id, workload.operation, parameters.join(' ')];
    });
    const left = ['left', 'left', 'left'] as const;
    print(renderTable({ head: ['workload', 'one operation', 'parameters'], align: left, rows }, plain));
    if (args.positionals.length > 0) return EXIT.done;
    const engines = ENGINES.flatMap((engine) => [
      [engine.name, engine.what],
      ...Object.entries(engine.variations).map(([name, what]) => [`${engine.name}~${name}`, what]),
    ]);
    print(`\n${renderTable({ head: ['engine', 'what'], align: ['left', 'left'], rows: engines }, plain)}`);
    const profiles = PROFILES.map((profile) => [
      profile.name === DEFAULT_PROFILE ? `${profile.name} (default)` : profile.name,
      profile.title,
    ]);
    print(`\n${renderTable({ head: ['profile', 'what'], align: ['left', 'left'], rows: profiles }, plain)}`);
    return EXIT.done;
  },
};
