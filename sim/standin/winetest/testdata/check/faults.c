/* Texts that are no texts or very long, and servers that are not there. */
#include "check.h"

#include <objbase.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* UTF-16 that is broken, and what is sound although it looks odd. */
void check_texts(void)
{
	static const WCHAR *broken[] = {
		L"{\"Name\":\"\xD800\"}", L"{\"Name\":\"\xDC00\"}", L"\xD83D", L"\xDE00\xD83D", L"{\"Name\":\"\xD83D\xD83D\xDE00\"}",
	};
	create_fn create = hcn("HcnCreateNetwork");
	ask_fn enumerate = hcn("HcnEnumerateNetworks");
	query_fn query = hcn("HcnQueryNetworkProperties");
	HR(WINAPI *call)(PCWSTR, PCWSTR, PCWSTR, PWSTR *) = hcs("HNSCall");
	void *h = NULL;
	PWSTR text, error;
	size_t i;
	void *none;
	WANT(create(NULL, L"{\"Name\":\"\x00FC\x20AC\xD83D\xDE00\",\"Type\":\"NAT\"}", &h, NULL), OK);
	for (i = 0; i < sizeof broken / sizeof *broken; i++) {
		text = error = POISON;
		WANT(create(NULL, broken[i], &none, &error), INVALID_ARGUMENT);
		RECORD_IS(error, INVALID_ARGUMENT);
		WANT(enumerate(broken[i], &text, NULL), INVALID_ARGUMENT);
		CHECK(!text, "a refused enumerate left a result");
		WANT(call(L"POST", L"/networks/", broken[i], &text), INVALID_ARGUMENT);
		WANT(query(h, V2, &text, NULL), OK); /* connection and handles are as good as ever */
		TEXT_HAS(text, L"\"Name\":\"\x00FC\x20AC\xD83D\xDE00\"");
	}
}

static WCHAR *long_document(size_t units)
{
	static const WCHAR head[] = L"{\"Name\":\"", tail[] = L"\",\"Type\":\"NAT\"}";
	size_t h = wcslen(head), i;
	WCHAR *doc = malloc((h + units + wcslen(tail) + 1) * sizeof *doc);
	wcscpy(doc, head);
	for (i = 0; i < units; i++)
		doc[h + i] = L'x';
	wcscpy(doc + h + units, tail);
	return doc;
}

/* Megabytes in both directions (rule A5a). The store holds 41 endpoints with
   names of 100 000 characters. */
void check_long(void)
{
	create_fn create = hcn("HcnCreateNetwork");
	query_fn query = hcn("HcnQueryNetworkProperties");
	ask_fn enumerate = hcn("HcnEnumerateEndpoints");
	HR(WINAPI *call)(PCWSTR, PCWSTR, PCWSTR, PWSTR *) = hcs("HNSCall");
	void *h = NULL;
	PWSTR text, error;
	WCHAR *doc = long_document(3 << 20); /* 6 MB on the wire */
	WANT(create(NULL, doc, &h, NULL), OK);
	WANT(query(h, V2, &text, NULL), OK);
	CHECK(text && wcslen(text) > 3 << 20, "a name of 3 M characters came back shorter");
	TEXT_HAS(text, L"xxxx\"");
	free(doc);
	doc = long_document(9 << 20); /* more than a server takes */
	WANT(create(NULL, doc, &h, &error), INVALID_ARGUMENT);
	TEXT_HAS(error, L"16 MB");
	free(doc);
	WANT(enumerate(L"", &text, NULL), OK);
	CHECK(text && wcslen(text) > 40 * 39, "the ids of 40 endpoints are %ls", text);
	CoTaskMemFree(text);
	WANT(call(L"GET", L"/endpoints/", L"", &text), OK);
	CHECK(text && wcslen(text) > 3 << 20, "the endpoints are %u characters", (unsigned)wcslen(text));
	CHECK(text && wcslen(text) > 2 && !wcscmp(text + wcslen(text) - 2, L"]}"), "the text was cut off");
	TEXT_HAS(text, L"{\"Success\":true,\"Output\":[{");
}

/* A server that knows another token. */
void check_refused(void)
{
	ask_fn enumerate = hcn("HcnEnumerateNetworks");
	HR(WINAPI *open)(PCWSTR, void **, PWSTR *) = hcs("HcsOpenComputeSystem");
	HR(WINAPI *call)(PCWSTR, PCWSTR, PCWSTR, PWSTR *) = hcs("HNSCall");
	void *h;
	PWSTR text = POISON, error = POISON;
	WANT(enumerate(L"", &text, &error), 0x80070005);
	CHECK(!text, "a refused enumerate left a result");
	TEXT_HAS(error, L"token");
	WANT(call(L"GET", L"/networks/", L"", &text), 0x80070005);
	text = POISON;
	WANT(open(L"c1", &h, &text), 0x80070005);
	CHECK(!text, "the result document of HCS is %ls", text);
	SetEnvironmentVariableW(L"HNSIM_STANDIN_TOKEN", NULL); /* and none at all */
	WANT(enumerate(L"", &text, &error), NO_SERVICE);
	TEXT_HAS(error, L"HNSIM_STANDIN_ADDR");
}

static void CALLBACK count_disconnects(DWORD type, void *context, HRESULT status, PCWSTR data)
{
	(void)status, (void)data;
	if (type == 0x01000000)
		InterlockedIncrement(context);
}

/* Tells the tester how far it is, and waits for a line. */
static void until(const char *said)
{
	char line[16];
	printf("%s\n", said);
	fflush(stdout);
	if (!fgets(line, sizeof line, stdin))
		report(__FILE__, __LINE__, "no word from the tester");
}

/* A server that ends while the program runs, and another in its place. */
void check_gone(void)
{
	ask_fn enumerate = hcn("HcnEnumerateNetworks");
	query_fn query = hcn("HcnQueryNetworkProperties");
	HR(WINAPI *call)(PCWSTR, PCWSTR, PCWSTR, PWSTR *) = hcs("HNSCall");
	HR(WINAPI *subscribe)(void *, void *, void **) = hcn("HcnRegisterServiceCallback");
	HR(WINAPI *open)(PCWSTR, void **, PWSTR *) = hcs("HcsOpenComputeSystem");
	void *network, *endpoint, *sub, *system;
	PWSTR text, error;
	LONG disconnects = 0;
	int i;
	make_network(&network, &endpoint);
	WANT(subscribe(count_disconnects, &disconnects, &sub), OK);
	WANT(call(L"GET", L"/networks/", L"", &text), OK);
	CoTaskMemFree(text);
	until("connected");
	for (i = 0; i < 3; i++) {
		text = error = POISON;
		WANT(enumerate(L"", &text, &error), NO_SERVICE);
		CHECK(!text, "a failed enumerate left a result");
		RECORD_IS(error, NO_SERVICE);
		WANT(call(L"GET", L"/networks/", L"", &text), NO_SERVICE);
		WANT(query(network, V2, &text, NULL), NO_SERVICE);
		error = POISON;
		WANT(open(L"c1", &system, &error), NO_SERVICE);
		CHECK(!error, "the result document of HCS is %ls", error);
	}
	for (i = 0; i < 500 && !disconnects; i++)
		Sleep(10);
	CHECK(disconnects == 1, "%ld notifications of ServiceDisconnect", disconnects);
	until("disconnected");
	/* The first call of each DLL reaches the new server. Handles went with the
	   old one. */
	WANT(enumerate(L"", &text, NULL), OK);
	TEXT_HAS(text, L"[]");
	WANT(call(L"GET", L"/networks/", L"", &text), OK);
	TEXT_HAS(text, L"\"Output\":[]");
	WANT(query(network, V2, &text, NULL), INVALID_HANDLE);
	until("again"); /* another server once more, without a call in between */
	WANT(enumerate(L"", &text, NULL), OK);
	TEXT_HAS(text, L"[]");
}
