/* Private to arch/xen. */
#pragma once
#include "types.h"
#include "xen-abi.h"

extern char hypercall_page[];

void pages_init(const struct xen_start_info *start_info);
void traps_init(void);
