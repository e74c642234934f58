/** Handlers of instructions that the VMM carries out, by meaning. `m.pc` is the instruction's address until it transfers. */
import type { Decoded } from '../../../isa/instruction.ts';
import type { Monitor } from '../monitor.ts';

/**
 * On entry `m.pc` is the instruction's own address; a handler that transfers sets it to the target, and one that only
 * completes leaves it. `next` is the address after the instruction. Throws FAULT, having changed nothing, for the guest's exceptions.
 */
export type Handler = (m: Monitor, d: Decoded, next: number) => void;
export type Handlers = Readonly<Record<string, Handler>>;
