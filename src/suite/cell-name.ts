/**
 * A cell is one workload with its parameters under one engine~variation on one CPU profile. Its name is
 * `group/name{param=value}@engine~variation:profile`; parameters are sorted and always written out.
 */
export interface CellKey {
  readonly workload: string;
  readonly params: Readonly<Record<string, string>>;
  /** With its variation: `vtx~noept`. */
  readonly engine: string;
  readonly profile: string;
}

/** `group/name{param=value}`: the row of a table. */
export function workloadName(key: Pick<CellKey, 'workload' | 'params'>): string {
  const names = Object.keys(key.params).sort();
  if (names.length === 0) return key.workload;
  return `${key.workload}{${names.map((name) => `${name}=${key.params[name]}`).join(',')}}`;
}

export function cellName(key: CellKey): string {
  return `${workloadName(key)}@${key.engine}:${key.profile}`;
}

/** The parts of a cell's name that were given; engine and profile may be left out. Null if it is no such name. */
export function parseCellName(
  text: string,
): { workload: string; params: Record<string, string>; engine: string | null; profile: string | null } | null {
  const match = /^([^{}@:]+)(?:\{([^}]*)\})?(?:@([^:]+))?(?::(.+))?$/.exec(text);
  if (match === null) return null;
  const params: Record<string, string> = {};
  for (const pair of (match[2] ?? '').split(',')) {
    if (pair === '') continue;
    const [name = '', value] = pair.split('=');
    if (value === undefined) return null;
    params[name] = value;
  }
  return { workload: match[1] as string, params, engine: match[3] ?? null, profile: match[4] ?? null };
}

/** The engine's name without its variation. */
export function engineFamily(engine: string): string {
  return engine.split('~')[0] as string;
}
