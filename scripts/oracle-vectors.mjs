/**
 * Records what the processor of this machine does with every user-mode instruction form, as the oracle of
 * test/core/vectors.test.ts: test/vectors/<name>.bin.gz and <name>.json. Needs gcc for 32-bit code.
 *
 *   npm run build && node scripts/oracle-vectors.mjs [states per form] [seed]
 *
 * user-integer: all forms on memory that is there; user-faults: forms that access memory, at the edges of pages that are
 * absent or read-only.
 *
 * File format, little-endian, one record a case, gzip-compressed:
 *   u8 length, instruction bytes; u32 x 8 registers (EAX ECX EDX EBX ESP EBP ESI EDI); u32 EFLAGS; u32 memory seed;
 *   u8 patches, each u8 offset, u8 value (of the memory window, over what the seed gives);
 *   u8 vector (255: it completed), for 14 also u32 error code, u32 CR2; u32 EIP after it or of the fault; u32 EFLAGS;
 *   u8 mask of changed registers, each u32; u8 changed bytes of the window, each u8 offset, u8 value.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { CODE_START, cases, WINDOW, WINDOW_BYTES } from './oracle-vectors/cases.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const states = Number(process.argv[2] ?? 24);
const seed = Number(process.argv[3] ?? 0x7215);
const CASE_BYTES = 4 + 16 + 32 + 4 + WINDOW_BYTES;
const RESULT_BYTES = 32 + 20 + WINDOW_BYTES;
const PAGE_FAULT = 14;

function stop(message) {
  console.error(message);
  process.exit(1);
}

function compile(output) {
  const source = join(root, 'scripts/oracle-vectors/native.c');
  const run = spawnSync('gcc', ['-m32', '-O1', '-Wall', '-Wextra', '-static', '-no-pie', '-o', output, source], {
    encoding: 'utf8',
  });
  if (run.error !== undefined) stop('oracle-vectors needs gcc on an x86 Linux machine, and gcc was not found.');
  if (run.status !== 0) {
    stop(
      `oracle-vectors needs gcc for 32-bit code (on Debian and Ubuntu: apt-get install gcc-multilib). gcc says:\n${run.stderr}`,
    );
  }
  process.stdout.write(run.stderr);
}

function writeCases(list) {
  const bytes = new Uint8Array(list.length * CASE_BYTES);
  const view = new DataView(bytes.buffer);
  list.forEach((test, i) => {
    const at = i * CASE_BYTES;
    view.setUint32(at, test.bytes.length, true);
    bytes.set(test.bytes, at + 4);
    test.registers.forEach((value, number) => {
      view.setUint32(at + 20 + 4 * number, value, true);
    });
    view.setUint32(at + 52, test.eflags, true);
    bytes.set(test.memory, at + 56);
  });
  return bytes;
}

function pack(list, results) {
  const view = new DataView(results.buffer, results.byteOffset, results.length);
  const out = [];
  const u32 = (value) => out.push(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24);
  list.forEach((test, i) => {
    const at = i * RESULT_BYTES;
    out.push(test.bytes.length, ...test.bytes);
    test.registers.forEach(u32);
    u32(test.eflags);
    u32(test.memorySeed);
    out.push(test.patches.length, ...test.patches.flat());
    const vector = view.getUint32(at + 40, true);
    out.push(vector);
    if (vector === PAGE_FAULT) {
      u32(view.getUint32(at + 44, true));
      u32(view.getUint32(at + 48, true));
    }
    u32(view.getUint32(at + 36, true));
    u32(view.getUint32(at + 32, true));
    const changed = test.registers.map((value, number) => view.getUint32(at + 4 * number, true) !== value);
    out.push(changed.reduce((mask, is, number) => mask | (is ? 1 << number : 0), 0));
    changed.forEach((is, number) => {
      if (is) u32(view.getUint32(at + 4 * number, true));
    });
    const stores = [];
    for (let offset = 0; offset < WINDOW_BYTES; offset++) {
      const value = results[at + 52 + offset];
      if (value !== test.memory[offset]) stores.push([offset, value]);
    }
    out.push(stores.length, ...stores.flat());
  });
  return Uint8Array.from(out);
}

/** A transfer that did not fault went where random bytes of memory said: another fault, at another place. */
function isStray(test, view, at) {
  return test.form.row.ends === 'transfer' && view.getUint32(at + 36, true) !== CODE_START;
}

function processor() {
  const info = readFileSync('/proc/cpuinfo', 'utf8');
  const field = (name) => new RegExp(`^${name}\\s*: (.*)$`, 'm').exec(info)?.[1] ?? '';
  return {
    vendor: field('vendor_id'),
    processor: cpus()[0].model,
    signature: {
      family: Number(field('cpu family')),
      model: Number(field('model')),
      stepping: Number(field('stepping')),
    },
    compiler: spawnSync('gcc', ['--version'], { encoding: 'utf8' }).stdout.split('\n')[0],
  };
}

function record(name, faults, directory, program) {
  let list = [...cases(states, seed, faults)];
  if (list.some(({ patches }) => patches.length > 255)) stop('A case has more than 255 patched bytes.');
  const [input, output] = ['cases', 'results'].map((file) => join(directory, file));
  writeFileSync(input, writeCases(list));
  const run = spawnSync(program, [input, output], { stdio: 'inherit' });
  if (run.status !== 0) stop(`The native run ended with ${run.signal ?? `status ${run.status}`}.`);
  let results = readFileSync(output);
  if (faults) {
    const view = new DataView(results.buffer, results.byteOffset, results.length);
    const kept = list.map((_, i) => i).filter((i) => !isStray(list[i], view, i * RESULT_BYTES));
    results = Buffer.concat(kept.map((i) => results.subarray(i * RESULT_BYTES, (i + 1) * RESULT_BYTES)));
    list = kept.map((i) => list[i]);
  }
  const packed = gzipSync(pack(list, results), { level: 9 });
  const folder = join(root, 'test/vectors');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.bin.gz`), packed);
  const header = {
    ...processor(),
    seed,
    statesPerForm: states,
    forms: new Set(list.map(({ form }) => form)).size,
    cases: list.length,
    codeStart: CODE_START,
    window: WINDOW,
    windowBytes: WINDOW_BYTES,
  };
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(header, null, 2)}\n`);
  console.log(`${name}: ${list.length} cases of ${header.forms} forms, ${packed.length} bytes`);
}

const directory = mkdtempSync(join(tmpdir(), 'oracle-vectors-'));
try {
  const program = join(directory, 'native');
  compile(program);
  record('user-integer', false, directory, program);
  record('user-faults', true, directory, program);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
