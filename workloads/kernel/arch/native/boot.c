/* From the start-up code to kernel_main: memory, descriptors, gates, interrupt controllers. */
#include "kernel.h"
#include "native.h"

struct multiboot_information {
	u32 flags, lower_kilobytes, upper_kilobytes, boot_device, command_line;
};
#define HAS_MEMORY 1u
#define HAS_COMMAND_LINE 4u
#define FIRST_MEGABYTE (1u << 20)
#define MAPPED_AT_BOOT (64u << 20)

extern char kernel_end[];
extern pte_t kernel_directory[], kernel_root[];

static char command_line[256];

const char *arch_command_line(void) { return command_line; }

/* A loader may put it where frames will be handed out, so it is copied first of all. Its first word is the image's name. */
static void copy_command_line(const struct multiboot_information *information)
{
	if (!(information->flags & HAS_COMMAND_LINE) || information->command_line >= MAPPED_AT_BOOT) return;
	const char *from = (const char *)(information->command_line + KERNEL_BASE);
	for (u32 i = 0; i + 1 < sizeof(command_line) && from[i]; i++) command_line[i] = from[i];
}

static u32 frame_limit(const struct multiboot_information *information)
{
	if (!(information->flags & HAS_MEMORY)) panic("the loader does not say how much memory there is");
	u32 bytes = FIRST_MEGABYTE + (information->upper_kilobytes << 10);
	return (bytes < MEMORY_LIMIT ? bytes : MEMORY_LIMIT) >> PAGE_SHIFT;
}

static u32 features(void)
{
	u32 a = 1, b, c, d;
	asm volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
	return d;
}

/* Drops the low map; the high one becomes global, so that a change of address space keeps it. */
static void finish_paging(void)
{
	kernel_root[0] = 0;
	arch_space_load_kernel();
	if (!(features() & FEATURE_PGE)) return;
	for (u32 i = 0; i < 512; i++)
		if (kernel_directory[i] & PTE_PRESENT) kernel_directory[i] |= PTE_GLOBAL;
	u32 control;
	asm volatile("movl %%cr4, %0" : "=r"(control));
	asm volatile("movl %0, %%cr4" : : "r"(control | CR4_PGE) : "memory");
}

void arch_space_load_kernel(void) { arch_space_load(frame_of(kernel_root)); }

void arch_space_init(pte_t *root) { root[3] = kernel_root[3]; }

void arch_boot(u32 information_address)
{
	const struct multiboot_information *information = (const void *)(information_address + KERNEL_BASE);
	copy_command_line(information);
	console_init();
	frames_init(frame_of(kernel_end), frame_limit(information));
	finish_paging();
	descriptors_init(features());
	interrupts_init();
	kernel_main();
}

void arch_exit(u32 status)
{
	arch_irq_disable();
	asm volatile("outl %0, %w1" : : "a"(status), "d"(DEBUG_EXIT));
	for (;;) asm volatile("hlt");
}
