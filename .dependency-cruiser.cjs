// Imports go one way: isa <- core <- machine <- engines <- suite <- report <- cli; `cost` is a leaf.
const layers = ['isa', 'core', 'machine', 'engines', 'suite', 'report', 'cli'];

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...layers.slice(0, -1).map((layer, index) => ({
      name: `${layer}-imports-no-higher-layer`,
      severity: 'error',
      from: { path: `^src/${layer}/` },
      to: { path: `^src/(${layers.slice(index + 1).join('|')})/` },
    })),
    {
      name: 'cost-is-a-leaf',
      comment: 'cost prices what the core does: it may name instruction classes and state slots, nothing else',
      severity: 'error',
      from: { path: '^src/cost/' },
      to: { pathNot: ['^src/cost/', '^src/isa/cost-class\\.ts$', '^src/core/state\\.ts$'] },
    },
    {
      name: 'isa-stands-alone',
      severity: 'error',
      from: { path: '^src/isa/' },
      to: { path: '^src/cost/' },
    },
    {
      name: 'no-host-in-the-model',
      comment: 'isa, core, machine, cost and engines also run in a browser and must not see the host',
      severity: 'error',
      from: { path: '^src/(isa|core|machine|cost|engines)/' },
      to: { dependencyTypes: ['core', 'npm', 'npm-dev', 'npm-optional', 'npm-peer', 'npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'no-run-time-cycle',
      severity: 'error',
      from: { path: '^src/' },
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { extensions: ['.ts', '.mjs', '.js', '.json'] },
  },
};
