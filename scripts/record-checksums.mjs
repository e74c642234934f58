/**
 * The guest's checksums on another PC emulator: runs the native image under QEMU and keeps what it prints in
 * workloads/images/checksums.json, an oracle that has no code in common with this project.
 *
 *   node scripts/record-checksums.mjs           run with default and quick operation counts, and write
 *   node scripts/record-checksums.mjs --check   run with quick counts, and compare
 *
 * Exit status: 0 done or equal, 1 different, 77 QEMU is not installed.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const IMAGES = fileURLToPath(new URL('../workloads/images', import.meta.url));
const CHECKSUMS = join(IMAGES, 'checksums.json');
const QEMU = 'qemu-system-i386';
/** isa-debug-exit turns the guest's exit status s into the process's 2 s + 1. */
const QEMU_STATUS_OF_SUCCESS = 1;
const NOT_INSTALLED = 77;
const WALL_LIMIT_MS = 300_000;

class CheckError extends Error {}

/**
 * Boots the image; gives the console, or null where there is no QEMU. The console goes to a file: QEMU drops characters
 * when a pipe's reader is slow.
 */
function boot(image, commandLine) {
  const folder = mkdtempSync(join(tmpdir(), 'trivisor-qemu-'));
  const serial = join(folder, 'console.txt');
  const devices = [
    '-m',
    '64',
    '-serial',
    `file:${serial}`,
    '-display',
    'none',
    '-no-reboot',
    '-device',
    'isa-debug-exit,iobase=0xf4,iosize=4',
  ];
  const run = spawnSync(QEMU, ['-kernel', join(IMAGES, image), '-append', commandLine, ...devices], {
    timeout: WALL_LIMIT_MS,
  });
  const console = run.error === undefined ? readFileSync(serial, 'latin1').replaceAll('\r', '') : '';
  rmSync(folder, { recursive: true, force: true });
  if (run.error?.code === 'ENOENT') return null;
  if (run.status === QEMU_STATUS_OF_SUCCESS) return console;
  throw new CheckError(
    `${image} did not end well under QEMU (status ${run.status ?? run.signal}):\n${console}${run.stderr}`,
  );
}

/** `<id> ops=<n> checksum=<hex>` or `<id> skipped: <reason>`, by id. */
function parse(console) {
  const results = {};
  for (const line of console.split('\n').filter((text) => text !== '')) {
    const [, id, operations, checksum, reason] =
      /^(\S+) (?:ops=(\d+) checksum=([0-9a-f]{8})|skipped: (.+))$/.exec(line) ?? [];
    if (id === undefined) throw new CheckError(`The guest printed what is no result: ${line}`);
    results[id] = reason === undefined ? { ops: Number(operations), checksum } : { skipped: reason };
  }
  return results;
}

function compare(expected, actual) {
  const ids = [...new Set([...Object.keys(expected), ...Object.keys(actual)])].sort();
  const differing = ids.filter((id) => JSON.stringify(expected[id]) !== JSON.stringify(actual[id]));
  if (differing.length === 0) return;
  const lines = differing.map((id) => `${id}: ${JSON.stringify(actual[id])}, expected ${JSON.stringify(expected[id])}`);
  throw new CheckError(`The guest's results under QEMU differ from ${CHECKSUMS}:\n${lines.join('\n')}`);
}

function main() {
  const quick = boot('native.elf', 'run=all quick choices');
  if (quick === null) {
    console.error(`${QEMU} is not installed (Debian: qemu-system-x86), so the guest was not run on it.`);
    process.exitCode = NOT_INSTALLED;
    return;
  }
  if (process.argv.includes('--check')) {
    compare(JSON.parse(readFileSync(CHECKSUMS, 'utf8')).quick, parse(quick));
    return;
  }
  const full = boot('native.elf', 'run=all choices');
  writeFileSync(CHECKSUMS, `${JSON.stringify({ default: parse(full), quick: parse(quick) }, null, 2)}\n`);
}

try {
  main();
} catch (error) {
  if (!(error instanceof CheckError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
