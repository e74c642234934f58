/**
 * Records what the processor of this machine does with segments: 16-bit and 32-bit code and stacks, expand-down segments,
 * limits, descriptor loads, near and far transfers, as the oracle of test/core/modes/segments.test.ts. Needs an x86
 * Linux with gcc for 32-bit code and modify_ldt.
 *
 *   node scripts/oracle-segments.mjs
 *
 * test/vectors/segments.json.br: brotli over JSON: { processor, region, descriptors, cases }, a case being
 * [registers, eip, eflags, selectors, code, patches, outcome], an outcome [vector, error, registers, eip, eflags,
 * selectors, changes]; registers EAX ECX EDX EBX ESP EBP ESI EDI, selectors CS SS DS ES FS, patches and changes pairs of
 * linear address and value. In outcomes, null stands for "as before".
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants } from 'node:zlib';
import { DESCRIPTORS, REGION, segmentCases } from './oracle-segments/cases.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const CASE_BYTES = 32 + 8 + 12 + 4 + 16 + 80;
const OUTCOME_BYTES = 32 + 8 + 12 + 8 + 512;
const PAGE_FAULT = 14;
const BREAKPOINT = 3;
const ENDLESS = 255;
const RF = 0x10000;

function stop(message) {
  console.error(message);
  process.exit(1);
}

/** A struct user_desc each (arch_prctl's man page: modify_ldt). */
function descriptorBytes() {
  const entries = Object.entries(DESCRIPTORS);
  const view = new DataView(new ArrayBuffer(4 + 16 * entries.length));
  view.setUint32(0, entries.length, true);
  for (const [i, [index, d]] of entries.entries()) {
    const at = 4 + 16 * i;
    view.setUint32(at, Number(index), true);
    view.setUint32(at + 4, d.base, true);
    view.setUint32(at + 8, d.limit, true);
    const flags =
      (d.big ? 1 : 0) | (d.contents << 1) | (d.restricted ? 8 : 0) | (d.pages ? 16 : 0) | (d.absent ? 32 : 0);
    view.setUint32(at + 12, flags | 64, true);
  }
  return Buffer.from(view.buffer);
}

function caseBytes(list) {
  const view = new DataView(new ArrayBuffer(CASE_BYTES * list.length));
  for (const [i, test] of list.entries()) {
    let at = CASE_BYTES * i;
    const put32 = (value) => {
      view.setUint32(at, value, true);
      at += 4;
    };
    const put16 = (value) => {
      view.setUint16(at, value, true);
      at += 2;
    };
    for (const value of [...test.registers, test.eip, test.eflags]) put32(value);
    for (const value of [...test.selectors, test.patches.length]) put16(value);
    put32(test.codeAt);
    for (const byte of test.code) view.setUint8(at++, byte);
    for (const value of test.patches.flat()) put32(value);
  }
  return Buffer.from(view.buffer);
}

function readOutcome(view, at) {
  const word = (i) => view.getUint32(at + 4 * i, true);
  const registers = Array.from({ length: 8 }, (_, i) => word(i));
  const half = (i) => view.getUint16(at + 40 + 2 * i, true);
  const selectors = Array.from({ length: 5 }, (_, i) => half(i));
  const changes = Array.from({ length: half(5) }, (_, i) => [word(15 + 2 * i), word(16 + 2 * i)]);
  return { vector: word(13), error: word(14), registers, eip: word(8), eflags: word(9) & ~RF, selectors, changes };
}

const same = (a, b) => a.length === b.length && a.every((value, i) => value === b[i]);

const scratch = mkdtempSync(join(tmpdir(), 'oracle-segments-'));
const helper = join(scratch, 'native');
const built = spawnSync(
  'gcc',
  [
    '-m32',
    '-O1',
    '-Wall',
    '-Wextra',
    '-static',
    '-no-pie',
    '-fno-stack-protector',
    '-o',
    helper,
    join(root, 'scripts/oracle-segments/native.c'),
  ],
  { encoding: 'utf8' },
);
if (built.error !== undefined) stop('oracle-segments needs gcc on an x86 Linux machine, and gcc was not found.');
if (built.status !== 0) stop(`oracle-segments needs gcc for 32-bit code. gcc says:\n${built.stderr}`);

const list = segmentCases();
const run = spawnSync(helper, [], { input: Buffer.concat([descriptorBytes(), caseBytes(list)]), maxBuffer: 1 << 30 });
rmSync(scratch, { recursive: true });
if (run.status !== 0 || run.stdout.length !== list.length * OUTCOME_BYTES) {
  stop(
    `The helper ended with status ${run.status} after ${run.stdout.length / OUTCOME_BYTES} of ${list.length} cases. ${run.stderr}`,
  );
}
const view = new DataView(run.stdout.buffer, run.stdout.byteOffset, run.stdout.length);
const cases = [];
const counts = {};
for (const [i, test] of list.entries()) {
  const after = readOutcome(view, i * OUTCOME_BYTES);
  counts[after.vector] = (counts[after.vector] ?? 0) + 1;
  // Beyond the region lies nothing, which has no counterpart in the test.
  if (after.vector === PAGE_FAULT || after.vector === ENDLESS) continue;
  const hasError = after.vector >= 10 && after.vector <= 13;
  cases.push([
    test.registers,
    test.eip,
    test.eflags,
    test.selectors,
    [
      test.codeAt,
      Buffer.from(test.code)
        .toString('hex')
        .replace(/(cc)+$/, ''),
    ],
    test.patches,
    [
      after.vector,
      hasError ? after.error : null,
      same(after.registers, test.registers) ? null : after.registers,
      after.eip,
      after.eflags,
      same(after.selectors, test.selectors) ? null : after.selectors,
      after.changes,
    ],
  ]);
}
const document = { processor: cpus()[0].model.trim(), region: REGION, descriptors: DESCRIPTORS, cases };
const bytes = brotliCompressSync(JSON.stringify(document), {
  params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24 },
});
writeFileSync(join(root, 'test/vectors/segments.json.br'), bytes);
console.log(`${cases.length} of ${list.length} cases, ${bytes.length} bytes; by vector: ${JSON.stringify(counts)}`);
console.log(`${counts[BREAKPOINT]} ended at a breakpoint.`);
