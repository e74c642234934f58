/** The guest images that come with the package, checked against their manifest before anything is measured. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { readCatalogue, type Workload } from './catalogue.ts';
import { EXIT, SuiteError } from './failure.ts';
import { IMAGES } from './paths.ts';

export interface GuestImage {
  readonly path: string;
  readonly sha256: string;
  readonly workloads: readonly Workload[];
}

export interface Guest {
  readonly native: GuestImage;
  /** Null for an image of the user's own, which has no Xen build. */
  readonly xen: GuestImage | null;
  readonly ramBytes: number;
}

const RAM_BYTES = 64 << 20;
const MANIFEST = 'manifest.json';

const manifestSchema = z.object({ images: z.record(z.string(), z.object({ sha256: z.string() })) });

/** The package's own guest. `folder` holds `native.elf`, `xen.elf` and the manifest. */
export function loadGuest(folder: string = IMAGES): Guest {
  const manifest = readManifest(join(folder, MANIFEST));
  return {
    native: loadChecked(folder, 'native.elf', manifest),
    xen: manifest.has('xen.elf') ? loadChecked(folder, 'xen.elf', manifest) : null,
    ramBytes: RAM_BYTES,
  };
}

/** A user's own multiboot image. One without a catalogue is one workload named after the file. */
export function loadUserImage(path: string): Guest {
  const bytes = readImage(path);
  const workloads = readCatalogue(bytes, path);
  const name = basename(path)
    .replace(/\.[^.]*$/, '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, '-');
  const whole: Workload = {
    id: `image/${name}`,
    operation: 'Whatever the image runs between its begin and end markers.',
    defaultOps: 1,
    quickOps: 1,
    tags: [],
    parameters: [],
    skipUnderParavirt: '',
  };
  const image = { path, sha256: sha256(bytes), workloads: workloads.length === 0 ? [whole] : workloads };
  return { native: image, xen: null, ramBytes: RAM_BYTES };
}

function readManifest(path: string): Map<string, string> {
  let document: unknown;
  try {
    document = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    throw new SuiteError(
      `The manifest of the guest images, ${path}, is missing or is not JSON; run 'npm run build:workloads'.`,
      EXIT.cellFailed,
    );
  }
  const parsed = manifestSchema.safeParse(document);
  if (!parsed.success) {
    throw new SuiteError(
      `The manifest of the guest images, ${path}, does not list images with their SHA-256.`,
      EXIT.cellFailed,
    );
  }
  return new Map(Object.entries(parsed.data.images).map(([name, entry]) => [name, entry.sha256]));
}

function loadChecked(folder: string, name: string, manifest: ReadonlyMap<string, string>): GuestImage {
  const path = join(folder, name);
  const expected = manifest.get(name);
  if (expected === undefined) throw new SuiteError(`The manifest in ${folder} does not list ${name}.`, EXIT.cellFailed);
  const bytes = readImage(path);
  const actual = sha256(bytes);
  if (actual !== expected) {
    throw new SuiteError(
      `The guest image ${path} is not the one its manifest names: its SHA-256 is ${actual.slice(0, 12)}..., expected ${expected.slice(0, 12)}...; restore it, or rebuild both with 'npm run build:workloads'.`,
      EXIT.cellFailed,
    );
  }
  return { path, sha256: actual, workloads: readCatalogue(bytes, path) };
}

function readImage(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new SuiteError(
      `The guest image '${path}' cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'}).`,
    );
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
