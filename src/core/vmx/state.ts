/** The processor's VMX state: slots of the state area (core/state.ts) from 128 on. */

/** Machine address of the current VMCS, -1 if there is none. */
export const VMCS_POINTER = 128;
/** Machine address of the VMXON region. */
export const VMXON_POINTER = 129;
/** IA32_FEATURE_CONTROL. */
export const FEATURE_CONTROL = 130;
/** 1: a VMM outside the guest handles exits; run() returns STOP_VM_EXIT. */
export const VMM_ATTACHED = 131;
/** Which checks of the next entry cannot be taken from the last: DIRTY_*. */
export const DIRTY = 132;
export const DIRTY_CONTROLS = 1;
export const DIRTY_HOST = 2;
export const DIRTY_GUEST = 4;
export const DIRTY_ALL = 7;

/** The exit recorded before VM_EXIT was thrown. */
export const EXIT_REASON = 136;
export const EXIT_QUALIFICATION = 137;
export const EXIT_INTERRUPTION = 138;
export const EXIT_INTERRUPTION_ERROR = 139;
export const EXIT_LINEAR = 142;
export const EXIT_PHYSICAL_LOW = 143;
export const EXIT_PHYSICAL_HIGH = 144;

/** Copies, taken at VM entry, of the controls that intercepts look at. */
export const PIN_CONTROLS = 150;
export const PROC_CONTROLS = 151;
export const PROC2_CONTROLS = 152;
export const EXCEPTION_BITMAP = 153;
export const CR0_MASK = 154;
export const CR4_MASK = 155;
export const CR0_SHADOW = 156;
export const CR4_SHADOW = 157;
/** Machine address of the EPT PML4, -1 without EPT. */
export const EPT_ROOT = 158;
/** What the fast tables were last projected under in non-root operation: tag, EPT root, CR0, CR4, EFER. */
export const LAST_CONTEXT = 164;
