/**
 * The tables that a PC's firmware leaves in the BIOS area for a kernel that is loaded without it: MP table and ACPI
 * tables. A loader that places them describes the area (memory-map.ts) as reserved.
 */
import { BIOS_AREA, HIGH_MEMORY } from '../memory-map.ts';
import { dsdt, facs, fadt, madt, rsdp, rsdt } from './acpi-tables.ts';
import { mpConfigurationTable, mpFloatingPointer } from './mp-table.ts';

export interface FirmwareBlock {
  /** Guest-physical. */
  readonly address: number;
  readonly bytes: Uint8Array;
}

/** The tables with their places. `signature`: CPUID leaf 1, EAX. */
export function firmwareTables(signature: number): FirmwareBlock[] {
  const blocks: FirmwareBlock[] = [];
  let next = BIOS_AREA;
  // 64 bytes is the widest alignment that any of them asks for.
  const place = (bytes: Uint8Array): number => {
    const address = next;
    blocks.push({ address, bytes });
    next = (address + bytes.length + 63) & ~63;
    if (next > HIGH_MEMORY) throw new Error('The firmware tables do not fit into the BIOS area.');
    return address;
  };
  place(mpFloatingPointer(place(mpConfigurationTable(signature))));
  const fixed = place(fadt(place(facs()), place(dsdt())));
  place(rsdp(place(rsdt([fixed, place(madt())]))));
  return blocks;
}
