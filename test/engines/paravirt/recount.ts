/** The frame counts of direct paging, made again from the page tables themselves. */
import { expect } from 'vitest';
import type { MachineAddress } from '../../../src/core/address.ts';
import { GDT_PAGE, LDT_PAGE, LDT_PAGES } from '../../../src/engines/paravirt/layout.ts';
import { FRAME_PINNED, FRAME_XEN_L2 } from '../../../src/engines/paravirt/page-types.ts';
import { BASE_FRAME, GDT_ENTRIES } from '../../../src/engines/paravirt/vcpu.ts';
import type { Domain } from './domain.ts';

/** Every reference that page tables, pins and the current root hold, counted afresh. */
function recount(domain: Domain): { types: Int32Array; totals: Int32Array } {
  const { pages, vcpu, cpu, area } = domain.xen;
  const types = new Int32Array(pages.types.length);
  const totals = new Int32Array(pages.types.length);
  const typed = (frame: number): void => {
    types[frame]++;
    totals[frame]++;
  };
  for (let frame = 0; frame < pages.types.length; frame++) {
    if (!pages.owned(frame)) continue;
    totals[frame]++;
    if ((pages.flags[frame]! & FRAME_PINNED) !== 0) typed(frame);
    const type = pages.types[frame]!;
    if (pages.typeCounts[frame] === 0 || type < 1 || type > 3) continue;
    const entries = type === 3 ? 4 : (pages.flags[frame]! & FRAME_XEN_L2) !== 0 ? 428 : 512;
    for (let index = 0; index < entries; index++) {
      const entry = cpu.memory.read32((frame * 4096 + 8 * index) as MachineAddress);
      if ((entry & 1) === 0) continue;
      if (type > 1 || (entry & 2) !== 0) typed(entry >>> 12);
      else totals[entry >>> 12]++;
    }
  }
  typed(vcpu[BASE_FRAME] as number);
  // What the processor's descriptor tables show of the guest.
  for (let page = 0; page < Math.ceil((vcpu[GDT_ENTRIES] as number) / 512); page++)
    typed(area.privateFrame(GDT_PAGE + page));
  for (let page = 0; page < LDT_PAGES; page++) {
    const frame = area.privateFrame(LDT_PAGE + page);
    if (frame >= 0) typed(frame);
  }
  // The shared page is writable for good.
  typed(area.sharedFrame);
  return { types, totals };
}

export function expectConsistent(domain: Domain): void {
  const { pages } = domain.xen;
  const { types, totals } = recount(domain);
  expect(Array.from(pages.typeCounts)).toEqual(Array.from(types));
  expect(Array.from(pages.totalCounts)).toEqual(Array.from(totals));
}
