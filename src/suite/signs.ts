/**
 * Which technique wins where on first-generation VT-x: the signs of the 2006 paper, as a check on the model. They are read
 * off the measured cells and are never an input.
 */
import { cyclesPerOperation } from './figures.ts';
import type { Cell, Run } from './schema.ts';

export interface Sign {
  readonly workload: string;
  readonly winner: 'ring-compression' | 'vtx';
}

export const SIGN_PROFILE = 'pentium4-672';

/** Adams & Agesen, ASPLOS 2006, figure 4. */
export const SIGNS: readonly Sign[] = [
  { workload: 'nano/in', winner: 'ring-compression' },
  { workload: 'nano/ptemod', winner: 'ring-compression' },
  { workload: 'nano/pgfault', winner: 'ring-compression' },
  { workload: 'nano/syscall', winner: 'vtx' },
  { workload: 'nano/divzero', winner: 'vtx' },
  { workload: 'nano/callret', winner: 'vtx' },
];

export interface SignResult extends Sign {
  /** Cycles per operation. */
  readonly ringCompression: number;
  readonly vtx: number;
  readonly holds: boolean;
}

/** The signs that a run has the cells for. Where a workload was swept, its first cell decides. */
export function checkSigns(run: Run): SignResult[] {
  const results: SignResult[] = [];
  for (const sign of SIGNS) {
    const software = find(run, sign.workload, 'ring-compression');
    const hardware = find(run, sign.workload, 'vtx') ?? find(run, sign.workload, 'vtx~noept~novpid');
    if (software === undefined || hardware === undefined) continue;
    const holds = sign.winner === 'vtx' ? hardware < software : software < hardware;
    results.push({ ...sign, ringCompression: software, vtx: hardware, holds });
  }
  return results;
}

function find(run: Run, workload: string, engine: string): number | undefined {
  const cell = run.cells.find((c: Cell) => {
    return c.workload === workload && c.engine === engine && c.profile === SIGN_PROFILE && c.status === 'ok';
  });
  return cell?.exact === undefined ? undefined : cyclesPerOperation(cell.exact);
}
