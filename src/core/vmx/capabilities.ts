/**
 * What the processor's VMX can do, by profile: the capability MSRs (SDM 3D appendix A). Not built, and so reported as
 * absent: virtual NMIs, preemption timer, posted interrupts, TPR shadow and APIC virtualization, MONITOR, MWAIT and PAUSE
 * exiting, monitor trap flag, EPT accessed/dirty flags, PML, VMFUNC, VMCS shadowing, PAT and PERF_GLOBAL_CTRL switching.
 */
import type { Profile } from '../../cost/profile.ts';
import {
  ENTRY_LOAD_DEBUG,
  ENTRY_LOAD_EFER,
  EXIT_ACKNOWLEDGE,
  EXIT_LOAD_EFER,
  EXIT_SAVE_DEBUG,
  EXIT_SAVE_EFER,
  PIN_EXTERNAL_INTERRUPT,
  PIN_NMI,
  PROC_CR3_LOAD,
  PROC_CR3_STORE,
  PROC_DEBUG,
  PROC_HLT,
  PROC_INTERRUPT_WINDOW,
  PROC_INVLPG,
  PROC_IO,
  PROC_IO_BITMAPS,
  PROC_MSR_BITMAPS,
  PROC_RDPMC,
  PROC_RDTSC,
  PROC_SECONDARY,
  PROC_TSC_OFFSET,
  PROC2_DESCRIPTOR_TABLE,
  PROC2_EPT,
  PROC2_UNRESTRICTED,
  PROC2_VPID,
  PROC2_WBINVD,
} from './controls.ts';

export const IA32_FEATURE_CONTROL = 0x3a;
export const IA32_VMX_BASIC = 0x480;
export const IA32_VMX_EPT_VPID_CAP = 0x48c;
/** IA32_FEATURE_CONTROL as firmware leaves it: locked, VMXON allowed outside SMX. */
export const FEATURE_CONTROL_LOCKED = 5;
/** VMCS revision identifier. */
export const REVISION = 0x54560001;

/** Bits that must be 1: the default-1 class as it must be, and as the TRUE MSRs relax it (SDM 3D A.2). */
const PIN_DEFAULT1 = 0x16;
const PROC_DEFAULT1 = 0x0401e172;
const PROC_TRUE_DEFAULT1 = 0x04006172;
const EXIT_DEFAULT1 = 0x36dff;
const EXIT_TRUE_DEFAULT1 = 0x36dfb;
const ENTRY_DEFAULT1 = 0x11ff;
const ENTRY_TRUE_DEFAULT1 = 0x11fb;

const PROC_BUILT =
  PROC_INTERRUPT_WINDOW |
  PROC_TSC_OFFSET |
  PROC_HLT |
  PROC_INVLPG |
  PROC_RDPMC |
  PROC_RDTSC |
  PROC_CR3_LOAD |
  PROC_CR3_STORE |
  PROC_DEBUG |
  PROC_IO |
  PROC_IO_BITMAPS |
  PROC_MSR_BITMAPS;

/** PG, NE, PE (SDM 3D A.7); unrestricted guests may clear PG and PE. */
export const CR0_FIXED0 = 0x80000021 | 0;
export const CR0_FIXED1 = -1;
/** VMXE (SDM 3D A.8). */
export const CR4_FIXED0 = 0x2000;
/** VME PVI TSD DE PSE PAE MCE PGE PCE OSFXSR OSXMMEXCPT VMXE: what CPUID reports. */
export const CR4_FIXED1 = 0x27ff;

/** EPTP and EPT entries: WB and UC, four levels, 2 MB and 1 GB pages; INVEPT single and all; INVVPID all four. */
const EPT_CAP_LOW = (1 << 6) | (1 << 8) | (1 << 14) | (1 << 16) | (1 << 17) | (1 << 20) | (1 << 25) | (1 << 26);
const VPID_CAP_HIGH = 1 | (0xf << 8);

export interface Allowed {
  /** Bits that must be 1. */
  readonly must: number;
  /** Bits that may be 1. */
  readonly may: number;
}

export class Capabilities {
  /** TRUE capability MSRs exist (with EPT's generation): some default-1 bits may be cleared. */
  readonly hasTrue: boolean;
  readonly pin: Allowed;
  readonly proc: Allowed;
  readonly proc2: Allowed;
  readonly exit: Allowed;
  readonly entry: Allowed;
  readonly ept: boolean;
  readonly vpid: boolean;
  readonly unrestricted: boolean;

  constructor(profile: Profile) {
    const { ept, vpid, unrestrictedGuest } = profile.features;
    this.ept = ept;
    this.vpid = vpid;
    this.unrestricted = unrestrictedGuest;
    this.hasTrue = ept;
    const secondary = ept || vpid;
    const proc = this.hasTrue ? PROC_TRUE_DEFAULT1 : PROC_DEFAULT1;
    const exit = this.hasTrue ? EXIT_TRUE_DEFAULT1 : EXIT_DEFAULT1;
    const entry = this.hasTrue ? ENTRY_TRUE_DEFAULT1 : ENTRY_DEFAULT1;
    this.pin = { must: PIN_DEFAULT1, may: PIN_DEFAULT1 | PIN_EXTERNAL_INTERRUPT | PIN_NMI };
    this.proc = { must: proc, may: PROC_DEFAULT1 | PROC_BUILT | (secondary ? PROC_SECONDARY : 0) };
    this.proc2 = {
      must: 0,
      may: secondary
        ? (ept ? PROC2_EPT : 0) |
          (vpid ? PROC2_VPID : 0) |
          (unrestrictedGuest ? PROC2_UNRESTRICTED : 0) |
          PROC2_DESCRIPTOR_TABLE |
          PROC2_WBINVD
        : 0,
    };
    this.exit = {
      must: exit,
      may: EXIT_DEFAULT1 | EXIT_SAVE_DEBUG | EXIT_ACKNOWLEDGE | (ept ? EXIT_SAVE_EFER | EXIT_LOAD_EFER : 0),
    };
    this.entry = { must: entry, may: ENTRY_DEFAULT1 | ENTRY_LOAD_DEBUG | (ept ? ENTRY_LOAD_EFER : 0) };
  }

  /** Low and high half of capability MSR `index`; undefined if this processor has no such MSR. */
  msr(index: number): readonly [low: number, high: number] | undefined {
    switch (index) {
      case IA32_VMX_BASIC:
        // 4096-byte region, write-back, INS/OUTS information not given.
        return [REVISION, 0x1000 | (6 << 18) | (this.hasTrue ? 1 << 23 : 0)];
      case 0x481:
        return [this.pin.must, this.pin.may];
      case 0x482:
        return [this.hasTrue ? PROC_DEFAULT1 : this.proc.must, this.proc.may];
      case 0x483:
        return [EXIT_DEFAULT1, this.exit.may];
      case 0x484:
        return [ENTRY_DEFAULT1, this.entry.may];
      case 0x485:
        // HLT activity state; four CR3 targets.
        return [(1 << 6) | (4 << 16), 0];
      case 0x486:
        return [CR0_FIXED0, 0];
      case 0x487:
        return [CR0_FIXED1, 0];
      case 0x488:
        return [CR4_FIXED0, 0];
      case 0x489:
        return [CR4_FIXED1, 0];
      case 0x48a:
        return [0x2a, 0];
      case 0x48b:
        return this.proc2.may === 0 ? undefined : [this.proc2.must, this.proc2.may];
      case IA32_VMX_EPT_VPID_CAP:
        return this.ept || this.vpid ? [this.ept ? EPT_CAP_LOW : 0, this.vpid ? VPID_CAP_HIGH : 0] : undefined;
      case 0x48d:
        return this.hasTrue ? [this.pin.must, this.pin.may] : undefined;
      case 0x48e:
        return this.hasTrue ? [this.proc.must, this.proc.may] : undefined;
      case 0x48f:
        return this.hasTrue ? [this.exit.must, this.exit.may] : undefined;
      case 0x490:
        return this.hasTrue ? [this.entry.must, this.entry.may] : undefined;
      default:
        return undefined;
    }
  }
}
