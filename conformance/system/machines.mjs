/** The two machines that run the system test image: Trivisor's native engine, passed in, and QEMU's TCG. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const IMAGE = fileURLToPath(new URL('./system.elf', import.meta.url));
const RAM_MEGABYTES = 64;
/** Cycles: a group that has not ended by then never will. */
const CYCLE_LIMIT = 5e9;

/**
 * Runs the image with a command line under the native engine; returns what it printed. `modules` are the engine's
 * definition and the profile, so that tests can pass the sources and the command the build.
 */
function bootTrivisor({ definition, profile }, commandLine) {
  const guest = definition.create({
    profile,
    variation: [],
    ramBytes: RAM_MEGABYTES << 20,
    image: readFileSync(IMAGE),
    commandLine,
  });
  guest.run(CYCLE_LIMIT);
  return guest.machine.consoleText();
}

/**
 * All groups, in one boot; after one that stops the machine, the rest in the next. Groups named with '!' stop machines on
 * purpose and have a boot each.
 */
export function runOnTrivisor(modules) {
  const groups = bootTrivisor(modules, 'run=list')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('end: '));
  const texts = groups.filter((name) => name.startsWith('!')).map((name) => bootTrivisor(modules, `run=${name}`));
  let rest = groups.filter((name) => !name.startsWith('!'));
  while (rest.length > 0) {
    const text = bootTrivisor(modules, `run=${rest.join(',')}`);
    texts.push(text);
    if (/^end: /m.test(text)) break;
    rest = rest.slice(rest.findLastIndex((name) => `\n${text}`.includes(`\n${name}/`)) + 1 || 1);
  }
  return texts.join('\n');
}

/** QEMU's version ('7.2'), or null if it is not installed. */
export function qemuVersion() {
  const { stdout, error } = spawnSync('qemu-system-i386', ['--version'], { encoding: 'utf8' });
  return error === undefined ? (/version (\d+\.\d+)/.exec(stdout)?.[1] ?? null) : null;
}

/** The groups that QEMU can run: all but those that stop or hang it, which `notRun` names. */
export function runOnQemu() {
  return [bootQemu(''), bootQemu('run=!triple-fault')].join('\n');
}

function bootQemu(commandLine) {
  const folder = mkdtempSync(join(tmpdir(), 'trivisor-qemu-'));
  const log = join(folder, 'serial.log');
  try {
    spawnSync(
      'qemu-system-i386',
      [
        ...['-accel', 'tcg', '-cpu', 'max', '-m', String(RAM_MEGABYTES), '-display', 'none', '-no-reboot'],
        ...['-serial', `file:${log}`, '-device', 'isa-debug-exit,iobase=0xf4,iosize=4'],
        ...['-kernel', IMAGE, '-append', commandLine],
      ],
      { stdio: 'ignore', timeout: 300_000 },
    );
    return readFileSync(log, 'utf8');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
