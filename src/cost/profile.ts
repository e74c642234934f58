/** A CPU generation: what each primitive costs, which features it has, and where every number comes from. */
import type { CostClass } from '../isa/cost-class.ts';

export type Source =
  | { readonly kind: 'published'; readonly where: string }
  | { readonly kind: 'derived'; readonly formula: string }
  | { readonly kind: 'assumed'; readonly why: string };

/** A whole number of cycles and its source. */
export interface Priced {
  readonly cycles: number;
  readonly source: Source;
}

export interface Profile {
  /** Name on the command line: 'sandy-bridge'. */
  readonly name: string;
  readonly title: string;
  readonly frequencyHz: number;
  /** The bus clock, which the local APIC's timer counts, in Hz. */
  readonly bus: { readonly frequencyHz: number; readonly source: Source };
  /** Modelled TLB capacities, in entries. */
  readonly tlb: { readonly data: number; readonly fetch: number };
  readonly features: {
    readonly ept: boolean;
    readonly vpid: boolean;
    readonly unrestrictedGuest: boolean;
    readonly tscDeadline: boolean;
  };
  /** CPUID identity: vendor string, and leaf 1 EAX (family, model, stepping). */
  readonly cpuid: { readonly vendor: string; readonly signature: number; readonly brand: string };
  readonly instructions: Readonly<Record<CostClass, Priced>>;
  /** Prices of the hardware events, by EventRow.name. */
  readonly events: Readonly<Record<string, Priced>>;
  /** Cycles of one VMM software step: one assumed rate, the same for all engines. */
  readonly step: Priced;
}
