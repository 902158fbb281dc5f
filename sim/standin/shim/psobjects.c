/* Values of powershell.exe, and the cmdlets for any of them. */
#include <winsock2.h>
#include <windows.h>

#include "powershell.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *take(size_t size)
{
	void *p = calloc(1, size);
	if (!p)
		not_modelled("a command that needs so much memory");
	return p;
}

char *format(const char *f, ...)
{
	va_list list, again;
	char *s;
	va_start(list, f);
	va_copy(again, list);
	s = take(vsnprintf(NULL, 0, f, list) + 1);
	vsprintf(s, f, again);
	va_end(again);
	va_end(list);
	return s;
}

void not_modelled(const char *what)
{
	fflush(stdout);
	fprintf(stderr, "powershell.exe: not modelled by hnsim: %s\n", what);
	exit(1);
}

void append(struct value *to, struct object *o)
{
	struct object **more = realloc(to->items, (to->count + 1) * sizeof *more);
	if (!more)
		not_modelled("a command that needs so much memory");
	to->items = more;
	to->items[to->count++] = o;
}

struct object *new_object(void) { return take(sizeof(struct object)); }

static void set_property(struct object *o, const char *name, struct property p)
{
	if (o->count == MAX_PROPERTIES)
		not_modelled("an object with so many properties");
	p.name = name;
	o->properties[o->count++] = p;
}

void set_text(struct object *o, const char *name, const char *text)
{
	set_property(o, name, (struct property){.text = text});
}

void set_number(struct object *o, const char *name, unsigned long long n)
{
	set_property(o, name, (struct property){.text = format("%llu", n), .bare = 1});
}

const struct property *property_of(const struct object *o, const char *name)
{
	for (int i = 0; i < o->count; i++)
		if (!_stricmp(o->properties[i].name, name))
			return &o->properties[i];
	return NULL;
}

struct value scalar(const char *text, int bare)
{
	struct value v = {0};
	struct object *o = new_object();
	o->scalar = (struct property){.text = text, .bare = bare};
	append(&v, o);
	return v;
}

const struct value *argument(const struct arguments *a, const char *name)
{
	for (int i = 0; i < a->count; i++)
		if (!strcmp(a->list[i].name, name))
			return &a->list[i].value;
	return NULL;
}

const char *argument_text(const struct arguments *a, const char *name)
{
	const struct value *v = argument(a, name);
	return v && v->count ? v->items[0]->scalar.text : NULL;
}

int like(const char *text, const char *pattern)
{
	if (!text || !*pattern)
		return text && !*text;
	if (*pattern == '*')
		return like(text, pattern + 1) || (*text && like(text + 1, pattern));
	return *text && (*pattern == '?' || tolower((unsigned char)*text) == tolower((unsigned char)*pattern)) && like(text + 1, pattern + 1);
}

int is_number(const char *s)
{
	char *end;
	strtol(s, &end, 10);
	return *s && !*end;
}

struct value member(struct value v, const char *name)
{
	struct value all = {0};
	for (int i = 0; i < v.count; i++) {
		const struct property *p = property_of(v.items[i], name);
		if (p && p->text)
			append(&all, scalar(p->text, p->bare).items[0]);
	}
	if (!_stricmp(name, "Count"))
		return scalar(format("%d", v.count), 1);
	return all;
}

static struct value select_object(const struct cmdlet *c, const struct arguments *a, struct value in)
{
	const struct value *names = argument(a, "Property");
	const char *first = argument_text(a, "First"), *expand = argument_text(a, "ExpandProperty");
	struct value out = {0};
	(void)c;
	if (first && in.count > atoi(first))
		in.count = atoi(first);
	if (expand)
		return member(in, expand);
	for (int i = 0; i < in.count; i++) {
		struct object *o = new_object();
		for (int j = 0; names && j < names->count; j++) {
			const char *name = names->items[j]->scalar.text;
			const struct property *p = name ? property_of(in.items[i], name) : NULL;
			if (!name || strpbrk(name, "*?{"))
				not_modelled("Select-Object with patterns or expressions");
			set_property(o, p ? p->name : name, p ? *p : (struct property){0});
		}
		append(&out, names ? o : in.items[i]);
	}
	return out;
}

static char *json_property(const struct property *p)
{
	char *s, *to;
	if (!p->text)
		return "null";
	if (p->bare)
		return format("%s", p->text);
	to = s = take(6 * strlen(p->text) + 3);
	*to++ = '"';
	for (const unsigned char *t = (const unsigned char *)p->text; *t; t++)
		to += sprintf(to, *t == '"' || *t == '\\' ? "\\%c" : *t < 0x20 ? "\\u%04x" : "%c", *t);
	*to = '"';
	return s;
}

static char *json(const struct object *o, int compress, const char *margin)
{
	char *s = "";
	if (!o->count)
		return json_property(&o->scalar);
	for (int i = 0; i < o->count; i++)
		s = compress ? format("%s%s\"%s\":%s", s, i ? "," : "", o->properties[i].name, json_property(&o->properties[i]))
			     : format("%s%s\n%s    \"%s\":  %s", s, i ? "," : "", margin, o->properties[i].name, json_property(&o->properties[i]));
	return compress ? format("{%s}", s) : format("{%s\n%s}", s, margin);
}

static struct value convert_to_json(const struct cmdlet *c, const struct arguments *a, struct value in)
{
	const struct value *given = argument(a, "InputObject");
	int compress = argument(a, "Compress") != NULL, array;
	char *s = "";
	(void)c;
	if (given)
		in = *given;
	array = in.count > 1 || (given && in.array);
	if (!in.count)
		return array ? scalar("[]", 0) : in; /* $null: PowerShell 5.1 writes nothing */
	if (!array)
		return scalar(json(in.items[0], compress, ""), 0);
	for (int i = 0; i < in.count; i++)
		s = format(compress ? "%s%s%s" : "%s%s\n    %s", s, i ? "," : "", json(in.items[i], compress, "    "));
	return scalar(format(compress ? "[%s]" : "[%s\n]", s), 0);
}

void print(struct value v)
{
	for (int i = 0; i < v.count; i++) {
		const struct object *o = v.items[i];
		if (!o->count && o->scalar.text)
			printf("%s\n", o->scalar.bare && !is_number(o->scalar.text) ? (*o->scalar.text == 't' ? "True" : "False") : o->scalar.text);
		for (int j = 0; j < o->count; j++)
			printf("%-20s : %s\n", o->properties[j].name, o->properties[j].text ? o->properties[j].text : "");
		if (o->count)
			printf("\n");
	}
}

static struct value write(const struct cmdlet *c, const struct arguments *a, struct value in)
{
	struct value none = {0};
	for (int i = 0; i < a->count; i++)
		for (int j = 0; !*a->list[i].name && j < a->list[i].value.count; j++)
			append(&in, a->list[i].value.items[j]);
	if (_stricmp(c->name, "Write-Host"))
		return in;
	print(in);
	return none;
}

static struct value out_null(const struct cmdlet *c, const struct arguments *a, struct value in)
{
	(void)c, (void)a;
	return in.count = 0, in;
}

const struct cmdlet object_cmdlets[] = {
	{"Select-Object", "select", " Property First ExpandProperty ", select_object},
	{"ConvertTo-Json", "", " InputObject Depth Compress! ", convert_to_json},
	{"Out-Null", "", " ", out_null},
	{"Write-Host", "", " ", write},
	{"Write-Output", "echo", " ", write},
	{NULL, NULL, NULL, NULL},
};
