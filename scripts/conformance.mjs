/**
 * The processor's proofs against what nobody here wrote: independent decoders, a real processor, another emulator, the
 * manual's tables, and a real operating system. Prints each proof with its counts.
 *
 *   npm run conformance [-- --without-linux]
 *
 * Exit status: 0 all agree, 1 something differs, 77 all agree but a proof could not be run.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DECODE_STRINGS = 1_000_000;
const NOT_RUN = 77;

/** Each proof: what judges, and the test files that hold it. */
const PROOFS = [
  { name: 'Decoder, against iced-x86', tests: ['test/isa/decode-iced.test.ts', 'test/isa/flags-iced.test.ts'] },
  {
    name: 'User-mode instructions, against a real processor',
    tests: ['test/core/vectors.test.ts', 'test/core/fpu', 'test/core/simd', 'test/core/modes/segments'],
  },
  {
    name: "System behaviour, against the SDM's outcomes and QEMU",
    tests: ['test/conformance', 'test/workloads/hypervisor.test.ts'],
  },
  {
    name: 'Random page tables and descriptors, against plain references of the SDM',
    tests: ['test/core/paging', 'test/core/segmentation', 'test/core/modes/transfers'],
  },
];
const LINUX = { name: 'Linux, unmodified, to a shell; two boots the same', tests: ['test/whole/linux.test.ts'] };

const withoutLinux = process.argv.includes('--without-linux');
const unknown = process.argv.slice(2).filter((argument) => argument !== '--without-linux');
if (unknown.length > 0) {
  console.error(`conformance takes only --without-linux, not '${unknown[0]}'.`);
  process.exit(2);
}

/** Runs test files and returns their results in vitest's JSON form. */
function runTests(files) {
  const folder = mkdtempSync(join(tmpdir(), 'trivisor-conformance-'));
  try {
    const output = join(folder, 'results.json');
    const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
    const run = spawnSync(
      process.execPath,
      [vitest, 'run', '--reporter=json', `--outputFile=${output}`, '--testTimeout=3600000', ...files],
      {
        cwd: ROOT,
        encoding: 'utf8',
        env: { ...process.env, TRIVISOR_DECODE_STRINGS: String(DECODE_STRINGS), TRIVISOR_LINUX: '1' },
      },
    );
    if (!existsSync(output)) throw new Error(`vitest gave no results:\n${run.stdout}\n${run.stderr}`);
    return JSON.parse(readFileSync(output, 'utf8')).testResults;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const MARKS = { passed: 'ok  ', failed: 'FAIL', skipped: 'skip', pending: 'skip', todo: 'skip' };
let failed = 0;
let skipped = 0;

function reportProof({ name, tests }) {
  console.log(`\n${name}`);
  for (const file of runTests(tests)) {
    if (file.assertionResults.length === 0 && file.status === 'failed') {
      failed++;
      console.log(`  FAIL ${file.name.slice(ROOT.length)}: ${file.message}`);
    }
    for (const { status, fullName, failureMessages } of file.assertionResults) {
      if (status === 'failed') failed++;
      else if (status !== 'passed') skipped++;
      console.log(`  ${MARKS[status]} ${fullName}`);
      for (const message of failureMessages ?? []) console.log(message.split('\n').slice(0, 20).join('\n'));
    }
  }
}

for (const proof of withoutLinux ? PROOFS : [...PROOFS, LINUX]) reportProof(proof);
console.log(
  `\n${failed === 0 ? 'Everything that was run agrees' : `${failed} differ`}${skipped === 0 ? '' : `; ${skipped} not run`}.`,
);
process.exit(failed > 0 ? 1 : skipped > 0 ? NOT_RUN : 0);
