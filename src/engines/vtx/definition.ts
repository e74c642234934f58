/** The vtx engine as the suite knows it. */
import type { EngineDefinition } from '../engine.ts';
import { VtxEngine } from './engine.ts';

export const definition: EngineDefinition = {
  name: 'vtx',
  what: 'Hardware assistance: the guest runs in VMX non-root operation, with EPT and VPID where the processor has them.',
  kernel: 'native',
  variations: {
    noept: 'Shadow paging instead of EPT: page faults, CR3 loads and INVLPG exit.',
    novpid: 'No address-space tags: every entry and exit flushes the TLB.',
    'userspace-io':
      "Device exits are handled in the host's user mode, as QEMU does for KVM: each pays one way there and back.",
  },
  create: (options) => new VtxEngine(options),
};
