/** Named baselines: one sorted-key JSON each in `results/`, kept in git so that a change's effect is a readable diff. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT, SuiteError } from './failure.ts';
import { didYouMean } from './nearest.ts';
import { PACKAGE_ROOT, resultsFolder, runsFolder } from './paths.ts';
import { readRun } from './results.ts';
import type { Run } from './schema.ts';

export const DEFAULT_BASELINE = 'baseline';

export function baselinePath(name: string): string {
  if (!/^[a-z0-9][a-z0-9._-]*$/i.test(name)) {
    throw new SuiteError(`Expected a baseline's name of letters, digits, '.', '_' and '-', got '${name}'.`);
  }
  return join(resultsFolder(), `${name}.json`);
}

export interface BaselineEntry {
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
}

export function listBaselines(): BaselineEntry[] {
  const folder = resultsFolder();
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json') && !file.endsWith('.schema.json'))
    .sort()
    .map((file) => ({
      name: file.slice(0, -'.json'.length),
      path: join(folder, file),
      bytes: statSync(join(folder, file)).size,
    }));
}

/**
 * The run that a user means: a file, `@name` of a baseline, or the id of a run in `results/runs/`. Exit code 5 if a
 * baseline is missing.
 */
export function resolveRun(reference: string): { run: Run; path: string } {
  if (reference.startsWith('@')) return namedBaseline(reference.slice(1));
  if (existsSync(reference) && statSync(reference).isFile()) return { run: readRun(reference), path: reference };
  const byId = join(runsFolder(), `${reference}.json`);
  if (existsSync(byId)) return { run: readRun(byId), path: byId };
  const runs = existsSync(runsFolder())
    ? readdirSync(runsFolder())
        .filter((f) => f.endsWith('.json'))
        .map((f) => f.slice(0, -5))
    : [];
  throw new SuiteError(`There is no result file and no run called '${reference}'.${didYouMean(reference, runs)}`);
}

function namedBaseline(name: string): { run: Run; path: string } {
  const path = baselinePath(name);
  if (existsSync(path)) return { run: readRun(path), path };
  // Outside the project's own folder, the baseline that came with the package still answers to its name.
  const packaged = join(PACKAGE_ROOT, 'results', `${name}.json`);
  if (existsSync(packaged)) return { run: readRun(packaged), path: packaged };
  const known = listBaselines().map((entry) => entry.name);
  const have = known.length === 0 ? 'there are none yet' : `there are ${known.join(', ')}`;
  throw new SuiteError(
    `There is no baseline '${name}' in results/; ${have}.${didYouMean(name, known)}`,
    EXIT.noBaseline,
  );
}
