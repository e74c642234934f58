/** Wall-clock samples of one cell inside one process, taken by tinybench. */
import { Bench } from 'tinybench';
import { type BootedEngine, measure } from './cell.ts';

/** Milliseconds of the measured region, one per iteration after one warm-up, as tinybench keeps them (sorted). */
export function sampleWall(booted: BootedEngine, mailbox: string, limit: number, iterations: number): number[] {
  // Time limits are off: they suit nanoseconds, and a guest runs as long as it runs.
  const bench = new Bench({
    time: 0,
    iterations,
    warmupTime: 0,
    warmupIterations: 1,
    throws: true,
    retainSamples: true,
  });
  bench.add('cell', () => ({ overriddenDuration: measuredMilliseconds(booted, mailbox, limit) }), { async: false });
  bench.runSync();
  const result = bench.tasks[0]?.result;
  if (result === undefined || !('latency' in result)) throw new Error('The wall-clock track took no samples.');
  return [...(result.latency.samples ?? [])];
}

/** Restoring the snapshot and the calibration loop are not part of the sample. */
function measuredMilliseconds(booted: BootedEngine, mailbox: string, limit: number): number {
  let started = 0;
  let total = 0;
  const outcome = measure(booted, mailbox, limit, {
    begin: (region) => {
      if (region === 0) started = performance.now();
    },
    end: (region) => {
      if (region === 0) total += performance.now() - started;
    },
  });
  if (outcome.status !== 'ok') throw new Error(outcome.why);
  return total;
}
