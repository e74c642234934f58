import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readRun } from '../../src/suite/results.ts';
import { type ProgramResult, trivisor } from '../support/program.ts';
import { GUESTS, tinyImage } from '../support/tiny-image.ts';

const folder = mkdtempSync(join(tmpdir(), 'trivisor-guests-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function runGuest(name: keyof typeof GUESTS, ...flags: string[]): Promise<ProgramResult> {
  const image = join(folder, `${name}.elf`);
  writeFileSync(image, tinyImage(GUESTS[name]));
  return trivisor(folder, [
    'run',
    '--image',
    image,
    '-e',
    'native',
    '-p',
    'core2',
    '-o',
    join(folder, `${name}.json`),
    '--plain',
    ...flags,
  ]);
}

describe('an image of the user', () => {
  it('is measured between its markers', async () => {
    const result = await runGuest('good');
    expect(result.code).toBe(0);
    const [cell] = readRun(join(folder, 'good.json')).cells;
    expect(cell).toMatchObject({ id: 'image/good@native:core2', status: 'ok', checksum: '0000002a' });
    // mov, then 1000 times dec and jnz, then three movs and the end marker.
    expect(cell?.exact?.measured).toMatchObject({ operations: 1000, retired: { cpl0: 1 + 2000 + 3 + 1, cpl3: 0 } });
  });

  it('says why paravirt cannot boot it', async () => {
    const result = await trivisor(folder, [
      'run',
      '--image',
      join(folder, 'good.elf'),
      '-e',
      'paravirt',
      '-p',
      'core2',
      '--plain',
    ]);
    expect(result.out).toContain('A multiboot image cannot boot under paravirt');
    expect(result.code).toBe(0);
  });

  it.each([
    ['tripleFaults', 'failed', /The guest crashed while it ran: .*triple-faulted/],
    ['hangs', 'failed', /The guest hung while it ran: /],
    ['exitsWithStatus', 'failed', /The guest exited with status 3/],
    ['neverMeasures', 'failed', /The guest exited with status 0 before it was ready/],
    ['endless', 'timeout', /The guest was still running after its limit of 5000000 virtual cycles, while it ran\./],
  ] as const)('that misbehaves gets a sentence: %s', async (name, status, why) => {
    const result = await runGuest(name, '--timeout', '5M');
    expect(result.code).toBe(1);
    const [cell] = readRun(join(folder, `${name}.json`)).cells;
    expect(cell?.status).toBe(status);
    expect(cell?.why).toMatch(why);
    expect(result.out).toContain(cell?.why as string);
    expect(result.err + result.out).not.toMatch(/\n\s+at /);
  });

  it('that outlives the wall-clock backstop is stopped', async () => {
    const result = await runGuest('endless', '--timeout', '1000000G', '--wall-limit', '2');
    expect(result.code).toBe(1);
    const [cell] = readRun(join(folder, 'endless.json')).cells;
    expect(cell).toMatchObject({ status: 'timeout', why: 'The cell was stopped after 2 s of wall-clock time.' });
  });

  it('leaves only whole result files and no journal', () => {
    for (const file of readdirSync(folder)) expect(file).toMatch(/\.(elf|json)$|^results$/);
    const runs = join(folder, 'results', 'runs');
    if (existsSync(runs))
      for (const file of readdirSync(runs))
        expect(() => JSON.parse(readFileSync(join(runs, file), 'utf8'))).not.toThrow();
  });
});
