/**
 * Builds the system test image into conformance/system, with a manifest, so that running it needs only Node.
 *
 *   node conformance/system/build.mjs           build and write
 *   node conformance/system/build.mjs --check   compare with the manifest; build again if this is the same compiler
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('./', import.meta.url));
const GUEST = join(FOLDER, 'guest');
const IMAGE = join(FOLDER, 'system.elf');
const MANIFEST = join(FOLDER, 'manifest.json');
const FLAGS = (
  '-m32 -march=i686 -std=gnu11 -Os -ffreestanding -fno-pic -fno-pie -mno-sse -mno-mmx -mno-80387 -fno-stack-protector ' +
  '-fno-asynchronous-unwind-tables -fcf-protection=none -fno-strict-aliasing -fno-tree-loop-distribute-patterns ' +
  '-mpreferred-stack-boundary=2 -fno-ident -fno-toplevel-reorder --param=min-pagesize=0 -g0 -Wall -Wextra -Werror'
).split(' ');
const LINK_FLAGS = ['-m', 'elf_i386', '-nostdlib', '-static', '--build-id=none', '-z', 'max-page-size=4096'];

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** The commands' own messages go to the terminal. */
function run(command, args) {
  return execFileSync(command, args, { encoding: 'utf8', cwd: GUEST, stdio: ['ignore', 'pipe', 'inherit'] });
}

const sources = () => readdirSync(GUEST).sort();
const compiler = () => run('gcc', ['--version']).split('\n')[0];

function build() {
  const objects = mkdtempSync(join(tmpdir(), 'trivisor-system-'));
  try {
    const linked = sources()
      .filter((name) => /\.[cS]$/.test(name))
      .map((name) => {
        const object = join(objects, name.replace(/\.[cS]$/, '.o'));
        run('gcc', [...FLAGS, `-ffile-prefix-map=${GUEST}=`, '-c', name, '-o', object]);
        return object;
      });
    const image = join(objects, 'system.elf');
    run('ld', [...LINK_FLAGS, '-T', 'system.lds', '-o', image, ...linked]);
    run('objcopy', ['--strip-all', image]);
    return readFileSync(image);
  } finally {
    rmSync(objects, { recursive: true, force: true });
  }
}

function manifest(image) {
  return {
    compiler: compiler(),
    flags: FLAGS.join(' '),
    linkFlags: LINK_FLAGS.join(' '),
    image: sha256(image),
    sources: Object.fromEntries(sources().map((name) => [name, sha256(readFileSync(join(GUEST, name)))])),
  };
}

/** Returns a sentence about what differs, or null. */
function difference() {
  const committed = JSON.parse(readFileSync(MANIFEST, 'utf8'));
  if (sha256(readFileSync(IMAGE)) !== committed.image) return 'system.elf is not the image that the manifest names.';
  for (const name of new Set([...sources(), ...Object.keys(committed.sources)])) {
    const now = sources().includes(name) ? sha256(readFileSync(join(GUEST, name))) : null;
    if (now !== committed.sources[name]) return `guest/${name} has changed since the image was built.`;
  }
  let installed = null;
  try {
    installed = compiler();
  } catch {
    // Without a compiler the hashes of the sources have to do.
  }
  if (installed !== committed.compiler) return null;
  return sha256(build()) === committed.image
    ? null
    : 'system.elf, built again from the same sources, comes out different.';
}

if (process.argv.includes('--check')) {
  const sentence = difference();
  if (sentence !== null) {
    console.error(`${sentence} Run 'npm run build:conformance'.`);
    process.exitCode = 1;
  }
} else {
  const image = build();
  writeFileSync(IMAGE, image);
  writeFileSync(MANIFEST, `${JSON.stringify(manifest(image), null, 2)}\n`);
  console.log(`conformance/system/system.elf: ${image.length} bytes`);
}
