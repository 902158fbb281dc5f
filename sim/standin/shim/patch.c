/* A table of exports in memory has offsets of 32 bits from the module: its entry
   is pointed at a stub that jumps to our function, and that must lie within
   4 GB after the module. */
#include "patch.h"

#include <stdint.h>
#include <string.h>

/* The entry of a function in a module's export table, or NULL. */
static DWORD *export_entry(char *base, const char *name)
{
	IMAGE_NT_HEADERS *nt = (IMAGE_NT_HEADERS *)(base + ((IMAGE_DOS_HEADER *)base)->e_lfanew);
	DWORD at = nt->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_EXPORT].VirtualAddress;
	IMAGE_EXPORT_DIRECTORY *dir = (IMAGE_EXPORT_DIRECTORY *)(base + at);
	DWORD *names = (DWORD *)(base + dir->AddressOfNames), i;
	WORD *ordinals = (WORD *)(base + dir->AddressOfNameOrdinals);
	if (!at)
		return NULL;
	for (i = 0; i < dir->NumberOfNames; i++)
		if (strcmp(base + names[i], name) == 0)
			return (DWORD *)(base + dir->AddressOfFunctions) + ordinals[i];
	return NULL;
}

/* Allocates a page after base whose offset from it fits into 32 bits. */
static char *page_after(char *base)
{
	MEMORY_BASIC_INFORMATION m;
	SYSTEM_INFO system;
	char *at = base, *p;
	uintptr_t step;
	GetSystemInfo(&system);
	step = system.dwAllocationGranularity;
	while (VirtualQuery(at, &m, sizeof m) == sizeof m) {
		char *end = (char *)m.BaseAddress + m.RegionSize;
		at = (char *)(((uintptr_t)at + step - 1) / step * step);
		if ((uintptr_t)(at - base) > UINT32_MAX - step)
			break;
		if (m.State == MEM_FREE && at < end &&
		    (p = VirtualAlloc(at, system.dwPageSize, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE)))
			return p;
		at = end;
	}
	return NULL;
}

/* Writes "jump to target" where the table can name it. */
static char *stub_after(char *base, void *target)
{
	static const unsigned char mov_rax[] = {0x48, 0xB8}, jmp_rax[] = {0xFF, 0xE0};
	DWORD old;
	char *p = page_after(base);
	if (!p)
		return NULL;
	memcpy(p, mov_rax, 2);
	memcpy(p + 2, &target, 8);
	memcpy(p + 10, jmp_rax, 2);
	return VirtualProtect(p, 12, PAGE_EXECUTE_READ, &old) ? p : NULL;
}

void *hnsim_redirect(const WCHAR *module, const char *name, void *ours)
{
	char *base = (char *)GetModuleHandleW(module), *stub;
	DWORD *entry, old;
	void *real;
	if (!base || !(entry = export_entry(base, name)) || !(stub = stub_after(base, ours)))
		return NULL;
	if (!VirtualProtect(entry, sizeof *entry, PAGE_READWRITE, &old))
		return NULL;
	real = base + *entry;
	*entry = (DWORD)(stub - base);
	VirtualProtect(entry, sizeof *entry, old, &old);
	return real;
}
