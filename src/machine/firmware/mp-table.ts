/**
 * The MP table (Intel MultiProcessor Specification 1.4, chapter 4): the floating pointer structure, and the configuration
 * table with one processor, the buses, the I/O APIC and where interrupts go. Virtual wire mode; there is no IMCR.
 */
import { IO_APIC_BASE } from '../io-apic.ts';
import { APIC_BASE } from '../local-apic.ts';
import {
  AS_BUS,
  IO_APIC_ID,
  IO_APIC_VERSION,
  ISA_INTERRUPTS,
  LOCAL_APIC_VERSION,
  PCI_INTERRUPTS,
  PROCESSOR_APIC_ID,
} from './interrupt-wiring.ts';
import { TableBytes } from './table-bytes.ts';

const SPECIFICATION = 4;

/** Entry types (table 4-3). */
const PROCESSOR = 0;
const BUS = 1;
const IO_APIC = 2;
const IO_INTERRUPT = 3;
const LOCAL_INTERRUPT = 4;

/** Processor enabled, bootstrap processor (4.3.1). */
const ENABLED_BOOTSTRAP = 3;
/** Of the feature flags the specification names four (table 4-6): FPU, CMPXCHG8B, APIC; no machine check. */
const FEATURES = (1 << 0) | (1 << 8) | (1 << 9);
const IO_APIC_ENABLED = 1;
/** Interrupt types (table 4-9). */
const VECTORED = 0;
const NMI = 1;
const EXTINT = 3;
const PCI_BUS_ID = 0;
const ISA_BUS_ID = 1;
const ALL_LOCAL_APICS = 0xff;
const HEADER_BYTES = 44;
const HEADER_CHECKSUM = 7;
const POINTER_CHECKSUM = 10;

/** The floating pointer structure; it must lie on a 16-byte boundary in the BIOS area. `table`: physical address. */
export function mpFloatingPointer(table: number): Uint8Array {
  return new TableBytes().text('_MP_', 4).u32(table).u8(1, SPECIFICATION, 0).zeros(5).finish(POINTER_CHECKSUM);
}

/** The configuration table; position-independent. `signature`: CPUID leaf 1, EAX. */
export function mpConfigurationTable(signature: number): Uint8Array {
  const entries: TableBytes[] = [
    new TableBytes()
      .u8(PROCESSOR, PROCESSOR_APIC_ID, LOCAL_APIC_VERSION, ENABLED_BOOTSTRAP)
      .u32(signature & 0xfff)
      .u32(FEATURES)
      .zeros(8),
    new TableBytes().u8(BUS, PCI_BUS_ID).text('PCI', 6),
    new TableBytes().u8(BUS, ISA_BUS_ID).text('ISA', 6),
    new TableBytes().u8(IO_APIC, IO_APIC_ID, IO_APIC_VERSION, IO_APIC_ENABLED).u32(IO_APIC_BASE),
    // The 8259 pair's output, which has no bus interrupt of its own.
    ioInterrupt(EXTINT, AS_BUS, ISA_BUS_ID, 0, 0),
    ...ISA_INTERRUPTS.map(({ irq, input, flags }) => ioInterrupt(VECTORED, flags, ISA_BUS_ID, irq, input)),
    // A PCI interrupt is named by slot and pin (D.3).
    ...PCI_INTERRUPTS.map(({ slot, pin, input }) =>
      ioInterrupt(VECTORED, AS_BUS, PCI_BUS_ID, (slot << 2) | pin, input),
    ),
    localInterrupt(EXTINT, 0),
    localInterrupt(NMI, 1),
  ];
  const body = entries.flatMap((entry) => [...entry.toBytes()]);
  return new TableBytes()
    .text('PCMP', 4)
    .u16(HEADER_BYTES + body.length)
    .u8(SPECIFICATION, 0)
    .text('TRIVISOR', 8)
    .text('PC', 12)
    .u32(0)
    .u16(0)
    .u16(entries.length)
    .u32(APIC_BASE)
    .u32(0)
    .bytes(body)
    .finish(HEADER_CHECKSUM);
}

function ioInterrupt(type: number, flags: number, bus: number, irq: number, input: number): TableBytes {
  return new TableBytes().u8(IO_INTERRUPT, type).u16(flags).u8(bus, irq, IO_APIC_ID, input);
}

/** What is wired to a pin of every local APIC. */
function localInterrupt(type: number, pin: number): TableBytes {
  return new TableBytes().u8(LOCAL_INTERRUPT, type).u16(AS_BUS).u8(ISA_BUS_ID, 0, ALL_LOCAL_APICS, pin);
}
