/**
 * A call that does not finish in one entry returns CONTINUE, having changed its arguments to what is left. The guest then
 * executes its `int $0x82` again (Xen's hypercall continuation). A list ends that way when an interrupt or an event has come due,
 * at the earliest after one operation; without batching after every one, so that each pays for an entry of its own.
 */
export const CONTINUE = 0x7fffffff;

/** Set in an mmu_update or mmuext_op count when operations before it are in the done counter already. */
export const PREEMPTED = 0x80000000 | 0;
