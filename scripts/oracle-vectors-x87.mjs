/**
 * Records what the processor of this machine does with every x87 instruction form, as the oracle of
 * test/core/fpu/vectors.test.ts: test/vectors/user-x87.bin.br and user-x87.json. Needs gcc for 32-bit code.
 *
 *   node scripts/oracle-vectors-x87.mjs [states per form] [seed] [folder]
 *
 * The cases come from the seed (oracle-vectors/x87-cases.mjs); only what became of them is stored.
 * File format: brotli over columns, each a u32 length and its bytes, little-endian. Entries of a case:
 *   words: u16 control word, u16 status word, u16 tag word after it
 *   mask: u8 of the registers R0-R7 (physical) that changed
 *   registers: 10 bytes of each of them
 *   flags: u16 of EFLAGS, exclusive-ored with those before
 *   eax: u8 1 and u32 if it changed, else 0
 *   stores: u16 count of changed bytes of the window, each u16 offset, u8 value
 * What an instruction stores of addresses (FNSTENV, FNSAVE, FXSAVE) is left out: it is zero.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants } from 'node:zlib';
import { compile, processor, stop } from './oracle-vectors/recorder.mjs';
import { forms, IMAGE_BYTES, pointerBytes, WINDOW_BYTES, x87Cases } from './oracle-vectors/x87-cases.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const states = Number(process.argv[2] ?? 200);
const seed = Number(process.argv[3] ?? 0x8087);
const folder = process.argv[4] ?? join(root, 'test/vectors');
const STATE_BYTES = 128 + WINDOW_BYTES;
const CASE_BYTES = 4 + 16 + STATE_BYTES;
const EFLAGS = 108;
const EAX = 112;
const WINDOW = 128;
const ENVIRONMENT_BYTES = 28;
const CASES_A_RUN = 4000;

function writeCases(list) {
  const bytes = new Uint8Array(list.length * CASE_BYTES);
  const view = new DataView(bytes.buffer);
  list.forEach((test, i) => {
    const at = i * CASE_BYTES;
    view.setUint32(at, test.bytes.length, true);
    bytes.set(test.bytes, at + 4);
    bytes.set(test.image, at + 20);
    view.setUint32(at + 20 + EFLAGS, test.eflags, true);
    view.setUint32(at + 20 + EAX, test.eax, true);
    bytes.set(test.window, at + 20 + WINDOW);
  });
  return bytes;
}

const COLUMNS = ['words', 'mask', 'registers', 'flags', 'eax', 'stores'];
const columns = Object.fromEntries(COLUMNS.map((name) => [name, []]));

/** Physical registers of an FNSAVE image. */
function physicalRegisters(image) {
  const top = (image[5] >> 3) & 7;
  return Array.from({ length: 8 }, (_, register) => {
    const at = ENVIRONMENT_BYTES + 10 * ((register - top) & 7);
    return [...image.subarray(at, at + 10)];
  });
}
const half = (value) => [value & 0xff, (value >> 8) & 0xff];

function packCase(test, result) {
  const view = new DataView(result.buffer, result.byteOffset, result.byteLength);
  for (const at of [0, 4, 8]) columns.words.push(...half(view.getUint16(at, true)));
  const before = physicalRegisters(test.image);
  const after = physicalRegisters(result.subarray(0, IMAGE_BYTES));
  let mask = 0;
  after.forEach((bytes, register) => {
    if (bytes.every((byte, i) => byte === before[register][i])) return;
    mask |= 1 << register;
    columns.registers.push(...bytes);
  });
  columns.mask.push(mask);
  columns.flags.push(...half((view.getUint32(EFLAGS, true) ^ test.eflags) & 0xffff));
  const eax = view.getUint32(EAX, true);
  if (eax === test.eax) columns.eax.push(0);
  else columns.eax.push(1, ...half(eax), ...half(eax >>> 16));
  const pointers = pointerBytes(test.form);
  const stores = [];
  for (let offset = 0; offset < WINDOW_BYTES; offset++) {
    const value = result[WINDOW + offset];
    if (value !== test.window[offset] && !pointers(offset)) stores.push([...half(offset), value]);
  }
  columns.stores.push(...half(stores.length), ...stores.flat());
}

const directory = mkdtempSync(join(tmpdir(), 'oracle-vectors-x87-'));
try {
  const program = join(directory, 'native');
  compile('oracle-vectors-x87', 'native-x87.c', program);
  const [input, output] = ['cases', 'results'].map((file) => join(directory, file));
  let count = 0;
  const runAll = (list) => {
    writeFileSync(input, writeCases(list));
    const run = spawnSync(program, [input, output], { stdio: 'inherit' });
    if (run.status !== 0) stop(`The native run ended with ${run.signal ?? `status ${run.status}`}.`);
    const results = readFileSync(output);
    list.forEach((test, i) => {
      packCase(test, results.subarray(i * STATE_BYTES, (i + 1) * STATE_BYTES));
    });
    count += list.length;
  };
  let list = [];
  for (const test of x87Cases(states, seed)) {
    list.push(test);
    if (list.length < CASES_A_RUN) continue;
    runAll(list);
    list = [];
  }
  runAll(list);
  const plain = Buffer.concat(
    COLUMNS.flatMap((name) => {
      const bytes = Buffer.from(columns[name]);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return [length, bytes];
    }),
  );
  const packed = brotliCompressSync(plain, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24 },
  });
  writeFileSync(join(folder, 'user-x87.bin.br'), packed);
  const header = { ...processor(), seed, statesPerForm: states, forms: forms().length, cases: count };
  writeFileSync(join(folder, 'user-x87.json'), `${JSON.stringify(header, null, 2)}\n`);
  console.log(`user-x87: ${count} cases of ${header.forms} forms, ${packed.length} bytes`);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
