#ifndef HNSIM_POWERSHELL_H
#define HNSIM_POWERSHELL_H

/* What powershell.c, the language, psobjects.c, its values, and nettcpip.c, the
   network's cmdlets, share. Texts are UTF-8. Nothing is freed: a process runs one command line. */

enum { MAX_PROPERTIES = 16, MAX_ARGUMENTS = 16 };

struct property {
	const char *name, *text; /* text NULL is $null */
	int bare;                /* a number or a boolean: JSON has no quotes */
};

/* A scalar has no properties and the one value. */
struct object {
	int count;
	struct property properties[MAX_PROPERTIES];
	struct property scalar;
};

struct value {
	struct object **items;
	int count;
	/* @(...): stays an array with one item or none. Of a cmdlet's input: it comes
	   through a pipe, even if it has no items. */
	int array;
};

struct arguments {
	struct {
		const char *name; /* as the cmdlet spells it; "" if it has no parameters */
		struct value value;
	} list[MAX_ARGUMENTS];
	int count;
};

struct cmdlet {
	const char *name, *alias;
	/* Between blanks; the first may come without its name; ! follows that of a switch. */
	const char *parameters;
	struct value (*run)(const struct cmdlet *, const struct arguments *, struct value input);
};

extern const struct cmdlet net_cmdlets[], object_cmdlets[]; /* end with a NULL name */

void *take(size_t size); /* memory, or the end of the process */
char *format(const char *format, ...);
void append(struct value *to, struct object *o);
struct value scalar(const char *text, int bare);
struct value member(struct value v, const char *name); /* of every item */
void print(struct value v);
int is_number(const char *s);
struct object *new_object(void);
void set_text(struct object *o, const char *name, const char *text);
void set_number(struct object *o, const char *name, unsigned long long number);
const struct property *property_of(const struct object *o, const char *name);
/* The argument's value, or NULL. */
const struct value *argument(const struct arguments *a, const char *name);
const char *argument_text(const struct arguments *a, const char *name); /* its first item */
int like(const char *text, const char *pattern);

/* An error of the statement: thrown with -ErrorAction Stop, else told and noted. */
void fail(const struct cmdlet *c, const struct arguments *a, const char *text);
/* What PowerShell can and this program cannot: ends the process with code 1. */
__attribute__((noreturn)) void not_modelled(const char *what);

#endif
