/**
 * The least set of ACPI tables that a kernel can configure interrupts, the power management timer, reset and
 * switching off from (ACPI Specification 3.0, chapter 5): RSDP, RSDT, FADT, FACS, MADT and DSDT.
 */
import { IO_APIC_BASE } from '../io-apic.ts';
import { APIC_BASE } from '../local-apic.ts';
import { PM_TIMER_PORT, PM1_CONTROL_PORT, PM1_EVENT_PORT, RESET_PORT, RESET_VALUE, SCI_IRQ } from '../power.ts';
import { devices } from './dsdt.ts';
import { IO_APIC_ID, ISA_INTERRUPTS, PROCESSOR_APIC_ID } from './interrupt-wiring.ts';
import { TableBytes } from './table-bytes.ts';

const HEADER_BYTES = 36;
const HEADER_CHECKSUM = 9;
const RSDP_CHECKSUM = 8;
const OEM = 'TRIVIS';

/** Root pointer of revision 0 (5.2.5.3); it must lie on a 16-byte boundary in the BIOS area. `rsdt`: physical address. */
export function rsdp(rsdt: number): Uint8Array {
  return new TableBytes().text('RSD PTR ', 8).u8(0).text(OEM, 6).u8(0).u32(rsdt).finish(RSDP_CHECKSUM);
}

/** `tables`: physical addresses. */
export function rsdt(tables: readonly number[]): Uint8Array {
  const body = new TableBytes();
  for (const table of tables) body.u32(table);
  return described('RSDT', 1, body);
}

/** Firmware control structure (5.2.10): it must lie on a 64-byte boundary. It has no checksum. */
export function facs(): Uint8Array {
  return new TableBytes().text('FACS', 4).u32(64).zeros(24).u8(1).zeros(31).toBytes();
}

/** IA-PC boot architecture (table 5-10): legacy devices, keyboard controller, no VGA. */
const BOOT_ARCHITECTURE = 0x07;
/** Fixed features (table 5-9): WBINVD works, C1 by HLT, no buttons and no RTC wake in fixed hardware, reset register. */
const FIXED_FEATURES = (1 << 0) | (1 << 2) | (1 << 4) | (1 << 5) | (1 << 6) | (1 << 10);
const DESKTOP = 1;
/** Latencies that mean "not supported". */
const NO_C2 = 101;
const NO_C3 = 1001;
const CENTURY = 0x32;
const SYSTEM_IO = 1;
const BYTE_ACCESS = 1;

/** Fixed description table, revision 3 (5.2.9), without SMI commands: the machine is always in ACPI mode. */
export function fadt(facsAddress: number, dsdtAddress: number): Uint8Array {
  const body = new TableBytes()
    .u32(facsAddress)
    .u32(dsdtAddress)
    .u8(0, DESKTOP)
    .u16(SCI_IRQ)
    .u32(0)
    .u8(0, 0, 0, 0)
    .u32(PM1_EVENT_PORT)
    .u32(0)
    .u32(PM1_CONTROL_PORT)
    .u32(0)
    .u32(0)
    .u32(PM_TIMER_PORT)
    .u32(0)
    .u32(0)
    .u8(4, 2, 0, 4, 0, 0, 0, 0)
    .u16(NO_C2)
    .u16(NO_C3)
    .u16(0)
    .u16(0)
    .u8(0, 0, 0, 0, CENTURY)
    .u16(BOOT_ARCHITECTURE)
    .u8(0)
    .u32(FIXED_FEATURES)
    .u8(SYSTEM_IO, 8, 0, BYTE_ACCESS)
    .u64(RESET_PORT)
    .u8(RESET_VALUE, 0, 0, 0)
    .u64(facsAddress)
    .u64(dsdtAddress)
    .bytes(ioBlock(PM1_EVENT_PORT, 4))
    .zeros(12)
    .bytes(ioBlock(PM1_CONTROL_PORT, 2))
    .zeros(24)
    .bytes(ioBlock(PM_TIMER_PORT, 4))
    .zeros(24);
  return described('FACP', 3, body);
}

/** Generic address structure (5.2.3.1) of `bytes` I/O ports; access size undefined, as legacy blocks have it. */
function ioBlock(port: number, bytes: number): Uint8Array {
  return new TableBytes()
    .u8(SYSTEM_IO, 8 * bytes, 0, 0)
    .u64(port)
    .toBytes();
}

/** MADT entry types (table 5-17) and flags. */
const PROCESSOR = 0;
const IO_APIC = 1;
const OVERRIDE = 2;
const LOCAL_NMI = 4;
const HAS_8259 = 1;
const ENABLED = 1;
const ALL_PROCESSORS = 0xff;
const ISA = 0;

/** Multiple APIC description table (5.2.11). Interrupts whose input or trigger is not ISA's get an override. */
export function madt(): Uint8Array {
  const body = new TableBytes()
    .u32(APIC_BASE)
    .u32(HAS_8259)
    .u8(PROCESSOR, 8, 0, PROCESSOR_APIC_ID)
    .u32(ENABLED)
    .u8(IO_APIC, 12, IO_APIC_ID, 0)
    .u32(IO_APIC_BASE)
    .u32(0);
  for (const { irq, input, flags } of ISA_INTERRUPTS) {
    if (input !== irq || flags !== 0) body.u8(OVERRIDE, 10, ISA, irq).u32(input).u16(flags);
  }
  body.u8(LOCAL_NMI, 6, ALL_PROCESSORS).u16(0).u8(1);
  return described('APIC', 1, body);
}

export function dsdt(): Uint8Array {
  return described('DSDT', 1, new TableBytes().bytes(devices()));
}

/** A table behind the common header (5.2.6). */
function described(signature: string, revision: number, body: TableBytes): Uint8Array {
  return new TableBytes()
    .text(signature, 4)
    .u32(HEADER_BYTES + body.length)
    .u8(revision, 0)
    .text(OEM, 6)
    .text('TRIVISOR', 8)
    .u32(1)
    .text('TRIV', 4)
    .u32(1)
    .bytes(body.toBytes())
    .finish(HEADER_CHECKSUM);
}
