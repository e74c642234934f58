/* Page frames: a list threaded through the free frames, then memory never used yet. */
#include "kernel.h"

static u32 free_list; /* frame number; 0 is never handed out */
static u32 next_frame, end_frame;

void frames_init(u32 first, u32 end)
{
	next_frame = first;
	end_frame = end;
}

u32 frame_allocate(void)
{
	u32 frame = free_list;
	if (frame) {
		free_list = *(u32 *)frame_address(frame);
	} else {
		if (next_frame == end_frame) panic("out of memory");
		frame = next_frame++;
	}
	memset(frame_address(frame), 0, PAGE_SIZE);
	return frame;
}

void frame_free(u32 frame)
{
	*(u32 *)frame_address(frame) = free_list;
	free_list = frame;
}
