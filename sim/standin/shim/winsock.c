/* Go asks every UDP socket not to report ICMP errors on receive, and gives the
   socket up when that is refused. Wine 8 refuses SIO_UDP_NETRESET with
   WSAEOPNOTSUPP, although it never reports such errors. The answer is changed
   to success.

   Go finds WSAIoctl with GetProcAddress, which reads the export table of
   ws2_32.dll in memory: the table's entry is pointed at a stub that jumps to
   ours. An entry is an offset of 32 bits from the module, so that the stub
   must lie within 4 GB after it. */
#include "winsock.h"

#include <stdint.h>
#include <string.h>

#define UDP_CONNRESET 0x9800000Cu
#define UDP_NETRESET 0x9800000Fu

typedef int(WSAAPI *ioctl_fn)(SOCKET, DWORD, LPVOID, DWORD, LPVOID, DWORD, LPDWORD, LPWSAOVERLAPPED,
			      LPWSAOVERLAPPED_COMPLETION_ROUTINE);

static ioctl_fn real_ioctl;

static int WSAAPI mended_ioctl(SOCKET s, DWORD code, LPVOID in, DWORD in_size, LPVOID out, DWORD out_size,
			       LPDWORD returned, LPWSAOVERLAPPED overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE done)
{
	int r = real_ioctl(s, code, in, in_size, out, out_size, returned, overlapped, done);
	if (r == 0 || (code != UDP_NETRESET && code != UDP_CONNRESET) || overlapped || WSAGetLastError() != WSAEOPNOTSUPP)
		return r;
	if (returned)
		*returned = 0;
	WSASetLastError(0);
	return 0;
}

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
static char *stub_after(char *base, ioctl_fn target)
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

void hnsim_mend_winsock(void)
{
	char *base = (char *)GetModuleHandleW(L"ws2_32.dll"), *stub;
	DWORD *entry, old;
	if (!base || !(entry = export_entry(base, "WSAIoctl")) || !(stub = stub_after(base, mended_ioctl)))
		return;
	if (!VirtualProtect(entry, sizeof *entry, PAGE_READWRITE, &old))
		return;
	real_ioctl = (ioctl_fn)(void *)(base + *entry);
	*entry = (DWORD)(stub - base);
	VirtualProtect(entry, sizeof *entry, old, &old);
}
