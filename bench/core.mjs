// How fast the core runs: millions of guest instructions a second on the compute workloads under `native`.
//
//   npm run bench:core [-- name ...]        names as in `sieve`; default all of macro/compute
//
// Only the measured region is timed; booting, restoring and the guest's set-up are not. tinybench calls the task; its
// time-based defaults suit nanoseconds, not guests, so iterations are explicit.
import { readFileSync } from 'node:fs';
import { Bench } from 'tinybench';
import { DEFAULT_PROFILE } from '../dist/cost/profiles/index.js';
import { ENGINES } from '../dist/engines/registry.js';
import { boot, measure } from '../dist/suite/cell.js';
import { loadGuest } from '../dist/suite/guest.js';

const ITERATIONS = 5;
const WARMUPS = 1;
const LIMIT = 1e12;

const names = process.argv.slice(2);
const guest = loadGuest();
const workloads = guest.native.workloads.filter(
  ({ id }) => id.startsWith('macro/compute/') && (names.length === 0 || names.some((name) => id.endsWith(`/${name}`))),
);
if (workloads.length === 0) {
  console.error(`bench: no workload of macro/compute matches ${names.join(', ') || 'anything'}.`);
  process.exit(2);
}
const native = ENGINES.find(({ name }) => name === 'native');
const booted = boot(
  native.create({
    profile: DEFAULT_PROFILE,
    variation: [],
    ramBytes: guest.ramBytes,
    image: readFileSync(guest.native.path),
    commandLine: '',
  }),
  LIMIT,
);
if (!('snapshot' in booted)) throw new Error(booted.why);

/** Runs a workload once: milliseconds in the measured region, and instructions retired there. */
function runOnce(workload) {
  let started = 0;
  let milliseconds = 0;
  const outcome = measure(booted, `${workload.id} ops=${workload.defaultOps}`, LIMIT, {
    begin: (region) => {
      if (region === 0) started = performance.now();
    },
    end: (region) => {
      if (region === 0) milliseconds += performance.now() - started;
    },
  });
  if (outcome.status !== 'ok') throw new Error(`${workload.id}: ${outcome.why}`);
  const retired = Object.values(outcome.exact.measured.retired).reduce((sum, count) => sum + count, 0);
  return { milliseconds, retired };
}

const bench = new Bench({ time: 0, iterations: ITERATIONS, warmupTime: 0, warmupIterations: WARMUPS, throws: true });
const retired = new Map();
for (const workload of workloads) {
  bench.add(
    workload.id,
    () => {
      const run = runOnce(workload);
      retired.set(workload.id, run.retired);
      return { overriddenDuration: run.milliseconds };
    },
    { async: false },
  );
}
await bench.run();

const rates = [];
for (const task of bench.tasks) {
  const instructions = retired.get(task.name);
  const median = task.result.latency.p50;
  const rate = instructions / median / 1000;
  rates.push(rate);
  console.log(
    `${task.name.padEnd(32)} ${(instructions / 1e6).toFixed(1).padStart(8)} M instructions ${median.toFixed(1).padStart(9)} ms ${rate.toFixed(0).padStart(6)} MIPS`,
  );
}
const mean = Math.exp(rates.reduce((sum, rate) => sum + Math.log(rate), 0) / rates.length);
console.log(`${'geometric mean'.padEnd(32)} ${''.padStart(37)} ${mean.toFixed(0).padStart(6)} MIPS`);
