/** Ctrl-C and TERM: stop the cells, keep what is finished, and leave with the signal's own code. */
import { EXIT } from '../suite/failure.ts';

export interface Interrupt {
  readonly signal: AbortSignal;
  /** The exit code of the signal that came, or null. */
  code(): number | null;
  release(): void;
}

export function watchInterrupts(): Interrupt {
  const controller = new AbortController();
  let code: number | null = null;
  const on = (exitCode: number) => (): void => {
    // A second signal means it: leave at once.
    if (code !== null) process.exit(exitCode);
    code = exitCode;
    controller.abort();
  };
  const onInterrupt = on(EXIT.interrupted);
  const onTerminate = on(EXIT.terminated);
  process.on('SIGINT', onInterrupt);
  process.on('SIGTERM', onTerminate);
  return {
    signal: controller.signal,
    code: () => code,
    release: () => {
      process.off('SIGINT', onInterrupt);
      process.off('SIGTERM', onTerminate);
    },
  };
}
