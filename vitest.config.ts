import { defineConfig } from 'vitest/config';

const spawning = ['test/suite/**', 'test/report/**', 'test/cli/**', 'test/whole/**'];

export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 180_000,
    projects: [
      {
        extends: true,
        test: { name: 'model', include: ['test/**/*.test.ts'], exclude: spawning },
      },
      {
        // These start the built program, so the build must be that of the sources.
        extends: true,
        test: {
          name: 'program',
          include: spawning.map((folder) => `${folder}/*.test.ts`),
          globalSetup: ['test/build-once.ts'],
        },
      },
    ],
  },
});
