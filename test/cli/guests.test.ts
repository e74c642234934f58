import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, describe, expect, it } from 'vitest';
import { readRun } from '../../src/suite/results.ts';
import { type ProgramResult, trivisor } from '../support/program.ts';
import { GUESTS, tinyImage } from '../support/tiny-image.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
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

describe("the package's own image", () => {
  it('is refused if it is not the one its manifest names', async () => {
    const own = mkdtempSync(join(tmpdir(), 'trivisor-image-'));
    for (const part of ['dist', 'workloads/images', 'package.json'])
      cpSync(join(ROOT, part), join(own, part), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(own, 'node_modules'));
    const path = join(own, 'workloads', 'images', 'native.elf');
    const bytes = readFileSync(path);
    writeFileSync(path, bytes.with(5000, (bytes[5000] as number) ^ 1));
    const result = await execa(process.execPath, [join(own, 'dist', 'cli', 'main.js'), 'run'], {
      cwd: own,
      reject: false,
    });
    expect(result.stderr).toMatch(
      /^trivisor: The guest image \S+native\.elf is not the one its manifest names: .*; restore it, /,
    );
    expect(result.exitCode).toBe(1);
    expect(existsSync(join(own, 'results'))).toBe(false);
    rmSync(own, { recursive: true });
  });
});

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

  it('that is no multiboot kernel gets a sentence', async () => {
    const image = join(folder, 'headless.elf');
    // The header's magic number follows the ELF headers.
    writeFileSync(image, tinyImage(GUESTS.good).with(84, 0));
    const result = await trivisor(folder, ['run', '--image', image, '-e', 'native', '-p', 'core2', '--plain']);
    expect(result.out).toContain('The image has no multiboot 1 header in its first 8192 bytes.');
    expect(result.out).not.toContain('Internal error');
    expect(result.err).not.toContain('Next:');
    expect(result.code).toBe(1);
  });

  it('misbehaves under every engine in the same way, and costs the others nothing', async () => {
    const result = await runGuest('tripleFaults', '-e', 'all');
    const cells = readRun(join(folder, 'tripleFaults.json')).cells;
    expect(cells.map((cell) => cell.status)).toEqual(['failed', 'failed', 'skipped', 'failed']);
    for (const cell of cells) expect(cell.why).toMatch(/triple.fault|cannot boot under paravirt/);
    expect(result.code).toBe(1);
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
