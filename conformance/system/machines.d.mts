import type { Profile } from '../../src/cost/profile.ts';
import type { EngineDefinition } from '../../src/engines/engine.ts';

export const IMAGE: string;
export function runOnTrivisor(modules: { readonly definition: EngineDefinition; readonly profile: Profile }): string;
export function qemuVersion(): string | null;
export function runOnQemu(): string;
