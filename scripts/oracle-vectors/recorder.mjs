/** What the recorders of a real processor share: the native program's compilation, and who the processor is. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';

export function stop(message) {
  console.error(message);
  process.exit(1);
}

/** Compiles a C source beside this file for 32 bits; ends the recorder `name` with a sentence if that cannot be done. */
export function compile(name, source, output) {
  const path = fileURLToPath(new URL(source, import.meta.url));
  const run = spawnSync('gcc', ['-m32', '-O1', '-Wall', '-Wextra', '-static', '-no-pie', '-o', output, path], {
    encoding: 'utf8',
  });
  if (run.error !== undefined) stop(`${name} needs gcc on an x86 Linux machine, and gcc was not found.`);
  if (run.status !== 0) {
    stop(
      `${name} needs gcc for 32-bit code (on Debian and Ubuntu: apt-get install gcc-multilib). gcc says:\n${run.stderr}`,
    );
  }
  process.stdout.write(run.stderr);
}

export function processor() {
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
