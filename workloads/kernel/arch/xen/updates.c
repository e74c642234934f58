/* Changes of live page-table entries: gathered in a batch, or one by one in each of the ways the ABI has. */
#include "kernel.h"
#include "xen.h"

#define BATCH 512

enum way { UPDATE_VA_MAPPING, MMU_UPDATE, MULTICALL, WRITABLE };

static struct xen_mmu_update updates[BATCH];
static struct xen_multicall_entry calls[BATCH];
static u32 queued;
static bool batching;

static void flush_updates(void)
{
	if (!queued) return;
	s32 error = HYPERCALL4(mmu_update, updates, queued, 0, DOMID_SELF);
	if (error) panic("mmu_update of %u: %u", queued, (u32)-error);
	queued = 0;
}

static void queue_update(pte_t *entry, pte_t value)
{
	updates[queued++] = (struct xen_mmu_update){machine_address(entry), value};
	if (queued == BATCH) flush_updates();
}

void arch_set_entry(u32 address, pte_t *entry, pte_t value)
{
	(void)address;
	queue_update(entry, value);
	if (!batching) flush_updates();
}

void arch_batch_begin(void) { batching = true; }

void arch_batch_flush(void)
{
	flush_updates();
	batching = false;
}

static void flush_calls(void)
{
	if (!queued) return;
	s32 error = HYPERCALL2(multicall, calls, queued);
	for (u32 i = 0; i < queued; i++) error |= calls[i].result;
	if (error) panic("multicall of %u failed", queued);
	queued = 0;
}

static void queue_call(u32 address, pte_t value)
{
	struct xen_multicall_entry *call = &calls[queued++];
	call->operation = HYPERCALL_update_va_mapping;
	call->arguments[0] = address;
	call->arguments[1] = (u32)value;
	call->arguments[2] = (u32)(value >> 32);
	call->arguments[3] = UVMF_NONE;
	if (queued == BATCH) flush_calls();
}

/* The plain stores fault, because the table is read-only; the hypervisor's assist emulates them. */
static void store(pte_t *entry, pte_t value, bool both)
{
	volatile u32 *half = (volatile u32 *)entry;
	if (both) half[1] = (u32)(value >> 32);
	half[0] = (u32)value;
}

void arch_modify_entry(u32 way, u32 address, pte_t *entry, pte_t value, bool both)
{
	switch (way) {
	case UPDATE_VA_MAPPING:
		if (HYPERCALL4(update_va_mapping, address, value, value >> 32, UVMF_NONE))
			panic("update_va_mapping of %08x failed", address);
		return;
	case MMU_UPDATE:
		queue_update(entry, value);
		return;
	case MULTICALL:
		queue_call(address, value);
		return;
	default:
		store(entry, value, both);
	}
}

void arch_modify_flush(u32 way)
{
	if (way == MMU_UPDATE) flush_updates();
	else if (way == MULTICALL) flush_calls();
}
