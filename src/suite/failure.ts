/** What the suite tells its user when it cannot go on: one sentence and the exit code that goes with it. */

/** The program's exit codes. "Could not measure" never shares a code with "slower". */
export const EXIT = {
  done: 0,
  cellFailed: 1,
  usage: 2,
  regression: 3,
  inconclusive: 4,
  noBaseline: 5,
  allSkipped: 77,
  interrupted: 130,
  terminated: 143,
} as const;

/** An expected failure. `message` is a whole sentence for the user: what was given, what was expected, where. */
export class SuiteError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number = EXIT.usage) {
    super(message);
    this.name = 'SuiteError';
    this.exitCode = exitCode;
  }
}
