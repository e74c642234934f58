/* The groups, in the order of linking, and the line that each case prints on COM1. */
#include "system.h"

#define COM1 0x3f8
#define LINE_STATUS 5
#define TRANSMITTER_EMPTY 0x20
#define DEBUG_EXIT 0xf4

extern const struct group groups_start[], groups_end[];
static const char *group_name;
static u32 cases, unexpected;
char line[512];

static void put(const char *text)
{
	for (; *text != 0; text++) {
		while ((inb(COM1 + LINE_STATUS) & TRANSMITTER_EMPTY) == 0)
			;
		outb(COM1, (u8)*text);
	}
}

static u32 length(const char *text)
{
	u32 count = 0;
	while (text[count] != 0)
		count++;
	return count;
}

static int same(const char *a, const char *b, u32 count)
{
	while (count-- > 0)
		if (*a++ != *b++)
			return 0;
	return 1;
}

void say(const char *format, ...)
{
	u32 used = length(line);
	va_list arguments;
	va_start(arguments, format);
	format_into(line + used, sizeof(line) - used, format, arguments);
	va_end(arguments);
}

/* Ends a case: `group/name: what happened`, and the SDM's demand and its section if that is something else. */
void check(const char *sdm, const char *want, const char *name, ...)
{
	char full[160];
	va_list arguments;
	va_start(arguments, name);
	format_into(full, sizeof(full), name, arguments);
	va_end(arguments);
	put(group_name);
	put("/");
	put(full);
	put(": ");
	put(line);
	u32 count = length(want);
	cases++;
	if (length(line) == count && same(line, want, count)) {
		put(" [ok]\n");
	} else {
		unexpected++;
		put(" [NOT AS EXPECTED: ");
		put(want);
		put("; SDM ");
		put(sdm);
		put("]\n");
	}
	line[0] = 0;
}

/*
 * Whether `name` is one of the comma-separated words after `run=`. Without `run=` every group is, but those whose name
 * begins with '!'.
 */
static int wanted(const char *command_line, const char *name)
{
	u32 count = length(name);
	const char *at = command_line;
	while (*at != 0 && !same(at, "run=", 4))
		at++;
	if (*at == 0)
		return name[0] != '!' && !same(name, "list", 5);
	for (at += 4; *at != 0 && *at != ' ';) {
		const char *end = at;
		while (*end != 0 && *end != ',' && *end != ' ')
			end++;
		if ((u32)(end - at) == count && same(at, name, count))
			return 1;
		at = *end == ',' ? end + 1 : end;
	}
	return 0;
}

void load_tables(void);

/* Both 8259s begin at VECTOR_IRQ, with every line masked. */
static void mask_interrupts(void)
{
	outb(0x20, 0x11);
	outb(0xa0, 0x11);
	outb(0x21, VECTOR_IRQ);
	outb(0xa1, VECTOR_IRQ + 8);
	outb(0x21, 4);
	outb(0xa1, 2);
	outb(0x21, 1);
	outb(0xa1, 1);
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
}

void main(const u32 *information)
{
	static char command_line[1024];
	const char *given = (information[0] & 4) != 0 ? (const char *)information[4] : "";
	for (u32 i = 0; i < sizeof(command_line) - 1 && given[i] != 0; i++)
		command_line[i] = given[i];
	outb(COM1 + 1, 0);
	outb(COM1 + 3, 3);
	mask_interrupts();
	fresh();
	load_tables();
	int list = wanted(command_line, "list");
	for (const struct group *group = groups_start; group < groups_end; group++) {
		if (list) {
			put(group->name);
			put("\n");
		}
		if (!wanted(command_line, group->name))
			continue;
		group_name = group->name[0] == '!' ? group->name + 1 : group->name;
		group->run();
	}
	say("end: %u cases, %u not as expected\n", cases, unexpected);
	put(line);
	asm volatile("outl %%eax, %%dx" : : "a"(unexpected != 0), "d"(DEBUG_EXIT));
	for (;;)
		asm volatile("cli; hlt");
}
