/** What every command is: a row of the help and a function that returns an exit code. */
import type { Arguments } from './arguments.ts';
import { type OptionName, optionSpec } from './options.ts';

export interface Command {
  readonly name: string;
  /** Its positional arguments, as help shows them. */
  readonly usage: string;
  readonly what: string;
  readonly options: readonly OptionName[];
  readonly examples: readonly string[];
  run(args: Arguments, raw: readonly string[]): Promise<number> | number;
}

/** Results go to stdout; everything else (`tell`) to stderr. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function tell(text: string): void {
  process.stderr.write(`${text}\n`);
}

export function commandHelp(command: Command): string {
  const lines = [`trivisor ${command.name}${command.usage === '' ? '' : ` ${command.usage}`}`, '', `  ${command.what}`];
  if (command.options.length > 0) {
    lines.push('', 'Options:');
    const rows = command.options.map((name) => [flagText(name), optionSpec(name).what] as const);
    const width = Math.max(...rows.map(([flag]) => flag.length));
    for (const [flag, what] of rows) lines.push(`  ${flag.padEnd(width)}  ${what}`);
  }
  if (command.examples.length > 0) lines.push('', 'Examples:', ...command.examples.map((example) => `  ${example}`));
  return lines.join('\n');
}

function flagText(name: OptionName): string {
  const { short, value } = optionSpec(name);
  return `${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`;
}
