/** The engines and profiles that a user can name, and what to say about a name that does not exist. */

import type { Profile } from '../cost/profile.ts';
import { PROFILES } from '../cost/profiles/index.ts';
import type { EngineDefinition } from '../engines/engine.ts';
import { ENGINES } from '../engines/registry.ts';
import { SuiteError } from './failure.ts';
import { didYouMean } from './nearest.ts';

export { ENGINES, PROFILES };

export const DEFAULT_PROFILE = 'sandy-bridge';
/** The first generation of VT-x, shown beside the default: the machine of the 2006 comparison. */
export const COMPANION_PROFILE = 'pentium4-672';

export interface ChosenEngine {
  readonly definition: EngineDefinition;
  /** Sorted. */
  readonly variation: readonly string[];
  /** `vtx~noept~novpid`. */
  readonly name: string;
}

/** The engine called `text`, its variation's switches in any order. */
export function chooseEngine(text: string): ChosenEngine {
  const [family = '', ...switches] = text.split('~');
  const names = ENGINES.map((engine) => engine.name);
  const definition = ENGINES.find((engine) => engine.name === family);
  if (definition === undefined) {
    throw new SuiteError(
      `There is no engine '${family}'; the engines are ${names.join(', ')}.${didYouMean(family, names)}`,
    );
  }
  const known = Object.keys(definition.variations);
  for (const name of switches) {
    if (known.includes(name)) continue;
    const has =
      known.length === 0 ? 'it has no variations' : `its variations are ${known.map((v) => `~${v}`).join(', ')}`;
    throw new SuiteError(`The engine '${family}' has no variation '~${name}'; ${has}.${didYouMean(name, known)}`);
  }
  const variation = [...new Set(switches)].sort();
  return { definition, variation, name: [family, ...variation].join('~') };
}

/** The engines of a list of names; `all` stands for every engine in its plain form. */
export function chooseEngines(texts: readonly string[]): ChosenEngine[] {
  const names = texts.flatMap((text) => (text === 'all' ? ENGINES.map((engine) => engine.name) : [text]));
  const chosen = new Map<string, ChosenEngine>();
  for (const name of names) {
    const engine = chooseEngine(name);
    chosen.set(engine.name, engine);
  }
  return [...chosen.values()];
}

export function chooseProfile(name: string): Profile {
  const profile = PROFILES.find((candidate) => candidate.name === name);
  if (profile !== undefined) return profile;
  const names = PROFILES.map((candidate) => candidate.name);
  throw new SuiteError(
    `There is no profile '${name}'; the profiles are ${names.join(', ')}.${didYouMean(name, names)}`,
  );
}

export function chooseProfiles(texts: readonly string[]): Profile[] {
  const names = texts.flatMap((text) => (text === 'all' ? PROFILES.map((profile) => profile.name) : [text]));
  return [...new Set(names)].map(chooseProfile);
}

/** Switches that take a feature away do nothing on a profile that never had it. */
const FEATURE_OF_SWITCH: Readonly<Record<string, keyof Profile['features']>> = { noept: 'ept', novpid: 'vpid' };

/** The plainer name that means the same engine on this profile, or null if every switch has an effect. */
export function aliasOn(engine: string, profile: Profile): string | null {
  const [family = '', ...switches] = engine.split('~');
  const effective = switches.filter((name) => {
    const feature = FEATURE_OF_SWITCH[name];
    return feature === undefined || profile.features[feature];
  });
  const name = [family, ...effective].join('~');
  return name === engine ? null : name;
}
