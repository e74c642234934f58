/** Makes the cells of a run: workload x engine~variation x profile x parameters. */

import type { Profile } from '../cost/profile.ts';
import type { Workload } from './catalogue.ts';
import { type CellKey, cellName } from './cell-name.ts';
import { aliasOn, type ChosenEngine, chooseEngine, chooseProfile } from './choices.ts';
import { SuiteError } from './failure.ts';
import { filterMatches } from './glob.ts';
import type { Guest } from './guest.ts';
import { didYouMean } from './nearest.ts';

export interface PlanRequest {
  readonly guest: Guest;
  /** Globs over `group/name`; none means everything. */
  readonly filters: readonly string[];
  readonly engines: readonly ChosenEngine[];
  readonly profiles: readonly Profile[];
  /** Parameter sweeps by name; `ops` overrides the operation count of every workload. */
  readonly sweeps: Readonly<Record<string, readonly string[]>>;
  readonly quick: boolean;
  /** This share of the workloads only, 1-based. */
  readonly shard: { readonly index: number; readonly of: number } | null;
}

export interface PlannedCell extends CellKey {
  readonly id: string;
  readonly ops: number;
  readonly tags: readonly string[];
  readonly imagePath: string;
  readonly image: string;
  /** Why it cannot run, known beforehand. */
  readonly skip: string | null;
  readonly aliasOf: string | null;
}

/** Cells in a fixed order: profile, workload, parameters, engine. Throws a sentence if a name or a filter fits nothing. */
export function planCells(request: PlanRequest): PlannedCell[] {
  const workloads = inShard(selectWorkloads(request), request.shard);
  requireSweepsUsed(request.sweeps, workloads);
  const cells: PlannedCell[] = [];
  for (const profile of request.profiles) {
    for (const workload of workloads) {
      for (const { params, ops } of parameterSets(workload, request)) {
        for (const engine of request.engines)
          cells.push(planCell(request.guest, workload, params, ops, engine, profile));
      }
    }
  }
  return cells;
}

/** The cells of a result once more, as far as they still exist. */
export function replanCells(guest: Guest, cells: readonly (CellKey & { readonly ops: number })[]): PlannedCell[] {
  const workloads = new Map(allWorkloads(guest).map((workload) => [workload.id, workload]));
  const planned: PlannedCell[] = [];
  for (const cell of cells) {
    const workload = workloads.get(cell.workload);
    if (workload === undefined || !parametersFit(workload, cell.params)) continue;
    planned.push(
      planCell(guest, workload, { ...cell.params }, cell.ops, chooseEngine(cell.engine), chooseProfile(cell.profile)),
    );
  }
  return planned;
}

function parametersFit(workload: Workload, params: Readonly<Record<string, string>>): boolean {
  const names = workload.parameters.map((parameter) => parameter.name).sort();
  if (names.join() !== Object.keys(params).sort().join()) return false;
  return workload.parameters.every((parameter) => parameter.choices.includes(params[parameter.name] as string));
}

/** Every workload of the guest, by id; a Xen-only one counts too. */
export function allWorkloads(guest: Guest): Workload[] {
  const byId = new Map<string, Workload>();
  for (const workload of [...(guest.xen?.workloads ?? []), ...guest.native.workloads]) byId.set(workload.id, workload);
  return [...byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

function selectWorkloads(request: PlanRequest): Workload[] {
  const all = allWorkloads(request.guest);
  if (request.filters.length === 0) return all;
  const ids = all.map((workload) => workload.id);
  for (const filter of request.filters) {
    if (ids.some((id) => filterMatches(filter, id))) continue;
    throw new SuiteError(
      `The filter '${filter}' matches no workload; 'trivisor list' shows them all.${didYouMean(filter, ids)}`,
    );
  }
  return all.filter((workload) => request.filters.some((filter) => filterMatches(filter, workload.id)));
}

function inShard(workloads: Workload[], shard: PlanRequest['shard']): Workload[] {
  if (shard === null) return workloads;
  return workloads.filter((_, index) => index % shard.of === shard.index - 1);
}

function requireSweepsUsed(sweeps: PlanRequest['sweeps'], workloads: readonly Workload[]): void {
  const known = [...new Set(workloads.flatMap((workload) => workload.parameters.map((parameter) => parameter.name)))];
  for (const name of Object.keys(sweeps)) {
    if (name === 'ops' || known.includes(name)) continue;
    const have = known.length === 0 ? 'they have none' : `theirs are ${known.sort().join(', ')}`;
    throw new SuiteError(`None of the chosen workloads has a parameter '${name}'; ${have}.${didYouMean(name, known)}`);
  }
}

function* parameterSets(
  workload: Workload,
  request: PlanRequest,
): Generator<{ params: Record<string, string>; ops: number }> {
  let sets: Record<string, string>[] = [{}];
  for (const parameter of workload.parameters) {
    const values = request.sweeps[parameter.name] ?? [parameter.default];
    for (const value of values) {
      if (parameter.choices.includes(value)) continue;
      throw new SuiteError(
        `${workload.id} does not take ${parameter.name}=${value}; it takes ${parameter.choices.join(', ')}.${didYouMean(value, parameter.choices)}`,
      );
    }
    sets = sets.flatMap((set) => values.map((value) => ({ ...set, [parameter.name]: value })));
  }
  const usual = String(request.quick ? workload.quickOps : workload.defaultOps);
  for (const params of sets) {
    for (const text of request.sweeps.ops ?? [usual]) {
      const ops = Number(text);
      if (!Number.isSafeInteger(ops) || ops < 1 || ops >= 2 ** 31) {
        throw new SuiteError(`Expected ops to be a whole number of operations below 2^31, got '${text}'.`);
      }
      yield { params, ops };
    }
  }
}

function planCell(
  guest: Guest,
  workload: Workload,
  params: Record<string, string>,
  ops: number,
  engine: ChosenEngine,
  profile: Profile,
): PlannedCell {
  const xen = engine.definition.kernel === 'xen';
  const image = xen ? guest.xen : guest.native;
  const key = { workload: workload.id, params, engine: engine.name, profile: profile.name };
  return {
    ...key,
    id: cellName(key),
    ops,
    tags: workload.tags,
    imagePath: image?.path ?? '',
    image: image?.sha256 ?? '',
    skip: skipReason(guest, workload, engine),
    aliasOf: aliasOn(engine.name, profile),
  };
}

function skipReason(guest: Guest, workload: Workload, engine: ChosenEngine): string | null {
  if (engine.definition.kernel === 'native') {
    const present = guest.native.workloads.some((other) => other.id === workload.id);
    return present ? null : 'The workload is only in the Xen build of the guest.';
  }
  if (guest.xen === null) return `A multiboot image cannot boot under ${engine.name}, which needs a Xen build.`;
  const own = guest.xen.workloads.find((other) => other.id === workload.id);
  if (own === undefined) return 'The workload is only in the native build of the guest.';
  return own.skipUnderParavirt === '' ? null : own.skipUnderParavirt;
}

/** What the host writes into the guest's mailbox for a cell. */
export function mailboxText(cell: Pick<PlannedCell, 'workload' | 'params' | 'ops'>): string {
  const params = Object.keys(cell.params)
    .sort()
    .map((name) => `${name}=${cell.params[name]}`);
  return [cell.workload, `ops=${cell.ops}`, ...params].join(' ');
}
