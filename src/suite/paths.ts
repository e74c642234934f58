/** Where things lie: the package's own files, and the user's results. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The package's root; `src/suite` and `dist/suite` are equally deep. */
export const PACKAGE_ROOT: string = fileURLToPath(new URL('../../', import.meta.url));
export const IMAGES: string = join(PACKAGE_ROOT, 'workloads', 'images');

/** The folder of baselines, in the user's working directory. */
export function resultsFolder(): string {
  return join(process.cwd(), 'results');
}

/** The folder of the runs' own files. */
export function runsFolder(): string {
  return join(resultsFolder(), 'runs');
}
