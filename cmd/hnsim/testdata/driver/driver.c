/* A driver that makes a network and does not close its handle, and asks for one
   that is not there. With "crash" it crashes, with "sleep" it stays for a minute,
   with "deaf" too, and does not heed Ctrl-C. */
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
	if (argc > 1 && !strcmp(argv[1], "deaf"))
		SetConsoleCtrlHandler(NULL, TRUE);
	if (argc > 1 && (!strcmp(argv[1], "sleep") || !strcmp(argv[1], "deaf"))) {
		puts("waiting");
		fflush(stdout);
		Sleep(60000);
	}
	return argc > 1 && !strcmp(argv[1], "crash") ? *(volatile int *)0 : hr != 0;
}
