/**
 * Everything that is charged besides ordinary instructions. One row an event: what it is, and which part of
 * the ledger it belongs to. A profile prices every `hardware` row; a `step` row is VMM software and is
 * priced at the profile's one step rate times `steps`.
 */
export type EventCategory =
  | 'memory'
  | 'exceptions'
  | 'devices'
  | 'idle'
  | 'vmx transitions'
  | 'vmx fields'
  | 'vmm software'
  | 'translation'
  | 'shadow paging'
  | 'direct paging'
  | 'hypercalls'
  | 'emulation';

export interface EventRow {
  readonly name: string;
  readonly kind: 'hardware' | 'step';
  readonly category: EventCategory;
  /** Software steps that one event stands for (kind 'step'). */
  readonly steps: number;
  readonly what: string;
}

function hardware(name: string, category: EventCategory, what: string): EventRow {
  return { name, kind: 'hardware', category, steps: 0, what };
}
function step(name: string, category: EventCategory, what: string, steps = 1): EventRow {
  return { name, kind: 'step', category, steps, what };
}

export const EVENT_ROWS: readonly EventRow[] = [
  // The processor.
  hardware('pageWalkAccess', 'memory', 'one memory access of a page walk (guest, shadow or EPT level)'),
  hardware('tlbFlush', 'memory', 'non-global TLB flush by a CR3 load'),
  hardware('tlbFlushGlobal', 'memory', 'TLB flush including global entries (CR0, CR4)'),
  hardware('tlbInvalidatePage', 'memory', 'INVLPG beyond the instruction itself'),
  hardware('exceptionEntry', 'exceptions', 'exception delivered through the IDT or to the host, same or inner ring'),
  hardware('softwareInterruptEntry', 'exceptions', 'INT n, INT3, INTO delivered'),
  hardware('interruptEntry', 'exceptions', 'external interrupt delivered, acknowledge included'),
  hardware('hostResume', 'exceptions', 'IRET from a ring-0 VMM back into its guest'),
  hardware('portRead', 'devices', 'IN reaching a physical port'),
  hardware('portWrite', 'devices', 'OUT reaching a physical port'),
  hardware('mmioAccess', 'devices', 'load or store reaching a physical device register'),
  hardware('idle', 'idle', 'one cycle of halted waiting'),
  // VMX.
  hardware('vmEntry', 'vmx transitions', 'VM entry'),
  hardware('vmExit', 'vmx transitions', 'VM exit'),
  hardware('hostUserTransition', 'vmx transitions', 'root mode ring 0 to ring 3 and back (user-space device model)'),
  hardware('vmread', 'vmx fields', 'VMREAD'),
  hardware('vmwrite', 'vmx fields', 'VMWRITE'),
  // VMM software, any engine.
  step('vmmDispatch', 'vmm software', 'save or restore guest registers and dispatch on the cause', 4),
  step('vmmTouch', 'vmm software', 'touch one guest or VMM data structure'),
  step('vmmHash', 'vmm software', 'one hash look-up'),
  step('vmmClearPage', 'vmm software', 'clear one page', 16),
  step('vmmDeviceModel', 'devices', 'one access to a device model', 4),
  step('emulateDecode', 'emulation', 'decode one instruction for emulation', 8),
  step('emulateExecute', 'emulation', 'carry out one decoded instruction', 4),
  step('deliverEvent', 'vmm software', 'build one guest exception or interrupt frame', 8),
  // Shadow paging.
  step('shadowWalkGuest', 'shadow paging', 'read one level of the guest page tables'),
  step('shadowWriteEntry', 'shadow paging', 'write one shadow entry'),
  step('shadowReadEntry', 'shadow paging', 'read one shadow entry'),
  // Ring compression.
  hardware('translateInstruction', 'translation', 'translate one guest instruction'),
  step('cacheChain', 'translation', 'patch one jump in the translation cache', 2),
  step('cacheFlush', 'translation', 'flush the translation cache', 64),
  // Paravirtualization.
  step('hypercallDispatch', 'hypercalls', 'hypercall entry: save registers, bound and index the table', 2),
  step('directValidateEntry', 'direct paging', 'validate one page-table entry and adjust its frame counts', 2),
  step('directWriteEntry', 'direct paging', 'write one page-table entry'),
];

export const EVENT_COUNT = EVENT_ROWS.length;

/** Number of the event called `name`; throws on a name that is not in the table. Call at module load, not per event. */
export function eventNumber(name: string): number {
  const index = EVENT_ROWS.findIndex((row) => row.name === name);
  if (index < 0) throw new Error(`No cost event is called '${name}'; add it to EVENT_ROWS.`);
  return index;
}
