#!/usr/bin/env node
/** The program: finds the command, turns every failure into one sentence and an exit code. */
import { styleText } from 'node:util';
import { describeTool } from '../suite/environment.ts';
import { EXIT, SuiteError } from '../suite/failure.ts';
import { didYouMean } from '../suite/nearest.ts';
import { parseArguments } from './arguments.ts';
import { commandHelp, print, tell } from './command.ts';
import { COMMANDS } from './commands.ts';

function overview(): string {
  const width = Math.max(...COMMANDS.map((command) => `${command.name} ${command.usage}`.length));
  const rows = COMMANDS.map((command) => `  ${`${command.name} ${command.usage}`.padEnd(width)}  ${command.what}`);
  return [
    'trivisor <command>',
    '',
    'What does virtualization cost, by technique? One guest on one emulated x86 under four engines:',
    'native, ring-compression (binary translation), paravirt (hypercalls) and vtx (VT-x).',
    '',
    ...rows,
    '',
    "'trivisor <command> --help' shows a command's options. Exit codes: 0 done, 1 a cell failed, 2 usage, 3 regression,",
    '4 inconclusive, 5 baseline missing or unreadable, 77 everything skipped, 130/143 interrupted.',
  ].join('\n');
}

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    print(overview());
    return name === undefined ? EXIT.usage : EXIT.done;
  }
  if (name === '--version' || name === '-V') {
    print(describeTool().version);
    return EXIT.done;
  }
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (command === undefined) {
    const names = COMMANDS.map((candidate) => candidate.name);
    throw new SuiteError(
      `There is no command '${name}'; the commands are ${names.join(', ')}.${didYouMean(name, names)}`,
    );
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    print(commandHelp(command));
    return EXIT.done;
  }
  return command.run(parseArguments(command.name, rest, command.options), rest);
}

function report(error: unknown): number {
  const expected = error instanceof SuiteError;
  const message = error instanceof Error ? error.message : String(error);
  const prefix = styleText('red', 'trivisor:', { stream: process.stderr });
  tell(`${prefix} ${expected ? message : `Internal error: ${message}`}`);
  if (!expected && process.env.TRIVISOR_DEBUG !== undefined && error instanceof Error) tell(error.stack ?? '');
  return expected ? error.exitCode : EXIT.cellFailed;
}

// A reader that has seen enough ('| head') is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.done);
});

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = report(error);
}
