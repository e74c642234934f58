import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

const SCRIPT = 'scripts/build-workloads.mjs';
const copy = mkdtempSync(join(tmpdir(), 'trivisor-workloads-'));
afterAll(() => rmSync(copy, { recursive: true, force: true }));

function check(cwd: string, path = process.env.PATH): { status: number | null; stderr: string; stdout: string } {
  return spawnSync(process.execPath, [SCRIPT, '--check'], {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, PATH: path },
  });
}

test('the images are those of the manifest', () => {
  const { images } = JSON.parse(readFileSync('workloads/images/manifest.json', 'utf8')) as {
    images: Record<string, { sha256: string }>;
  };
  expect(Object.keys(images).sort()).toEqual(
    readdirSync('workloads/images')
      .filter((name) => name.endsWith('.elf'))
      .sort(),
  );
  for (const [name, { sha256 }] of Object.entries(images)) {
    expect(
      createHash('sha256')
        .update(readFileSync(join('workloads/images', name)))
        .digest('hex'),
      name,
    ).toBe(sha256);
  }
});

test('the images are what their sources build to, in any folder', () => {
  for (const part of ['scripts', 'workloads']) {
    cpSync(part, join(copy, part), { recursive: true, filter: (source) => !source.includes('workloads/build') });
  }
  expect(check(copy)).toMatchObject({ status: 0, stderr: '' });
}, 180_000);

test('a changed source is named, with and without a compiler', () => {
  const source = join(copy, 'workloads/kernel/main.c');
  const original = readFileSync(source);
  writeFileSync(source, `${original}\n`);
  for (const path of [process.env.PATH, '/nonexistent']) {
    const { status, stderr } = check(copy, path);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^The guest images are not built from these sources: kernel\/main\.c changed since/);
  }
  writeFileSync(source, original);
});

test('building without a compiler is one sentence', () => {
  const run = spawnSync(process.execPath, [SCRIPT], { cwd: copy, encoding: 'utf8', env: { PATH: '/nonexistent' } });
  expect(run.status).toBe(1);
  expect(run.stderr).toBe(
    "The guest images cannot be built: 'gcc' is not installed; on Debian install gcc, gcc-multilib and binutils.\n",
  );
});
