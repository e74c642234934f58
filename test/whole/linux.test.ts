/**
 * Debian's own kernels, booted to a shell that runs commands. Minutes long, and needs what `npm run fetch:linux`
 * fetches: `npm run test:linux` runs it, the ordinary tests skip it.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { trivisor } from '../support/program.ts';

const CACHE = fileURLToPath(new URL('../../.cache/linux/', import.meta.url));
const asked = process.env.TRIVISOR_LINUX !== undefined;
const fetched = existsSync(`${CACHE}initrd.gz`);
/** What `seq 1 5000 | sha256sum` prints. */
const NUMBERS = createHash('sha256')
  .update(Array.from({ length: 5000 }, (_, index) => `${index + 1}\n`).join(''))
  .digest('hex');
const MINUTES = 60_000;

function why(): string {
  if (!asked) return ' (skipped: npm run test:linux)';
  return fetched ? '' : ' (skipped: .cache/linux is not there; npm run fetch:linux)';
}

function boot(kernel: string, engine: string, run: string) {
  const append = `console=ttyS0 trivisor.run="${run}"`;
  const files = ['--kernel', `${CACHE}vmlinuz-${kernel}`, '--initrd', `${CACHE}initrd.gz`];
  return trivisor(tmpdir(), ['boot', ...files, '--append', append, '-e', engine, '--limit', '100G']);
}

/** What must be the same in two boots: virtual time, instructions, idle share and the hash of the whole machine. */
function figures(report: string): string[] {
  return report
    .split('\n')
    .filter((line) => /virtual time|instructions|idle|state hash/.test(line))
    .map((line) => line.replace(/\(.*MIPS\)/, '').trim());
}

describe.skipIf(!asked || !fetched)(`Linux 6.1${why()}`, () => {
  it.each(['686', '686-pae'])(
    '%s boots natively to a shell, twice the same way',
    { timeout: 30 * MINUTES },
    async (kernel) => {
      const command = "uname -r; echo answer $((6*7)); awk 'BEGIN { print 22/7 }'; seq 1 5000 | sha256sum; exit 5";
      const [first, second] = await Promise.all([boot(kernel, 'native', command), boot(kernel, 'native', command)]);
      expect(first.out).toMatch(new RegExp(`^6\\.1\\.\\S+-${kernel}\\r?$`, 'm'));
      expect(first.out).toContain('answer 42');
      expect(first.out).toContain('3.14286');
      expect(first.out).toContain(NUMBERS);
      expect(first.out).toContain('init ends with status 5');
      expect(first.err).toContain('exited with status 5');
      expect(first.code).toBe(1);
      expect(first.out).not.toMatch(/\bBUG\b|Oops|Call Trace|unchecked MSR/);
      expect(figures(first.err)).toHaveLength(4);
      expect(figures(first.err)).toEqual(figures(second.err));
    },
  );
});
