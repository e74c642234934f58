/** The board's interrupts as its firmware tells of them, in whatever tables. */
import { SCI_IRQ } from '../power.ts';

/** The one processor's local APIC, and the I/O APIC's identifier. */
export const PROCESSOR_APIC_ID = 0;
export const IO_APIC_ID = 1;
export const LOCAL_APIC_VERSION = 0x14;
export const IO_APIC_VERSION = 0x11;

/** Active high and level-triggered, as MPS INTI flags have it (MultiProcessor Specification 1.4 table 4-10; ACPI too). */
export const ACTIVE_HIGH_LEVEL = 0x0d;
/** As the bus has it: on ISA edges, active high. */
export const AS_BUS = 0;

export interface IsaInterrupt {
  readonly irq: number;
  /** Input of the I/O APIC. */
  readonly input: number;
  /** MPS INTI flags. */
  readonly flags: number;
}

/** ISA interrupts 0-15 but the cascade. The timer's takes the cascade's input, whose own the 8259 pair's output has. */
export const ISA_INTERRUPTS: readonly IsaInterrupt[] = Array.from({ length: 16 }, (_, irq) => irq)
  .filter((irq) => irq !== 2)
  .map((irq) => ({ irq, input: irq === 0 ? 2 : irq, flags: irq === SCI_IRQ ? ACTIVE_HIGH_LEVEL : AS_BUS }));

/** Inputs 16-19 of the I/O APIC have the four PCI interrupt wires, which are active low and shared by slots in turn. */
const FIRST_PCI_INPUT = 16;
const PCI_SLOTS = 8;
const PCI_PINS = 4;

/** Input of the I/O APIC that INTA# (`pin` 0) to INTD# (3) of a slot is wired to. */
export function pciInput(slot: number, pin: number): number {
  return FIRST_PCI_INPUT + ((slot + pin) % PCI_PINS);
}

export interface PciInterrupt {
  readonly slot: number;
  readonly pin: number;
  readonly input: number;
}

/** Every interrupt pin of every slot of the board; slot 0 is the host bridge. */
export const PCI_INTERRUPTS: readonly PciInterrupt[] = Array.from(
  { length: (PCI_SLOTS - 1) * PCI_PINS },
  (_, index) => {
    const slot = 1 + Math.floor(index / PCI_PINS);
    const pin = index % PCI_PINS;
    return { slot, pin, input: pciInput(slot, pin) };
  },
);
