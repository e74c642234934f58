/** The CPU generations, oldest first. */
import type { Profile } from '../profile.ts';
import { CORE2 } from './core2.ts';
import { NEHALEM } from './nehalem.ts';
import { PENTIUM4_672 } from './pentium4-672.ts';
import { SANDY_BRIDGE } from './sandy-bridge.ts';

export const PROFILES: readonly Profile[] = [PENTIUM4_672, CORE2, NEHALEM, SANDY_BRIDGE];
/** What a command measures on unless told otherwise. */
export const DEFAULT_PROFILE: Profile = SANDY_BRIDGE;
