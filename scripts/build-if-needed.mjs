// Builds dist/ unless it is newer than every source file.
import { execFileSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

function changed(path) {
  try {
    return statSync(path).mtimeMs;
  } catch {
    return 0;
  }
}

const sources = readdirSync('src', { recursive: true }).map((name) => changed(join('src', name)));
if (Math.max(...sources) >= changed('dist/cli/main.js')) {
  console.error('Building.');
  execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], {
    stdio: 'inherit',
  });
}
