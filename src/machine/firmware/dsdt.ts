/**
 * The devices that ACPI names: the PCI bus with its windows and where its interrupts go, the ISA devices that Plug and
 * Play would find, and how to switch off. There is no method, so nothing has to be interpreted to use them.
 */
import { S5_TYPE } from '../power.ts';
import {
  busNumbers,
  device,
  eisaId,
  integer,
  interrupt,
  memorySpace,
  name,
  packageOf,
  portSpace,
  ports,
  resources,
  scope,
} from './aml.ts';
import { PCI_INTERRUPTS } from './interrupt-wiring.ts';

type Bytes = readonly number[];

/** What the host bridge passes on to PCI: all ports but its own configuration ports, and memory below the I/O APIC. */
const CONFIGURATION_PORT = 0xcf8;
const CONFIGURATION_PORTS = 8;
const PCI_MEMORY = 0xe0000000;
const PCI_MEMORY_LAST = 0xfebfffff;

/** A device of the ISA bus by its Plug and Play identifier. */
function isaDevice(path: string, id: string, ...descriptors: readonly Bytes[]): Bytes {
  return device(path, name('_HID', eisaId(id)), name('_CRS', resources(...descriptors)));
}

function pciBus(): Bytes {
  const windows = resources(
    busNumbers(0, 0xff),
    ports(CONFIGURATION_PORT, CONFIGURATION_PORTS),
    portSpace(0, CONFIGURATION_PORT - 1),
    portSpace(CONFIGURATION_PORT + CONFIGURATION_PORTS, 0xffff),
    memorySpace(PCI_MEMORY, PCI_MEMORY_LAST),
  );
  // Any function of the slot; pin; no link device; input of the I/O APIC (6.2.12).
  const routes = PCI_INTERRUPTS.map(({ slot, pin, input }) =>
    packageOf(integer((slot << 16) | 0xffff), integer(pin), integer(0), integer(input)),
  );
  return device(
    'PCI0',
    name('_HID', eisaId('PNP0A03')),
    name('_ADR', integer(0)),
    name('_CRS', windows),
    name('_PRT', packageOf(...routes)),
  );
}

/** The definition block after its header. */
export function devices(): Bytes {
  return [
    ...name('\\_S5', packageOf(integer(S5_TYPE), integer(S5_TYPE), integer(0), integer(0))),
    ...scope(
      '\\_SB',
      pciBus(),
      isaDevice('RTC', 'PNP0B00', ports(0x70, 2), interrupt(8)),
      isaDevice('KBD', 'PNP0303', ports(0x60, 1), ports(0x64, 1), interrupt(1)),
      isaDevice('MOU', 'PNP0F13', interrupt(12)),
      isaDevice('COM1', 'PNP0501', ports(0x3f8, 8), interrupt(4)),
    ),
  ];
}
