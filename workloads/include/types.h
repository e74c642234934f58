/* Fixed-width integers. The guest is freestanding and integer only, so this is all it has of a C library's headers. */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef _Bool bool;

#define true 1
#define false 0
#define NULL ((void *)0)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NOINLINE __attribute__((noinline, noclone))
#define NORETURN __attribute__((noreturn))
#define COMPILER_BARRIER() asm volatile("" ::: "memory")
