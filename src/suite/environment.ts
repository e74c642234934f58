/** The host that a run was made on. Only the wall track depends on it. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, type } from 'node:os';
import { join } from 'node:path';
import { PACKAGE_ROOT } from './paths.ts';
import type { Environment, Run } from './schema.ts';

export function describeEnvironment(): Environment {
  const cpu = cpus()[0]?.model.trim() ?? 'unknown';
  const cores = cpus().length;
  const kernel = `${type()} ${release()}`;
  const { node, v8 } = process.versions;
  const key = createHash('sha256').update([cpu, cores, kernel, node, v8].join('\n')).digest('hex').slice(0, 12);
  return { key, cpu, cores, kernel, node, v8, load: loadavg()[0] as number };
}

/** The package's version, and the commit if it runs from a git checkout. */
export function describeTool(): Run['tool'] {
  const { version } = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8')) as { version: string };
  return { name: 'trivisor', version, git: commit() };
}

function commit(): string | null {
  try {
    const command = ['rev-parse', '--short=12', 'HEAD'];
    return execFileSync('git', command, {
      cwd: PACKAGE_ROOT,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return null;
  }
}
