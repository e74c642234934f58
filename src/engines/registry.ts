/** The engines, the unvirtualized one first. */
import type { EngineDefinition } from './engine.ts';
import { definition as native } from './native/native.ts';

export const ENGINES: readonly EngineDefinition[] = [native];
