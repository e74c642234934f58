/**
 * Builds `dist/` before the tests that start the program, unless it is newer than every source file. Types are checked by
 * `npm run types`, not here.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

function newest(folder: string): number {
  let latest = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) latest = Math.max(latest, statSync(join(entry.parentPath, entry.name)).mtimeMs);
  }
  return latest;
}

function built(): number {
  try {
    return statSync('dist/cli/main.js').mtimeMs;
  } catch {
    return 0;
  }
}

export function setup(): void {
  if (newest('src') < built()) return;
  execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', '--noCheck'], {
    stdio: 'inherit',
  });
}
