/* Formatted printing. A line goes to the arch's console in one piece, so that it is one hypercall under paravirt. */
#include "kernel.h"

static char line[256];
static u32 used;

static void put(char c)
{
	line[used++] = c;
	if (c != '\n' && used < sizeof(line)) return;
	arch_console_write(line, used);
	used = 0;
}

static void put_number(u32 value, u32 base, u32 width)
{
	char digits[12];
	u32 count = 0;
	do {
		digits[count++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value || count < width);
	while (count) put(digits[--count]);
}

static void print_arguments(const char *format, __builtin_va_list arguments)
{
	for (; *format; format++) {
		if (*format != '%') {
			put(*format);
			continue;
		}
		u32 width = 0;
		for (format++; *format >= '0' && *format <= '9'; format++) width = width * 10 + (u32)(*format - '0');
		if (*format == 's') {
			for (const char *text = __builtin_va_arg(arguments, const char *); *text; text++) put(*text);
		} else {
			put_number(__builtin_va_arg(arguments, u32), *format == 'x' ? 16 : 10, width);
		}
	}
}

void print(const char *format, ...)
{
	__builtin_va_list arguments;
	__builtin_va_start(arguments, format);
	print_arguments(format, arguments);
	__builtin_va_end(arguments);
}

void panic(const char *format, ...)
{
	__builtin_va_list arguments;
	arch_irq_disable();
	print("panic: ");
	__builtin_va_start(arguments, format);
	print_arguments(format, arguments);
	__builtin_va_end(arguments);
	print("\n");
	arch_exit(1);
}
