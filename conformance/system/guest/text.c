/* Formatting: %s %d %u %x with width and zero padding, %c, %%. */
#include "system.h"

static char *put_number(char *at, char *end, u32 value, u32 base, u32 width, char pad)
{
	char digits[12];
	u32 count = 0;
	do {
		digits[count++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value != 0);
	while (width > count && at < end) {
		*at++ = pad;
		width--;
	}
	while (count > 0 && at < end)
		*at++ = digits[--count];
	return at;
}

/* Writes at most `size` bytes with the NUL that ends them. */
void format_into(char *buffer, u32 size, const char *format, va_list arguments)
{
	char *at = buffer;
	char *end = buffer + size - 1;
	for (; *format != 0 && at < end; format++) {
		if (*format != '%') {
			*at++ = *format;
			continue;
		}
		format++;
		char pad = ' ';
		u32 width = 0;
		if (*format == '0')
			pad = '0';
		while (*format >= '0' && *format <= '9')
			width = width * 10 + (u32)(*format++ - '0');
		switch (*format) {
		case 's':
			for (const char *text = va_arg(arguments, const char *); *text != 0 && at < end; text++)
				*at++ = *text;
			break;
		case 'c':
			*at++ = (char)va_arg(arguments, int);
			break;
		case 'd': {
			int value = va_arg(arguments, int);
			if (value < 0)
				*at++ = '-';
			at = put_number(at, end, value < 0 ? -(u32)value : (u32)value, 10, width, pad);
			break;
		}
		case 'u':
			at = put_number(at, end, va_arg(arguments, u32), 10, width, pad);
			break;
		case 'x':
			at = put_number(at, end, va_arg(arguments, u32), 16, width, pad);
			break;
		default:
			*at++ = *format;
		}
	}
	*at = 0;
}

/* A few texts live at the same time: the arguments of one `check`. */
const char *text(const char *format, ...)
{
	static char buffers[4][512];
	static u32 next;
	char *buffer = buffers[next++ % COUNT(buffers)];
	va_list arguments;
	va_start(arguments, format);
	format_into(buffer, sizeof(buffers[0]), format, arguments);
	va_end(arguments);
	return buffer;
}

void *memcpy(void *to, const void *from, u32 bytes)
{
	void *start = to;
	asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
	return start;
}

void *memset(void *at, int value, u32 bytes)
{
	void *start = at;
	asm volatile("rep stosb" : "+D"(at), "+c"(bytes) : "a"(value) : "memory");
	return start;
}
