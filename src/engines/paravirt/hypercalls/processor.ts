/** What a guest sets of its virtual processor: kernel stack, task-switched flag, debug registers, assists. */
import { guestSelector } from '../descriptor.ts';
import { EINVAL, ENOSYS } from '../errno.ts';
import type { Hypervisor } from '../hypervisor.ts';
import { ASSISTS, DEBUG_REGISTERS, KERNEL_SP, KERNEL_SS } from '../vcpu.ts';

const ASSIST_ENABLE = 0;
const ASSIST_DISABLE = 1;
/** VMASST_TYPE_* up to pae_extended_cr3. */
const ASSIST_TYPES = 4;
/** Types 0 and 1 are 4gb_segments and its notification. */
const ASSIST_4GB_SEGMENTS_NOTIFY = 1;

/**
 * stack_switch: SS and ESP that traps from ring 3 switch to. A selector of privilege 0 is raised to 1, as Xen 3 and 4 do
 * (fixup_guest_stack_selector; Xen 1 and 2 returned -EPERM). No other selector is looked at before it is used: one that cannot be
 * loaded then ends the domain.
 */
export function stackSwitch(xen: Hypervisor, args: Int32Array): number {
  const ss = guestSelector(args[0] as number);
  xen.vcpu[KERNEL_SS] = ss;
  xen.vcpu[KERNEL_SP] = args[1] as number;
  xen.area.setKernelStack(ss, args[1] as number);
  return 0;
}

/** fpu_taskswitch: sets or clears CR0.TS. */
export function fpuTaskSwitch(xen: Hypervisor, args: Int32Array): number {
  xen.setTaskSwitched(args[0] !== 0);
  return 0;
}

export function setDebugReg(xen: Hypervisor, args: Int32Array): number {
  return xen.setDebugRegister(args[0] as number, args[1] as number);
}

export function getDebugReg(xen: Hypervisor, args: Int32Array): number {
  const index = (args[0] as number) >>> 0;
  return index > 7 ? EINVAL : (xen.vcpu[DEBUG_REGISTERS + index] as number);
}

/**
 * vm_assist. The writable page tables are built; level-3 tables above 4 GB (type 3) are never needed. The 4gb_segments pair
 * is not built, and enabling it says so.
 */
export function vmAssist(xen: Hypervisor, args: Int32Array): number {
  const [command, type] = args as unknown as readonly [number, number];
  if (type >>> 0 >= ASSIST_TYPES) return EINVAL;
  if (command === ASSIST_ENABLE) {
    if (type <= ASSIST_4GB_SEGMENTS_NOTIFY) return ENOSYS;
    xen.vcpu[ASSISTS] |= 1 << type;
  } else if (command === ASSIST_DISABLE) xen.vcpu[ASSISTS] &= ~(1 << type);
  else return EINVAL;
  return 0;
}
