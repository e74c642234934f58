/* COM1, a 16550, polled. */
#include "kernel.h"
#include "native.h"

#define COM1 0x3f8u
enum { DATA = 0, INTERRUPT_ENABLE = 1, FIFO_CONTROL = 2, LINE_CONTROL = 3, MODEM_CONTROL = 4, LINE_STATUS = 5 };
#define DIVISOR_LATCH 0x80u
#define EIGHT_BITS 3u
#define TRANSMITTER_EMPTY 0x20u

void console_init(void)
{
	arch_out8(COM1 + INTERRUPT_ENABLE, 0);
	arch_out8(COM1 + LINE_CONTROL, DIVISOR_LATCH);
	arch_out8(COM1 + DATA, 1); /* 115200 baud */
	arch_out8(COM1 + INTERRUPT_ENABLE, 0);
	arch_out8(COM1 + LINE_CONTROL, EIGHT_BITS);
	arch_out8(COM1 + FIFO_CONTROL, 0);
	arch_out8(COM1 + MODEM_CONTROL, 3);
}

void arch_console_write(const char *text, u32 size)
{
	for (u32 i = 0; i < size; i++) {
		while (!(arch_in8(COM1 + LINE_STATUS) & TRANSMITTER_EMPTY)) {}
		arch_out8(COM1 + DATA, (u8)text[i]);
	}
}
