/** The page through which a guest calls: 128 stubs of 32 bytes, `mov $number, %eax; int $0x82; ret`. */
import type { MachineAddress } from '../../core/address.ts';
import type { MachineMemory } from '../../core/memory.ts';
import { HYPERCALL_VECTOR } from './layout.ts';

const STUBS = 128;
const STUB_BYTES = 32;
/** iret does not come back: its stub saves EAX on the stack, where the hypervisor looks for it, and has no `ret`. */
const IRET = 23;

export function fillHypercallPage(memory: MachineMemory, page: number): void {
  const bytes = new Uint8Array(STUBS * STUB_BYTES);
  for (let number = 0; number < STUBS; number++) {
    const call = [0xb8, number, 0, 0, 0, 0xcd, HYPERCALL_VECTOR];
    bytes.set(number === IRET ? [0x50, ...call] : [...call, 0xc3], number * STUB_BYTES);
  }
  memory.writeBytes(page as MachineAddress, bytes);
}
