/* User programs: loaded from the blobs in the image, run in ring 3 in an address space of their own. */
#include "kernel.h"

#define USER_PAGE (PTE_PRESENT | PTE_USER | PTE_ACCESSED)
#define USER_PAGE_WRITABLE (USER_PAGE | PTE_WRITE | PTE_DIRTY)
#define EFLAGS_USER 0x202u /* interrupts on */

static u32 stack_frame; /* top frame of the stack of the program loaded last */

void program_load(struct program *program, const u8 *image)
{
	const struct user_header *header = (const void *)image;
	if (header->magic != USER_MAGIC) panic("a user program has no header");
	program->entry = header->entry;
	space_create(&program->space);
	for (u32 address = USER_BASE; address < header->end; address += PAGE_SIZE) {
		u32 frame = space_map_new(&program->space, address, USER_PAGE_WRITABLE);
		if (address >= header->file_end) continue;
		u32 left = header->file_end - address;
		memcpy(frame_address(frame), image + (address - USER_BASE), left < PAGE_SIZE ? left : PAGE_SIZE);
	}
	for (u32 i = 1; i <= USER_STACK_PAGES; i++) {
		u32 frame = space_map_new(&program->space, USER_STACK_TOP - i * PAGE_SIZE, USER_PAGE_WRITABLE);
		if (i == 1) stack_frame = frame;
	}
}

u32 program_run(struct program *program, u32 operations, u32 argument)
{
	u32 *top = (u32 *)((u8 *)frame_address(stack_frame) + PAGE_SIZE) - 4;
	top[0] = operations;
	top[1] = argument;
	struct trap_frame frame = {
		.ds = USER_DATA, .es = USER_DATA, .eip = program->entry, .cs = USER_CODE,
		.eflags = EFLAGS_USER, .esp = USER_STACK_TOP - 16, .ss = USER_DATA,
	};
	arch_space_load(program->space.root);
	u32 result = enter_user(&frame);
	arch_space_load_kernel();
	return result;
}

u32 program_once(const u8 *image, u32 operations, u32 argument)
{
	struct program program;
	program_load(&program, image);
	space_seal(&program.space);
	u32 result = program_run(&program, operations, argument);
	space_destroy(&program.space);
	return result;
}
