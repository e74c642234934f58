/** How a profile writes a price: the number and where it comes from. */
import type { Priced } from './profile.ts';

export function published(cycles: number, where: string): Priced {
  return { cycles, source: { kind: 'published', where } };
}
export function derived(cycles: number, formula: string): Priced {
  return { cycles, source: { kind: 'derived', formula } };
}
export function assumed(cycles: number, why: string): Priced {
  return { cycles, source: { kind: 'assumed', why } };
}

/** Short names of the documents that profiles cite. */
export const AA06 = 'Adams & Agesen, ASPLOS 2006';
export const AGNER = 'Agner Fog, Instruction tables (2021)';
export const ATC12 = 'Agesen et al., USENIX ATC 2012, table 1';
export const HSSV = 'Hardware and Software Support for Virtualization, table 4.3';
export const TLB15 = 'Linux mm mailing list, June 2015 (Westmere and Haswell)';
export const GETPPID = 'Linux kernel mailing list, December 2002 (getppid on a Pentium 4)';
