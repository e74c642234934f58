/**
 * Fetches what `trivisor boot` needs to run Debian's own Linux: both i386 kernels of Debian 12 (with and without PAE)
 * and a static busybox, through apt with directories of its own, so that the host's package state stays as it is.
 * Packs busybox and a small init into an initial RAM file system. All of it goes to `.cache/linux/`.
 *
 *   npm run fetch:linux
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { cpio } from './fetch-linux/cpio.mjs';

const CACHE = fileURLToPath(new URL('../.cache/linux/', import.meta.url));
const INIT = fileURLToPath(new URL('fetch-linux/init.sh', import.meta.url));
const APT = join(CACHE, 'apt');
/** Each depends on the package that holds the newest kernel of its kind. */
const KERNELS = ['linux-image-686', 'linux-image-686-pae'];

class FetchError extends Error {}

/** Runs a program and returns what it prints; a program that is missing or fails becomes the sentence `what`. */
function run(program, args, what, options = {}) {
  try {
    return execFileSync(program, args, { maxBuffer: 1 << 30, stdio: 'pipe', ...options });
  } catch (error) {
    if (error.code === 'ENOENT')
      throw new FetchError(
        `The program '${program}' is missing; fetching Debian's kernels needs a Debian host with apt.`,
      );
    const lines = String(error.stderr ?? '').split('\n');
    const why = lines.find((line) => line.startsWith('E: ')) ?? lines.find((line) => line !== '');
    throw new FetchError(why === undefined ? what : `${what} (${why.replace(/^E: /, '')})`);
  }
}

/** apt for i386 with its own state, cache and empty package list, and the host's sources and keys. */
function apt(program, args, what) {
  const settings = {
    'Dir::State': join(APT, 'state'),
    'Dir::State::status': join(APT, 'status'),
    'Dir::Cache': join(APT, 'cache'),
    'APT::Architecture': 'i386',
    'APT::Architectures::': 'i386',
    'APT::Sandbox::User': '',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '2',
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  return String(run(program, [...options, ...args], what, { cwd: APT }));
}

/** Fetches the package lists. One source of several may fail without harm, so a failure is returned, not thrown. */
function updateFailure() {
  try {
    apt('apt-get', ['update', '--error-on=any'], 'The package lists for i386 cannot be fetched');
    return null;
  } catch (error) {
    if (error instanceof FetchError) return error;
    throw error;
  }
}

/** The package with the kernel itself, such as linux-image-6.1.0-50-686. */
function kernelPackage(name, failure) {
  const depends = apt('apt-cache', ['depends', name], failure?.message ?? `apt knows no package ${name} for i386`);
  const match = /Depends: (linux-image-\d\S*)/.exec(depends);
  if (match === null && failure !== null) throw failure;
  if (match === null)
    throw new FetchError(`The package ${name} names no kernel; the host's apt sources must be those of Debian 12.`);
  return match[1];
}

/** The bytes of the one file in the package that a pattern of the shell's kind matches. */
function fileOf(name, pattern) {
  const archive = readdirSync(APT).find((file) => file.startsWith(`${name}_`) && file.endsWith('.deb'));
  if (archive === undefined) throw new FetchError(`apt fetched no package ${name}.`);
  const input = run('dpkg-deb', ['--fsys-tarfile', join(APT, archive)], `The package ${name} cannot be unpacked`);
  return run('tar', ['-x', '-O', '--wildcards', pattern], `The package ${name} has no ${pattern}`, { input });
}

function initialFileSystem(busybox) {
  return gzipSync(
    cpio([
      { path: 'bin', directory: true },
      { path: 'bin/busybox', data: busybox, mode: 0o755 },
      { path: 'bin/sh', link: 'busybox' },
      { path: 'dev', directory: true },
      { path: 'dev/console', device: [5, 1], mode: 0o600 },
      { path: 'init', data: readFileSync(INIT), mode: 0o755 },
    ]),
    { level: 9 },
  );
}

function save(name, data) {
  const path = join(CACHE, name);
  writeFileSync(path, data);
  chmodSync(path, 0o644);
  console.log(`${name.padEnd(16)} ${(data.length / 1e6).toFixed(1)} MB`);
}

function fetchLinux() {
  for (const folder of ['state/lists/partial', 'cache/archives/partial'])
    mkdirSync(join(APT, folder), { recursive: true });
  for (const file of readdirSync(APT).filter((file) => file.endsWith('.deb'))) rmSync(join(APT, file));
  writeFileSync(join(APT, 'status'), '');
  console.log('Reading package lists...');
  const failure = updateFailure();
  const kernels = KERNELS.map((name) => kernelPackage(name, failure));
  console.log(`Fetching ${kernels.join(', ')} and busybox-static...`);
  apt('apt-get', ['download', ...kernels, 'busybox-static'], 'The packages cannot be fetched');
  for (const [index, name] of kernels.entries())
    save(KERNELS[index].replace('linux-image-', 'vmlinuz-'), fileOf(name, './boot/vmlinuz-*'));
  save('initrd.gz', initialFileSystem(fileOf('busybox-static', '*/bin/busybox')));
  writeFileSync(join(CACHE, 'versions.json'), `${JSON.stringify(kernels, null, 2)}\n`);
  rmSync(APT, { recursive: true });
}

try {
  fetchLinux();
} catch (error) {
  if (!(error instanceof FetchError)) throw error;
  console.error(`fetch-linux: ${error.message.replace(/\.?$/, '.')}`);
  process.exitCode = 1;
}
