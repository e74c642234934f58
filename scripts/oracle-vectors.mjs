/**
 * Records what the processor of this machine does with every user-mode instruction form, as the oracle of
 * test/core/vectors.test.ts: test/vectors/<name>.bin.br and <name>.json. Needs gcc for 32-bit code.
 *
 *   npm run build && node scripts/oracle-vectors.mjs [states per form] [seed]
 *
 * user-integer: all forms on memory that is there; user-faults: forms that access memory, at the edges of pages that are
 * absent or read-only.
 *
 * File format: brotli over columns, each a u32 length and its bytes, little-endian. What a case has by its seed alone
 * (random.mjs: registers, memory window) is not stored. Columns, with the entries a case has in each:
 *   number: u32, less the case's before it (the seed's number; stray cases are left out)
 *   code: u8 length, instruction bytes
 *   given: u8 mask of registers (EAX ECX EDX EBX ESP EBP ESI EDI) that the seed does not give, each u32
 *   eflags: u16
 *   patches: u8 count, each u8 offset, u8 value, of the memory window over what the seed gives
 *   vector: u8 (255: it completed)
 *   page: only of a page fault: u32 error code, u32 CR2
 *   eip: u32 after it or of the fault, less the code's address
 *   flags: u32 EFLAGS after it, exclusive-ored with those before
 *   changed: u8 mask of changed registers, each u32
 *   stores: u8 count of changed bytes of the window, each u8 offset, u8 value
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants } from 'node:zlib';
import { CODE_START, cases, WINDOW, WINDOW_BYTES } from './oracle-vectors/cases.mjs';
import { fillRegisters } from './oracle-vectors/random.mjs';
import { compile, processor, stop } from './oracle-vectors/recorder.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const states = Number(process.argv[2] ?? 200);
const seed = Number(process.argv[3] ?? 0x7215);
const CASE_BYTES = 4 + 16 + 32 + 4 + WINDOW_BYTES;
const RESULT_BYTES = 32 + 20 + WINDOW_BYTES;
const PAGE_FAULT = 14;

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

const COLUMNS = ['number', 'code', 'given', 'eflags', 'patches', 'vector', 'page', 'eip', 'flags', 'changed', 'stores'];

/** Bytes that grow. */
class Column {
  #bytes = Buffer.alloc(1 << 16);
  #used = 0;

  u8(...values) {
    for (const value of values) this.#room(1).writeUInt8(value & 0xff, this.#used++);
  }
  u16(value) {
    this.#used = this.#room(2).writeUInt16LE(value & 0xffff, this.#used);
  }
  u32(value) {
    this.#used = this.#room(4).writeUInt32LE(value >>> 0, this.#used);
  }
  masked(values, isIn) {
    this.u8(values.reduce((mask, value, number) => mask | (isIn(value, number) ? 1 << number : 0), 0));
    values.forEach((value, number) => {
      if (isIn(value, number)) this.u32(value);
    });
  }
  bytes() {
    return this.#bytes.subarray(0, this.#used);
  }
  #room(count) {
    if (this.#used + count > this.#bytes.length)
      this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(this.#bytes.length)]);
    return this.#bytes;
  }
}

function pack(list, results) {
  const view = new DataView(results.buffer, results.byteOffset, results.length);
  const columns = Object.fromEntries(COLUMNS.map((name) => [name, new Column()]));
  let before = -1;
  list.forEach((test, i) => {
    const at = i * RESULT_BYTES;
    columns.number.u32(test.number - before);
    before = test.number;
    columns.code.u8(test.bytes.length, ...test.bytes);
    const seeded = fillRegisters(test.seed);
    columns.given.masked(test.registers, (value, number) => value !== seeded[number]);
    columns.eflags.u16(test.eflags);
    columns.patches.u8(test.patches.length, ...test.patches.flat());
    const vector = view.getUint32(at + 40, true);
    columns.vector.u8(vector);
    if (vector === PAGE_FAULT) {
      columns.page.u32(view.getUint32(at + 44, true));
      columns.page.u32(view.getUint32(at + 48, true));
    }
    columns.eip.u32(view.getUint32(at + 36, true) - CODE_START);
    columns.flags.u32(view.getUint32(at + 32, true) ^ test.eflags);
    const after = test.registers.map((_, number) => view.getUint32(at + 4 * number, true));
    columns.changed.masked(after, (value, number) => value !== test.registers[number]);
    const stores = [];
    for (let offset = 0; offset < WINDOW_BYTES; offset++) {
      const value = results[at + 52 + offset];
      if (value !== test.memory[offset]) stores.push(offset, value);
    }
    columns.stores.u8(stores.length / 2, ...stores);
  });
  return Buffer.concat(
    COLUMNS.flatMap((name) => {
      const bytes = columns[name].bytes();
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return [length, bytes];
    }),
  );
}

/** A transfer that did not fault went where random bytes of memory said: another fault, at another place. */
function isStray(test, view, at) {
  return test.form.row.ends === 'transfer' && view.getUint32(at + 36, true) !== CODE_START;
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
  const packed = brotliCompressSync(pack(list, results), {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24 },
  });
  const folder = join(root, 'test/vectors');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.bin.br`), packed);
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
  compile('oracle-vectors', 'native.c', program);
  record('user-integer', false, directory, program);
  record('user-faults', true, directory, program);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
