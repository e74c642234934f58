/**
 * The hypercalls, by number (public/xen.h). A number that is not here returns -ENOSYS, as do the operations that a
 * call's own file does not know.
 */
import type { Hypervisor } from '../hypervisor.ts';
import { callbackOp, nmiOp, setCallbacks } from './callbacks.ts';
import { consoleIo } from './console.ts';
import { setGdt, updateDescriptor } from './descriptors.ts';
import { eventChannelCompat, eventChannelOp } from './events.ts';
import { extendedOp } from './extended.ts';
import { iret } from './iret.ts';
import { memoryOp } from './memory.ts';
import { multicallOver } from './multicall.ts';
import { mmuUpdate, updateVaMapping } from './page-tables.ts';
import { physdevOp } from './physdev.ts';
import { fpuTaskSwitch, getDebugReg, setDebugReg, stackSwitch, vmAssist } from './processor.ts';
import { schedOp, schedOpCompat } from './scheduling.ts';
import { setTimerOp, vcpuOp } from './timers.ts';
import { setTrapTable } from './traps.ts';
import { xenVersion } from './version.ts';

/**
 * Carries out one call. `args` are EBX ECX EDX ESI EDI EBP, to be changed only with CONTINUE; the result goes to EAX.
 * `nested` is true inside a multicall.
 */
export type Hypercall = (xen: Hypervisor, args: Int32Array, nested: boolean) => number;

export interface HypercallRow {
  readonly number: number;
  readonly name: string;
  readonly call: Hypercall;
}

export const HYPERCALLS: readonly HypercallRow[] = [
  { number: 0, name: 'set_trap_table', call: setTrapTable },
  { number: 1, name: 'mmu_update', call: mmuUpdate },
  { number: 2, name: 'set_gdt', call: setGdt },
  { number: 3, name: 'stack_switch', call: stackSwitch },
  { number: 4, name: 'set_callbacks', call: setCallbacks },
  { number: 5, name: 'fpu_taskswitch', call: fpuTaskSwitch },
  { number: 6, name: 'sched_op_compat', call: schedOpCompat },
  { number: 8, name: 'set_debugreg', call: setDebugReg },
  { number: 9, name: 'get_debugreg', call: getDebugReg },
  { number: 10, name: 'update_descriptor', call: updateDescriptor },
  { number: 12, name: 'memory_op', call: memoryOp },
  { number: 13, name: 'multicall', call: multicallOver(hypercall) },
  { number: 14, name: 'update_va_mapping', call: updateVaMapping },
  { number: 15, name: 'set_timer_op', call: setTimerOp },
  { number: 16, name: 'event_channel_op_compat', call: eventChannelCompat },
  { number: 17, name: 'xen_version', call: xenVersion },
  { number: 18, name: 'console_io', call: consoleIo },
  { number: 21, name: 'vm_assist', call: vmAssist },
  { number: 23, name: 'iret', call: iret },
  { number: 24, name: 'vcpu_op', call: vcpuOp },
  { number: 26, name: 'mmuext_op', call: extendedOp },
  { number: 28, name: 'nmi_op', call: nmiOp },
  { number: 29, name: 'sched_op', call: schedOp },
  { number: 30, name: 'callback_op', call: callbackOp },
  { number: 32, name: 'event_channel_op', call: eventChannelOp },
  { number: 33, name: 'physdev_op', call: physdevOp },
];

export const HYPERCALL_NAMES: readonly (string | undefined)[] = Array.from(
  { length: 64 },
  (_, number) => HYPERCALLS.find((row) => row.number === number)?.name,
);

const CALLS: readonly (Hypercall | undefined)[] = Array.from(
  { length: 64 },
  (_, number) => HYPERCALLS.find((row) => row.number === number)?.call,
);

export function hypercall(number: number): Hypercall | undefined {
  return CALLS[number];
}
