/** The one-sentence answer, computed from the data of a run. */
import { workloadName } from './cell-name.ts';
import { cyclesPerOperation } from './figures.ts';
import type { Run } from './schema.ts';
import { checkSigns, SIGN_PROFILE } from './signs.ts';
import { geometricMean } from './statistics.ts';

/** Ratios to native of every cell of one engine on one profile, by workload. */
export function ratiosToNative(run: Run, engine: string, profile: string): Map<string, number> {
  const cycles = (name: string): Map<string, number> => {
    const found = new Map<string, number>();
    for (const cell of run.cells) {
      if (cell.engine !== name || cell.profile !== profile || cell.status !== 'ok' || cell.exact === undefined)
        continue;
      found.set(`${workloadName(cell)} ${cell.ops}`, cyclesPerOperation(cell.exact));
    }
    return found;
  };
  const native = cycles('native');
  const ratios = new Map<string, number>();
  for (const [key, own] of cycles(engine)) {
    const base = native.get(key);
    if (base !== undefined && base > 0 && own > 0) ratios.set(key.replace(/ \d+$/, ''), own / base);
  }
  return ratios;
}

export function enginesOf(run: Run): string[] {
  return [...new Set(run.cells.map((cell) => cell.engine))];
}

export function profilesOf(run: Run): string[] {
  return [...new Set(run.cells.map((cell) => cell.profile))];
}

/** A sentence per profile on which technique costs least, and one on the macro programs and the published signs. */
export function answer(run: Run): string {
  const sentences: string[] = [];
  for (const profile of profilesOf(run)) {
    const sentence = rankSentence(run, profile);
    if (sentence !== null) sentences.push(sentence);
  }
  const compute = computeSentence(run);
  if (compute !== null) sentences.push(compute);
  if (sentences.length === 0) return nothingToCompare(run);
  const signs = signSentence(run);
  if (signs !== null) sentences.push(signs);
  return `${sentences.join('; ')}.`;
}

function nothingToCompare(run: Run): string {
  const counts = (virtualized: boolean): boolean =>
    run.cells.some((cell) => cell.status === 'ok' && (cell.engine !== 'native') === virtualized);
  if (!counts(true)) return 'No engine besides native gave a figure that counts, so there is nothing to compare.';
  if (!counts(false)) return 'Native gave no figure that counts, so there are no ratios to it.';
  return 'No workload has a figure both under native and under another engine, so there is nothing to compare.';
}

function rankSentence(run: Run, profile: string): string | null {
  const ranked = enginesOf(run)
    .filter((engine) => engine !== 'native')
    .map((engine) => ({ engine, ratios: [...ratiosToNative(run, engine, profile).entries()] }))
    .map(({ engine, ratios }) => ({ engine, ratios: ratios.filter(([name]) => !name.startsWith('macro/compute/')) }))
    .filter(({ ratios }) => ratios.length > 0)
    .map(({ engine, ratios }) => ({
      engine,
      over: workloadCount(ratios.map(([name]) => name)),
      mean: geometricMean(ratios.map(([, ratio]) => ratio)),
    }))
    .sort((a, b) => a.mean - b.mean);
  const [best, ...others] = ranked;
  if (best === undefined) return null;
  const rest = others.map(({ engine, mean }) => `${engine} (${times(mean)})`);
  const than = rest.length === 0 ? '' : `, before ${listed(rest)}`;
  const lead = rest.length === 0 ? 'costs' : 'costs least:';
  return `on ${profile} ${best.engine} ${lead} ${times(best.mean)} native over ${best.over}${than}`;
}

/** A user's own image may do anything; the suite's other workloads are operations of the guest kernel. */
function workloadCount(names: readonly string[]): string {
  const noun = names.every((name) => /^(nano|macro)\//.test(name)) ? 'kernel operation' : 'workload';
  return `${names.length} ${noun}${names.length === 1 ? '' : 's'}`;
}

function computeSentence(run: Run): string | null {
  let worst = { ratio: 1, where: '' };
  let seen = 0;
  for (const profile of profilesOf(run)) {
    for (const engine of enginesOf(run)) {
      if (engine === 'native') continue;
      for (const [name, ratio] of ratiosToNative(run, engine, profile)) {
        if (!name.startsWith('macro/compute/')) continue;
        seen++;
        if (Math.abs(ratio - 1) >= Math.abs(worst.ratio - 1))
          worst = { ratio, where: `${name} under ${engine} on ${profile}` };
      }
    }
  }
  if (seen === 0) return null;
  const percent = Math.abs(worst.ratio - 1) * 100;
  if (percent <= 5)
    return `programs that only compute stay within ${percent.toFixed(1)} % of native under every engine`;
  return `programs that only compute should stay near native but ${worst.where} takes ${times(worst.ratio)}`;
}

function signSentence(run: Run): string | null {
  const results = checkSigns(run);
  if (results.length === 0) return null;
  const won = (winner: string): string[] => {
    return results
      .filter((sign) => sign.holds && sign.winner === winner)
      .map((sign) => sign.workload.replace('nano/', ''));
  };
  const parts: string[] = [];
  if (won('ring-compression').length > 0)
    parts.push(`ring-compression beats vtx on ${listed(won('ring-compression'))}`);
  if (won('vtx').length > 0) parts.push(`vtx beats ring-compression on ${listed(won('vtx'))}`);
  const broken = results.filter((sign) => !sign.holds).map((sign) => sign.workload.replace('nano/', ''));
  const verdict =
    broken.length === 0 ? 'as published in 2006' : `against what was published in 2006 for ${listed(broken)}`;
  return `on ${SIGN_PROFILE}, ${[...parts, verdict].join(', ')}`;
}

function times(ratio: number): string {
  return `${ratio < 10 ? ratio.toFixed(2) : ratio.toFixed(0)}x`;
}

/** `a, b and c`. */
export function listed(items: readonly string[]): string {
  if (items.length < 2) return items.join('');
  return `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}
