/**
 * The system test image: every case as the SDM demands on Trivisor and, where it is installed, on QEMU, but for the
 * differences that conformance/system/known-differences.json names with the section that settles them.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { compare, type KnownDifferences, parseExpected, parseLog } from '../../conformance/system/log.mjs';
import { qemuVersion, runOnQemu, runOnTrivisor } from '../../conformance/system/machines.mjs';
import { DEFAULT_PROFILE } from '../../src/cost/profiles/index.ts';
import { definition } from '../../src/engines/native/native.ts';

interface Table {
  readonly rows: readonly KnownDifferences[];
  readonly notRun: readonly { readonly group: string; readonly why: string }[];
}
const FOLDER = 'conformance/system';
const table = JSON.parse(readFileSync(`${FOLDER}/known-differences.json`, 'utf8')) as {
  readonly trivisor: Table;
  readonly qemu: Table & { readonly version: string };
};
const expected = parseExpected(readFileSync(`${FOLDER}/expected.log`, 'utf8'));
const version = qemuVersion();
if (version !== table.qemu.version) {
  console.log(
    `The image is not run on QEMU: ${version ?? 'none'} is installed, the table is for ${table.qemu.version}.`,
  );
}

function differences(log: string, { rows, notRun }: Table): Pick<ReturnType<typeof compare>, 'unknown' | 'stale'> {
  const asked = [...expected].filter(([name]) => !notRun.some(({ group }) => name.startsWith(`${group}/`)));
  const { unknown, stale } = compare(new Map(asked), parseLog(log), rows);
  return { unknown, stale };
}

describe('the system test image', () => {
  test('is what its sources build to', () => {
    execFileSync(process.execPath, [`${FOLDER}/build.mjs`, '--check'], { stdio: 'pipe' });
  });

  test('prints what the SDM demands on Trivisor, but for the differences in the table', () => {
    const log = runOnTrivisor({ definition, profile: DEFAULT_PROFILE });
    expect(differences(log, table.trivisor)).toEqual({ unknown: [], stale: [] });
  }, 300_000);

  test.skipIf(version !== table.qemu.version)(
    'prints what the SDM demands on QEMU, but for the differences in the table (skipped without QEMU of its version)',
    () => {
      expect(differences(runOnQemu(), table.qemu)).toEqual({ unknown: [], stale: [] });
    },
    300_000,
  );

  test('has no difference without a reason and an SDM section', () => {
    for (const { why, sdm } of [...table.trivisor.rows, ...table.qemu.rows]) {
      expect(why).not.toBe('not explained yet');
      expect(sdm, why).not.toBe('');
    }
  });
});

describe('the comparison', () => {
  const demands = new Map([
    ['a/one', 'done'],
    ['a/two', '#GP(0)+0'],
  ]);
  const known = [{ why: 'w', sdm: 's', cases: { 'a/two': '#UD+0' } }];
  const log = (...lines: string[]) => parseLog(lines.join('\n'));

  test('lets only the listed outcome of a listed case pass', () => {
    const listed = log('a/one: done [ok]', 'a/two: #UD+0 [NOT AS EXPECTED: #GP(0)+0; SDM 2A X]');
    expect(compare(demands, listed, known)).toMatchObject({ same: 1, known: 1, unknown: [], stale: [] });
    const other = log('a/one: done [ok]', 'a/two: #PF(0)+0 [NOT AS EXPECTED: #GP(0)+0; SDM 2A X]');
    expect(compare(demands, other, known).unknown).toHaveLength(1);
  });

  test('complains of an entry that is no difference any more, and of a case that did not run', () => {
    const result = compare(demands, log('a/two: #GP(0)+0 [ok]'), known);
    expect(result.stale).toHaveLength(1);
    expect(result.unknown).toEqual(['a/one: (nothing) [demanded: done]']);
  });

  test('refuses two cases of one name', () => {
    expect(() => log('a: x [ok]', 'a: y [ok]')).toThrow("Two cases are called 'a'.");
  });
});
