/* powershell.exe, as far as network drivers need it: wine's does nothing and
   succeeds. This file is the language: statements, pipelines, try and catch.
   What it does not know ends the process with
   code 1 and says so. README.md lists what it knows. */
#include <winsock2.h>
#include <windows.h>
#include <shellapi.h>

#include "powershell.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *at;      /* where the parser is */
static const char *thrown;  /* the error on its way to a catch, or NULL */
static int failed;          /* the statement had an error: not $? */
static int stop;            /* $ErrorActionPreference is Stop */
static struct variable {
	struct variable *next;
	const char *name;
	struct value value;
} *variables;

static struct value pipeline(void);
static void run_script(const char *text);

void fail(const struct cmdlet *c, const struct arguments *a, const char *text)
{
	const char *action = argument_text(a, "ErrorAction");
	failed = 1;
	if (action ? !_stricmp(action, "Stop") : stop)
		thrown = text;
	else if (!action || !_stricmp(action, "Continue"))
		fprintf(stderr, "%s : %s\n", c->name, text);
}

/* The reader. */

static void blanks(int lines)
{
	for (;; at++)
		if (*at == '`' && (at[1] == '\n' || at[1] == '\r'))
			at++;
		else if (*at != ' ' && *at != '\t' && (!lines || (*at != '\n' && *at != '\r')))
			return;
}

static char *cut(const char *from, const char *to)
{
	char *s = take(to - from + 1);
	memcpy(s, from, to - from);
	return s;
}

static const char *quoted(void)
{
	char quote = *at++, *s = take(strlen(at) + 1), *to = s;
	for (;; at++) {
		if (!*at)
			not_modelled("a text without its closing quote");
		if (*at == quote && at[1] != quote)
			break;
		if (*at == quote)
			at++;
		else if (quote == '"' && (*at == '$' || *at == '`'))
			not_modelled("variables and escapes in a text");
		*to++ = *at;
	}
	at++;
	return s;
}

/* The text between braces, which need not be understood yet. */
static const char *block(void)
{
	const char *from;
	int depth = 1;
	blanks(1);
	if (*at != '{')
		not_modelled(format("no { where a block is expected: %s", at));
	for (from = ++at; depth; at++)
		if (!*at)
			not_modelled("a block without its closing brace");
		else if (*at == '\'' || *at == '"') {
			char quote = *at;
			for (at++; *at != quote; at++)
				if (!*at)
					not_modelled("a text without its closing quote");
		} else
			depth += (*at == '{') - (*at == '}');
	return cut(from, at - 1);
}

static const char *word(const char *ends)
{
	const char *from = at;
	while (*at && !isspace((unsigned char)*at) && !strchr(ends, *at))
		at++;
	if (at == from)
		not_modelled(format("the syntax at: %s", at));
	return cut(from, at);
}

static struct variable *find_variable(const char *name)
{
	for (struct variable *v = variables; v; v = v->next)
		if (!_stricmp(v->name, name))
			return v;
	return NULL;
}

static void set_variable(const char *name, struct value value)
{
	struct variable *v = find_variable(name);
	if (!v) {
		v = take(sizeof *v);
		v->name = name;
		v->next = variables;
		variables = v;
	}
	v->value = value;
	if (!_stricmp(name, "ErrorActionPreference"))
		stop = value.count && value.items[0]->scalar.text && !_stricmp(value.items[0]->scalar.text, "Stop");
}

static struct value variable_value(const char *name)
{
	struct value null = {0};
	struct variable *v;
	if (!_stricmp(name, "true") || !_stricmp(name, "false"))
		return scalar(_stricmp(name, "true") ? "false" : "true", 1);
	v = find_variable(name); /* one that nobody set is $null */
	return v ? v->value : null;
}

/* One of the operands that lists are made of. A word is one only as an argument. */
static struct value operand(void)
{
	struct value v;
	int array = at[0] == '@' && at[1] == '(';
	if (*at == '\'' || *at == '"')
		return scalar(quoted(), 0);
	if (*at == '{')
		return scalar(block(), 0);
	if (*at == '(' || array) {
		at += 1 + array;
		v = pipeline();
		blanks(1);
		if (*at != ')' && !thrown)
			not_modelled(format("no ) at: %s", at));
		at += *at == ')';
		v.array |= array;
	} else if (*at == '$') {
		at++;
		v = variable_value(word(" .,;|(){}=[:$'\""));
	} else {
		const char *w = word(",;|(){}'\"");
		if (*w == '@' || *w == '[' || *w == '&' || *w == '$')
			not_modelled(format("the syntax of %s", w));
		return scalar(w, is_number(w));
	}
	while (*at == '.' && isalpha((unsigned char)at[1])) {
		at++;
		v = member(v, word(" .,;|(){}=[]"));
	}
	if (*at == '[' || *at == '.')
		not_modelled(format("the syntax at: %s", at));
	return v;
}

static struct value list(void)
{
	struct value v = operand(), more;
	for (blanks(0); *at == ',' && !thrown; blanks(0)) {
		at++;
		blanks(1);
		more = operand();
		for (int i = 0; i < more.count; i++)
			append(&v, more.items[i]);
		v.array = 1;
	}
	return v;
}

static int compare(const char *have, const char *operator, const char *want)
{
	if (!_stricmp(operator, "-eq"))
		return have && !_stricmp(have, want);
	if (!_stricmp(operator, "-ne"))
		return !have || _stricmp(have, want);
	if (!_stricmp(operator, "-like"))
		return like(have, want);
	if (!_stricmp(operator, "-notlike"))
		return !like(have, want);
	not_modelled(format("the operator %s of Where-Object", operator));
}

/* Whether an object is one that $_.A -eq 'x' -and $_.B -like 'y*' wants. */
static int satisfies(const struct object *o, const char *condition)
{
	const char *before = at;
	int ok = 1;
	for (at = condition;;) {
		const struct property *p;
		const char *operator;
		struct value want;
		blanks(1);
		if (strncmp(at, "$_.", 3))
			not_modelled(format("the condition {%s}", condition));
		at += 3;
		p = property_of(o, word(" ,;|(){}'\""));
		blanks(1);
		operator = word(" ");
		blanks(1);
		want = operand();
		ok &= compare(p ? p->text : NULL, operator, want.count && want.items[0]->scalar.text ? want.items[0]->scalar.text : "");
		blanks(1);
		if (!*at)
			break;
		if (_strnicmp(at, "-and ", 5))
			not_modelled(format("the condition {%s}", condition));
		at += 5;
	}
	at = before;
	return ok;
}

static struct value where_object(const struct cmdlet *c, const struct arguments *a, struct value in)
{
	const char *condition = argument_text(a, "FilterScript");
	struct value out = {0};
	(void)c;
	if (!condition || a->count != 1)
		not_modelled("Where-Object without a condition in braces");
	for (int i = 0; i < in.count; i++)
		if (satisfies(in.items[i], condition))
			append(&out, in.items[i]);
	return out;
}

static const struct cmdlet language_cmdlets[] = {
	{"Where-Object", "where", " FilterScript ", where_object},
	{"Where-Object", "?", " FilterScript ", where_object},
	{NULL, NULL, NULL, NULL},
};

/* The interpreter. */

static const struct cmdlet *find_cmdlet(const char *name)
{
	const struct cmdlet *tables[] = {net_cmdlets, object_cmdlets, language_cmdlets};
	for (int i = 0; i < 3; i++)
		for (const struct cmdlet *c = tables[i]; c->name; c++)
			if (!_stricmp(c->name, name) || (*c->alias && !_stricmp(c->alias, name)))
				return c;
	return NULL;
}

/* The parameter that a name or the beginning of one stands for. */
static const char *parameter(const struct cmdlet *c, const char *name, int *is_switch)
{
	const char *found = NULL, *all = format("%sErrorAction Verbose! Confirm! ", c->parameters), *p, *end;
	if (!_strnicmp(name, "if", 2) || !_stricmp(name, "EA"))
		name = !_stricmp(name, "EA") ? "ErrorAction" : format("Interface%s", name + 2);
	for (p = all + 1; *p; p = end + 1) {
		size_t length = strcspn(p, " !"), given = strlen(name);
		end = strchr(p, ' ');
		if (_strnicmp(p, name, given))
			continue;
		if (found && length != given)
			not_modelled(format("the parameter -%s of %s, which can be several", name, c->name));
		found = cut(p, p + length);
		*is_switch = p[length] == '!';
		if (length == given)
			break;
	}
	if (!found)
		not_modelled(format("the parameter -%s of %s", name, c->name));
	return found;
}

static int ends_command(void) { return !*at || strchr("|;)}\n\r", *at); }

/* The value without a name is the first parameter's. */
static const char *first_parameter(const struct cmdlet *c, const struct arguments *a)
{
	const char *from = c->parameters + 1, *name = cut(from, from + strcspn(from, " "));
	if (*name && argument(a, name))
		not_modelled(format("a second value without a name for %s", c->name));
	return name;
}

static struct arguments arguments(const struct cmdlet *c)
{
	struct arguments a = {.count = 0};
	for (blanks(0); !ends_command() && !thrown; blanks(0)) {
		const char *name;
		int is_switch = 0;
		if (a.count == MAX_ARGUMENTS)
			not_modelled("a command with so many arguments");
		if (*at == '-' && isalpha((unsigned char)at[1])) {
			at++;
			name = parameter(c, word(":,;|(){}'\""), &is_switch);
			blanks(0);
			if (*at == ':') {
				at++;
				blanks(0);
				is_switch = 0;
			}
			if (!is_switch && ends_command())
				not_modelled(format("-%s of %s without its value", name, c->name));
		} else
			name = first_parameter(c, &a);
		a.list[a.count].name = name;
		a.list[a.count++].value = is_switch ? scalar("true", 1) : list();
	}
	return a;
}

static struct value command(struct value input)
{
	const char *name = word(" ;|(){}'\"");
	const struct cmdlet *c = find_cmdlet(name);
	struct value none = {0};
	struct arguments a;
	if (!_stricmp(name, "exit")) {
		blanks(0);
		fflush(stdout);
		exit(ends_command() ? failed : atoi(word(" ;|(){}'\"")));
	}
	if (!c) {
		thrown = format("The term '%s' is not recognized as the name of a cmdlet, function, script file, or operable program.", name);
		/* Perhaps Windows has it: an empty catch must not hide that. */
		fprintf(stderr, "powershell.exe: not modelled by hnsim: %s\n", name);
		return none;
	}
	if (input.array && (!strncmp(c->name, "Get-", 4) || !strncmp(c->name, "New-", 4)))
		not_modelled(format("objects through a pipe to %s", c->name));
	a = arguments(c);
	return thrown ? none : c->run(c, &a, input);
}

static struct value pipeline(void)
{
	struct value v = {0};
	blanks(1);
	v = *at && strchr("'\"$(@0123456789", *at) ? list() : command(v);
	for (blanks(0); *at == '|' && !thrown; blanks(0)) {
		at++;
		blanks(1);
		v.array = 1;
		v = command(v);
		v.array = 0;
	}
	return v;
}

static void try_statement(void)
{
	const char *body = block(), *handler, *message;
	blanks(1);
	if (_strnicmp(at, "catch", 5))
		not_modelled("try without catch");
	at += 5;
	handler = block();
	run_script(body);
	if (!(message = thrown))
		return;
	thrown = NULL;
	set_variable("_", scalar(message, 0));
	run_script(handler);
}

static void statement(void)
{
	const char *start = at;
	failed = 0;
	if (!_strnicmp(at, "try", 3) && (at[3] == '{' || isspace((unsigned char)at[3]))) {
		at += 3;
		try_statement();
		return;
	}
	if (*at == '$') {
		const char *name;
		at++;
		name = word(" .,;|(){}=[:$'\"");
		blanks(0);
		if (*at == '=') {
			at++;
			set_variable(name, pipeline());
			return;
		}
		at = start;
	}
	struct value v = pipeline();
	if (!thrown)
		print(v);
}

/* Runs statements; an error that is thrown ends them. */
static void run_script(const char *text)
{
	const char *before = at;
	at = text;
	for (;;) {
		while (*at == ';' || isspace((unsigned char)*at))
			at++;
		if (!*at || thrown)
			break;
		statement();
		blanks(0);
		if (!thrown && *at && !strchr(";\n\r", *at) && at[-1] != '}')
			not_modelled(format("the syntax at: %s", at));
	}
	at = before;
}

/* The text of the command that the arguments hold, or the end of the process. */
static const char *command_of(int argc, char **argv)
{
	static const char *const flags[] = {"-NoLogo", "-NoProfile", "-NonInteractive", "-Sta", "-Mta", "-nop", NULL};
	static const char *const valued[] = {"-ExecutionPolicy", "-ep", "-ex", "-OutputFormat", "-WindowStyle", NULL};
	char *text = "";
	int i = 1;
	for (; i < argc; i++) {
		const char *const *f = flags, *const *v = valued;
		while (*f && _stricmp(*f, argv[i]))
			f++;
		while (*v && _stricmp(*v, argv[i]))
			v++;
		if (*v)
			i++;
		else if (!*f)
			break;
	}
	if (i < argc && (!_stricmp(argv[i], "-Command") || !_stricmp(argv[i], "-c")))
		i++;
	else if (i < argc && *argv[i] == '-')
		not_modelled(format("the option %s", argv[i]));
	if (i >= argc || !strcmp(argv[i], "-"))
		not_modelled("commands from standard input");
	for (; i < argc; i++)
		text = format("%s%s%s", text, *text ? " " : "", argv[i]);
	return text;
}

int main(void)
{
	int argc;
	WCHAR **wide = CommandLineToArgvW(GetCommandLineW(), &argc);
	char **argv = take((argc + 1) * sizeof *argv);
	for (int i = 0; i < argc; i++) {
		argv[i] = take(4 * wcslen(wide[i]) + 1);
		WideCharToMultiByte(CP_UTF8, 0, wide[i], -1, argv[i], 4 * (int)wcslen(wide[i]) + 1, NULL, NULL);
	}
	run_script(command_of(argc, argv));
	fflush(stdout);
	if (thrown)
		fprintf(stderr, "%s\n", thrown);
	return thrown || failed;
}
