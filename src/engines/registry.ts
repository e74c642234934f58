/** The engines, the unvirtualized one first. */
import type { EngineDefinition } from './engine.ts';
import { definition as native } from './native/native.ts';
import { definition as paravirt } from './paravirt/definition.ts';
import { definition as ringCompression } from './ring-compression/definition.ts';
import { definition as vtx } from './vtx/definition.ts';

export const ENGINES: readonly EngineDefinition[] = [native, ringCompression, paravirt, vtx];
