/**
 * Published figures that the model is judged against. They are checks, never inputs: nothing here may find its way into
 * a profile. Sources as in `docs/model.md`.
 */
export interface PublishedFigure {
  readonly source: string;
  readonly workload: string;
  readonly params: Readonly<Record<string, string>>;
  readonly engine: string;
  /** The modelled profile that comes closest to the published machine. */
  readonly profile: string;
  readonly kind: 'cycles' | 'ratio to native';
  readonly value: number;
  /** What sets the published measurement apart from the modelled one. */
  readonly note: string;
}

const AA06 = 'Adams & Agesen, ASPLOS 2006, fig. 4';
const XEN03 = 'Barham et al., SOSP 2003';

function pair(
  workload: string,
  ringCompression: number,
  vtx: number,
  note = '',
  params: Record<string, string> = {},
): PublishedFigure[] {
  const common = { source: AA06, workload, params, profile: 'pentium4-672', kind: 'cycles', note } as const;
  return [
    { ...common, engine: 'ring-compression', value: ringCompression },
    { ...common, engine: 'vtx', value: vtx },
  ];
}

function xen(workload: string, value: number, note: string): PublishedFigure {
  return {
    source: XEN03,
    workload,
    params: {},
    engine: 'paravirt',
    profile: 'pentium4-672',
    kind: 'ratio to native',
    value,
    note,
  };
}

export const PUBLISHED: readonly PublishedFigure[] = [
  ...pair('nano/syscall', 2306, 246, 'published for 64-bit syscall/sysret; modelled for int 0x80 and iret'),
  ...pair('nano/in', 216, 15826),
  ...pair('nano/callret', 51, 11, 'the published loop returns through a cold predictor'),
  ...pair('nano/pgfault', 3927, 11242, 'the fault alone: the handler steps over the instruction', { fix: 'skip' }),
  ...pair('nano/divzero', 3223, 1014),
  ...pair('nano/ptemod', 391, 12733),
  {
    source: 'Adams & Agesen, ASPLOS 2006, 3.4',
    workload: 'nano/rdtsc',
    params: {},
    engine: 'ring-compression',
    profile: 'pentium4-672',
    kind: 'cycles',
    value: 216,
    note: 'in the translation cache',
  },
  xen('nano/syscall', 1.02, 'lmbench null call on a 2.4 GHz Xeon: a Linux kernel path is in both'),
  xen('nano/protfault', 1.32, 'lmbench protection fault with its signal path'),
  xen('nano/pgfault', 1.92, 'lmbench page fault with its file mapping path'),
];

/** What the model leaves out, so that an error beside it has a reader's explanation at hand. */
export const OUTSIDE_THE_MODEL: readonly string[] = [
  'data and instruction caches, branch predictors and out-of-order overlap: an instruction costs its class',
  'the 64-bit guests of the 2006 paper: the model runs a 32-bit guest with PAE tables, so compare ratios and signs',
  "the rest of a published hypervisor's software: only the steps that this VMM really takes are charged",
];
