/**
 * A call that does not finish in one entry returns CONTINUE, having changed its arguments to what is left. The guest then
 * executes its `int $0x82` again (Xen's hypercall continuation). Without batching every operation of a list ends that
 * way, so that each pays for an entry of its own.
 */
export const CONTINUE = 0x7fffffff;

/** Set in an mmu_update or mmuext_op count when operations before it are in the done counter already. */
export const PREEMPTED = 0x80000000 | 0;
