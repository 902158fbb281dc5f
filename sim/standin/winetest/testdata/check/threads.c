/* Many threads in one process: the DLL has a few connections for all of them,
   and every answer must reach the thread that asked. */
#include "check.h"

#include <objbase.h>
#include <stdio.h>
#include <string.h>

enum { THREADS = 24, ROUNDS = 15 };

static DWORD WINAPI live(void *arg)
{
	int n = (int)(intptr_t)arg, i;
	create_fn create = hcn("HcnCreateNamespace");
	open_fn open = hcn("HcnOpenNamespace");
	query_fn query = hcn("HcnQueryNamespaceProperties");
	delete_fn remove = hcn("HcnDeleteNamespace");
	close_fn close = hcn("HcnCloseNamespace");
	GUID id = other_id;
	WCHAR own[40];
	id.Data1 = 0xbbbb0000u + (unsigned)n;
	swprintf(own, 40, L"\"ID\":\"%08x-", (unsigned)id.Data1);
	for (i = 0; i < ROUNDS; i++) {
		void *h = NULL, *h2 = NULL;
		PWSTR text = NULL, error = POISON;
		WANT(create(&id, L"{\"Type\":\"Host\"}", &h, &error), OK);
		WANT(open(&id, &h2, &error), OK);
		WANT(query(n % 2 ? h : h2, V2, &text, &error), OK);
		TEXT_HAS(text, own);
		WANT(close(h), OK);
		WANT(close(h2), OK);
		WANT(remove(&id, &error), OK);
		WANT(open(&id, &h, NULL), 0x80070490);
	}
	return 0;
}

void check_threads(void)
{
	HANDLE threads[THREADS];
	intptr_t i;
	for (i = 0; i < THREADS; i++)
		threads[i] = CreateThread(NULL, 0, live, (void *)i, 0, NULL);
	CHECK(WaitForMultipleObjects(THREADS, threads, TRUE, 60000) == WAIT_OBJECT_0, "threads hang");
}
