/** Every command, in the order that help shows them. */
import { baselineCommand } from './baseline.ts';
import { bootCommand } from './boot.ts';
import { checkCommand } from './check.ts';
import type { Command } from './command.ts';
import { compareCommand } from './compare.ts';
import { describeCommand } from './describe.ts';
import { explainCommand } from './explain.ts';
import { listCommand } from './list.ts';
import { resumeCommand } from './resume.ts';
import { runCommand } from './run.ts';
import { schemaCommand } from './schema.ts';
import { validateCommand } from './validate.ts';

export const COMMANDS: readonly Command[] = [
  runCommand,
  compareCommand,
  checkCommand,
  baselineCommand,
  explainCommand,
  listCommand,
  describeCommand,
  validateCommand,
  resumeCommand,
  bootCommand,
  schemaCommand,
];
