/* Private to arch/native. */
#pragma once
#include "types.h"

#define FEATURE_MSR (1u << 5)
#define FEATURE_SEP (1u << 11)
#define FEATURE_PGE (1u << 13)
#define CR4_PGE 0x80u

#define DEBUG_EXIT 0xf4u

void console_init(void);
void descriptors_init(u32 features);
void interrupts_init(void);
