/*
 * From the end of the arch's boot to the exit: tells the host where the mailbox is, then runs what the mailbox or the
 * command line asks for and prints one line a workload.
 */
#include "workload.h"

extern const struct workload workloads_start[], workloads_end[];

/* The host writes here at the ready marker. */
static char mailbox[256] __attribute__((aligned(256)));

static const struct workload *running;
static const char *given; /* the rest of the request: name=value name=value */
static const char *skipped;
static bool print_time;

/* Length of the word at `text`. */
static u32 word(const char *text)
{
	u32 length = 0;
	while (text[length] && text[length] != ' ') length++;
	return length;
}

static const char *next_word(const char *text)
{
	text += word(text);
	while (*text == ' ') text++;
	return text;
}

/* The text after `name=` among the words of `text`, or NULL. */
static const char *value_of(const char *text, const char *name)
{
	u32 length = text_length(name);
	for (; *text; text = next_word(text))
		if (text_equal(text, name, length) && text[length] == '=') return text + length + 1;
	return NULL;
}

static bool has_word(const char *text, const char *name)
{
	for (; *text; text = next_word(text))
		if (word(text) == text_length(name) && text_equal(text, name, text_length(name))) return true;
	return false;
}

static u32 number(const char *text)
{
	u32 value = 0;
	for (; *text >= '0' && *text <= '9'; text++) value = value * 10 + (u32)(*text - '0');
	return value;
}

static u32 until(const char *text, const char *ends)
{
	u32 length = 0;
	for (; text[length]; length++)
		for (const char *end = ends; *end; end++)
			if (text[length] == *end) return length;
	return length;
}

/* Finds `name=default:` in a workload's parameters; returns the default, or NULL. */
static const char *declared(const char *parameters, const char *name)
{
	u32 length = text_length(name);
	while (*parameters) {
		if (text_equal(parameters, name, length) && parameters[length] == '=') return parameters + length + 1;
		parameters += until(parameters, ",");
		if (*parameters) parameters++;
	}
	return NULL;
}

static const char *value_given(const char *name, u32 *length)
{
	const char *value = value_of(given, name);
	if (value) {
		*length = until(value, " ,");
		return value;
	}
	value = declared(running->parameters, name);
	if (!value) panic("%s has no parameter %s", running->id, name);
	*length = until(value, ":");
	return value;
}

u32 parameter_choice(const char *name)
{
	u32 length, index = 0;
	const char *value = value_given(name, &length);
	const char *choice = declared(running->parameters, name);
	choice += until(choice, ":") + 1;
	for (;; index++) {
		u32 size = until(choice, "|,");
		if (size == length && text_equal(choice, value, size)) return index;
		if (choice[size] != '|') panic("%s does not take that value of %s", running->id, name);
		choice += size + 1;
	}
}

u32 parameter_number(const char *name)
{
	u32 length;
	parameter_choice(name);
	return number(value_given(name, &length));
}

u32 skip(const char *reason)
{
	skipped = reason;
	/* The host learns of it by a measured region without operations. */
	marker_begin(REGION_MEASURED);
	marker_end(REGION_MEASURED, 0, 0);
	return 0;
}

static u64 time_stamp(void)
{
	u64 value;
	asm volatile("rdtsc" : "=A"(value));
	return value;
}

static void run_one(const struct workload *workload, const char *request, u32 operations, const char *label)
{
	running = workload;
	given = request;
	skipped = ARCH_PARAVIRT && *workload->skip_paravirt ? workload->skip_paravirt : NULL;
	u64 before = time_stamp();
	u32 checksum = 0;
	if (skipped) skip(skipped);
	else checksum = workload->run(operations);
	u64 time = time_stamp() - before;
	arch_timer_stop();
	memset(trap_hooks, 0, sizeof(trap_hooks));
	hooked_call = NULL;
	if (skipped) print("%s%s skipped: %s\n", workload->id, label, skipped);
	else print("%s%s ops=%u checksum=%08x", workload->id, label, operations, checksum);
	if (!skipped && print_time) print(" tsc=%u", (u32)time);
	if (!skipped) print("\n");
}

/* Every choice of every parameter but the defaults, one parameter at a time. */
static void run_choices(const struct workload *workload, u32 operations)
{
	static char request[128], label[130];
	const char *at = workload->parameters;
	while (*at) {
		u32 name = until(at, "="), standard = until(at + name + 1, ":");
		const char *choice = at + name + 1 + standard + 1;
		for (;;) {
			u32 size = until(choice, "|,");
			if (size != standard || !text_equal(choice, at + name + 1, size)) {
				memcpy(request, at, name + 1);
				memcpy(request + name + 1, choice, size);
				request[name + 1 + size] = 0;
				u32 length = text_length(request);
				label[0] = '{';
				memcpy(label + 1, request, length);
				label[length + 1] = '}';
				label[length + 2] = 0;
				run_one(workload, request, operations, label);
			}
			choice += size;
			if (*choice != '|') break;
			choice++;
		}
		at = *choice ? choice + 1 : choice;
	}
}

static const struct workload *find(const char *id, u32 length)
{
	for (const struct workload *workload = workloads_start; workload < workloads_end; workload++)
		if (text_length(workload->id) == length && text_equal(workload->id, id, length)) return workload;
	return NULL;
}

/* `<id> ops=<n> name=value ...`, as the host writes it. */
static void run_request(const char *request)
{
	const struct workload *workload = find(request, word(request));
	if (!workload) panic("no such workload: %s", request);
	const char *operations = value_of(request, "ops");
	run_one(workload, request, operations ? number(operations) : workload->operations, "");
}

/* `run=all` or `run=<id>`, with `quick`, `choices`, `time`, `ops=<n>` and parameters beside it. */
static void run_command_line(const char *line)
{
	const char *id = value_of(line, "run");
	const char *operations = value_of(line, "ops");
	if (!id) panic("the command line names no workload: run=<id> or run=all");
	print_time = has_word(line, "time");
	const struct workload *only = find(id, word(id));
	if (!only && !(word(id) == 3 && text_equal(id, "all", 3))) panic("no such workload: %s", id);
	for (const struct workload *workload = workloads_start; workload < workloads_end; workload++) {
		if (only && workload != only) continue;
		u32 count = has_word(line, "quick") ? workload->quick_operations : workload->operations;
		if (operations) count = number(operations);
		run_one(workload, line, count, "");
		if (has_word(line, "choices")) run_choices(workload, count);
	}
}

void kernel_main(void)
{
	arch_irq_enable();
	marker_ready(mailbox, sizeof(mailbox));
	COMPILER_BARRIER();
	if (*(volatile char *)mailbox) run_request(mailbox);
	else run_command_line(arch_command_line());
	arch_exit(0);
}
