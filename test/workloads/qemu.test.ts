import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readCatalogue } from '../../src/suite/catalogue.ts';

const QEMU_MISSING = spawnSync('qemu-system-i386', ['--version']).error !== undefined;

interface Result {
  readonly ops?: number;
  readonly checksum?: string;
  readonly skipped?: string;
}
const checksums = JSON.parse(readFileSync('workloads/images/checksums.json', 'utf8')) as Record<
  'default' | 'quick',
  Record<string, Result>
>;
const native = readCatalogue(readFileSync('workloads/images/native.elf'), 'native.elf');

describe('the native image on QEMU', () => {
  test.skipIf(QEMU_MISSING)(
    'prints the committed checksums (skipped without qemu-system-i386)',
    () => {
      const run = spawnSync(process.execPath, ['scripts/record-checksums.mjs', '--check'], { encoding: 'utf8' });
      expect(run.stderr).toBe('');
      expect(run.status).toBe(0);
    },
    300_000,
  );
});

describe('the committed checksums', () => {
  test('cover the catalogue with its operation counts', () => {
    for (const workload of native) {
      for (const [column, ops] of [
        ['default', workload.defaultOps],
        ['quick', workload.quickOps],
      ] as const) {
        const result = checksums[column][workload.id];
        expect(result, `${workload.id} in ${column}`).toBeDefined();
        if (result?.skipped === undefined) expect(result?.ops).toBe(ops);
      }
    }
  });
});

describe('the two builds', () => {
  test('have the same catalogue', () => {
    expect(readCatalogue(readFileSync('workloads/images/xen.elf'), 'xen.elf')).toEqual(native);
  });
});
