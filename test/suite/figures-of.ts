/** Small but complete figures and runs for tests of what is computed from them. */
import type { ExactFigures, RegionFigures } from '../../src/suite/figures.ts';
import { type Cell, METRICS, type Run } from '../../src/suite/schema.ts';

export interface RegionShape {
  readonly operations: number;
  /** Instructions and cycles at CPL 0. */
  readonly retired: number;
  readonly instructionCycles: number;
  /** Count and price. */
  readonly events: Readonly<Record<string, readonly [count: number, price: number]>>;
}

export function regionOf(shape: RegionShape): RegionFigures {
  const none = { cpl0: 0, cpl1: 0, cpl2: 0, cpl3: 0, translationCache: 0 };
  const events: Record<string, { count: number; cycles: number }> = {};
  let cycles = shape.instructionCycles;
  for (const [name, [count, price]] of Object.entries(shape.events)) {
    if (count === 0) continue;
    events[name] = { count, cycles: count * price };
    cycles += count * price;
  }
  return {
    operations: shape.operations,
    cycles,
    retired: { ...none, cpl0: shape.retired },
    instructionCycles: { ...none, cpl0: shape.instructionCycles },
    events,
    counters: {},
  };
}

export function figuresOf(shape: RegionShape): ExactFigures {
  return { measured: regionOf(shape), calibration: null, cold: null, values: {} };
}

export function cellOf(id: string, figures: ExactFigures, more: Partial<Cell> = {}): Cell {
  const [workload = '', rest = ''] = id.split('@');
  const [engine = '', profile = ''] = rest.split(':');
  return {
    id,
    workload,
    params: {},
    engine,
    profile,
    ops: figures.measured.operations,
    tags: [],
    image: 'image',
    status: 'ok',
    checksum: '00000001',
    console: '',
    exact: structuredClone(figures) as NonNullable<Cell['exact']>,
    ...more,
  };
}

export function runOf(cells: readonly Cell[], profiles: Run['profiles'] = {}): Run {
  return {
    schemaVersion: 1,
    kind: 'run',
    id: 'test',
    status: 'complete',
    tool: { name: 'trivisor', version: '0', git: null },
    command: ['run'],
    seed: 1,
    design: { track: 'exact', rounds: 1, quick: false, order: '', isolation: '' },
    environments: [],
    metrics: METRICS,
    profiles,
    cells: [...cells],
  };
}
