/* The names of interfaces: %HNSIM_RUN%\interfaces has a line for each, the
   Linux name, a tab, and the name on Windows. It is read anew every time, as
   interfaces come and go. */
#include <winsock2.h>
#include <iphlpapi.h>

#include "adapters.h"
#include "patch.h"

#include <stdio.h>
#include <string.h>

#define MAX_FILE 65536

typedef ULONG(WINAPI *adapters_fn)(ULONG, ULONG, PVOID, PIP_ADAPTER_ADDRESSES, PULONG);

static adapters_fn real_adapters;

/* Names that were handed out; callers may keep them for ever. */
struct name {
	struct name *next;
	WCHAR text[1];
};
static SRWLOCK lock = SRWLOCK_INIT;
static struct name *names;

static WCHAR *keep(const WCHAR *text)
{
	struct name *n;
	AcquireSRWLockExclusive(&lock);
	for (n = names; n && wcscmp(n->text, text); n = n->next)
		;
	if (!n && (n = HeapAlloc(GetProcessHeap(), 0, sizeof *n + wcslen(text) * sizeof(WCHAR)))) {
		wcscpy(n->text, text);
		n->next = names;
		names = n;
	}
	ReleaseSRWLockExclusive(&lock);
	return n ? n->text : NULL;
}

/* Reads the file; the caller frees it. */
static char *read_names(void)
{
	WCHAR path[MAX_PATH];
	DWORD n = GetEnvironmentVariableW(L"HNSIM_RUN", path, MAX_PATH - 16);
	HANDLE f;
	char *text;
	if (n == 0 || n >= MAX_PATH - 16)
		return NULL;
	wcscat(path, L"/interfaces");
	f = CreateFileW(path, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL, OPEN_EXISTING, 0, NULL);
	if (f == INVALID_HANDLE_VALUE)
		return NULL;
	text = HeapAlloc(GetProcessHeap(), 0, MAX_FILE);
	if (text && ReadFile(f, text, MAX_FILE - 1, &n, NULL)) {
		text[n] = 0;
	} else {
		HeapFree(GetProcessHeap(), 0, text);
		text = NULL;
	}
	CloseHandle(f);
	return text;
}

/* Gives the adapter called linux the name windows. */
static void rename_adapter(PIP_ADAPTER_ADDRESSES list, const char *linux_name, const char *windows_name)
{
	WCHAR from[64], to[512], *kept;
	if (!MultiByteToWideChar(CP_UTF8, 0, linux_name, -1, from, 64) || !MultiByteToWideChar(CP_UTF8, 0, windows_name, -1, to, 512))
		return;
	for (; list; list = list->Next)
		if (list->FriendlyName && !wcscmp(list->FriendlyName, from) && (kept = keep(to)))
			list->FriendlyName = kept;
}

static ULONG WINAPI mended_adapters(ULONG family, ULONG flags, PVOID reserved, PIP_ADAPTER_ADDRESSES list, PULONG size)
{
	ULONG e = real_adapters(family, flags, reserved, list, size);
	char *text, *line, *end, *tab;
	if (e != ERROR_SUCCESS || !list || !(text = read_names()))
		return e;
	for (line = text; (end = strchr(line, '\n')); line = end + 1) {
		*end = 0;
		if ((tab = strchr(line, '\t'))) {
			*tab = 0;
			rename_adapter(list, line, tab + 1);
		}
	}
	HeapFree(GetProcessHeap(), 0, text);
	return e;
}

void hnsim_mend_adapters(void)
{
	/* Go loads it later: our function must be there first. It stays loaded. */
	if (LoadLibraryW(L"iphlpapi.dll"))
		real_adapters = (adapters_fn)hnsim_redirect(L"iphlpapi.dll", "GetAdaptersAddresses", (void *)mended_adapters);
}
