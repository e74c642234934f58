/** The one table of command-line options: the parser, the help and the environment's and config file's names come from it. */
export interface OptionSpec {
  readonly short?: string;
  /** A placeholder for its value; an option without one is a switch. */
  readonly value?: string;
  /** May be given more than once, and takes comma-separated lists. */
  readonly multiple?: boolean;
  readonly what: string;
}

export const OPTIONS = {
  filter: {
    short: 'f',
    value: 'GLOB',
    multiple: true,
    what: "workloads to run, by glob over group/name: 'nano/*', 'macro', 'syscall'",
  },
  engine: {
    short: 'e',
    value: 'NAME',
    multiple: true,
    what: "engines, with variations: 'vtx', 'vtx~noept~novpid', 'all' (default: all)",
  },
  profile: {
    short: 'p',
    value: 'NAME',
    multiple: true,
    what: "CPU profiles, or 'all' (default: sandy-bridge and pentium4-672)",
  },
  param: {
    short: 'P',
    value: 'NAME=V,V',
    multiple: true,
    what: "sweep a workload's parameter, or its operation count: -P batch=1,8,64 -P ops=1000",
  },
  image: { value: 'FILE.elf', what: 'measure your own multiboot image that uses the markers, instead of the suite' },
  track: {
    value: 'TRACK',
    what: 'exact (modelled cycles, deterministic), wall (speed of this host) or both (default: exact)',
  },
  quick: { what: 'fewer operations; at most 15 s for the default comparison' },
  twice: { what: 'run every exact cell a second time and require identical figures' },
  rounds: { value: 'N', what: 'fresh processes per cell on the wall track (default: 5)' },
  'time-budget': { value: 'SECONDS', what: 'start no new wall-track block after this long (default: 120)' },
  seed: { value: 'N', what: 'seed of the order of wall-track blocks (default: 1)' },
  shard: {
    value: 'I/N',
    what: "run the I-th of N shares of the workloads; 'auto' reads SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX",
  },
  timeout: { value: 'CYCLES', what: 'limit of each cell in virtual cycles: 500M, 2G (default: 20G)' },
  'wall-limit': { value: 'SECONDS', what: 'wall-clock backstop of each cell (default: 120)' },
  jobs: { value: 'N', what: 'processes on the exact track (default: the number of host cores)' },
  output: { short: 'o', value: 'FILE', what: 'write the result here instead of results/runs/ID.json' },
  save: { value: 'NAME', what: 'also keep the exact figures as the baseline @NAME' },
  format: { value: 'FORMAT', what: 'table, md, csv, json or jsonl on stdout (default: table)' },
  plain: { what: 'tables without boxes' },
  'no-progress': { what: 'nothing on stderr while running' },
  'dry-run': { what: 'list the cells, run nothing' },
  against: { value: 'REF', what: 'what to compare with: a file, a run id or @NAME (default: @baseline)' },
  from: { value: 'REF', what: 'take the figures of this finished run instead of measuring: a file, a run id or @NAME' },
  'strict-inconclusive': { what: 'exit 4 if a wall-track cell is UNSURE' },
  kernel: { value: 'FILE', what: 'the kernel to boot: a Linux bzImage or a multiboot ELF file' },
  initrd: { value: 'FILE', what: 'its initial RAM disk' },
  append: { value: 'TEXT', what: 'its command line' },
  ram: { value: 'MB', what: 'RAM of the guest in MB, a multiple of 4 (default: 256)' },
  limit: { value: 'CYCLES', what: 'end after this much virtual time: 500M, 100G (default: none)' },
  'stop-at': { value: 'TEXT', what: 'end when the guest has printed this' },
  help: { short: 'h', what: 'show this help' },
  version: { what: 'show the version' },
} as const satisfies Record<string, OptionSpec>;

export type OptionName = keyof typeof OPTIONS;

export function optionSpec(name: OptionName): OptionSpec {
  return OPTIONS[name];
}

/** The environment variable that stands for an option: TRIVISOR_TIME_BUDGET. */
export function environmentName(name: string): string {
  return `TRIVISOR_${name.toUpperCase().replaceAll('-', '_')}`;
}
