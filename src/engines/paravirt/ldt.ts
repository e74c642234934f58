/** The guest's LDT, seen by the processor through a window whose pages are mapped when they are first used (mmuext_op SET_LDT). */
import type { MachineAddress } from '../../core/address.ts';
import { COUNT_LDT_PAGE } from './counters.ts';
import type { Hypervisor } from './hypervisor.ts';
import { LDT_LINEAR, LDT_PAGE, LDT_PAGES, PTE_PRESENT } from './layout.ts';
import { TYPE_DESCRIPTORS } from './page-types.ts';
import { LDT_BASE, LDT_ENTRIES } from './vcpu.ts';

/** Shows the guest's page in the window. False if the guest has none there, or it may not hold descriptors. */
export function mapLdtPage(xen: Hypervisor, page: number): boolean {
  const { vcpu: V, tables, cpu, pages, area, counters } = xen;
  if (page * 512 >= (V[LDT_ENTRIES] as number)) return false;
  const at = tables.entryOf(((V[LDT_BASE] as number) + page * 4096) >>> 0);
  if (at < 0) return false;
  const entry = cpu.memory.read32(at as MachineAddress);
  if ((entry & PTE_PRESENT) === 0) return false;
  if (pages.getPageAndType(entry >>> 12, TYPE_DESCRIPTORS) !== 0) return false;
  counters.count(COUNT_LDT_PAGE);
  area.mapPrivate(LDT_PAGE + page, entry >>> 12);
  return true;
}

/** Takes the window's pages away again. */
export function unmapLdt(xen: Hypervisor): void {
  const { area, pages, cpu } = xen;
  for (let page = 0; page < LDT_PAGES; page++) {
    const frame = area.privateFrame(LDT_PAGE + page);
    if (frame < 0) continue;
    area.mapPrivate(LDT_PAGE + page, -1);
    cpu.mmu.invalidatePage((LDT_LINEAR + page * 4096) | 0);
    pages.putPageAndType(frame);
  }
}
