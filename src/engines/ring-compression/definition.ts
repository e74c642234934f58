/** The engine's entry in the registry. */
import type { EngineDefinition } from '../engine.ts';
import { RingCompressionEngine } from './engine.ts';

export const definition: EngineDefinition = {
  name: 'ring-compression',
  what: 'Full virtualization in software: guest kernel translated and run in ring 1, user code run directly, shadow page tables.',
  kernel: 'native',
  variations: {
    noadapt: 'stores that keep hitting write traces are not retranslated into callouts',
    nochain: 'exits of translation units always go through the VMM instead of being patched into jumps',
  },
  create: (options) => new RingCompressionEngine(options),
};
