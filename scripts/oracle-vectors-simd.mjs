/**
 * Records what the processor of this machine does with every MMX, SSE, SSE2 and SSE3 instruction form, as the oracle of
 * test/core/simd/vectors.test.ts: test/vectors/user-simd.bin.br and user-simd.json. Needs gcc for 32-bit code.
 *
 *   npm run build && node scripts/oracle-vectors-simd.mjs [states per form] [seed] [folder]
 *
 * The cases come from the seed (oracle-vectors/simd-cases.mjs); only what became of them is stored.
 * File format: brotli over columns, each a u32 length and its bytes, little-endian. Entries of a case:
 *   vector: u8 (255: it completed)
 *   page: only of a page fault: u32 error code, u32 CR2
 *   changed: u8 count and as many u8 numbers of state words (STATE_NAMES) that changed
 *   values: u32 of each of them
 * The words are those before the instruction, but for EFLAGS, of which only the arithmetic flags count.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants } from 'node:zlib';
import { SIMD_OPCODES } from '../dist/isa/opcodes-simd.js';
import { compile, processor, stop } from './oracle-vectors/recorder.mjs';
import { CODE_START, casesOf, formsOf, STATE_NAMES, stateOf, WINDOW_BYTES } from './oracle-vectors/simd-cases.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const states = Number(process.argv[2] ?? 200);
const seed = Number(process.argv[3] ?? 0x55e2);
const folder = process.argv[4] ?? join(root, 'test/vectors');
const CASE_BYTES = 4 + 16 + 32 + 5 * 4 + 80 + 128 + WINDOW_BYTES;
const RESULT_BYTES = 32 + 8 * 4 + 128 + 128 + WINDOW_BYTES;
const PAGE_FAULT = 14;
const ARITHMETIC_FLAGS = 0x8d5;

function writeCases(list) {
  const bytes = new Uint8Array(list.length * CASE_BYTES);
  const view = new DataView(bytes.buffer);
  list.forEach((test, i) => {
    let at = i * CASE_BYTES;
    const word = (value) => {
      view.setUint32(at, value, true);
      at += 4;
    };
    word(test.bytes.length);
    bytes.set(test.bytes, at);
    at += 16;
    test.registers.forEach(word);
    for (const value of [test.eflags, test.mxcsr, test.control, test.status, test.tag]) word(value);
    for (let i = 0; i < 8; i++) {
      const { words, exponent } = test.mm[(test.top + i) & 7];
      words.forEach(word);
      view.setUint16(at, exponent, true);
      at += 2;
    }
    test.xmm.flat().forEach(word);
    bytes.set(test.memory, at);
  });
  return bytes;
}

/** A result as state words. */
function stateAfter(view, at) {
  const words = [];
  const word = (offset) => view.getUint32(at + offset, true);
  for (let i = 0; i < 8; i++) words.push(word(4 * i));
  words.push(word(32) & ARITHMETIC_FLAGS, word(52), word(56), word(60));
  const top = (word(56) >> 11) & 7;
  const stackOf = (register) => 64 + 16 * ((register - top) & 7);
  for (let i = 0; i < 8; i++) words.push(word(stackOf(i) + 8) & 0xffff);
  for (let i = 0; i < 8; i++) words.push(word(stackOf(i)), word(stackOf(i) + 4));
  for (let i = 0; i < 32 + WINDOW_BYTES / 4; i++) words.push(word(192 + 4 * i));
  return words;
}

/** Bytes that grow. */
class Column {
  #bytes = Buffer.alloc(1 << 16);
  #used = 0;

  u8(value) {
    this.#room(1).writeUInt8(value & 0xff, this.#used++);
  }
  u32(value) {
    this.#used = this.#room(4).writeUInt32LE(value >>> 0, this.#used);
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
  const columns = [new Column(), new Column(), new Column(), new Column()];
  const [vectors, pages, changed, values] = columns;
  list.forEach((test, i) => {
    const at = i * RESULT_BYTES;
    const vector = view.getUint32(at + 40, true);
    vectors.u8(vector);
    if (vector === PAGE_FAULT) {
      pages.u32(view.getUint32(at + 44, true));
      pages.u32(view.getUint32(at + 48, true));
    }
    const eip = view.getUint32(at + 36, true);
    if (eip !== CODE_START + (vector === 255 ? test.bytes.length : 0)) stop(`A case ended at ${eip.toString(16)}.`);
    const before = stateOf(test);
    const after = stateAfter(view, at);
    const different = STATE_NAMES.map((_, number) => number).filter((number) => before[number] !== after[number]);
    changed.u8(different.length);
    for (const number of different) {
      changed.u8(number);
      values.u32(after[number]);
    }
  });
  return Buffer.concat(
    columns.flatMap((column) => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(column.bytes().length);
      return [length, column.bytes()];
    }),
  );
}

const directory = mkdtempSync(join(tmpdir(), 'oracle-vectors-simd-'));
try {
  const program = join(directory, 'native');
  compile('oracle-vectors-simd', 'native-simd.c', program);
  const forms = formsOf(SIMD_OPCODES);
  const list = forms.flatMap((form) => [...casesOf(form, states, seed)]);
  const [input, output] = ['cases', 'results'].map((file) => join(directory, file));
  writeFileSync(input, writeCases(list));
  const run = spawnSync(program, [input, output], { stdio: 'inherit' });
  if (run.status !== 0) stop(`The native run ended with ${run.signal ?? `status ${run.status}`}.`);
  const packed = brotliCompressSync(pack(list, readFileSync(output)), {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24 },
  });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'user-simd.bin.br'), packed);
  const header = {
    ...processor(),
    seed,
    statesPerForm: states,
    cases: list.length,
    forms: forms.map(({ name }) => name),
  };
  writeFileSync(join(folder, 'user-simd.json'), `${JSON.stringify(header, null, 2)}\n`);
  console.log(`user-simd: ${list.length} cases of ${forms.length} forms, ${packed.length} bytes`);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
