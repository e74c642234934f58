/** Parses a command's arguments. A flag beats `TRIVISOR_*`, which beats `trivisor.config.json`, which beats the default. */
import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { SuiteError } from '../suite/failure.ts';
import { didYouMean } from '../suite/nearest.ts';
import { environmentName, OPTIONS, type OptionName, optionSpec } from './options.ts';

const CONFIG_FILE = 'trivisor.config.json';

export class Arguments {
  readonly positionals: readonly string[];
  readonly #values: ReadonlyMap<string, readonly string[]>;

  constructor(positionals: readonly string[], values: ReadonlyMap<string, readonly string[]>) {
    this.positionals = positionals;
    this.#values = values;
  }

  /** The same flags, for a command whose positionals mean something else than another's. */
  withoutPositionals(): Arguments {
    return new Arguments([], this.#values);
  }

  has(name: OptionName): boolean {
    return this.#values.has(name) && this.#values.get(name)?.[0] !== 'false';
  }

  text(name: OptionName): string | null {
    return this.#values.get(name)?.at(-1) ?? null;
  }

  /** Every value, split at commas outside braces. */
  list(name: OptionName): string[] {
    return (this.#values.get(name) ?? [])
      .flatMap((value) => value.split(/,(?![^{]*\})/))
      .filter((value) => value !== '');
  }

  /** Every value as it was given. */
  all(name: OptionName): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  choice<T extends string>(name: OptionName, choices: readonly T[], fallback: T): T {
    const given = this.text(name);
    if (given === null) return fallback;
    if ((choices as readonly string[]).includes(given)) return given as T;
    throw new SuiteError(
      `Expected --${name} to be ${choices.join(', ')}, got '${given}'.${didYouMean(given, choices)}`,
    );
  }

  /** A whole number of at least `least`. */
  whole(name: OptionName, fallback: number, least = 1): number {
    const given = this.text(name);
    if (given === null) return fallback;
    const value = Number(given);
    if (/^\d+$/.test(given) && Number.isSafeInteger(value) && value >= least) return value;
    throw new SuiteError(`Expected --${name} to be a whole number of at least ${least}, got '${given}'.`);
  }

  /** Cycles, with k, M or G. */
  cycles(name: OptionName, fallback: number): number {
    const given = this.text(name);
    if (given === null) return fallback;
    const match = /^(\d+(?:\.\d+)?)([kMG]?)$/.exec(given);
    const scale = { '': 1, k: 1e3, M: 1e6, G: 1e9 }[match?.[2] ?? ''] ?? 1;
    const value = Math.round(Number(match?.[1]) * scale);
    if (match !== null && value >= 1) return value;
    throw new SuiteError(`Expected --${name} to be a number of cycles such as 500M or 2G, got '${given}'.`);
  }
}

export function parseArguments(command: string, args: readonly string[], allowed: readonly OptionName[]): Arguments {
  const known: OptionName[] = [...allowed, 'help'];
  const values = new Map<string, string[]>();
  for (const [name, value] of [...configValues(known), ...environmentValues(known)]) values.set(name, [value]);
  const flags = flagValues(command, args, known);
  for (const [name, list] of flags.values) values.set(name, list);
  return new Arguments(flags.positionals, values);
}

function flagValues(
  command: string,
  args: readonly string[],
  known: readonly OptionName[],
): { values: Map<string, string[]>; positionals: string[] } {
  const options: Record<string, { type: 'string' | 'boolean'; short?: string; multiple: true }> = {};
  for (const name of known) {
    const { short, value } = optionSpec(name);
    options[name] = {
      type: value === undefined ? 'boolean' : 'string',
      multiple: true,
      ...(short === undefined ? {} : { short }),
    };
  }
  const { tokens } = parseArgs({ args: [...args], options, strict: false, allowPositionals: true, tokens: true });
  const values = new Map<string, string[]>();
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    if (!(known as readonly string[]).includes(token.name)) throw unknownFlag(command, token.rawName, known);
    const takesValue = optionSpec(token.name as OptionName).value !== undefined;
    if (takesValue && token.value === undefined)
      throw new SuiteError(`The flag ${token.rawName} needs a value, as in '${usageOf(token.name as OptionName)}'.`);
    if (!takesValue && token.value !== undefined)
      throw new SuiteError(`The flag ${token.rawName} takes no value, got '${token.value}'.`);
    const list = values.get(token.name) ?? [];
    list.push(token.value ?? 'true');
    values.set(token.name, list);
  }
  return { values, positionals };
}

function unknownFlag(command: string, raw: string, known: readonly string[]): SuiteError {
  const given = raw.replace(/^-+/, '');
  const elsewhere = given in OPTIONS ? ` It belongs to other commands.` : didYouMean(given, known).replace("'", "'--");
  return new SuiteError(`'trivisor ${command}' has no flag ${raw}.${elsewhere}`);
}

function usageOf(name: OptionName): string {
  return `--${name} ${optionSpec(name).value ?? ''}`;
}

function* environmentValues(known: readonly OptionName[]): Generator<[string, string]> {
  for (const name of known) {
    const value = process.env[environmentName(name)];
    if (value !== undefined && value !== '') yield [name, value];
  }
}

function* configValues(known: readonly OptionName[]): Generator<[string, string]> {
  if (!existsSync(CONFIG_FILE)) return;
  let config: unknown;
  try {
    config = JSON.parse(readFileSync(CONFIG_FILE, 'utf8'));
  } catch {
    throw new SuiteError(`The config file ${CONFIG_FILE} is not a JSON document.`);
  }
  if (config === null || typeof config !== 'object' || Array.isArray(config)) {
    throw new SuiteError(`Expected the config file ${CONFIG_FILE} to be an object of long option names.`);
  }
  for (const [name, value] of Object.entries(config)) {
    if (!(name in OPTIONS))
      throw new SuiteError(
        `The config file ${CONFIG_FILE} sets '${name}', which is no option.${didYouMean(name, Object.keys(OPTIONS))}`,
      );
    if ((known as readonly string[]).includes(name))
      yield [name, Array.isArray(value) ? value.join(',') : String(value)];
  }
}
