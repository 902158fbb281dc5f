/* A driver that makes a network and does not close its handle, and asks for one
   that is not there. With "shared" it expects the network to be there. */
#include <windows.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef uint64_t(WINAPI *create_fn)(const GUID *, PCWSTR, HANDLE *, PWSTR *);
typedef uint64_t(WINAPI *open_fn)(const GUID *, HANDLE *, PWSTR *);

static const WCHAR network[] =
	L"{\"Name\":\"br\",\"Type\":\"L2Bridge\",\"Ipams\":[{\"Type\":\"Static\",\"Subnets\":[{\"IpAddressPrefix\":\"10.244.1.0/24\"}]}],"
	L"\"SchemaVersion\":{\"Major\":2,\"Minor\":0}}";

int main(int argc, char **argv)
{
	HMODULE dll = LoadLibraryA("computenetwork.dll");
	create_fn create = (create_fn)(void *)GetProcAddress(dll, "HcnCreateNetwork");
	open_fn open = (open_fn)(void *)GetProcAddress(dll, "HcnOpenNetwork");
	GUID id = {0};
	HANDLE h = NULL;
	PWSTR err = NULL;
	uint64_t hr;
	if (!create || !open) {
		puts("no functions");
		return 9;
	}
	hr = create(&id, network, &h, &err);
	printf("created %08x\n", (unsigned)hr);
	id.Data1 = 1;
	printf("opened %08x\n", (unsigned)open(&id, &h, &err));
	fflush(stdout);
	return argc > 1 && !strcmp(argv[1], "crash") ? *(volatile int *)0 : hr != 0;
}
