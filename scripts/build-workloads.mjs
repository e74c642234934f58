/**
 * Builds the guest images into workloads/images, with a manifest, so that running the suite needs only Node.
 *
 *   node scripts/build-workloads.mjs           build and write
 *   node scripts/build-workloads.mjs --check   build again and compare; with another compiler, compare source hashes only
 *
 * The bytes depend on the sources and the compiler version alone: no time stamps, no paths, no build id.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const WORKLOADS = join(ROOT, 'workloads');
const BUILD = join(WORKLOADS, 'build');
const IMAGES = join(WORKLOADS, 'images');
const MANIFEST = join(IMAGES, 'manifest.json');
const ARCHES = ['native', 'xen'];
/** Which folders' files an image holds beside the kernel, by the prefix of its name. */
const CONTENTS = {
  '': () => ['nano', 'macro'],
  'isolation-': (arch) => ['isolation/common', `isolation/${arch}`],
  // A domain has no VMX.
  'hypervisor-': (arch) => (arch === 'native' ? ['hypervisor'] : []),
};

const FLAGS = (
  '-m32 -march=i686 -std=gnu11 -O2 -ffreestanding -fno-pic -fno-pie -mno-sse -mno-mmx -mno-80387 -fno-stack-protector ' +
  '-fno-asynchronous-unwind-tables -fcf-protection=none -fno-strict-aliasing -fno-tree-loop-distribute-patterns ' +
  '-mpreferred-stack-boundary=2 -fno-ident -g0 -Wall -Wextra -Werror'
).split(' ');
const LINK_FLAGS = ['-m', 'elf_i386', '-nostdlib', '-static', '--build-id=none', '-z', 'max-page-size=4096'];

class BuildError extends Error {}

function run(command, args) {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], cwd: ROOT });
  } catch (error) {
    if (error.code === 'ENOENT') throw new BuildError(missing(`'${command}' is not installed`));
    throw new BuildError(`${command} failed:\n${error.stderr ?? error.message}`);
  }
}

function missing(what) {
  return `The guest images cannot be built: ${what}; on Debian install gcc, gcc-multilib and binutils.`;
}

/** The compiler's version line; throws a sentence if it cannot make 32-bit code. */
function compiler() {
  const version = run('gcc', ['--version']).split('\n')[0];
  run('ld', ['--version']);
  run('objcopy', ['--version']);
  mkdirSync(BUILD, { recursive: true });
  const probe = join(BUILD, 'probe.c');
  writeFileSync(probe, 'int probe;\n');
  try {
    run('gcc', ['-m32', '-c', probe, '-o', join(BUILD, 'probe.o')]);
  } catch {
    throw new BuildError(missing("'gcc -m32' does not work"));
  }
  return version;
}

/** Files under a folder of workloads/, sorted by path, as paths with forward slashes. */
function files(folder, pattern) {
  const found = [];
  const walk = (at) => {
    for (const entry of readdirSync(at, { withFileTypes: true })) {
      const path = join(at, entry.name);
      if (entry.isDirectory()) walk(path);
      else if (pattern.test(entry.name)) found.push(relative(WORKLOADS, path).split(sep).join('/'));
    }
  };
  if (existsSync(join(WORKLOADS, folder))) walk(join(WORKLOADS, folder));
  return found.sort();
}

function sources() {
  return ['include', 'kernel', 'user', 'nano', 'macro', 'isolation', 'hypervisor'].flatMap((folder) =>
    files(folder, /\.(c|h|S|lds|inc)$/),
  );
}

function compile(source, object, extra) {
  mkdirSync(dirname(object), { recursive: true });
  const include = ['include', 'kernel', 'user'].map((folder) => `-Iworkloads/${folder}`);
  run('gcc', [...FLAGS, `-ffile-prefix-map=${ROOT}=`, ...include, ...extra, '-c', `workloads/${source}`, '-o', object]);
}

const nameOf = (source) => source.replace(/\.[cS]$/, '').replaceAll('/', '-');

/** Compiles the user half of each workload file, once for all images; returns blob paths by source. Not every file has one. */
function buildUserPrograms(workloads) {
  const folder = join(BUILD, 'user');
  const support = ['user/start.S', 'kernel/string.c'].map((source) => {
    const object = join(folder, `${nameOf(source)}.o`);
    compile(source, object, ['-DUSER_PROGRAM']);
    return object;
  });
  const blobs = new Map();
  for (const source of workloads) {
    const base = join(folder, nameOf(source));
    if (!/\b(user_main|INCLUDE_USER_PROGRAM)\b/.test(readFileSync(join(WORKLOADS, source), 'utf8'))) continue;
    blobs.set(source, relative(ROOT, `${base}.bin`).split(sep).join('/'));
    if (existsSync(`${base}.bin`)) continue;
    compile(source, `${base}.o`, ['-DUSER_PROGRAM']);
    run('ld', [
      ...LINK_FLAGS,
      '-T',
      'workloads/user/user.lds',
      '-o',
      `${base}.elf`,
      support[0],
      `${base}.o`,
      support[1],
    ]);
    run('objcopy', ['-O', 'binary', `${base}.elf`, `${base}.bin`]);
  }
  return blobs;
}

function buildImage(arch, name, workloads, blobs) {
  const folder = join(BUILD, name);
  const kernel = [
    ...files('kernel', /\.[cS]$/).filter((file) => !file.includes('/arch/')),
    ...files(`kernel/arch/${arch}`, /\.[cS]$/),
  ];
  const objects = [...kernel, ...workloads].map((source) => {
    const object = join(folder, `${nameOf(source)}.o`);
    const blob = blobs.get(source);
    const extra = [`-Iworkloads/kernel/arch/${arch}`];
    if (blob !== undefined) extra.push(`-DUSER_IMAGE="${blob}"`);
    compile(source, object, extra);
    return object;
  });
  const image = join(folder, `${name}.elf`);
  run('ld', [...LINK_FLAGS, '-T', `workloads/kernel/arch/${arch}/${arch}.lds`, '-o', image, ...objects]);
  run('objcopy', ['--strip-debug', image]);
  return readFileSync(image);
}

function build() {
  const version = compiler();
  rmSync(BUILD, { recursive: true, force: true });
  const images = new Map();
  for (const [prefix, contents] of Object.entries(CONTENTS)) {
    for (const arch of ARCHES) {
      const workloads = contents(arch).flatMap((folder) => files(folder, /\.c$/));
      if (workloads.length === 0) continue;
      const name = `${prefix}${arch}`;
      images.set(`${name}.elf`, buildImage(arch, name, workloads, buildUserPrograms(workloads)));
    }
  }
  return { version, images };
}

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

function sourceHashes() {
  return Object.fromEntries(sources().map((source) => [source, sha256(readFileSync(join(WORKLOADS, source)))]));
}

function manifest({ version, images }) {
  return {
    compiler: version,
    flags: FLAGS.join(' '),
    linkFlags: LINK_FLAGS.join(' '),
    images: Object.fromEntries(
      [...images].map(([name, bytes]) => [name, { sha256: sha256(bytes), bytes: bytes.length }]),
    ),
    sources: sourceHashes(),
  };
}

function write() {
  const built = build();
  mkdirSync(IMAGES, { recursive: true });
  for (const [name, bytes] of built.images) writeFileSync(join(IMAGES, name), bytes);
  writeFileSync(MANIFEST, `${JSON.stringify(manifest(built), null, 2)}\n`);
  for (const [name, bytes] of built.images) console.log(`workloads/images/${name}: ${bytes.length} bytes`);
}

function installedCompiler() {
  try {
    return compiler();
  } catch {
    return null;
  }
}

/** Throws a sentence naming what differs. */
function check() {
  const committed = JSON.parse(readFileSync(MANIFEST, 'utf8'));
  const hashes = sourceHashes();
  const differing = [...new Set([...Object.keys(hashes), ...Object.keys(committed.sources)])]
    .filter((source) => hashes[source] !== committed.sources[source])
    .sort();
  if (differing.length > 0) {
    throw new BuildError(
      `The guest images are not built from these sources: ${differing.join(', ')} changed since; run 'npm run build:workloads'.`,
    );
  }
  for (const [name, { sha256: expected }] of Object.entries(committed.images)) {
    if (sha256(readFileSync(join(IMAGES, name))) !== expected) {
      throw new BuildError(
        `workloads/images/${name} is not the image that the manifest names; run 'npm run build:workloads'.`,
      );
    }
  }
  if (installedCompiler() !== committed.compiler) {
    console.log(
      `The sources are those of the manifest; the images were not rebuilt, because that needs ${committed.compiler}.`,
    );
    return;
  }
  for (const [name, bytes] of build().images) {
    if (sha256(bytes) !== committed.images[name]?.sha256) {
      throw new BuildError(
        `workloads/images/${name}, rebuilt from the same sources by the same compiler, comes out different.`,
      );
    }
  }
  console.log('The images are what their sources build to.');
}

try {
  const unknown = process.argv.slice(2).filter((argument) => argument !== '--check');
  if (unknown.length > 0) throw new BuildError(`${basename(process.argv[1])} takes only --check, not '${unknown[0]}'.`);
  if (process.argv.includes('--check')) check();
  else write();
} catch (error) {
  if (!(error instanceof BuildError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
