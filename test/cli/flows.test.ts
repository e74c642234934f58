import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readRun } from '../../src/suite/results.ts';
import type { Run } from '../../src/suite/schema.ts';
import { trivisor } from '../support/program.ts';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'trivisor-flows-'));
const result = join(folder, 'first.json');
const FEW = ['nano/callret', 'nano/syscall', '--quick', '-p', 'core2', '--no-progress', '--plain'];

beforeAll(async () => {
  const run = await trivisor(folder, ['run', ...FEW, '-o', result]);
  expect(run.err).toContain('Saved first.json');
  expect(run.code).toBe(0);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A copy of the first result with something changed, as a file. */
function changed(name: string, change: (run: Run) => void): string {
  const run = structuredClone(readRun(result));
  change(run);
  const path = join(folder, name);
  writeFileSync(path, JSON.stringify(run));
  return path;
}

describe('run', () => {
  it('measures native and every other engine, each against the oracle', () => {
    const { cells, status } = readRun(result);
    expect(status).toBe('complete');
    expect(cells.map((cell) => cell.engine)).toContain('native');
    expect(
      new Set(cells.filter((cell) => cell.status === 'ok').map((cell) => `${cell.workload} ${cell.checksum}`)).size,
    ).toBe(2);
  });

  it('gives the same cells with one job and with two, and when run again', async () => {
    for (const jobs of ['1', '2']) {
      const path = join(folder, `jobs-${jobs}.json`);
      await trivisor(folder, ['run', ...FEW, '--jobs', jobs, '-o', path]);
      expect(JSON.stringify(readRun(path).cells)).toBe(JSON.stringify(readRun(result).cells));
    }
  });

  it.each(['table', 'md', 'csv', 'json', 'jsonl'])('prints %s', async (format) => {
    const { out, code } = await trivisor(folder, [
      'run',
      'nano/callret',
      '-e',
      'native',
      '-p',
      'core2',
      '--quick',
      '--format',
      format,
    ]);
    expect(code).toBe(0);
    expect(out).toContain('nano/callret');
    if (format === 'json') expect(JSON.parse(out).cells).toHaveLength(1);
    if (format === 'jsonl') expect(JSON.parse(out)).toMatchObject({ engine: 'native', status: 'ok' });
    if (format === 'csv') expect(out.split('\n').map((line) => line.split(',').length)).toHaveLength(2);
  });

  it('sweeps a parameter', async () => {
    const { out } = await trivisor(folder, [
      'run',
      'nano/syscall',
      '-P',
      'ops=10,20',
      '-e',
      'native',
      '-p',
      'core2',
      '--dry-run',
    ]);
    expect(out.split('\n').map((line) => line.split(' ').at(-1))).toEqual(['ops=10', 'ops=20']);
  });

  it('cuts the workloads into shards that are disjoint and whole', async () => {
    const plan = async (...flags: string[]) =>
      (await trivisor(folder, ['run', '-e', 'native', '-p', 'core2', '--dry-run', ...flags])).out.split('\n');
    const shards = await Promise.all(['1/3', '2/3', '3/3'].map((shard) => plan('--shard', shard)));
    expect(shards.flat().sort()).toEqual((await plan()).sort());
  });

  it('keeps what is finished when interrupted, and resumes to the same figures', async () => {
    const own = mkdtempSync(join(tmpdir(), 'trivisor-interrupt-'));
    const child = execa(
      process.execPath,
      [MAIN, 'run', 'macro/compute', '-e', 'native', '-p', 'core2', '--jobs', '1', '--quick'],
      { cwd: own, reject: false },
    );
    for await (const line of child.iterable({ from: 'stderr' })) if (line.startsWith('exact 1/')) child.kill('SIGINT');
    const { exitCode } = await child;
    expect(exitCode).toBe(130);
    const [file] = readdirSync(join(own, 'results', 'runs'));
    const partial = readRun(join(own, 'results', 'runs', file as string));
    expect(partial.status).toBe('interrupted');
    expect(partial.cells.length).toBeGreaterThan(0);
    const resumed = await trivisor(own, ['resume', partial.id, '-o', 'whole.json', '--plain']);
    expect(resumed.code).toBe(0);
    await trivisor(own, ['run', 'macro/compute', '-e', 'native', '-p', 'core2', '--quick', '-o', 'fresh.json']);
    expect(readRun(join(own, 'whole.json')).cells).toEqual(readRun(join(own, 'fresh.json')).cells);
    expect(readRun(join(own, 'whole.json')).cells.length).toBeGreaterThan(partial.cells.length);
    rmSync(own, { recursive: true });
  });
});

describe('baselines and check', () => {
  const own = mkdtempSync(join(tmpdir(), 'trivisor-check-'));
  afterAll(() => rmSync(own, { recursive: true }));
  const baseline = join(own, 'results', 'small.json');

  it('saves what two runs agree on', async () => {
    const saved = await trivisor(own, [
      'baseline',
      'save',
      'small',
      '-f',
      'nano/callret',
      '--quick',
      '-p',
      'core2',
      '--no-progress',
    ]);
    expect(saved.code).toBe(0);
    expect(saved.out).toMatch(/^Saved results\/small\.json: \d+ cells, measured twice with identical figures\.$/);
    expect((await trivisor(own, ['baseline', 'list', '--plain'])).out).toContain('@small');
    expect((await trivisor(own, ['baseline', 'show', 'small', '--plain'])).out).toContain('nano/callret');
  });

  it('passes while nothing has changed', async () => {
    const check = await trivisor(own, ['check', '--against', '@small', '--twice', '--no-progress']);
    expect(check.out).toMatch(/Every figure of \d+ cells? equals the baseline exactly\.$/);
    expect(check.code).toBe(0);
  });

  it('exits 3 when a constant has moved, and names the constant, the cells and the direction', async () => {
    const run = readRun(baseline);
    const old = { ...run, profiles: structuredClone(run.profiles) };
    // The baseline as it would be had RET cost one cycle less.
    (old.profiles.core2 as Run['profiles'][string]).instructions.ret! -= 1;
    for (const cell of old.cells) {
      const measured = cell.exact?.measured;
      if (measured === undefined) continue;
      const level = (['cpl0', 'cpl1', 'translationCache'] as const).reduce((a, b) =>
        measured.instructionCycles[a] >= measured.instructionCycles[b] ? a : b,
      );
      measured.cycles -= measured.operations;
      measured.instructionCycles[level] -= measured.operations;
    }
    writeFileSync(join(own, 'results', 'cheaper.json'), JSON.stringify(old));
    const check = await trivisor(own, ['check', '--against', '@cheaper', '--plain', '--no-progress']);
    expect(check.code).toBe(3);
    expect(check.out).toMatch(/nano\/callret\S*@native:core2 .* SLOWER .*constant ret/);
    expect(check.out).toMatch(/constant ret of core2 \d+ -> \d+ cycles: \+1 cycles per operation in \d+ cells?/);
    expect(check.out).toMatch(/cells? differs? from the baseline \(\d+ SLOWER\)/);
  });

  it('checks the chosen cells only, native among them', async () => {
    const check = await trivisor(own, ['check', 'callret', '-e', 'vtx', '--against', '@small', '--no-progress']);
    expect(check.err).toMatch(/^Checking 2 of the baseline's \d+ cells\.$/);
    expect(check.out).toContain('Every figure of 2 cells equals the baseline exactly.');
    expect(check.code).toBe(0);
  });

  it('writes annotations and a summary in a workflow', async () => {
    const summary = join(own, 'summary.md');
    const env = { GITHUB_ACTIONS: 'true', GITHUB_STEP_SUMMARY: summary };
    const check = await trivisor(own, ['check', '--against', '@cheaper', '--no-progress'], env);
    expect(check.err).toMatch(/^::error title=trivisor check::.*constant ret of core2/m);
    expect(check.err).toMatch(/^::error title=nano\/callret/m);
    expect(readFileSync(summary, 'utf8')).toContain('| SLOWER |');
  });

  it('checks against results/baseline.json unless told otherwise', async () => {
    const empty = mkdtempSync(join(tmpdir(), 'trivisor-first-'));
    mkdirSync(join(empty, 'results'));
    copyFileSync(baseline, join(empty, 'results', 'baseline.json'));
    const check = await trivisor(empty, ['check', '--no-progress']);
    expect(check.code).toBe(0);
    rmSync(empty, { recursive: true });
  });
});

describe('compare', () => {
  it('finds a result equal to itself', async () => {
    const { out, code } = await trivisor(folder, ['compare', result, result]);
    expect(code).toBe(0);
    expect(out).toMatch(/^(\d+) of \1 cells are SAME\.\nGeometric mean of head \/ base over \d+ common cells: 1\.00x$/);
  });

  it('counts the cells that only one of them has, and does not list them', async () => {
    const head = changed('fewer.json', (run) => {
      run.cells = run.cells.filter((cell) => cell.workload === 'nano/callret');
    });
    const { out } = await trivisor(folder, ['compare', result, head, '--plain']);
    expect(out).toMatch(/^(\d+) of \1 cells are SAME\.\nOnly in the base: nano\/syscall\S+, .*\.\nGeometric mean/);
  });

  it('explains an extra event in cycles', async () => {
    const head = changed('extra.json', (run) => {
      const measured = run.cells.find((cell) => cell.engine === 'native' && cell.workload === 'nano/syscall')?.exact
        ?.measured;
      const entry = measured?.events.softwareInterruptEntry;
      if (measured === undefined || entry === undefined) throw new Error('No system call was made.');
      const price = entry.cycles / entry.count;
      measured.events.softwareInterruptEntry = {
        count: entry.count + measured.operations,
        cycles: entry.cycles + measured.operations * price,
      };
      measured.cycles += measured.operations * price;
    });
    const { out } = await trivisor(folder, ['compare', result, head, '--plain']);
    expect(out).toMatch(/nano\/syscall\S*@native:core2 .* SLOWER +softwareInterruptEntry 1 -> 2 times: \+\d+/);
    expect(out).toMatch(/softwareInterruptEntry: more often \(\+1\): \+\d+ cycles per operation in 1 cell/);
  });
});

describe('explain', () => {
  it('shows a ledger that sums to the total, and who retired where', async () => {
    const { out, code } = await trivisor(folder, ['explain', 'nano/syscall@native:core2', '--from', result, '--plain']);
    expect(code).toBe(0);
    const stack = out.split('\n').slice(out.split('\n').findIndex((line) => line.startsWith('ledger')) + 1);
    const numbers = stack
      .slice(0, stack.findIndex((line) => line.startsWith('total')) + 1)
      .map((line) => Number(/ ([\d,.]+) +[\d.]+ %/.exec(line)?.[1]?.replaceAll(',', '')));
    const total = numbers.pop() as number;
    expect(Math.abs(numbers.reduce((a, b) => a + b, 0) - total)).toBeLessThan(numbers.length);
    expect(out).toMatch(/CPL 3 +[\d,]+/);
    expect(out).toContain('The guest kernel owns ring 0 under native');
  });
});
