#include "check.h"

#include <objbase.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int failures;

const GUID network_id = {0xaaaaaaaa, 0x0001, 0x4000, {0x80, 0, 0, 0, 0, 0, 0, 1}};
const GUID endpoint_id = {0xaaaaaaaa, 0x0002, 0x4000, {0x80, 0, 0, 0, 0, 0, 0, 2}};
const GUID other_id = {0xaaaaaaaa, 0x0003, 0x4000, {0x80, 0, 0, 0, 0, 0, 0, 3}};

void report(const char *file, int line, const char *what, ...)
{
	va_list args;
	va_start(args, what);
	printf("FAIL %s:%d: ", file, line);
	vprintf(what, args);
	printf("\n");
	fflush(stdout);
	va_end(args);
	failures++;
}

static void *export_of(const WCHAR *dll, const char *name)
{
	HMODULE m = LoadLibraryExW(dll, NULL, LOAD_LIBRARY_SEARCH_SYSTEM32);
	void *f = m ? (void *)(uintptr_t)GetProcAddress(m, name) : NULL;
	if (!f) {
		report(__FILE__, __LINE__, "no export %s", name);
		exit(1);
	}
	return f;
}

void *hcn(const char *name) { return export_of(L"computenetwork.dll", name); }
void *hcs(const char *name) { return export_of(L"vmcompute.dll", name); }

/* The heap that CoTaskMemFree frees to. */
static int on_com_heap(void *p)
{
	IMalloc *heap;
	int is;
	if (CoGetMalloc(1, &heap) != S_OK)
		return 0;
	is = heap->lpVtbl->DidAlloc(heap, p) == 1;
	heap->lpVtbl->Release(heap);
	return is;
}

void take_text(const char *file, int line, PWSTR text, PCWSTR part)
{
	if (!text || text == POISON) {
		report(file, line, "no text, want one with %ls", part);
		return;
	}
	if (!on_com_heap(text))
		report(file, line, "the text is not allocated with CoTaskMemAlloc");
	if (!wcsstr(text, part))
		report(file, line, "the text is %.300ls, want one with %ls", text, part);
	CoTaskMemFree(text);
}

void take_record(const char *file, int line, PWSTR record, uint32_t code)
{
	WCHAR part[40];
	swprintf(part, 40, L"\"ErrorCode\":%u}", code);
	if (record && record != POISON && !wcsstr(record, L"{\"Success\":false,\"Error\":\""))
		report(file, line, "the error record is %.300ls", record);
	take_text(file, line, record, part);
}

void make_network(void **network, void **endpoint)
{
	create_fn create = hcn("HcnCreateNetwork");
	create_in_fn create_in = hcn("HcnCreateEndpoint");
	PCWSTR settings = L"{\"Name\":\"n\",\"Type\":\"NAT\",\"Ipams\":[{\"Subnets\":[{\"IpAddressPrefix\":\"192.168.100.0/24\","
			  L"\"Routes\":[{\"NextHop\":\"192.168.100.1\",\"DestinationPrefix\":\"0.0.0.0/0\"}]}]}],"
			  L"\"SchemaVersion\":{\"Major\":2,\"Minor\":0}}";
	WANT(create(&network_id, settings, network, NULL), OK);
	WANT(create_in(*network, &endpoint_id, L"{\"Name\":\"e\",\"SchemaVersion\":{\"Major\":2,\"Minor\":0}}", endpoint, NULL), OK);
}

static const struct {
	const char *name;
	void (*run)(void);
} checks[] = {
	{"families", check_families}, {"identity", check_identity}, {"v1", check_v1},
	{"callbacks", check_callbacks}, {"guests", check_guests}, {"memory", check_memory}, {"compute", check_compute},
	{"texts", check_texts}, {"long", check_long}, {"refused", check_refused},
	{"gone", check_gone}, {"threads", check_threads},
};

int main(int argc, char **argv)
{
	size_t i;
	for (i = 0; argc == 2 && i < sizeof checks / sizeof *checks; i++) {
		if (strcmp(argv[1], checks[i].name))
			continue;
		checks[i].run();
		printf("%s: %d failures\n", argv[1], failures);
		return failures != 0;
	}
	printf("which check?\n");
	return 2;
}
