/** What the parent and a cell process say to each other: one JSON document in, one JSON line out per event. */
import type { CellOutcome } from './cell.ts';

/** One instruction class of the profile made dearer, to count how often it is charged. */
export interface PriceOverride {
  readonly instruction: string;
  readonly cycles: number;
}

export interface TaskCell {
  readonly index: number;
  readonly mailbox: string;
  /** The engine is booted again where this is not what it was for the cell before. */
  readonly override: PriceOverride | null;
}

/** One engine on one profile, and the cells to run from its one boot (one for each override). */
export interface CellTask {
  readonly engine: string;
  readonly profile: string;
  readonly imagePath: string;
  readonly ramBytes: number;
  /** Limit of each cell and of the boot, in cycles of virtual time. */
  readonly limit: number;
  /** Run each cell a second time and require the same figures. */
  readonly twice: boolean;
  /** Wall-clock samples of each cell; 0 on the exact track. */
  readonly samples: number;
  readonly cells: readonly TaskCell[];
}

export type CellMessage =
  /** The engine has booted; the cells follow. */
  | { readonly kind: 'booted' }
  | { readonly kind: 'start'; readonly index: number }
  /** `fatal`: the process must not go on to another cell, because the engine itself failed. */
  | { readonly kind: 'cell'; readonly index: number; readonly outcome: CellOutcome; readonly fatal: boolean }
  | { readonly kind: 'wall'; readonly index: number; readonly milliseconds: readonly number[] }
  /** Nothing can run: every cell of the task came to this. */
  | { readonly kind: 'unbootable'; readonly outcome: CellOutcome };
